"""Passes: Network -> Network, each a frozen dataclass, each explaining what it changed."""

from neurocomp.ir.passes.base import Callback, Pass, Pipeline
from neurocomp.ir.passes.discretise import Discretise
from neurocomp.ir.passes.fold import Fold
from neurocomp.ir.passes.grid import SnapToGrid
from neurocomp.ir.passes.loihi import LoihiWeights
from neurocomp.ir.passes.narrow import Narrow
from neurocomp.ir.passes.quantise import Quantise
from neurocomp.ir.passes.retime import Retime

__all__ = [
    "Callback",
    "Discretise",
    "Fold",
    "LoihiWeights",
    "Narrow",
    "Pass",
    "Pipeline",
    "Quantise",
    "Retime",
    "SnapToGrid",
    "standard",
]


def standard(
    mantissa_bits: int = 24, callback: Callback | None = None, quantise: Quantise | None = None, narrow: bool = False
) -> Pipeline:
    """The passes every backend needs, in order. Each population's arithmetic decides between `grid` and `loihi`.

    quantise: turns float populations into Loihi's; narrow: into float32. Otherwise they stay as they are.
    """
    quantised = (*((quantise,) if quantise is not None else ()), *((Narrow(),) if narrow else ()))
    return Pipeline((Discretise(), Fold(), *quantised, Retime(), SnapToGrid(mantissa_bits), LoihiWeights()), callback)
