"""NIR, the Neuromorphic Intermediate Representation (Pedersen et al. 2024, doi:10.1038/s41467-024-52259-9), in and out."""

from neurocomp.importers.nir.dialects import DIALECTS, Dialect
from neurocomp.importers.nir.lower import from_nir
from neurocomp.importers.nir.raw import NirError, RawGraph, RawNode
from neurocomp.importers.nir.read import read
from neurocomp.importers.nir.write import LOSSES, to_nir

__all__ = ["DIALECTS", "LOSSES", "Dialect", "NirError", "RawGraph", "RawNode", "from_nir", "read", "to_nir"]
