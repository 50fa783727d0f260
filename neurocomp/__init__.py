"""neurocomp: write a spiking network once; every backend gives the same spikes, bit for bit."""

from neurocomp.backends.base import Counters
from neurocomp.backends.registry import names as targets
from neurocomp.ir import errors
from neurocomp.ir.connectivity import Dense, OneToOne, Sparse
from neurocomp.ir.events import Events
from neurocomp.ir.model import Neuron, NeuronModel
from neurocomp.ir.network import Input, LoihiSynapse, Network, Population, Projection
from neurocomp.ir.neurons import IF, LI, LIF, CubaLI, CubaLIF, I, LoihiLIF
from neurocomp.ir.storage import load, save
from neurocomp.ir.text import text
from neurocomp.ir.verify import verify
from neurocomp.program import Program, compile
from neurocomp.recording import Recording

__version__ = "0.1.0.dev0"

__all__ = [
    "IF",
    "LI",
    "LIF",
    "Counters",
    "CubaLI",
    "CubaLIF",
    "Dense",
    "Events",
    "I",
    "Input",
    "LoihiLIF",
    "LoihiSynapse",
    "Network",
    "Neuron",
    "NeuronModel",
    "OneToOne",
    "Population",
    "Program",
    "Projection",
    "Recording",
    "Sparse",
    "compile",
    "errors",
    "load",
    "save",
    "targets",
    "text",
    "verify",
]
