"""Conformance: what differs is found, first things first, and what is equal is not blamed."""

import json
from dataclasses import replace

import numpy as np
import pytest

import neurocomp as nc
from neurocomp.backends import registry
from neurocomp.backends.base import Counters, Support
from neurocomp.backends.reference import ReferenceBackend
from neurocomp.conform import compare, conform
from neurocomp.ir.errors import InputError, UnsupportedError
from neurocomp.ir.events import Events

STEPS = 30
HERE = Support(True)


@pytest.fixture
def net():
    rng = np.random.default_rng(0)
    net = nc.Network("small", dt=1e-3)
    x = net.input("x", 5)
    h = net.population("h", nc.LIF(tau=10e-3, v_threshold=0.4), (2, 3))
    y = net.population("y", nc.IF(r=1000.0, v_threshold=1.0, reset="subtract"), 2)
    net.connect(x, h, nc.Dense(rng.uniform(0.5, 4, (6, 5))))
    net.connect(h, y, nc.Dense(rng.uniform(0.1, 0.5, (2, 6))))
    net.connect(y, h, nc.Dense(rng.uniform(-1, 0, (6, 2))), delay=2)
    return net


@pytest.fixture
def inputs():
    return {"x": (np.random.default_rng(1).random((STEPS, 5)) < 0.4).astype(int)}


class Tampered:
    """An executable whose results are changed before they are handed out."""

    def __init__(self, inner, change):
        self.inner, self.change = inner, change

    def run(self, inputs, steps, record):
        return self.change(0, self.inner.run(inputs, steps, record))

    def run_batch(self, samples, steps, record):
        return [self.change(k, result) for k, result in enumerate(self.inner.run_batch(samples, steps, record))]

    def reset(self):
        self.inner.reset()


@pytest.fixture
def broken():
    """Register backends that are the reference but for one deliberate fault."""
    registered = []

    def make(name, change=lambda sample, result: result, available=HERE, options=None):
        class Fake(ReferenceBackend):
            def available(self):
                return available

            def lower(self, net, **given):
                return Tampered(super().lower(net), change)

        Fake.name, Fake.options = name, options or {}
        registry.register(name, Fake)
        registered.append(name)
        return name

    yield make
    for name in registered:
        registry.unregister(name)


def flip(events, step, neuron):
    """Add the spike where it is missing, remove it where it is."""
    raster = events.raster().reshape(events.steps, -1)
    raster[step, neuron] ^= 1
    times, ids = np.nonzero(raster)
    return Events(times, ids, events.shape, events.steps)


def flips(node, *places):
    def change(sample, result):
        events = result.spikes[node]
        for step, neuron in places:
            events = flip(events, step, neuron)
        return replace(result, spikes={**result.spikes, node: events})

    return change


def nudges(state, step, neuron, value=None):
    """One state one unit in the last place away, from a step on."""

    def change(sample, result):
        key = tuple(state.split("."))
        trace = result.states[key].copy()
        flat = trace.reshape(len(trace), -1)
        flat[step:, neuron] = np.nextafter(flat[step:, neuron], np.inf) if value is None else value
        return replace(result, states={**result.states, key: trace})

    return change


# ------------------------------------------------------------------------------------------------------------ verdicts


def test_identical_says_how_much_was_compared(net, inputs, broken):
    report = conform(net, inputs, STEPS, ["reference", broken("same")])
    recording = nc.compile(net, "reference").run(inputs, STEPS)
    spikes = sum(len(events) for events in recording.spikes.values())
    assert report.identical
    assert (report.spikes, report.values, report.counters) == (spikes, STEPS * (6 + 2), 3 + 2 + 3)
    assert report.text == (f"identical: reference = same ({spikes} spikes, 240 state values, 8 event counters; 30 steps)")


def test_all_backends_here_agree(net, inputs):
    report = conform(net, inputs, STEPS)
    assert not any(target.differences for target in report.targets), report.text
    assert report.compared[0] == "reference"


def test_first_divergent_spike_is_named_with_states_on_both_sides(net, inputs, broken):
    name = broken("spiky", flips("h", (20, 1), (12, 4), (12, 5)))
    report = conform(net, inputs, STEPS, ["reference", name])
    recording = nc.compile(net, "reference").run(inputs, STEPS, ["spikes", "h.v"])
    fired = int(recording["h"].raster().reshape(STEPS, -1)[12, 4])
    before, at = recording["h.v"].reshape(STEPS, -1)[[11, 12], 4].tolist()
    first = report.targets[1].differences[0]
    assert not report.identical
    assert (first.kind, first.subject, first.step, first.neuron, first.count) == ("spikes", "h", 12, 4, 3)
    assert (first.first, first.second) == (fired, 1 - fired)
    [state] = first.states
    assert (state.name, state.first_before, state.first, state.second_before, state.second) == ("v", before, at, before, at)
    words = ["spikes", "does not spike"] if fired else ["does not spike", "spikes"]
    assert f"step 12, 'h', neuron 4: reference {words[0]}, spiky {words[1]} (and 2 later)" in report.text
    assert f"v on reference: {before!r} -> {at!r}" in report.text
    assert "different from reference: spiky" in report.text


def test_one_unit_in_the_last_place_of_a_state_is_found(net, inputs, broken):
    report = conform(net, inputs, STEPS, ["reference", broken("rounding", nudges("h.v", 7, 3))])
    [difference] = report.targets[1].differences
    assert (difference.kind, difference.subject, difference.step, difference.neuron) == ("state", "h.v", 7, 3)
    assert difference.count == STEPS - 7
    assert difference.first != difference.second
    assert "step 7, h.v, neuron 3" in report.text


def test_every_state_of_the_neuron_is_shown_in_the_order_of_the_network(inputs, broken):
    net = nc.Network("two states", dt=1e-3)
    net.input("x", 5)
    net.population("h", nc.CubaLIF(tau_syn=5e-3, tau_mem=20e-3), 6)
    net.connect("x", "h", nc.Dense(np.full((6, 5), 1.0)))
    both = broken("both", lambda sample, result: nudges("h.i", 7, 3)(sample, nudges("h.v", 7, 3)(sample, result)))
    differences = conform(net, inputs, STEPS, ["reference", both]).targets[1].differences
    assert [x.subject for x in differences] == ["h.i", "h.v"]
    assert [[state.name for state in x.states] for x in differences] == [["i", "v"]] * 2


def test_a_report_is_the_same_whatever_the_hashes_of_names(recording):
    names = [f"h.{letter}" for letter in "qwertyuiopasdfgh"]
    traces = {name: np.zeros((STEPS, 6)) for name in names}
    one, other = (replace(recording, states={name: trace + k for name, trace in traces.items()}) for k in (0, 1))
    assert [x.subject for x in compare(one, other)] == names


def test_at_an_input_nothing_is_said_to_have_arrived(net, inputs, broken):
    report = conform(net, inputs, STEPS, ["reference", broken("deaf", flips("x", (4, 2)))])
    assert report.targets[1].at_input
    assert "it is an input: its spikes are those that were given" in report.text
    assert "no spike reached it" not in report.text


def test_states_can_be_left_out(net, inputs, broken):
    name = broken("spiky", flips("y", (3, 0)))
    report = conform(net, inputs, STEPS, ["reference", name], states=False)
    assert report.values == 0
    assert report.targets[1].differences[0].states == ()


def test_within_a_step_the_cause_comes_before_the_effect(inputs, broken):
    net = nc.Network("backwards", dt=1e-3)  # the effect is created before its cause
    net.population("late", nc.IF(r=1000.0), 2)
    net.population("early", nc.IF(r=1000.0), 2)
    net.input("x", 5)
    net.connect("early", "late", nc.Dense(np.ones((2, 2))))
    net.connect("x", "early", nc.Dense(np.ones((2, 5))))

    def both(sample, result):
        return flips("early", (9, 1))(sample, flips("late", (9, 0))(sample, result))

    report = conform(net, inputs, STEPS, ["reference", broken("both", both)])
    assert [x.subject for x in report.targets[1].differences] == ["early", "late"]


def test_a_batch_names_the_sample(net, inputs, broken):
    def change(sample, result):
        return flips("y", (5, 1))(sample, result) if sample == 2 else result

    report = conform(net, [inputs, {}, inputs, inputs], STEPS, ["reference", broken("third", change)])
    [difference] = report.targets[1].differences
    assert (difference.sample, difference.step, difference.neuron) == (2, 5, 1)
    assert "sample 2, step 5, 'y', neuron 1" in report.text
    assert "4 samples" in report.text


def test_wrong_event_counters_are_a_difference(net, inputs, broken):
    def change(sample, result):
        counters = result.counters
        return replace(result, counters=Counters(counters.spikes, counters.updates, {**counters.events, "h->y": 1}))

    report = conform(net, inputs, STEPS, ["reference", broken("miscounts", change)])
    assert "synaptic events of h->y: reference " in report.text
    assert "miscounts 1" in report.text


# ------------------------------------------------------------------------------------------------------------- targets


def test_unavailable_targets_are_skipped_with_their_reason(net, inputs, broken):
    broken("absent", available=Support(False, "buy the chip first"))
    report = conform(net, inputs, STEPS)
    assert "skipped: absent: buy the chip first" in report.text
    assert "absent" not in report.compared


def test_demanded_targets_must_run(net, inputs, broken):
    name = broken("absent", available=Support(False, "buy the chip first"))
    with pytest.raises(UnsupportedError, match="buy the chip first"):
        conform(net, inputs, STEPS, ["reference", name])
    report = conform(net, inputs, STEPS, ["reference", name], missing="skip")
    assert not report.identical  # one target alone proves nothing
    assert report.text.startswith("nothing compared: only reference ran")


def test_a_backend_that_cannot_be_imported_is_unsupported(net, inputs):
    def factory():
        raise ImportError("No module named 'chip'")

    registry.register("unbuilt", factory)
    try:
        assert "No module named 'chip'" in conform(net, inputs, STEPS).text
        with pytest.raises(UnsupportedError, match="No module named 'chip'"):
            conform(net, inputs, STEPS, ["unbuilt"])
    finally:
        registry.unregister("unbuilt")


def test_options_go_to_the_targets_that_know_them(net, inputs, broken):
    name = broken("tunable", options={"knob": "any number"})
    assert conform(net, inputs, STEPS, ["reference", name], knob=3).identical
    with pytest.raises(InputError, match="no backend among reference has an option 'knob'"):
        conform(net, inputs, STEPS, ["reference"], knob=3)


def test_nothing_to_run_is_refused(net, inputs):
    with pytest.raises(InputError, match="at least one target"):
        conform(net, inputs, STEPS, [])
    with pytest.raises(InputError, match="at least one sample"):
        conform(net, [], STEPS)


def test_the_report_is_json(net, inputs, broken):
    name = broken("infinite", nudges("y.v", 4, 1, value=np.inf))
    report = conform(net, inputs, STEPS, ["reference", name])
    data = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert data["identical"] is False
    [difference] = data["targets"][1]["differences"]
    assert (difference["subject"], difference["step"], difference["neuron"]) == ("y.v", 4, 1)
    assert difference["second"] == "inf"


# ------------------------------------------------------------------------------------------------------------- compare


@pytest.fixture
def recording(net, inputs):
    return nc.compile(net, "reference").run(inputs, STEPS, ["spikes", "h.v", "y.v"])


def with_trace(recording, name, value, step=3, neuron=0):
    trace = recording.states[name].copy()
    trace.reshape(len(trace), -1)[step, neuron] = value
    return replace(recording, states={**recording.states, name: trace})


def test_a_recording_equals_itself(recording):
    assert compare(recording, recording) == []


def test_any_nan_equals_any_other_but_zeros_have_signs(recording):
    nan, other = (np.array(bits, np.uint64).view(np.float64) for bits in (0x7FF8000000000000, 0xFFF8000000000001))
    assert compare(with_trace(recording, "y.v", nan), with_trace(recording, "y.v", other)) == []
    [difference] = compare(with_trace(recording, "y.v", 0.0), with_trace(recording, "y.v", -0.0))
    assert str(difference).startswith("step 3, y.v, neuron 0: first 0.0, second -0.0")
    [difference] = compare(with_trace(recording, "y.v", nan), with_trace(recording, "y.v", 1.0))
    assert "first nan, second 1.0" in str(difference)


def test_the_first_step_has_no_state_before_it(recording):
    [difference] = compare(with_trace(recording, "h.v", 1.5, step=0), with_trace(recording, "h.v", 2.5, step=0))
    assert "v on first : nothing -> 1.5" in str(difference)


def test_payloads_are_compared(recording):
    graded = [
        replace(recording, spikes={"x": Events(np.array([2]), np.array([3]), (5,), STEPS, np.array([payload]))})
        for payload in (7, 9)
    ]
    assert "step 2, 'x', neuron 3: first spikes with payload 7, second spikes with payload 9" in str(compare(*graded)[0])


def test_what_one_side_did_not_record_is_a_difference(recording):
    less = replace(recording, states={"h.v": recording.states["h.v"]})
    assert [str(x) for x in compare(recording, less)] == ["trace of y.v: first recorded, second not recorded"]
    narrow = replace(recording, states={**recording.states, "y.v": recording.states["y.v"].astype(np.float32)})
    assert str(compare(recording, narrow)[0]) == "trace of y.v: first float64 (30, 2), second float32 (30, 2)"
    short = replace(recording, spikes={**recording.spikes, "h": recording.spikes["h"].between(0, 9)})
    assert "first (30, 2, 3), second (9, 2, 3)" in str(compare(recording, short)[0])
