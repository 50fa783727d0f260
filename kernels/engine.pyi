from typing import Any

from numpy import float64, int32, int64
from numpy.typing import NDArray

Offsets = NDArray[int64]
Ids = NDArray[int32]

class Engine:
    def __init__(self, threads: int, ring: int, max_lag: int, dt: float = 1.0, spins: int = 4000) -> None: ...
    def bounds(self, index: int) -> list[int]: ...
    def add_input(self, size: int, lag: int, graded: bool) -> int: ...
    def add_population(
        self,
        size: int,
        lag: int,
        update: object,
        state: list[NDArray[float64]] | list[NDArray[int64]] | list[NDArray[Any]],
        constants: list[NDArray[Any]],
        bias: NDArray[int64],
        scale: float,
        integer: bool,
        wide: bool,
        graded: bool = False,
        align: int = 16,
        key: int = 0,
        context: object = None,
        autonomous: bool = False,
        single: bool = False,
    ) -> int: ...
    def rested(self, index: int) -> int: ...
    def places(self, index: int) -> list[tuple[int, int, int]]: ...
    def add_sparse(
        self, pre: int, post: int, delays: NDArray[int64], shift: int, row_lengths: NDArray[int64], receptor: int = 0
    ) -> int: ...
    def add_table(
        self,
        members: list[int],
        delays: NDArray[int64],
        windows: list[list[dict[str, Any]]],
        shared: int | None = None,
        bits: int = 16,
    ) -> None: ...
    def add_dense(
        self,
        pre: int,
        post: int,
        delays: NDArray[int64],
        shift: int,
        weights: NDArray[int32],
        rows: Ids | None = None,
        receptor: int = 0,
    ) -> None: ...
    def add_conv(
        self,
        pre: int,
        post: int,
        delays: NDArray[int64],
        shift: int,
        weights: NDArray[int32],
        in_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        groups: int,
        y_taps: tuple[NDArray[int32], NDArray[int32]],
        x_taps: tuple[NDArray[int32], NDArray[int32]],
        receptor: int = 0,
    ) -> None: ...
    def add_plastic(
        self,
        pre: int,
        post: int,
        delays: NDArray[int64],
        rule: object,
        constants: NDArray[float64],
        units: float,
        blocks: list[dict[str, NDArray[Any]]],
        reward: int = -1,
        reward_delay: int = 0,
        receptor: int = 0,
        shift: int = 0,
        engine: dict[str, Any] | None = None,
    ) -> None: ...
    def synapse_bytes(self) -> int: ...
    def seal(self) -> None: ...
    def reset(self) -> None: ...
    def on_the_way(self, index: int) -> tuple[NDArray[int64], Ids, Ids | None]: ...
    def recall(self, now: int, spikes: dict[int, tuple[NDArray[int64], Ids, Ids | None]]) -> None: ...
    def memory_of(self, projection: int) -> list[dict[str, Any]]: ...
    def run(
        self,
        steps: int,
        inputs: dict[int, tuple[Offsets, Ids, Ids | None]],
        record: list[int],
        traces: list[tuple[int, int, NDArray[Any]]],
        every: int = 1,
        weights: list[tuple[int, list[NDArray[float64]]]] = ...,
        draws: list[tuple[int, NDArray[float64]]] = ...,
    ) -> tuple[dict[int, tuple[NDArray[int64], NDArray[int64], NDArray[int64] | None]], list[int], list[int]]: ...
