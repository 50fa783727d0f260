"""The report: its parts make up its totals, its what-ifs behave, and every number says where it comes from."""

import csv
import io
import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from rich.console import Console

import neurocomp as nc
from neurocomp.energy import COMPONENTS, EnergyError, Profile, names
from neurocomp.energy.data import COLUMNS
from neurocomp.energy.quantity import show
from neurocomp.ir.chips import Chip
from neurocomp.ir.placement import PlacementError

from .conftest import layered, raster


def test_totals_are_counts_times_constants(report):
    """By hand, from the counters and the profile's numbers alone."""
    counts, pj = report.activity.counts(), 1e-12
    prices = {"synop.dense": 35.5, "synop.sparse": 33.6, "neuron.access": 51.2, "neuron.active": 21.6, "neuron.spike": 69.3,
              "message": 111.0, "message.input": 111.0, "hop.x": 3.0, "hop.y": 4.2}  # fmt: skip
    wanted = sum(counts.get(kind, 0) * price for kind, price in prices.items()) * pj
    assert report.dynamic.value == pytest.approx(wanted, rel=1e-12)
    assert report.static.value == pytest.approx(0.1 * 60 * 1e-3)
    assert report.total.value == pytest.approx(wanted + 6e-3)
    assert report.per_step.value == pytest.approx(report.total.value / 60)
    assert report.per_second.value == pytest.approx(report.total.value / 0.06)
    assert report.latency.value == pytest.approx(0.062)  # two steps more than the network, for the layers within a step
    assert report.energy_delay.value == pytest.approx(report.total.value * 0.062)
    assert report.not_priced == ()


def test_every_breakdown_sums_to_the_dynamic_energy(report):
    for one in (report, *report.others):
        whole = one.dynamic
        for parts in ([*one.populations.values(), *one.projections.values()], one.components.values(), one.cores):
            for key in ("value", "low", "high"):
                assert sum(getattr(x, key) for x in parts) == pytest.approx(getattr(whole, key), rel=1e-12)
        assert whole.low <= whole.value <= whole.high
        assert sum(share for _, share in one.dominates) == pytest.approx(1.0)


def test_samples_are_averaged(layered_run):
    program, _ = layered_run
    runs = program.run_batch([{"x": raster(seed)} for seed in (7, 8, 9)], 60)
    together = nc.energy(program, runs)
    apart = [nc.energy(program, x) for x in runs]
    assert together.dynamic.value == pytest.approx(np.mean([x.dynamic.value for x in apart]))
    assert together.static.value == pytest.approx(apart[0].static.value)
    assert "/ 3 runs" in together.trace("dynamic.h.neuron.active")
    doubled = nc.energy(program, [runs[0], runs[0]])
    assert doubled.dynamic.value == pytest.approx(apart[0].dynamic.value)


def test_pace(layered_run):
    program, recording = layered_run
    fast = nc.energy(program, recording, "loihi1-sanafe", pace="fast")
    assert fast.step.value == fast.timing.mean.value < 1e-5
    assert fast.static.value == pytest.approx(0.1 * 60 * fast.timing.mean.value)
    assert fast.latency.value == pytest.approx(fast.timing.steps[0].sum())
    assert fast.static.low < fast.static.value < fast.static.high
    given = nc.energy(program, recording, "loihi1-sanafe", pace=1e-6)
    assert given.static.value == pytest.approx(0.1 * 60 * 1e-6)
    assert "cannot keep this pace" in given.text
    assert "cannot keep" not in nc.energy(program, recording).text
    untimed = nc.energy(program, recording, "truenorth", pace="fast")
    assert "has no times per event" in untimed.text
    assert untimed.step.value == 1e-3
    for wrong in ("slow", 0, -1.0, True, float("nan")):
        with pytest.raises(EnergyError, match="pace: is"):
            nc.energy(program, recording, pace=wrong)


def test_step_time_is_that_of_the_busiest_core(layered_run):
    program, recording = layered_run
    report = nc.energy(program, recording, "loihi1-sanafe")
    load, ns = report.activity.load, 1e-9
    sends = load["neuron.access"] * 6.0 + load["neuron.active"] * 3.7 + load["neuron.spike"] * 30.0 + load["message"] * 5.1
    takes = load["message.receive"] * 16.0 + load["synop.dense"] * 3.8 + load["synop.sparse"] * 4.7
    wanted = np.maximum(sends.max(axis=1), takes.max(axis=1)) * ns + 0.6e-6  # one tile
    assert np.allclose(report.timing.steps[0], wanted, rtol=1e-12)
    assert report.timing.slowest == wanted.argmax()
    slowest = report.timing.largest
    assert sum(x.value for x in slowest.parts) == pytest.approx(slowest.value)


def test_activity_scales_events_and_nothing_else(report):
    half, same, double = report.sensitivity((0.5, 1.0, 2.0))
    assert same.total.value == pytest.approx(report.total.value)
    assert half.dynamic.value < same.dynamic.value < double.dynamic.value
    assert half.static.value == double.static.value
    nothing = report.at_activity(0.0)
    updates = report.activity.counts()["neuron.access"]
    biased = 20 * 60  # updates of the neurons of h with a bias, which are active in any case
    assert nothing.dynamic.value == pytest.approx(updates * 51.2e-12 + biased * 21.6e-12)
    davies = report.others[0]
    assert davies.at_activity(0.0).dynamic.value == pytest.approx((updates - biased) * 52e-12 + biased * 81e-12)
    lines = {x.kind: x for x in davies.items if x.subject == "h"}
    assert lines["neuron.active"].scaled(1e9, {"h": (1200.0, 2400.0)}) == 2400.0  # no more than all of them
    assert lines["neuron.inactive"].scaled(1e9, {"h": (1200.0, 2400.0)}) == 0.0
    assert half.step.value < same.step.value == report.timing.mean.value < double.step.value


def test_break_even_is_where_the_energies_meet(report):
    for equivalent in report.equivalents:
        at = report.break_even(equivalent).value
        assert at == 0.0 or report.at_activity(at).dynamic.value == pytest.approx(equivalent.ann.value, rel=0.2)
    idle = nc.Network("idle", dt=1e-3)
    idle.input("x", 4)
    idle.population("y", nc.IF(), 3)
    idle.connect("x", "y", nc.Dense(np.ones((3, 4))), delay=1)
    program = nc.compile(idle, "reference")
    silent = nc.energy(program, program.run({"x": np.zeros((5, 4), int)}), ["cmos45-fp32"])
    assert silent.equivalents[0].events.value == 0
    assert silent.equivalents[0].break_even.text == "unknown"
    json.dumps(silent.to_dict(), allow_nan=False)


def test_the_network_without_spikes():
    net = nc.Network("feedforward", dt=1e-3)
    net.input("x", 16, max_payload=4)
    net.population("h", nc.IF(v_threshold=2.0), 64)
    net.population("y", nc.IF(v_threshold=2.0), 10)
    net.connect("x", "h", nc.Dense(np.full((64, 16), 0.1)))
    net.connect("h", "y", nc.Dense(np.full((10, 64), 0.1)))
    program = nc.compile(net, "reference")
    recording = program.run({"x": 2 * (raster(size=16, steps=50))})
    fp32, int8 = nc.energy(program, recording, "cmos45-fp32").equivalents
    assert fp32.macs.value == 16 * 64 + 64 * 10
    assert fp32.ann.value == pytest.approx(1664 * 4.6e-12)
    assert int8.ann.value == pytest.approx(1664 * 0.23e-12)
    assert fp32.dense.value == pytest.approx(50 * 1664 * 0.9e-12)
    inputs, hidden = (recording.counters.events[x] for x in ("x->h", "h->y"))
    assert fp32.events.value == pytest.approx((inputs * 4.6 + hidden * 0.9) * 1e-12)  # graded spikes multiply
    assert fp32.density.value == pytest.approx((inputs + hidden) / 1664)
    assert fp32.break_even.value / fp32.density.value == pytest.approx(fp32.ann.value / fp32.events.value)


def test_neurobench_fields(layered_run):
    program, recording = layered_run
    fields = nc.energy(program, recording).neurobench
    assert list(fields) == [
        "Footprint",
        "ParameterCount",
        "ConnectionSparsity",
        "ActivationSparsity",
        "SynapticOperations",
        "MembraneUpdates",
    ]
    edges = [x.connectivity for x in program.network.projections.values()]
    nonzero = [np.zeros((x.n_post, x.n_pre)) for x in edges]
    for dense, x in zip(nonzero, edges, strict=True):
        pre, post = x.synapses()
        np.add.at(dense, (post, pre), x.values())
    assert fields["ParameterCount"] == sum(x.weights.size for x in edges)
    assert fields["Footprint"] == 4 * fields["ParameterCount"]
    assert fields["ConnectionSparsity"] == pytest.approx(
        1 - sum((x != 0).sum() for x in nonzero) / sum(x.size for x in nonzero)
    )
    spikes = sum(len(recording.spikes[name]) for name in ("h", "y"))
    assert fields["ActivationSparsity"] == pytest.approx(1 - spikes / (60 * 46))
    ops = fields["SynapticOperations"]
    assert ops["Dense"] == 60 * sum(x.size for x in nonzero)
    assert ops["Effective_MACs"] == 0
    pairs = zip(program.network.projections.values(), nonzero, strict=True)
    assert ops["Effective_ACs"] == sum(
        (recording.spikes[x.pre].counts() * (dense != 0).sum(axis=0)).sum() for x, dense in pairs
    )
    assert fields["MembraneUpdates"] == sum(nc.energy(program, recording).activity.active.values())


def test_static_power_on_an_aggregate_constant_is_refused(layered_run):
    for name in ("spinnaker1", "spinnaker2", "cpu", "gpu"):
        with pytest.raises(EnergyError, match="is an aggregate constant: static power is in it already"):
            nc.energy(*layered_run, name, static_power=0.1)
    with pytest.raises(EnergyError, match=r"'synop\.dense' is an aggregate constant"):
        Profile.load("spinnaker1").with_static(0.36)
    more = nc.energy(*layered_run, "loihi1-sanafe", static_power=0.5)
    assert more.power.value == 0.5
    assert "given by the user" in more.trace("static")


def test_what_has_no_price_is_said(layered_run):
    loihi2 = nc.energy(*layered_run, "loihi2")
    assert loihi2.dynamic.text == "not priced"
    assert {x.kind for x in loihi2.not_priced} >= {"synop.dense", "neuron.spike", "message"}
    assert loihi2.total.value == loihi2.static.value > 0
    assert "not priced: spikes of populations" in loihi2.text
    assert "neuron.spike" in loihi2.trace("total").splitlines()[-1]
    davies = nc.energy(*layered_run, "loihi1-davies2018")
    assert [x.kind for x in davies.not_priced] == ["neuron.spike"]
    assert davies.not_priced[0].count == sum(len(layered_run[1].spikes[x]) for x in ("h", "y"))
    assert nc.energy(*layered_run, "cmos45-fp32").power.text == "not priced"


def test_every_number_can_be_traced(report):
    assert len(report.paths) > 50
    for path, quantity in report.paths.items():
        text = report.trace(path)
        assert text.startswith(f"{quantity.name}: {quantity.text}")
    text = report.trace("dynamic.h")
    count = report.activity.active["h"]
    assert re.search(
        rf"h\.neuron\.active: .* = {count:,} × 21\.6 pJ  <- SANA-FE 2\.2\.9, .*loihi_lif energy_update_neuron", text
    )
    sourced = [line for line in report.trace("total").splitlines() if "×" in line and " pJ" in line.split("×")[1]]
    assert sourced
    assert all("<-" in line for line in sourced)
    with pytest.raises(EnergyError, match=r"has no number 'dynamic.z'; it has dynamic"):
        report.trace("dynamic.z")


def test_json_is_complete_and_versioned(report, tmp_path):
    found = json.loads(report.to_json(tmp_path / "energy.json").read_text())
    assert found["schema"] == "neurocomp.energy/1"
    assert found["numbers"]["total"]["value"] == report.total.value
    assert set(found["numbers"]) == set(report.paths)
    assert found["profile"]["constants"]["energy.synop.dense"]["value"] == pytest.approx(35.5e-12)
    assert [x["profile"]["name"] for x in found["others"]] == [x.profile.name for x in report.others]
    loihi2 = next(x for x in found["others"] if x["profile"]["name"] == "loihi2")
    assert loihi2["profile"]["not_priced"]["synop.dense"] is None
    assert found["counts"] == report.activity.counts()


def test_csv_has_a_row_per_price(report, tmp_path):
    rows = list(csv.DictReader(io.StringIO(report.to_csv(tmp_path / "energy.csv").read_text())))
    assert tuple(rows[0]) == COLUMNS
    mine = [x for x in rows if x["profile"] == "loihi1-sanafe"]
    assert sum(float(x["value_J"]) for x in mine) == pytest.approx(report.dynamic.value)
    for row in mine:
        assert float(row["value_J"]) == pytest.approx(int(row["count"]) * float(row["constant"]) / int(row["runs"]))
    assert {x["source"] for x in rows if x["profile"] == "loihi2"} == {"not priced"}


class Page(HTMLParser):
    """Collects what a page loads, and the numbers that can be pointed at."""

    def __init__(self):
        super().__init__()
        self.loads, self.open, self.marks, self.void = [], [], [], {"meta", "rect", "br", "link", "wbr"}

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.loads += [value for key, value in found.items() if key in ("src", "href")]
        self.loads += [tag] if tag in ("script", "link", "iframe", "img") else []
        if tag in ("u", "s") or found.get("class") in ("q", *COMPONENTS):
            self.marks.append(found.get("title", ""))
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.void:
            assert self.open.pop() == tag


def test_page_is_self_contained_and_every_number_hoverable(report, tmp_path):
    text = report.to_html(tmp_path / "energy.html").read_text()
    page = Page()
    page.feed(text)
    assert page.open == []
    assert page.loads == []
    assert "url(" not in text
    assert len(page.marks) > 60
    assert all("=" in words or "<-" in words for words in page.marks)
    assert any(re.search(r"= [\d,]+ × 35\.5 pJ  <- SANA-FE", words) for words in page.marks)
    cores = re.findall(r'class="core"[^>]*><title>([^<]*)', text)
    assert all(re.search(r"of h.*\n.* = ", words) for words in cores)
    assert all(f"<summary>{path.replace('>', '&gt;')}:" in text for path in report.paths)
    assert text.count('class="core"') == len(report.activity.placement.cores)
    assert all(f"<b>{x.profile.name}" in text for x in report.others if x.total.value)
    assert "$" not in re.sub(r"<pre>.*?</pre>", "", text, flags=re.DOTALL)


def test_figure_for_a_paper(report, tmp_path):
    pytest.importorskip("matplotlib")
    figure = nc.energy_figure(report, tmp_path / "energy.svg")
    assert (tmp_path / "energy.svg").read_text().startswith("<?xml")
    top, middle, bottom = figure.axes
    length = {}
    for bar in top.patches:
        row = round(bar.get_y() + bar.get_height() / 2)
        length[row] = length.get(row, 0.0) + bar.get_width()
    wanted = [x.value for x in (*report.populations.values(), *report.projections.values())]
    scale = max(wanted) / max(length.values())
    assert [length.get(row, 0.0) * scale for row in range(len(wanted))] == pytest.approx(wanted)
    assert len(middle.lines) == len(report.activity.spikes)
    labels = [x.get_text().removesuffix(" *") for x in bottom.get_yticklabels()]
    assert sorted(labels) == sorted(x.profile.name for x in (report, *report.others))


def test_names_are_escaped_on_the_page(tmp_path):
    net = nc.Network("<script>alert(1)</script>", dt=1e-3)
    net.input("x<b>", 2)
    net.population("y&", nc.IF(), 2)
    net.connect("x<b>", "y&", nc.Dense(np.ones((2, 2))), delay=1)
    program = nc.compile(net, "reference")
    text = nc.energy(program, program.run({"x<b>": np.ones((5, 2), int)})).to_html(tmp_path / "e.html").read_text()
    assert "<script" not in text
    assert "x<b>" not in text
    assert "y&amp;" in text


def test_text_and_rich_say_the_same(report):
    console = Console(width=110, color_system=None, record=True, file=io.StringIO())
    console.print(report)
    printed = "\n".join(line.rstrip() for line in console.export_text().splitlines())
    assert printed.strip() == report.text.strip() == str(report).strip()
    for words in ("dynamic energy per inference", "loihi1-davies2018", "break-even", "unavailable"):
        assert words in report.text
    assert report.total.text in report.text


def test_profiles_that_cannot_be_used_are_left_out_of_the_comparison(tmp_path):
    net = nc.Network("fan", dt=1e-3)
    net.input("x", 5000)
    net.population("y", nc.IF(), 2)
    net.connect("x", "y", nc.Dense(np.ones((2, 5000))), delay=1)
    program = nc.compile(net, "reference")
    recording = program.run({"x": ([0], [3])}, 4)
    with pytest.raises(PlacementError, match="5,000 in-axons"):
        nc.energy(program, recording, "loihi1-sanafe")
    report = nc.energy(program, recording, ["truenorth", "loihi1-sanafe"])
    assert "5,000 in-axons" in report.skipped["loihi1-sanafe"]
    assert "left out: loihi1-sanafe" in report.text


def test_as_many_chips_as_needed(layered_run):
    program, recording = layered_run
    odin = nc.energy(program, recording, "odin")
    assert (odin.chips, odin.power.value) == (1, pytest.approx(27.3e-6 + 75 * 1.78e-6))
    slower = nc.energy(program, recording, "odin", clock=1.3e6)
    assert slower.power.value == pytest.approx(27.3e-6 + 1.3 * 1.78e-6)
    assert slower.timing.mean.value == pytest.approx(odin.timing.mean.value * 75 / 1.3)
    wide = nc.Network("wide", dt=1e-3)
    wide.population("y", nc.LIF(tau=10e-3), 140_000)
    program = nc.compile(wide, "cpu")
    recording = program.run(steps=2)
    report = nc.energy(program, recording, ["loihi1-sanafe", "odin"])
    assert report.chips == 2  # of 131,072 neurons each
    assert report.others[0].chips == 547  # of 256


def test_neurons_the_chip_lacks_are_priced_with_a_note():
    net = nc.Network("subtract", dt=1e-3)
    net.input("x", 2)
    net.population("y", nc.IF(reset="subtract"), 2)
    net.connect("x", "y", nc.Dense(np.ones((2, 2))), delay=1)
    program = nc.compile(net, "reference")
    report = nc.energy(program, program.run({"x": np.ones((5, 2), int)}))
    assert "priced as if loihi1 could run them: y: loihi1 has no such neurons" in report.text


def test_own_placement_is_used(layered_run):
    program, recording = layered_run
    chip = replace(Chip.load("loihi1"), compartments=10)
    placement = nc.place(program.lowered, chip, recording=recording)
    report = nc.energy(program, recording, "loihi1-sanafe", placement=placement)
    assert report.activity.cores == len(placement.cores) == 5
    assert report.components["network"].value > nc.energy(program, recording, "loihi1-sanafe").components["network"].value


def test_profiles_are_needed(layered_run):
    with pytest.raises(EnergyError, match=r"there is no profile 'loihi3'; known are .*loihi2"):
        nc.energy(*layered_run, "loihi3")
    with pytest.raises(EnergyError, match="at least one"):
        nc.energy(*layered_run, [])
    assert set(names()) >= {
        "loihi1-davies2018",
        "loihi1-sanafe",
        "loihi2",
        "truenorth",
        "odin",
        "spinnaker1",
        "spinnaker2",
        "cpu",
        "gpu",
    }


def test_arguments_of_the_wrong_kind_are_named(layered_run):
    program, recording = layered_run
    with pytest.raises(EnergyError, match=r"takes the compiled program, then its recordings; the first argument is Recording"):
        nc.energy(recording, program)
    with pytest.raises(EnergyError, match=r"the first argument is <Network 'layered'"):
        nc.energy(program.network, recording)
    with pytest.raises(EnergyError, match=r"takes recordings, what program\.run\(\.\.\.\) gives, not 'x'"):
        nc.energy(program, recording.spikes)
    with pytest.raises(EnergyError, match="recordings: there is none"):
        nc.energy(program, [])


def test_the_same_report_from_every_backend(report):
    for target in ("cpu", "reference"):
        program = nc.compile(layered(), target)
        assert nc.energy(program, program.run({"x": raster()}), "loihi1-sanafe").dynamic.value == report.dynamic.value


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(4.2e-6, "J", "4.2 µJ"), (0, "J", "0 J"), (999.9e-9, "J", "1 µJ"), (1.5e-3, "W", "1.5 mW"), (1234, "steps", "1,234 steps"),
     (0.123456, "", "0.1235"), (math.inf, "", "never"), (2e-18, "J", "0.002 fJ"), (3e-5, "J·s", "30 µJ·s"),
     (123e9, "J", "123 GJ")],
)  # fmt: skip
def test_numbers_for_people(value, unit, text):
    assert show(value, unit) == text
