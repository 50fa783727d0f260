"""What a pass is: a frozen dataclass whose fields are its options, Network -> Network, pure, explained.

Contract: a valid network in, a valid network out; the given network is never touched; whatever was changed is appended
to `Network.changes` as `Change` records.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from neurocomp.ir.network import Network


class Pass(ABC):
    """Base of all passes."""

    name: ClassVar[str]

    @abstractmethod
    def __call__(self, net: Network) -> Network:
        """The transformed network."""


Callback = Callable[[Pass, Network, Network], None]


@dataclass(frozen=True)
class Pipeline:
    """Passes in order. `callback(pass, before, after)` runs after each one, for printing or checking in between."""

    passes: tuple[Pass, ...]
    callback: Callback | None = None

    def __call__(self, net: Network) -> Network:
        for step in self.passes:
            after = step(net)
            if self.callback is not None:
                self.callback(step, net, after)
            net = after
        return net
