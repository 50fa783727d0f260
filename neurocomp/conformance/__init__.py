"""The shared suite as data: small cases by construction, and random networks. Any backend can be run over them."""

from neurocomp.conformance.case import Case
from neurocomp.conformance.cases import CASES
from neurocomp.conformance.random_networks import random_case

__all__ = ["CASES", "Case", "random_case"]
