"""Counts of a run, against loops over every spike and synapse, and on every backend."""

from dataclasses import replace

import numpy as np
import pytest

import neurocomp as nc
from neurocomp.conformance import CASES, random_case
from neurocomp.energy import EnergyError, active, count, names
from neurocomp.energy.synapses import Synapses
from neurocomp.ir.chips import Chip
from neurocomp.ir.expressions import draws

from .conftest import layered, raster


def small_cores(program, recording, size):
    chip = replace(Chip.load("loihi2"), compartments=size, max_delay=None)
    return nc.place(program.lowered, chip, recording=recording)


def by_hand(net, recording, placement):
    """kind -> count, spike by spike and synapse by synapse."""
    core_of = {name: placement.core_of(name) for name in net.populations}
    found = dict.fromkeys(("synops", "message", "message.input", "hop.x", "hop.y", "learn"), 0)
    targets = {}  # (node, neuron) -> cores
    for x in net.projections.values():
        pre, post = x.connectivity.synapses()
        delays = np.broadcast_to(np.ravel(x.delay), pre.shape)
        for i, j, d in zip(pre.tolist(), post.tolist(), delays.tolist(), strict=True):
            targets.setdefault((x.pre, i), set()).add(int(core_of[x.post][j]))
            times = recording.spikes[x.pre].times[recording.spikes[x.pre].ids == i]
            lag = net.node(x.pre).lag - net.node(x.post).lag
            arrived = int((times + d + lag < recording.steps).sum())
            found["synops"] += arrived
            if x.plasticity is not None:
                found["learn"] += arrived + int((recording.spikes[x.post].ids == j).sum())
    for (name, neuron), cores in targets.items():
        spikes = int((recording.spikes[name].ids == neuron).sum())
        if name in net.inputs:
            found["message.input"] += spikes * len(cores)
            continue
        found["message"] += spikes * len(cores)
        home = placement.positions[core_of[name][neuron]]
        for core in cores:
            found["hop.x"] += spikes * int(abs(placement.positions[core][0] - home[0]))
            found["hop.y"] += spikes * int(abs(placement.positions[core][1] - home[1]))
    return found


def synops(counts):
    return sum(counts.get(f"synop.{x}", 0) for x in ("dense", "sparse", "conv"))


@pytest.mark.parametrize("name", ["skip-and-recurrence", *(f"random {seed}" for seed in range(6))])
def test_counts_are_those_of_every_spike_and_synapse(name):
    case = random_case(int(name.split()[1])) if name.startswith("random") else CASES[name]
    program = nc.compile(case.network, "cpu", **case.options)
    recording = program.run(case.inputs, case.steps)
    placement = small_cores(program, recording, 4)
    activity = count(program.lowered, [recording], placement)
    counts, wanted = activity.counts(), by_hand(program.lowered, recording, placement)
    assert synops(counts) == wanted.pop("synops")
    assert {kind: counts.get(kind, 0) for kind in wanted} == wanted
    per_step = placement.messages + placement.local_messages
    assert counts.get("message", 0) == pytest.approx(per_step * recording.steps)
    assert counts.get("hop.x", 0) + counts.get("hop.y", 0) == pytest.approx(placement.hops * recording.steps)
    assert synops(counts) == sum(recording.counters.events.values()) == counts.get("op.ac", 0) + counts.get("op.mac", 0)
    assert counts["neuron.access"] == sum(recording.counters.updates.values())
    assert counts.get("neuron.active", 0) + counts.get("neuron.inactive", 0) == counts["neuron.access"]


@pytest.mark.parametrize("name", list(CASES)[::16])
def test_every_kind_of_network_has_a_report_by_every_profile(name):
    case = CASES[name]
    program = nc.compile(case.network, "cpu", **case.options)
    first = "loihi2"  # whose neurons are programs
    report = nc.energy(program, program.run(case.inputs, case.steps), [first, *(x for x in names() if x != first)])
    assert not report.skipped
    assert report.total.value > 0
    assert all(one.activity.counts()["neuron.access"] == report.activity.counts()["neuron.access"] for one in report.others)


def test_learning_counts_arrivals_and_spikes_of_the_target():
    rng = np.random.default_rng(3)
    net = nc.Network("learns", dt=1e-3)
    net.input("x", 8)
    net.population("y", nc.LIF(tau=10e-3, v_threshold=0.2), 5)
    net.connect("x", "y", nc.Dense(rng.uniform(0, 1, (5, 8))), delay=1, plasticity=nc.STDP())
    program = nc.compile(net, "cpu")
    recording = program.run({"x": raster(4, 50, 8, 0.3)})
    assert len(recording.spikes["y"])
    placement = small_cores(program, recording, 3)
    counts = count(program.lowered, [recording], placement).counts()
    assert counts["learn"] == by_hand(program.lowered, recording, placement)["learn"] > 0


@pytest.mark.parametrize("target", ["cpu", "reference", "lava"])
def test_every_backend_gives_the_same_counts(target, layered_run, request):
    if target == "lava":
        request.getfixturevalue("lava")
    program = nc.compile(layered(), target)
    recording = program.run({"x": raster()})
    reference = count(layered_run[0].lowered, [layered_run[1]])
    found = count(program.lowered, [recording])
    assert found.counts() == reference.counts()
    assert all(np.array_equal(found.load[kind], x) for kind, x in reference.load.items())


def states_by_hand(net, name, inputs, steps):
    """(steps, size): active by the definition, with every state recorded."""
    program = nc.compile(net, "reference")
    population = net.populations[name]
    recording = program.run(inputs, steps, ["spikes", *(f"{name}.{x}" for x in population.neuron.model.state)])
    traces = [recording.states[f"{name}.{x}"].reshape(steps, -1) for x in population.neuron.model.state]
    awake = np.any([trace != 0 for trace in traces], axis=0)
    active = np.concatenate([np.zeros((1, population.size), bool), awake[:-1]])
    active |= np.broadcast_to(np.asarray(population.bias).ravel(), population.size) != 0
    for x in program.lowered.incoming(name):
        pre, post = x.connectivity.synapses()
        delays = np.broadcast_to(np.ravel(x.delay), pre.shape)
        lag = program.lowered.node(x.pre).lag - program.lowered.node(name).lag
        spikes = recording.spikes[x.pre].raster().reshape(steps, -1) != 0
        for i, j, d in zip(pre, post, delays + lag, strict=True):
            active[d:, j] |= spikes[: steps - d, i]
    return active, program, recording


@pytest.mark.parametrize("name", ["h", "y"])
def test_active_updates_by_the_definition(name):
    net, inputs = layered(5), {"x": raster(6, 40, rate=0.02)}
    found, program, recording = states_by_hand(net, name, inputs, 40)
    activity = count(program.lowered, [recording])
    assert activity.active[name] == found.sum()
    assert 0 < found.sum() < found.size


def test_inputs_that_cancel_make_a_neuron_active():
    net = nc.Network("cancel", dt=1e-3)
    net.input("x", 2)
    net.population("y", nc.IF(), 3)
    net.connect("x", "y", nc.Dense([[1.0, -1.0], [0.0, 0.0], [0.5, 0.0]]), delay=1)
    program = nc.compile(net, "reference")
    recording = program.run({"x": ([0, 0], [0, 1])}, 4)
    assert count(program.lowered, [recording]).active["y"] == 3 + 2  # all are reached at step 1, the last one stays charged


def test_resting_states_other_than_zero_and_random_models():
    net = nc.Network("rest", dt=1e-3)
    net.population("half", nc.IF(initial={"v": 0.5}), 4)
    net.population("noisy", nc.StochasticLIF(tau=10e-3, rate=10.0, delta_v=0.1), 3)
    program = nc.compile(net, "reference")
    activity = count(program.lowered, [program.run(steps=10)])
    assert activity.active == {"half": 0, "noisy": 30}
    form = program.lowered.populations["noisy"].program.form
    each = sum(len(list(draws(expr))) for expr in form.expressions())
    assert activity.counts()["neuron.random"] == 30 * each > 0


def test_chunks_of_the_replay_do_not_matter(layered_run, monkeypatch):
    whole = count(layered_run[0].lowered, [layered_run[1]])
    monkeypatch.setattr(active, "CHUNK", 1)  # one step at a time
    assert count(layered_run[0].lowered, [layered_run[1]]).active == whole.active


def test_load_is_at_the_steps_of_the_machine(layered_run):
    program, recording = layered_run
    activity = count(program.lowered, [recording])
    lag = program.lowered.populations["y"].lag
    assert lag == activity.lag == 2
    assert activity.load["neuron.access"][:, 0].tolist() == [0, 40, *[46] * 59, 6][: activity.machine_steps]
    events = activity.load["synop.dense"][:, 0]
    assert events.sum() == recording.counters.events["x->h"] + recording.counters.events["h->y"]
    assert events[1] == 40 * (recording.spikes["x"].times == 0).sum()  # inputs of step 0 arrive at machine step 1
    largest = activity.largest()["synop.dense"]
    assert largest == {"core": events.sum(), "step": events.max(), "core_step": events.max()}


def test_samples_add_up(layered_run):
    program, _ = layered_run
    runs = program.run_batch([{"x": raster(seed)} for seed in (7, 8)], 60)
    both, apart = count(program.lowered, runs), [count(program.lowered, [x]) for x in runs]
    assert both.counts() == {kind: sum(x.counts().get(kind, 0) for x in apart) for kind in both.counts()}
    assert np.array_equal(both.load["synop.dense"], np.concatenate([x.load["synop.dense"] for x in apart]))
    assert np.allclose(both.spikes["h"], np.mean([x.spikes["h"] for x in apart], axis=0))


def test_inputs_travel_from_where_they_enter(layered_run):
    program, recording = layered_run
    placement = small_cores(program, recording, 16)
    without, near, far = (count(program.lowered, [recording], placement, entry).counts() for entry in (None, (0, 0), (7, 3)))
    reached = {k: int(c) for k, c in enumerate(placement.core_of("h"))}
    assert len(set(reached.values())) > 1
    spikes = len(recording.spikes["x"])
    for counts, entry in ((near, (0, 0)), (far, (7, 3))):
        cores = sorted(set(reached.values()))
        for axis, kind in enumerate(("hop.x", "hop.y")):
            hops = sum(abs(int(placement.positions[core][axis]) - entry[axis]) for core in cores)
            assert counts.get(kind, 0) - without.get(kind, 0) == spikes * hops


def test_synapses_by_core_without_expanding(layered_run):
    for x in layered_run[0].lowered.projections.values():
        core_of = np.arange(x.connectivity.n_post) % 3
        pre, post = x.connectivity.synapses()
        found = sum(counts.toarray() for _, counts in Synapses(x, core_of, 3).by_delay)
        wanted = np.zeros((x.connectivity.n_pre, 3), int)
        np.add.at(wanted, (pre, core_of[post]), 1)
        assert np.array_equal(found, wanted)


def test_recordings_that_do_not_belong_are_refused(layered_run):
    program, recording = layered_run
    with pytest.raises(EnergyError, match="there is none"):
        count(program.lowered, [])
    with pytest.raises(EnergyError, match="lacks the spikes of 'h'; record them"):
        count(program.lowered, [program.run({"x": raster()}, record=["x", "y"])])
    with pytest.raises(EnergyError, match="recording 1: has 50 steps, the first one 60"):
        count(program.lowered, [recording, program.run({"x": raster(steps=50)})])
    other = nc.compile(layered(9), "reference")
    with pytest.raises(EnergyError, match=r"not those of this program|synaptic events, the run counted"):
        count(other.lowered, [recording])
    wrong = replace(recording, counters=replace(recording.counters, events={**recording.counters.events, "x->h": 1}))
    with pytest.raises(
        EnergyError, match=r"projection 'x->h': its recorded spikes give [\d,]+ synaptic events, the run counted 1:"
    ):
        count(program.lowered, [wrong])
    resumed = program.run({"x": raster()}, resume=True)
    with pytest.raises(EnergyError, match="goes on from step"):
        count(program.lowered, [resumed])
    smaller = nc.Network("small", dt=1e-3)
    smaller.input("x", 3)
    smaller.population("h", nc.IF(), 2)
    smaller.connect("x", "h", nc.Dense(np.ones((2, 3))))
    with pytest.raises(EnergyError, match="has 12 neurons of 'x', the program 3"):
        count(nc.compile(smaller, "reference").lowered, [recording])
