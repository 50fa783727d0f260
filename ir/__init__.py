"""The graph IR: networks, neurons, connectivities, their verification, text, files and passes. Knows no backend."""

from neurocomp.ir.connectivity import Connectivity, Dense, OneToOne, Sparse
from neurocomp.ir.events import Events
from neurocomp.ir.model import Neuron, NeuronModel
from neurocomp.ir.network import Change, Grid, Input, LoihiSynapse, Network, Population, Projection
from neurocomp.ir.storage import load, save
from neurocomp.ir.text import text
from neurocomp.ir.verify import verify

__all__ = [
    "Change",
    "Connectivity",
    "Dense",
    "Events",
    "Grid",
    "Input",
    "LoihiSynapse",
    "Network",
    "Neuron",
    "NeuronModel",
    "OneToOne",
    "Population",
    "Projection",
    "Sparse",
    "load",
    "save",
    "text",
    "verify",
]
