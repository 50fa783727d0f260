from collections.abc import Callable
from typing import Any

from numpy.typing import DTypeLike

LIMITS: tuple[int, int, int]

class PythonUpdate:
    capsule: object
    error: BaseException | None
    def __init__(
        self, step: Callable[..., Any], inputs: int, states: int, constants: int, *, dtype: DTypeLike, graded: bool
    ) -> None: ...
