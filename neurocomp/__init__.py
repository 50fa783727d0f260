"""neurocomp: write a spiking network once; every backend gives the same spikes, bit for bit."""

from neurocomp.backends.base import Counters
from neurocomp.backends.registry import names as targets
from neurocomp.conform import ConformanceReport, Difference, compare, conform
from neurocomp.energy.report import EnergyReport, energy
from neurocomp.importers.lavadl import from_lavadl
from neurocomp.importers.nir import from_nir, to_nir
from neurocomp.importers.rates import Conversion
from neurocomp.importers.sklearn import convert_sklearn, from_sklearn
from neurocomp.ir import errors
from neurocomp.ir.chips import Chip
from neurocomp.ir.connectivity import Dense, OneToOne, Sparse
from neurocomp.ir.convolution import AvgPool2d, Conv1d, Conv2d, SumPool2d
from neurocomp.ir.distributions import Normal, Uniform
from neurocomp.ir.events import Events
from neurocomp.ir.model import Neuron, NeuronModel
from neurocomp.ir.network import Input, LoihiSynapse, Network, Population, Projection
from neurocomp.ir.neurons import (
    ALIF,
    IF,
    IZHIKEVICH,
    LI,
    LIF,
    NOISE_UNITS,
    AdEx,
    AlphaLIF,
    CobaLIF,
    CubaLI,
    CubaLIF,
    ExpLIF,
    GradedRelu,
    HodgkinHuxley,
    I,
    Izhikevich,
    LoihiGradedRelu,
    LoihiLIF,
    NoisyCurrent,
    Poisson,
    PoissonCounts,
    Readout,
    ResonateFire,
    SigmaDelta,
    SinabsIF,
    SinabsLIF,
    SnnTorchCubaLIF,
    SnnTorchLIF,
    StepCurrent,
    StochasticLIF,
    Threshold,
    TraubMiles,
)
from neurocomp.ir.passes import Quantise
from neurocomp.ir.passes.place import Place, place
from neurocomp.ir.patterns import FixedInDegree, FixedOutDegree, FixedProbability, FixedTotalNumber
from neurocomp.ir.placement import Placement
from neurocomp.ir.plasticity import STDP, LoihiRule, Plasticity, PlasticityRule, RewardSTDP, Trace, TripletSTDP
from neurocomp.ir.storage import load, save
from neurocomp.ir.text import text
from neurocomp.ir.verify import verify
from neurocomp.plot import raster
from neurocomp.plot_energy import energy_figure
from neurocomp.plot_placement import placement_map
from neurocomp.program import Program
from neurocomp.program import compile as compile
from neurocomp.quantisation import QuantisationReport, quantisation_report
from neurocomp.recording import Recording

__version__ = "0.1.0.dev0"

# `compile` is left out: `from neurocomp import *` must not replace the builtin of that name.
__all__ = [
    "ALIF",
    "IF",
    "IZHIKEVICH",
    "LI",
    "LIF",
    "NOISE_UNITS",
    "STDP",
    "AdEx",
    "AlphaLIF",
    "AvgPool2d",
    "Chip",
    "CobaLIF",
    "ConformanceReport",
    "Conv1d",
    "Conv2d",
    "Conversion",
    "Counters",
    "CubaLI",
    "CubaLIF",
    "Dense",
    "Difference",
    "EnergyReport",
    "Events",
    "ExpLIF",
    "FixedInDegree",
    "FixedOutDegree",
    "FixedProbability",
    "FixedTotalNumber",
    "GradedRelu",
    "HodgkinHuxley",
    "I",
    "Input",
    "Izhikevich",
    "LoihiGradedRelu",
    "LoihiLIF",
    "LoihiRule",
    "LoihiSynapse",
    "Network",
    "Neuron",
    "NeuronModel",
    "NoisyCurrent",
    "Normal",
    "OneToOne",
    "Place",
    "Placement",
    "Plasticity",
    "PlasticityRule",
    "Poisson",
    "PoissonCounts",
    "Population",
    "Program",
    "Projection",
    "QuantisationReport",
    "Quantise",
    "Readout",
    "Recording",
    "ResonateFire",
    "RewardSTDP",
    "SigmaDelta",
    "SinabsIF",
    "SinabsLIF",
    "SnnTorchCubaLIF",
    "SnnTorchLIF",
    "Sparse",
    "StepCurrent",
    "StochasticLIF",
    "SumPool2d",
    "Threshold",
    "Trace",
    "TraubMiles",
    "TripletSTDP",
    "Uniform",
    "compare",
    "conform",
    "convert_sklearn",
    "energy",
    "energy_figure",
    "errors",
    "from_lavadl",
    "from_nir",
    "from_sklearn",
    "load",
    "place",
    "placement_map",
    "quantisation_report",
    "raster",
    "save",
    "targets",
    "text",
    "to_nir",
    "verify",
]
