"""Changes of a network that must not change its spikes, on random networks, on the reference and the CPU kernel.

Nothing here is within a tolerance. Sums of weights are exact whatever their order, so permuting neurons is exact; times are
scaled by powers of two, which floating point does without rounding; what is compared are spikes and states, bit for bit.
"""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import neurocomp as nc
from neurocomp.chunks import join
from neurocomp.conform import compare
from neurocomp.conformance import random_cases
from neurocomp.conformance.case import everything
from neurocomp.ir.events import from_data

TARGETS = [("reference", {}), ("cpu", {"threads": 1}), ("cpu", {"threads": 3})]
SOME = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
pytestmark = [pytest.mark.parametrize(("target", "options"), TARGETS), pytest.mark.filterwarnings("ignore")]


def run(case, target, options):
    program = nc.compile(case.network, target, **case.options, **options)
    return program.run(case.inputs, case.steps, everything(program.lowered))


# ------------------------------------------------------------------------------------------------------- how it is run


@SOME
@given(case=random_cases(), cuts=st.lists(st.integers(1, 59), max_size=4))
def test_a_run_in_pieces_is_the_whole(target, options, case, cuts):
    program = nc.compile(case.network, target, **case.options, **options)
    record = everything(program.lowered)
    whole = program.run(case.inputs, case.steps, record)
    nodes = program.lowered.inputs
    events = {k: from_data(k, x, nodes[k].shape, case.steps, nodes[k].max_payload) for k, x in case.inputs.items()}
    edges = [0, *sorted({cut for cut in cuts if cut < case.steps}), case.steps]
    pieces = []
    for start, stop in pairwise(edges):
        part = {name: x.between(start, stop) for name, x in events.items()}
        pieces.append(program.run(part, stop - start, record, resume=start > 0))
    assert compare(whole, join(pieces)) == []


@SOME
@given(case=random_cases())
def test_a_program_gives_the_same_again(target, options, case):
    program = nc.compile(case.network, target, **case.options, **options)
    record = everything(program.lowered)
    first, second = (program.run(case.inputs, case.steps, record) for _ in range(2))
    assert compare(first, second) == []


@SOME
@given(case=random_cases())
def test_a_stored_network_is_the_same(target, options, case, tmp_path_factory):
    path = tmp_path_factory.mktemp("stored") / "net.neurocomp"
    nc.save(case.network, path)
    assert compare(run(case, target, options), run(replace(case, network=nc.load(path)), target, options)) == []


# ------------------------------------------------------------------------------------- networks that mean the same


def layers(rng, dt=1e-3, unit=1.0, order=None, relay=False, factor=1):
    """X -> h -> y with recurrence, all times in `unit` x seconds. order: of h's neurons. relay: in y -> h, which takes a step.

    Weights are multiples of 2^-6 of no unit; times times `factor`, a power of two.
    """
    n = 9
    times = np.rint(rng.uniform(4, 20, (2, n))) * 2.0**-10 * unit * factor
    into, back, out = (np.rint(rng.normal(40, 60, shape)) * 2.0**-6 for shape in ((n, 5), (n, 4), (4, n)))
    delays = rng.integers(3, 7, (n, 4))  # three hops round the relay
    order = np.arange(n) if order is None else order
    net = nc.Network("layers", dt=dt * factor, seed=1)
    net.input("x", 5)
    net.population("h", nc.CubaLIF(tau_syn=times[0][order], tau_mem=times[1][order], v_threshold=0.25), n)
    net.population("y", nc.LIF(tau=8 * 2.0**-10 * unit * factor, v_threshold=0.25, reset="subtract"), 4)
    net.connect("x", "h", nc.Dense(into[order]))
    net.connect("h", "y", nc.Dense(out[:, order]))
    if relay:
        net.population("relay", nc.Threshold(threshold=0.5), 4)
        net.connect("y", "relay", nc.OneToOne(1.0), delay=1)
        net.connect("relay", "h", nc.Dense(back[order]), delay=delays[order] - 1)
    else:
        net.connect("y", "h", nc.Dense(back[order]), delay=delays[order])
    return net


def activity(net, seed, target, options):
    raster = np.random.default_rng(seed).random((60, 5)) < 0.3
    program = nc.compile(net, target, **options)
    result = program.run({"x": raster.astype(int)}, 60, everything(program.lowered))
    assert len(result.spikes["y"])
    return result


@SOME
@given(seed=st.integers(0, 2**20))
def test_permuting_neurons_permutes_spikes_and_states(target, options, seed):
    order = np.random.default_rng(seed).permutation(9)
    one = activity(layers(np.random.default_rng(seed)), seed, target, options)
    other = activity(layers(np.random.default_rng(seed), order=order), seed, target, options)
    assert np.array_equal(one["h"].raster()[:, order], other["h"].raster())
    assert one["y"].same_as(other["y"])
    for state in ("h.i", "h.v"):
        assert np.array_equal(one[state][:, order], other[state])


@SOME
@given(seed=st.integers(0, 2**20), power=st.integers(-12, 12))
def test_time_can_be_scaled(target, options, seed, power):
    """dt and all time constants times 2^k: only their ratios matter to these models, so every bit of state stays."""
    one = activity(layers(np.random.default_rng(seed)), seed, target, options)
    other = activity(layers(np.random.default_rng(seed), factor=2.0**power), seed, target, options)
    assert compare(replace(one, dt=other.dt), other) == []


@SOME
@given(seed=st.integers(0, 2**20))
def test_delays_in_seconds_are_delays_in_steps(target, options, seed):
    rng = np.random.default_rng(seed)
    net = layers(rng)
    late = net.projections["y->h"]
    again = layers(np.random.default_rng(seed))
    again.graph.remove_edge("y", "h", key="y->h")
    again.connect("y", "h", late.connectivity, delay=np.asarray(late.delay) * 1e-3)
    assert compare(activity(net, seed, target, options), activity(again, seed, target, options)) == []


@SOME
@given(seed=st.integers(0, 2**20))
def test_a_relay_with_the_delay_taken_from_its_projections_changes_nothing(target, options, seed):
    """y -> h through a population that repeats every spike a step later."""
    one = activity(layers(np.random.default_rng(seed)), seed, target, options)
    other = activity(layers(np.random.default_rng(seed), relay=True), seed, target, options)
    assert all(one[name].same_as(other[name]) for name in ("h", "y"))
    assert all(np.array_equal(one[name], other[name]) for name in one.states)


@SOME
@given(seed=st.integers(0, 2**20))
def test_synapses_may_be_listed_in_any_order_and_form(target, options, seed):
    """A matrix, and its synapses listed and shuffled. (Halves of a weight would each be rounded to the grid: other numbers.)"""
    rng = np.random.default_rng(seed)
    net = layers(np.random.default_rng(seed))
    x = net.projections["y->h"]
    pre, post = x.connectivity.synapses()
    weights, delays = x.connectivity.values(), np.ravel(x.delay)
    shuffled = rng.permutation(len(weights))
    listed = nc.Sparse((weights[shuffled], (post[shuffled], pre[shuffled])), (9, 4))
    other = layers(np.random.default_rng(seed))
    other.graph.remove_edge("y", "h", key="y->h")
    other.connect("y", "h", listed, delay=delays[shuffled])
    one, two = (activity(n, seed, target, options) for n in (net, other))
    assert all(one[name].same_as(two[name]) for name in ("h", "y"))
    assert all(np.array_equal(one[name], two[name]) for name in one.states)
