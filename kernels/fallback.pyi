from collections.abc import Callable
from typing import Any

LIMITS: tuple[int, int, int]

class PythonUpdate:
    capsule: object
    error: BaseException | None
    def __init__(
        self, step: Callable[..., Any], inputs: int, states: int, constants: int, *, integer: bool, graded: bool
    ) -> None: ...
