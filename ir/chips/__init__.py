"""Chips that networks are placed on: data files in which every number has a unit and a source."""

from neurocomp.ir.chips.chip import LIMITS, Chip, Fact, Packing, names

__all__ = ["LIMITS", "Chip", "Fact", "Packing", "names"]
