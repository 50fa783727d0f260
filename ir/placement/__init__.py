"""Placement of networks on the cores of a chip: the result, its costs, and the steps of `neurocomp.ir.passes.place`."""

from neurocomp.ir.placement.result import Core, Placement, PlacementError, Slice

__all__ = ["Core", "Placement", "PlacementError", "Slice"]
