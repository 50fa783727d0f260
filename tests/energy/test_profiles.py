"""Profiles: what ships is sourced and follows the collected facts; what a user writes wrongly is named."""

import json
import math
import tomllib
from importlib import resources

import pytest

from neurocomp.energy import EnergyError, Profile, names, save_profile
from neurocomp.energy.kinds import KINDS, TIMED, kinds_of
from neurocomp.energy.profile import UNITS
from neurocomp.ir.chips import Chip
from neurocomp.ir.errors import FileFormatError

PICO, NANO, MICRO, MILLI = 1e-12, 1e-9, 1e-6, 1e-3


@pytest.mark.parametrize("name", names())
def test_every_constant_has_a_range_a_basis_and_a_source(name):
    profile = Profile.load(name)
    assert profile.name == name
    assert profile.constants()
    for x in profile.constants().values():
        assert 0 <= x.low <= x.value <= x.high
        assert len(x.source) > 10
        assert x.locator
        assert x.checked in ("opened", "secondary")
        assert x.unit in ("J", "s", "W", "W/Hz")
    said = [*profile.energy, *profile.not_priced, *profile.included]
    assert sorted(said) == sorted(kinds_of(profile.counts))
    assert all(len(reason) > 5 for reason in (*profile.not_priced.values(), *profile.included.values()))
    assert profile.chip is None or Chip.load(profile.chip)
    assert not (profile.aggregate and profile.static)


@pytest.mark.parametrize("name", names())
def test_a_saved_profile_is_read_back_bit_for_bit(name, tmp_path):
    profile = Profile.load(name)
    path = save_profile(profile, tmp_path / "saved.toml")
    assert Profile.load(path) == profile


def test_constants_are_those_of_the_collected_facts(shared):
    facts = json.loads((shared / "facts" / "energy_constants.json").read_text())
    davies, fit = (Profile.load(f"loihi1-{x}") for x in ("davies2018", "sanafe"))
    table = facts["loihi1_davies2018"]
    assert all(
        davies.energy[f"synop.{x}"].value == pytest.approx(table["e_synop_pJ"]["v"] * PICO) for x in ("dense", "sparse", "conv")
    )
    pairs = {"learn": "e_synupdate_stdp", "neuron.active": "e_neuron_active", "neuron.inactive": "e_neuron_inactive"}
    pairs |= {
        "message": "e_spike_within_tile",
        "message.input": "e_spike_within_tile",
        "hop.x": "e_hop_EW",
        "hop.y": "e_hop_NS",
    }
    assert {k: davies.energy[k].value for k in pairs} == pytest.approx({k: table[f"{x}_pJ"] * PICO for k, x in pairs.items()})
    table = facts["loihi1_sanafe"]
    pairs = {f"synop.{x}": f"synop_{x}" for x in ("dense", "sparse", "conv")}
    pairs |= {"neuron.access": "neuron_access", "neuron.active": "neuron_update_extra", "neuron.spike": "spike_out"}
    pairs |= {
        "neuron.random": "rng",
        "message": "message_out",
        "message.input": "message_out",
        "hop.x": "hop_EW",
        "hop.y": "hop_NS",
    }
    assert {k: x.value for k, x in fit.energy.items()} == pytest.approx(
        {k: table[f"e_{x}_pJ"] * PICO for k, x in pairs.items()}
    )
    sync = {int(tiles): us * MICRO for tiles, us in table["t_sync_us_by_mapped_tiles"].items()}
    assert dict(zip(fit.tiles, (x.value for x in fit.barrier), strict=True)) == pytest.approx(sync)
    loihi2 = Profile.load("loihi2")
    measured = [mw * MILLI for x in facts["loihi2_power"] for mw in x["mW"]]
    assert facts["loihi2_per_op"] is None
    assert not loihi2.energy
    assert (loihi2.static["chip"].low, loihi2.static["chip"].high) == pytest.approx((min(measured), max(measured)))
    odin = Profile.load("odin")
    assert odin.energy["synop.dense"].value == pytest.approx(facts["odin"]["e_synop_marginal_pJ"] * PICO)
    assert odin.static["leakage"].value == pytest.approx(facts["odin"]["p_leak_uW"] * MICRO)
    assert odin.static["clock"].value == pytest.approx(facts["odin"]["p_idle_uW_per_MHz"] * PICO)
    spinnaker = Profile.load("spinnaker1").energy
    assert spinnaker["synop.dense"].value == pytest.approx(facts["spinnaker1"]["e_synop_nJ"] * NANO)
    assert spinnaker["neuron.access"].value == pytest.approx(facts["spinnaker1"]["e_neuron_update_nJ"] * NANO)
    cmos = facts["horowitz_45nm_pJ"]
    for name, kind in (("cmos45-fp32", "fp32"), ("cmos45-int8", "int8")):
        energy = Profile.load(name).energy
        assert energy["op.ac"].value == pytest.approx(cmos[f"{kind}_add"] * PICO)
        assert energy["op.mac"].value == pytest.approx((cmos[f"{kind}_add"] + cmos[f"{kind}_mul"]) * PICO)


def test_static_power_of_a_loihi_chip_is_a_tenth_of_a_watt():
    for name in ("loihi1-davies2018", "loihi1-sanafe"):
        chip = Profile.load(name).static["chip"]
        assert (chip.low, chip.value, chip.high) == pytest.approx((96.2e-3, 0.1, 104.4e-3))


def test_barriers_lie_on_lines_between_the_numbers_of_tiles():
    profile = Profile.load("loihi1-sanafe")
    assert profile.barrier_time(1)[0] == pytest.approx(0.6e-6)
    assert profile.barrier_time(3)[0] == pytest.approx(1.2e-6)
    assert profile.barrier_time(500)[0] == pytest.approx(1.8e-6)
    assert Profile.load("odin").barrier_time(3) == (0.0, 0.0, 0.0)


def own(tmp_path, old, new, name="odin"):
    text = (resources.files("neurocomp.energy") / "profiles" / f"{name}.toml").read_text()
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new))
    return path


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('counts = "events"', 'counts = "spikes"', r"counts is 'events', 'operations' or 'dense', not 'spikes'"),
        ('counts = "events"', "", r"lacks 'counts'"),
        ("[capacity]", "[capacities]", r"unknown section 'capacities'"),
        ('"learn" = "not given apart"', "", r"says nothing of 'learn' \(weight updates"),
        ('"hop.y" = ', '"synop.dense" = "twice"\n"hop.y" = ', r"more than once what becomes"),
        ("value = 8.43, low = 8.43", "value = 8.43, low = 9.0", r"low <= value <= high does not hold for 9, 8.43, 8.43"),
        ('source = "frenkel"', 'source = "merolla"', r"source 'merolla' is not in \[sources\] \(frenkel\)"),
        ('basis = "measured"', 'basis = "guessed"', r"basis is measured, fitted, pre-silicon, derived, not 'guessed'"),
        ('unit = "pJ"', 'unit = "ns"', r"energy.synop.dense has unit 'ns'; it takes one of J, uJ, nJ, pJ"),
        ('unit = "uW"', 'unit = "uJ"', r"static.leakage has unit 'uJ'; it takes one of W, mW, uW, uW/MHz"),
        ("clock = 75e6", "", r"is in cycles, which needs clock"),
        ("clock = 75e6", "clock = -1", r"clock is a frequency in Hz, not -1"),
        (', checked = "secondary" }', " }", r"must be a table of basis, checked, high"),
        ("[energy]\n", '[energy]\n"op.ac" = 1\n', r"\[energy\] has an unknown key 'op.ac'"),
        ("name = ", "name == ", r"is not TOML"),
    ],
)  # fmt: skip
def test_mistakes_in_own_files_are_named(tmp_path, old, new, message):
    with pytest.raises(FileFormatError, match=message):
        Profile.load(own(tmp_path, old, new))


def test_a_file_with_an_aggregate_constant_and_static_power_is_refused(tmp_path):
    path = own(
        tmp_path,
        'scope = "marginal", source = "frenkel", locator = "Fig. 8b, Eqs. 2-3"',
        'scope = "aggregate", source = "frenkel", locator = "x"',
    )
    with pytest.raises(
        EnergyError, match=r"'synop\.dense' is an aggregate constant: static power is in it already, so 'leakage'"
    ):
        Profile.load(path)


def test_clocks():
    odin = Profile.load("odin")
    assert odin.at_clock(150e6).time["synop.dense"].value == pytest.approx(odin.time["synop.dense"].value / 2)
    with pytest.raises(EnergyError, match="cannot be run at 1000000 Hz"):
        Profile.load("truenorth").at_clock(1000000)
    with pytest.raises(EnergyError, match="cannot be run at 0 Hz"):
        odin.at_clock(0)


def test_units_and_kinds_are_consistent():
    assert all(math.isfinite(scale) for _, scale in UNITS.values())
    assert set(TIMED) <= set(KINDS)
    for file in (resources.files("neurocomp.energy") / "profiles").iterdir():
        tables = tomllib.loads(file.read_text())
        sections = ("energy", "time", "static", "barrier")
        assert set(tables["sources"]) == {x["source"] for part in sections for x in tables.get(part, {}).values()}
