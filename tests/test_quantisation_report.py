"""The quantisation report: what it counts, its forms, the command, and the figures the issue promises."""

from __future__ import annotations

import json
import re
from html import escape
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import neurocomp as nc
from neurocomp.cli import main
from neurocomp.ir.events import Events
from neurocomp.ir.passes import Quantise
from neurocomp.quantisation import observe_ranges
from neurocomp.recording import Recording
from neurocomp.spike_changes import spike_changes


def chain(seed: int = 0) -> nc.Network:
    rng = np.random.default_rng(seed)
    net = nc.Network("chain & <co>", dt=1e-3)
    net.input("x", 20)
    net.population("h", nc.CubaLIF(tau_syn=5e-3, tau_mem=20e-3), 15)
    net.population("y", nc.IF(r=1000.0, reset="subtract"), 3)
    net.connect("x", "h", nc.Dense(rng.normal(5, 25, (15, 20))))
    net.connect("h", "y", nc.Dense(rng.normal(0.1, 0.5, (3, 15))))
    return net


def spikes(count: int, steps: int = 40) -> list[dict[str, Any]]:
    rng = np.random.default_rng(1)
    return [{"x": (rng.random((steps, 20)) < 0.1).astype(int)} for _ in range(count)]


# -------------------------------------------------------------------------------------------------------------- counting


def recording(*events: tuple[int, int], steps: int = 20) -> Recording:
    """Spikes (step, neuron) of a population of 3."""
    times, ids = np.array(sorted(events), np.int64).reshape(-1, 2).T
    counters = nc.Counters({}, {}, {})
    return Recording({"p": Events(times, ids, (3,), steps)}, {}, counters, steps, 1e-3, 0.0)


def test_spikes_are_same_shifted_removed_or_added():
    first = recording((2, 0), (5, 0), (9, 1), (15, 2))
    second = recording((2, 0), (7, 0), (12, 1), (15, 1))
    row = spike_changes("p", [first], [second], 20, tolerance=2)
    assert (row.same, row.shifted, row.removed, row.added) == (1, 1, 2, 2)
    assert (row.float_spikes, row.loihi_spikes) == (4, 4)
    assert row.first is not None
    assert (row.first.sample, row.first.step, row.first.neuron, row.first.fires) == (0, 5, 0, "float")
    assert row.changed == 5 / 4


def test_a_spike_is_paired_once_and_only_with_its_own_neuron():
    row = spike_changes("p", [recording((4, 0), (6, 0), (8, 2))], [recording((5, 0), (8, 1))], 20, tolerance=1)
    assert (row.same, row.shifted, row.removed, row.added) == (0, 1, 2, 1)
    ends = spike_changes("p", [recording((19, 0))], [recording((0, 1))], 20, tolerance=2)  # neighbours in the list, not in time
    assert (ends.shifted, ends.removed, ends.added) == (0, 1, 1)


def test_the_first_difference_is_over_all_samples():
    same, late, early = recording((1, 1)), recording((1, 1), (9, 0)), recording((3, 2))
    row = spike_changes("p", [same, same, recording()], [same, late, early], 20, 1)
    assert row.first is not None
    assert (row.first.sample, row.first.step, row.first.neuron, row.first.fires) == (2, 3, 2, "loihi")


def test_rates_correlate_over_neurons_and_samples():
    one, other = recording((1, 0), (2, 0), (3, 1)), recording((4, 0), (5, 0), (6, 1))
    assert spike_changes("p", [one], [other], 20, 1).correlation == pytest.approx(1.0)
    assert spike_changes("p", [recording()], [other], 20, 1).correlation is None


# ---------------------------------------------------------------------------------------------------------------- report


def test_the_counts_are_those_of_the_two_programs():
    net, samples = chain(), spikes(3)
    report = nc.quantisation_report(net, samples, 40, quantise=Quantise("max", num_weight_bits=4))
    runs = [nc.compile(x, "cpu").run_batch(samples, 40) for x in (net, report.quantised)]
    for row in report.populations:
        assert row.float_spikes == sum(len(x.spikes[row.name]) for x in runs[0])
        assert row.loihi_spikes == sum(len(x.spikes[row.name]) for x in runs[1])
    assert report.samples == 3
    assert [x.name for x in report.ranges] == ["h", "y"]


def test_voltages_are_decoded_in_volts():
    """`decode` sees v in the float network's unit on both sides."""
    seen = []

    def decode(recordings):
        seen.append(np.array([x.states["y.v"][-1] for x in recordings]))
        return np.zeros(len(recordings))

    nc.quantisation_report(chain(), spikes(2), 40, decode=decode)
    assert seen[1].dtype == np.float64
    assert np.abs(seen[1] - seen[0]).max() < 0.5 * np.abs(seen[0]).max()


def test_labels_need_one_output():
    net = chain()
    labels = [0, 1]
    report = nc.quantisation_report(net, spikes(2), 40, labels)
    assert report.float_accuracy in (0.0, 0.5, 1.0)
    net.population("z", nc.IF(r=1000.0), 2)
    net.connect("h", "z", nc.Dense(np.ones((2, 15))))
    with pytest.raises(nc.errors.InputError, match=r"one output population, and there are 2 \(y, z\)"):
        nc.quantisation_report(net, spikes(2), 40, labels)
    net.output("answer", "y")
    assert nc.quantisation_report(net, spikes(2), 40, labels).float_accuracy == report.float_accuracy


@pytest.mark.parametrize(
    ("inputs", "options", "words"),
    [
        ([], {}, "at least one sample"),
        (spikes(2), {"labels": [1]}, "1 labels for 2 samples"),
        (spikes(1), {"quantise": "best"}, "strategy is one of"),
    ],
)
def test_arguments_are_checked(inputs, options, words):
    with pytest.raises(nc.errors.NeurocompError, match=words):
        nc.quantisation_report(chain(), inputs, 40, **options)


def test_a_loihi_network_has_nothing_to_quantise():
    net = nc.Network("chip", dt=1e-3)
    net.input("x", 1)
    net.population("p", nc.LoihiLIF(du=0, dv=0, vth=1), 1)
    net.connect("x", "p", nc.Dense([[1.0]]))
    with pytest.raises(nc.errors.InputError, match="nothing to quantise"):
        nc.quantisation_report(net, {"x": [[1]]}, 1)


def test_text_json_and_page(tmp_path):
    report = nc.quantisation_report(chain(), spikes(2), 40, [0, 1], quantise=Quantise("percentile", 4, percentile=90))
    text = str(report)
    for words in (
        "accuracy",
        "h: ",
        " same, ",
        "shifted by 1..2 steps",
        "rate correlation",
        "weights clipped",
        "worst case: u from",
        "v without bound; observed: u from",
        "24 bits hold +-8388608",
    ):
        assert words in text
    assert "inf" not in text
    assert "[quantise] h: decay of u" in report.explain()
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert plain["populations"]["h"]["float_spikes"] == report.populations[0].float_spikes
    assert plain["clipped"]["x->h"]["clipped"] > 0
    assert plain["ranges"]["y"]["worst"]["v"][0] is None  # without leak: no bound
    page = report.to_html(tmp_path / "report.html").read_text(encoding="utf-8")
    assert "chain &amp; &lt;co&gt;" in page
    assert "<co>" not in page
    assert not re.search(r"<script|https?://|src=|<link", page)
    assert "$" not in page
    for change in report.changes:
        assert escape(change.after) in page


@pytest.mark.parametrize("strategy", ["max", "calibrate"])
def test_inputs_that_play_by_themselves_do_so_in_samples_too(strategy):
    """x plays at steps 1 and 30, of which a sample of 10 steps sees one; y is given."""
    net = nc.Network("own", dt=1e-3)
    net.input("x", 2, spikes=([1, 30], [0, 0]))
    net.input("y", 1)
    net.population("p", nc.IF(r=1000.0), 2)
    net.connect("x", "p", nc.Dense([[0.5, 0], [0, 0.5]]), delay=1)
    net.connect("y", "p", nc.Dense([[0.0], [0.25]]), delay=1)
    samples = [{}, {"y": [[1]] + [[0]] * 9}, {"x": np.zeros((10, 2), int)}]
    quantise = Quantise(strategy, samples=samples, steps=10)
    report = nc.quantisation_report(net, samples, 10, quantise=quantise)
    (range_,) = report.ranges
    per_volt = range_.observed.u_high / [0.5, 0.25]
    assert per_volt[0] == pytest.approx(per_volt[1], rel=0.01)
    assert observe_ranges(report.quantised, samples[2], 10)["p"].bounds.largest_u == 0


def test_ranges_name_where_a_current_wraps():
    net = nc.Network("chip", dt=1e-3)
    net.input("x", 600)
    net.population("p", nc.LoihiLIF(du=4095, dv=4095, vth=131071), 2)
    weights = np.zeros((2, 600))
    weights[1] = 255
    net.connect("x", "p", nc.Dense(weights), delay=1)
    raster = np.zeros((6, 600), int)
    raster[3] = 1  # 600 * 255 * 64 = 9792000 > 2^23, at the step after
    run = observe_ranges(net, [{"x": 0 * raster}, {"x": raster}], 6)["p"]
    assert run.first_wrap is not None
    place = run.first_wrap
    assert (place.sample, place.step, place.neuron, place.value) == (1, 4, 1, 9792000)
    assert run.bounds.largest_u == 9792000
    wrapped = nc.compile(net, "reference", accept_wrap=True).run({"x": raster}, 6, ["p.u"])["p.u"]
    assert wrapped[4, 1] == 9792000 - 2**24


# --------------------------------------------------------------------------------------------------------------- command


@pytest.fixture
def stored(tmp_path):
    return str(nc.save(chain(), tmp_path / "model"))


@pytest.mark.parametrize("strategy", ["max", "percentile", "mse", "calibrate"])
def test_command(stored, tmp_path, strategy):
    page, chip = tmp_path / "report.html", tmp_path / "chip.neurocomp"
    arguments = ["quantise", stored, "--random", "0.1", "--steps", "30", "--strategy", strategy]
    done = CliRunner().invoke(main, [*arguments, "--bits", "6", "--out", str(page), "--save", str(chip), "--explain"])
    assert done.exit_code == 0, done.output
    assert "float vs loihi" in done.output
    assert f"{strategy}, 6-bit weights" in done.output
    assert "[quantise]" in done.output
    assert page.read_text().startswith("<!doctype html>")
    loaded = nc.load(chip)
    assert all(x.neuron.model is nc.LoihiLIF or x.neuron.model.name == "LoihiLIF" for x in loaded.populations.values())
    assert nc.compile(loaded, "cpu").run({}, 5).steps == 5


def test_command_writes_json(stored, tmp_path):
    out = tmp_path / "report.json"
    done = CliRunner().invoke(main, ["quantise", stored, "--random", "0.1", "--steps", "30", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert json.loads(out.read_text())["strategy"] == "mse"


def test_command_says_what_a_saved_network_needs(tmp_path):
    net = nc.Network("busy", dt=1e-3)
    net.input("x", 2000)
    net.population("p", nc.CubaLIF(tau_syn=20e-3, tau_mem=20e-3, v_threshold=20.0), 3)
    net.connect("x", "p", nc.Dense(np.full((3, 2000), 1.0)))
    chip = tmp_path / "chip.neurocomp"
    arguments = ["quantise", str(nc.save(net, tmp_path / "model")), "--random", "0.01", "--steps", "20"]
    refused = CliRunner().invoke(main, arguments)
    assert refused.exit_code == 2
    assert "accept_wrap=True" in refused.output
    for option in (["--accept-wrap"], ["--strategy", "calibrate"]):
        done = CliRunner().invoke(main, [*arguments, *option, "--save", str(chip)])
        assert done.exit_code == 0, done.output
        assert "the current of p is not proven to stay within 24 bits: compile it with accept_wrap=True" in done.output
    with pytest.raises(nc.errors.CompileError, match="accept_wrap=True"):
        nc.compile(nc.load(chip), "cpu")
    assert nc.compile(nc.load(chip), "cpu", accept_wrap=True).run({}, 5).steps == 5


def test_command_says_what_cannot_be_done(tmp_path):
    net = nc.Network("n", dt=1e-3)
    net.input("x", 1)
    net.population("p", nc.LI(tau=1e-2), 1)
    net.connect("x", "p", nc.Dense([[1.0]]))
    path = str(nc.save(net, tmp_path / "model"))
    done = CliRunner().invoke(main, ["quantise", path, "--random", "0.1", "--steps", "3"])
    assert done.exit_code == 2
    assert "LI never spikes" in done.output


# --------------------------------------------------------------------------------------------------------------- figures


@pytest.fixture(scope="module")
def digits():
    """The demo's network, held-out samples and labels, and training samples for calibration."""
    pytest.importorskip("sklearn")
    from neurocomp import demo

    data = demo.load_digits()
    conversion = nc.convert_sklearn(demo.train(data, 48), data.train, max_payload=demo.GREYS, name="digits")
    return conversion, conversion.encode(data.test, 32), data.test_labels, conversion.encode(data.train[:60], 32)


def _digits(digits, strategy: Any, bits: int) -> nc.QuantisationReport:
    conversion, samples, labels, training = digits
    calibrated = {"samples": training, "steps": 32} if strategy == "calibrate" else {}
    quantise = Quantise(strategy, num_weight_bits=bits, **calibrated)
    return nc.quantisation_report(conversion.network, samples, 32, labels, decode=conversion.decode, quantise=quantise)


@pytest.mark.parametrize("strategy", ["max", "mse", "calibrate"])
def test_digits_stay_within_a_point_of_float(digits, strategy):
    report = _digits(digits, strategy, 8)
    assert report.float_accuracy is not None
    assert report.loihi_accuracy is not None
    assert report.float_accuracy > 0.97
    assert report.loihi_accuracy >= report.float_accuracy - 0.01


def test_calibration_beats_the_largest_weight_at_four_bits(digits):
    """Spikes changed on held-out digits, with calibration on training ones."""
    changed = {}
    for strategy in ("max", "calibrate"):
        report = _digits(digits, strategy, 4)
        changed[strategy] = [x.changed for x in report.populations]
    assert all(one < 0.9 * other for one, other in zip(changed["calibrate"], changed["max"], strict=True)), changed


@pytest.mark.parametrize(
    ("name", "dialect"),
    [("braille_noDelay_bias_zero", "snntorch"), ("braille_noDelay_noBias_subtract", "snntorch-subtract")],
)
def test_braille_networks_report_their_spike_changes(shared, name, dialect):
    importer = pytest.importorskip("neurocomp.importers.nir", reason="the NIR importer is not there yet")
    pytest.importorskip("h5py")
    net = importer.from_nir(shared / "nir" / f"{name}.nir", dialect=dialect)
    sample = np.load(shared / "nir" / "braille_sample0_input.npy")
    inputs = [{next(iter(net.inputs)): sample}]
    changed = {}
    for strategy in ("max", "calibrate"):
        samples = {"samples": inputs, "steps": len(sample)} if strategy == "calibrate" else {}
        report = nc.quantisation_report(net, inputs, len(sample), quantise=Quantise(strategy, **samples))
        assert [x.name for x in report.populations] == ["lif1.lif", "lif2"]
        assert all(x.float_spikes > 100 and x.first is not None for x in report.populations)
        changed[strategy] = sum(x.removed + x.added for x in report.populations)
    assert changed["calibrate"] < changed["max"]
