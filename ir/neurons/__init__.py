"""The neurons that come with the package. Adding one means adding its definition to a module here, and it to `BUILTIN`.

Names, parameters and equations follow NIR (Pedersen et al. 2024, doi:10.1038/s41467-024-52259-9) unless said otherwise.
"""

from __future__ import annotations

from neurocomp.ir.model import NeuronModel
from neurocomp.ir.neurons.adaptive import ALIF, IZHIKEVICH, AdEx, Izhikevich, ResonateFire, SigmaDelta, StochasticLIF
from neurocomp.ir.neurons.channels import HodgkinHuxley, TraubMiles
from neurocomp.ir.neurons.frameworks import (
    SinabsIF,
    SinabsLIF,
    SnnTorchCubaLIF,
    SnnTorchDelayedCubaLIF,
    SnnTorchDelayedLIF,
    SnnTorchDelayedZeroCubaLIF,
    SnnTorchDelayedZeroLIF,
    SnnTorchLIF,
)
from neurocomp.ir.neurons.leaky import IF, LI, LIF, CubaLI, CubaLIF, I
from neurocomp.ir.neurons.loihi import LoihiGradedRelu, LoihiLIF
from neurocomp.ir.neurons.sources import NOISE_UNITS, NoisyCurrent, Poisson, PoissonCounts, StepCurrent
from neurocomp.ir.neurons.stateless import GradedRelu, Readout, Threshold
from neurocomp.ir.neurons.synaptic import AlphaLIF, CobaLIF, ExpLIF

BUILTIN: tuple[NeuronModel, ...] = (
    IF,
    LIF,
    CubaLIF,
    I,
    LI,
    CubaLI,
    ALIF,
    AdEx,
    Izhikevich,
    ResonateFire,
    StochasticLIF,
    SigmaDelta,
    ExpLIF,
    AlphaLIF,
    CobaLIF,
    HodgkinHuxley,
    TraubMiles,
    Poisson,
    PoissonCounts,
    StepCurrent,
    NoisyCurrent,
    LoihiLIF,
    Threshold,
    GradedRelu,
    LoihiGradedRelu,
    Readout,
    SnnTorchLIF,
    SnnTorchCubaLIF,
    SnnTorchDelayedLIF,
    SnnTorchDelayedCubaLIF,
    SnnTorchDelayedZeroLIF,
    SnnTorchDelayedZeroCubaLIF,
    SinabsIF,
    SinabsLIF,
)

__all__ = [
    "ALIF",
    "BUILTIN",
    "IF",
    "IZHIKEVICH",
    "LI",
    "LIF",
    "NOISE_UNITS",
    "AdEx",
    "AlphaLIF",
    "CobaLIF",
    "CubaLI",
    "CubaLIF",
    "ExpLIF",
    "GradedRelu",
    "HodgkinHuxley",
    "I",
    "Izhikevich",
    "LoihiGradedRelu",
    "LoihiLIF",
    "NoisyCurrent",
    "Poisson",
    "PoissonCounts",
    "Readout",
    "ResonateFire",
    "SigmaDelta",
    "SinabsIF",
    "SinabsLIF",
    "SnnTorchCubaLIF",
    "SnnTorchDelayedCubaLIF",
    "SnnTorchDelayedLIF",
    "SnnTorchDelayedZeroCubaLIF",
    "SnnTorchDelayedZeroLIF",
    "SnnTorchLIF",
    "StepCurrent",
    "StochasticLIF",
    "Threshold",
    "TraubMiles",
]
