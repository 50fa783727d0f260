"""Chip files: every number has a unit and a source, and every mistake in a user's own file is named."""

from dataclasses import replace
from importlib import resources

import numpy as np
import pytest

import neurocomp as nc
from neurocomp.ir.chips import LIMITS, Chip
from neurocomp.ir.errors import FileFormatError, ModelError
from neurocomp.ir.passes.place import place


@pytest.mark.parametrize("name", ["loihi1", "loihi2"])
def test_every_number_of_a_chip_has_unit_and_source(name):
    loaded = Chip.load(name)
    fields = {*loaded.limits, "cores", "max_chips", "max_delay", "columns", "rows", "cores_per_tile", *vars(loaded.packing)}
    assert fields <= set(loaded.facts)
    assert all(fact.unit and fact.source for fact in loaded.facts.values())
    assert {limit for limit in LIMITS if getattr(loaded, limit) is None} == set(loaded.absent)
    assert set(loaded.boards) <= set(loaded.facts)
    assert loaded.custom_neurons == (name == "loihi2")
    assert "custom" in loaded.facts


def own_chip(tmp_path, old, new):
    text = resources.files("neurocomp.ir.chips").joinpath("loihi1.toml").read_text()
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new))
    return path


def test_own_chips(tmp_path):
    mine = Chip.load(own_chip(tmp_path, "value = 1024", "value = 100"))
    assert mine.compartments == 100
    net = nc.Network("mine", dt=1e-3)
    net.input("x", 2)
    net.population("y", nc.IF(), 250)
    net.connect("x", "y", nc.Dense(np.ones((250, 2))))
    assert len(place(net, str(tmp_path / "mine.toml")).cores) == 3


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("value = 1024", "value = 0", r"\[limits\] compartments must be a whole number of at least 1, not 0"),
        ("value = 1024", "value = true", "compartments must be a whole number of at least 1, not True"),
        ("value = 64, unit = \"bits\"", "value = [64], unit = \"bits\"", r"\[packing\] word must be a whole number"),
        ("in_axons = {", "axons = {", r"\[limits\] has an unknown key 'axons'"),
        ("[mesh]", "[grid]", "has an unknown section 'grid'"),
        ("compartments = {", "# {", r"\[limits\] lacks 'compartments'"),
        ("out_axons = {", "# {", r"says nothing of 'out_axons'; give it in \[limits\], or the reason in \[absent\]"),
        ("[limits]", "[limits", "is not TOML"),
        ("cores = { value = 128", "cores = { amount = 128", r"cores must be a table \{ value, unit, source \}"),
        ("description = ", "# ", "lacks 'description'; a chip has name, description, limits, neurons, mesh, packing"),
        ("[neurons]", "[neuron]", "has an unknown section 'neuron'"),
        ("custom = { value = false", "custom = { value = 0", r"\[neurons\] custom must be true or false, not 0"),
        ("custom = {", "# {", r"\[neurons\] lacks 'custom'"),
    ],
)  # fmt: skip
def test_bad_chip_files(tmp_path, old, new, message):
    path = own_chip(tmp_path, old, new)
    with pytest.raises(FileFormatError, match=message):
        Chip.load(path)


def test_more_cores_than_tiles():
    with pytest.raises(ModelError, match="chip 'loihi1': 129 cores do not fit 8x4 tiles of 4"):
        replace(Chip.load("loihi1"), cores=129)
