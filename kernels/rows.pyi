from numpy import int32, uint16, uint32
from numpy.typing import NDArray

def count_rows(
    counts: NDArray[uint32], pre: NDArray[int32], slot: NDArray[int32], post: NDArray[int32], lo: int, hi: int, n_delays: int
) -> None: ...
def place_rows(
    next_free: NDArray[uint32],
    pre: NDArray[int32],
    slot: NDArray[int32],
    post: NDArray[int32],
    units: NDArray[int32],
    lo: int,
    hi: int,
    shift: int,
    n_delays: int,
    bits: int,
    packed: NDArray[uint32],
    targets: NDArray[uint16],
    values: NDArray[int32],
) -> None: ...
