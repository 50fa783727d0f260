"""What stands behind a difference: the spikes that reached the neuron, and the pass after which two programs differ."""

import json
from dataclasses import replace

import numpy as np
import pytest

import neurocomp as nc
from neurocomp.backends import registry
from neurocomp.backends.reference import ReferenceBackend
from neurocomp.conform import conform
from neurocomp.conformance import CASES
from neurocomp.ir.passes.fold import Fold
from neurocomp.ir.passes.retime import Retime
from neurocomp.pass_trace import PassTrace

STEPS = 30


@pytest.fixture
def net():
    rng = np.random.default_rng(0)
    net = nc.Network("small", dt=1e-3)
    x = net.input("x", 5)
    h = net.population("h", nc.LIF(tau=10e-3, v_threshold=0.4), 6)
    y = net.population("y", nc.LIF(tau=10e-3, v_threshold=0.4, r=2.0), 3)
    net.connect(x, h, nc.Dense(rng.uniform(0.5, 4, (6, 5))))
    net.connect(h, y, nc.Dense(rng.uniform(0.1, 2.5, (3, 6))))
    net.connect(y, h, nc.Dense(rng.uniform(-3, 0, (6, 3))), delay=2)
    return net


@pytest.fixture
def inputs():
    return {"x": (np.random.default_rng(1).random((STEPS, 5)) < 0.4).astype(int)}


@pytest.fixture
def backend(request):
    """Register a reference backend that lowers a network changed by `change`."""

    def make(label, change):
        class Fake(ReferenceBackend):
            name = label

            def lower(self, net):
                return super().lower(change(net))

        registry.register(label, Fake)
        request.addfinalizer(lambda: registry.unregister(label))
        return label

    return make


def louder(net, name="h->y", factor=1.5):
    x = net.projections[name]
    return net.with_changes(projections={name: replace(x, connectivity=x.connectivity.scaled(np.float64(factor)))})


def breaking(monkeypatch, cls):
    """A pass that also makes one projection louder."""
    right = cls.__call__
    monkeypatch.setattr(cls, "__call__", lambda self, net: louder(right(self, net)))


# ------------------------------------------------------------------------------------------------------------- verdicts


def test_a_broken_pass_is_named_where_a_backend_does_not_follow_it(net, inputs, backend, monkeypatch):
    right = nc.compile(net, "reference").lowered
    target = backend("own", lambda _: right)  # lowers by itself what the other backends get from the broken pass
    for cls in (Fold, Retime):
        with monkeypatch.context() as patch:
            breaking(patch, cls)
            report = conform(net, inputs, STEPS, ["reference", target])
        before = {"fold": "discretise", "retime": "fold"}[cls.name]
        assert report.targets[1].parted_by == cls.name
        assert (
            f"the two programs differ after pass '{cls.name}': up to '{before}' the reference gives what it gives"
            in report.text
        )
        assert f"{cls.name}: the reference's spikes change, first at step" in report.text


def test_a_broken_pass_is_named_where_all_backends_follow_it(net, inputs, monkeypatch):
    breaking(monkeypatch, Fold)
    report = conform(net, inputs, STEPS, ["reference", "cpu"], passes=True)
    assert report.identical
    assert [x.name for x in report.passes if x.changed is not None] == ["fold"]


def test_right_passes_change_nothing(net, inputs):
    report = conform(net, inputs, STEPS, ["reference", "cpu"], passes=True)
    assert [x.name for x in report.passes] == ["discretise", "fold", "retime", "grid", "loihi"]
    assert all(x.changed is None and not x.skipped for x in report.passes)
    assert "retime: the reference gives the same spikes" in report.text


def test_a_broken_backend_is_told_from_a_broken_pass(net, inputs, backend):
    report = conform(net, inputs, STEPS, ["reference", backend("loud", louder)])
    assert report.targets[1].parted_by == ""
    assert "no pass changes what the reference gives: the difference is in its own lowering or code" in report.text
    assert json.loads(json.dumps(report.to_dict()))["targets"][1]["parted_by"] is None


def test_passes_that_round_are_named_beside_it(net, inputs, backend):
    late = backend("loud", lambda x: louder(x, "y->h", 1.25))
    report = conform(net, inputs, STEPS, ["reference", late], mantissa_bits=2, passes=True)
    assert report.targets[1].parted_by == ""
    assert [x.name for x in report.passes if x.changed is not None] == ["grid"]


def test_nothing_is_traced_where_all_is_equal_or_it_is_not_wanted(net, inputs, backend, monkeypatch):
    monkeypatch.setattr(PassTrace, "__init__", None)
    assert conform(net, inputs, STEPS, ["reference", "cpu"]).passes == ()
    assert conform(net, inputs, STEPS, ["reference", backend("loud", louder)], passes=False).passes == ()


@pytest.mark.parametrize(
    "name", ["skip-and-recurrence", "loihi-layers", "plastic-layers", "graded-population-Dense", "sources"]
)
def test_the_last_pass_gives_what_the_reference_gives(name):
    """Lags, delays of 0, learning, payloads and random numbers: the trace ends where the reference backend stands."""
    case = CASES[name]
    after = {}
    program = nc.compile(
        case.network, "reference", callback=lambda step, _, net: after.update({step.name: net}), **case.options
    )
    events, steps, _ = program.prepare(case.inputs, case.steps, ())
    trace = PassTrace(list(after.items()), events, steps)
    recording = program.run(case.inputs, case.steps, case.record)
    assert nc.conform(case.network, case.inputs, case.steps, ["reference", "cpu"], passes=True, **case.options).identical
    last = trace.runs[-1][1]
    assert all(recording.spikes[x].same_as(last.spikes[x]) for x in recording.spikes)
    exact = [x for x in trace.effects if x.name == "retime" and not x.skipped]
    assert all(x.changed is None for x in exact)
    assert any(x.skipped for x in trace.effects) == (name == "plastic-layers")


# ------------------------------------------------------------------------------------------------------------- arrivals


def test_the_spikes_that_reached_the_neuron_are_told(backend):
    net = nc.Network("two", dt=1e-3)
    net.input("x", 3)
    net.input("g", 1, max_payload=9)
    net.population("h", nc.IF(r=1000.0, v_threshold=10.0), 2)
    net.population("y", nc.IF(r=1000.0, v_threshold=10.0), 2)
    net.connect("x", "h", nc.Dense([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]]), delay=2)
    net.connect("g", "h", nc.Dense([[0.5], [0.5]]))
    net.connect("h", "y", nc.OneToOne(1.0))
    inputs = {"x": ([1, 1, 2], [0, 2, 1]), "g": ([3], [0], [-4])}
    report = conform(net, inputs, 6, ["reference", backend("loud", lambda x: louder(x, "x->h", 2.0))])
    target = report.targets[1]
    assert (target.differences[0].subject, target.differences[0].step, target.differences[0].neuron) == ("h.v", 3, 0)
    found = {(x.projection, x.neuron, x.ago, x.payload) for x in target.arrivals}
    assert found == {("x->h", 0, 2, 1), ("x->h", 2, 2, 1), ("g->h", 0, 0, -4)}
    total = sum(x.payload * x.weight for x in target.arrivals)
    assert total == target.differences[0].states[0].first  # the neuron only sums
    assert "x->h: from neurons 0 (2 steps ago weight 1), 2 (2 steps ago weight 3)" in report.text
    assert "g->h: from neurons 0 (0 steps ago payload -4 weight 0.5)" in report.text
