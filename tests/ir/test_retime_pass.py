"""`retime`: against the written network run layer by layer within a step, and impossible cycles with cures that cure."""

import re
from collections import defaultdict

import networkx as nx
import numpy as np
import pytest

from neurocomp.ir.connectivity import Dense, Sparse
from neurocomp.ir.errors import RetimeError
from neurocomp.ir.network import Network
from neurocomp.ir.neurons import LIF, CubaLIF, LoihiLIF
from neurocomp.ir.passes import Discretise, Fold, LoihiWeights, Retime, SnapToGrid
from neurocomp.ir.plasticity import RewardSTDP
from neurocomp.ir.printers.numpy import numpy_step
from neurocomp.program import compile as compile_network

DT = 1e-3
STEPS = 35


def written(net, rasters, steps):
    """The network as written: topological order within a step, no lags, no delays added. Spikes and states by step.

    Uses the numbers of discretise, fold and grid; knows nothing of retime, of the grid's proofs or of any backend.
    """
    net = SnapToGrid(24)(Fold()(Discretise()(net)))
    synapses = {}  # projection -> (pre, post, delay, weight) of each
    within = nx.DiGraph()
    within.add_nodes_from(net.nodes)
    for name, projection in net.projections.items():
        pre, post = projection.connectivity.synapses()
        weights = projection.connectivity.weights.ravel()
        delays = np.broadcast_to(projection.delay, projection.connectivity.weights.shape).ravel()
        synapses[name] = list(zip(pre.tolist(), post.tolist(), delays.tolist(), weights.tolist(), strict=True))
        if (delays == 0).any():
            within.add_edge(projection.pre, projection.post)
    order = list(nx.topological_sort(within))
    state = {}
    for name, p in net.populations.items():
        state[name] = {s: np.broadcast_to(p.program.initial[s], (p.size,)).copy() for s in p.program.form.state}
    spikes = {name: np.zeros((steps, node.size), np.int64) for name, node in net.nodes.items()}
    states = defaultdict(list)
    for t in range(steps):
        for name in order:
            if name in net.inputs:
                spikes[name][t] = rasters[name][t]
                continue
            population = net.populations[name]
            a = np.array(population.bias_vector())
            for projection in net.incoming(name):
                for pre, post, delay, weight in synapses[projection.name]:
                    if delay <= t and spikes[projection.pre][t - delay, pre]:
                        a[post] += weight
            fired = numpy_step(population.program.form)({"a": a}, state[name], population.program.constants)
            spikes[name][t] = fired
            for s in population.program.form.state:
                stored = np.broadcast_to(state[name][s], (population.size,))
                states[name, s].append(stored / population.program.scale.get(s, 1.0))
    return spikes, {key: np.array(trace) for key, trace in states.items()}


def random_network(seed):
    """Layers in a random DAG with same-step edges, skips, parallel edges and sufficiently delayed backward edges."""
    rng = np.random.default_rng(seed)
    net = Network(f"random-{seed}", dt=DT, integrator=str(rng.choice(["euler", "exponential", "exact"])))
    sizes = rng.integers(1, 6, int(rng.integers(3, 7)))
    net.input("x", int(sizes[0]))
    for k, size in enumerate(sizes[1:], 1):
        taus = {"tau_syn": rng.uniform(2e-3, 9e-3, size), "tau_mem": rng.uniform(2e-3, 2e-2, size)}
        neuron = CubaLIF(**taus) if rng.random() < 0.5 else LIF(tau=taus["tau_mem"], v_leak=rng.uniform(0, 1.2))
        net.population(f"p{k}", neuron, int(size))
    names = list(net.nodes)
    for post in range(1, len(names)):
        for pre in range(len(names)):
            if pre != post - 1 and rng.random() > 0.4:
                continue
            if pre == 0 and post == 0:
                continue
            least = 0 if pre < post else pre - post + 1
            for _ in range(2 if rng.random() < 0.2 else 1):
                shape = (int(sizes[post]), int(sizes[pre]))
                weights = rng.normal(4.0, 12.0, shape)
                if rng.random() < 0.5:
                    connectivity = Dense(weights)
                else:
                    count = int(rng.integers(1, shape[0] * shape[1] + 1))
                    ends = rng.integers(0, shape[0], count), rng.integers(0, shape[1], count)
                    connectivity = Sparse((rng.normal(4.0, 12.0, count), ends), shape)
                kind = rng.random()
                delay = least if kind < 0.4 else least + int(rng.integers(0, 5))
                if kind > 0.7:
                    delay = least + rng.integers(0, 5, connectivity.weights.shape)
                net.connect(names[pre], names[post], connectivity, delay=delay)
    return net, {"x": (rng.random((STEPS, int(sizes[0]))) < 0.4).astype(np.int64)}


@pytest.mark.parametrize("seed", range(30))
def test_retimed_networks_compute_what_was_written(seed):
    net, rasters = random_network(seed)
    spikes, states = written(net, rasters, STEPS)
    record = ["spikes", *(f"{name}.{state}" for name, state in states)]
    for target in ("reference", "cpu"):
        program = compile_network(net, target)
        rec = program.run(rasters, steps=STEPS, record=record)
        assert min(p.min_delay for p in program.lowered.projections.values()) >= 1
        for name, raster in spikes.items():
            assert np.array_equal(rec[name].raster(), raster), name
        for (name, state), trace in states.items():
            assert np.array_equal(rec[f"{name}.{state}"], trace), (name, state)


def test_the_random_networks_are_worth_running():
    """Together they have lags, recurrence, per-synapse delays, skips and spikes."""
    lags, arrays, cycles, active = 0, 0, 0, 0
    for seed in range(12):
        net, rasters = random_network(seed)
        retimed = Retime()(net)
        lags += retimed.max_lag >= 2
        arrays += any(np.ndim(p.delay) for p in net.projections.values())
        cycles += not nx.is_directed_acyclic_graph(net.graph)
        active += all(raster.any() for name, raster in written(net, rasters, STEPS)[0].items() if name != "x")
    assert min(lags, arrays, cycles) >= 6
    assert active >= 2


# ------------------------------------------------------------------------------------------------------------ lags by hand


def chain(*delays):
    net = Network("n", dt=DT)
    net.input("x", 1)
    for k, delay in enumerate(delays, 1):
        net.population(f"p{k}", LIF(tau=1e-2), 1)
        net.connect("x" if k == 1 else f"p{k - 1}", f"p{k}", Dense([[1.0]]), delay=delay)
    return net


def lags(net):
    return {name: node.lag for name, node in Retime()(net).nodes.items()}


def delays(net):
    return {name: p.delay for name, p in Retime()(net).projections.items()}


def test_a_chain_within_a_step_gets_one_lag_a_hop():
    assert lags(chain(0, 0, 0)) == {"x": 0, "p1": 1, "p2": 2, "p3": 3}
    assert set(delays(chain(0, 0, 0)).values()) == {1}


def test_delays_make_lags_unnecessary():
    assert lags(chain(1, 1, 2)) == {"x": 0, "p1": 0, "p2": 0, "p3": 0}
    assert list(delays(chain(1, 1, 2)).values()) == [1, 1, 2]


def test_skips_are_balanced():
    net = chain(0, 0, 0)
    net.connect("x", "p3", Dense([[1.0]]))
    net.connect("p1", "p3", Dense([[1.0]]), delay=2)
    assert delays(net) == {"x->p1": 1, "p1->p2": 1, "p2->p3": 1, "x->p3": 3, "p1->p3": 4}


def test_delays_around_a_cycle_keep_their_sum():
    net = chain(0, 0, 0)
    net.connect("p3", "p1", Dense([[1.0]]), delay=7)
    retimed = Retime()(net)
    assert retimed.projections["p3->p1"].delay == 5
    assert sum(retimed.projections[x].delay for x in ("p1->p2", "p2->p3", "p3->p1")) == 7


def test_per_synapse_delays_are_shifted_together():
    net = chain(0)
    net.population("q", LIF(tau=1e-2), 1)
    net.connect("p1", "q", Sparse(([1.0, 2.0, 3.0], ([0, 0, 0], [0, 0, 0])), (1, 1)), delay=[3, 0, 5])
    retimed = Retime()(net)
    assert retimed.projections["p1->q"].delay.tolist() == [4, 1, 6]
    assert retimed.nodes["q"].lag == 2
    assert net.projections["p1->q"].delay.tolist() == [3, 0, 5]


def test_changes_say_which_node_lags():
    changes = Retime()(chain(0, 1)).changes
    assert [(c.by, c.subject, c.before, c.after) for c in changes] == [
        ("retime", "p1", "lag 0", "lag 1"),
        ("retime", "p2", "lag 0", "lag 1"),
    ]


def test_a_projection_without_synapses_constrains_nothing():
    net = chain(0)
    net.connect("p1", "p1", Sparse((np.zeros(0), (np.zeros(0, int), np.zeros(0, int))), (1, 1)))
    assert lags(net) == {"x": 0, "p1": 1}


def test_loihi_networks_are_retimed_alike():
    net = Network("n", dt=DT)
    net.input("x", 1)
    net.population("h", LoihiLIF(du=0, dv=0, vth=1), 1)
    net.population("y", LoihiLIF(du=0, dv=0, vth=1), 1)
    net.connect("x", "h", Dense([[200.0]]))
    net.connect("h", "y", Dense([[200.0]]))
    low = LoihiWeights()(Retime()(Discretise()(net)))
    assert [node.lag for node in low.nodes.values()] == [0, 1, 2]
    rec = compile_network(net, "reference", accept_wrap=True).run({"x": ([3], [0])}, steps=6)
    assert rec["h"].times[0] == rec["y"].times[0] == 3  # within the step, as written


# ----------------------------------------------------------------------------------------------------- impossible cycles


def add(net, *edges):
    for pre, post, delay in edges:
        net.connect(pre, post, Dense([[1.0]]), delay=delay)
    return net


IMPOSSIBLE = {
    "a self-loop": (lambda: add(chain(0), ("p1", "p1", 0)), ["p1"], 0, 1),
    "a pair": (lambda: add(chain(0, 0), ("p2", "p1", 1)), ["p1", "p2"], 1, 1),
    "a pair without any delay": (lambda: add(chain(0, 0), ("p2", "p1", 0)), ["p1", "p2"], 0, 2),
    "a long cycle": (lambda: add(chain(0, 0, 1, 0), ("p4", "p1", 1)), ["p1", "p2", "p3", "p4"], 2, 2),
    "behind other good cycles": (
        lambda: add(chain(0, 0, 0), ("p1", "p1", 1), ("p3", "p2", 3), ("p3", "p2", 1)),
        ["p2", "p3"],
        1,
        1,
    ),
}


@pytest.mark.parametrize(("build", "cycle", "delay", "missing"), IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
def test_impossible_cycles_are_named_and_counted(build, cycle, delay, missing):
    with pytest.raises(RetimeError) as caught:
        Retime()(build())
    error = caught.value
    assert list(error.cycle) == cycle
    assert (error.delay, error.missing) == (delay, missing)
    text = str(error)
    assert text.startswith(" -> ".join([*cycle, cycle[0]]) + ":")
    assert f"{len(cycle)} hop" in text
    assert f"only {delay} step" in text
    assert f"lacks {missing}" in text


def cured(net, error):
    """The network with the error's own suggestion applied, read from its text."""
    pre, post, delay = re.search(r"for example (\S+) -> (\S+) delay=(\d+)", str(error)).groups()
    result = Network(net.name, dt=net.dt)
    for node in net.nodes.values():
        result.graph.add_node(node.name, node=node)
    for p in net.projections.values():
        changed = int(delay) if (p.pre, p.post) == (pre, post) else p.delay
        result.connect(p.pre, p.post, p.connectivity, delay=changed, name=p.name)
    return result


@pytest.mark.parametrize(("build", "cycle", "delay", "missing"), IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
def test_the_suggested_cure_works(build, cycle, delay, missing):
    net = build()
    with pytest.raises(RetimeError) as caught:
        compile_network(net, "reference")
    compile_network(cured(net, caught.value), "reference").run({}, steps=3)


@pytest.mark.parametrize("seed", range(40))
def test_random_cycles_are_either_retimed_or_explained_truly(seed):
    """Every error names a real cycle of the network that lacks what it says, and its cures lead to a network that compiles."""
    rng = np.random.default_rng(seed)
    net = Network("n", dt=DT)
    net.input("x", 1)
    count = int(rng.integers(2, 7))
    for k in range(count):
        net.population(f"p{k}", LIF(tau=1e-2), 1)
    add(net, ("x", "p0", 0))
    for _ in range(int(rng.integers(2, 12))):
        pre, post = (f"p{k}" for k in rng.integers(0, count, 2))
        add(net, (pre, post, int(rng.integers(0, 3))))
    for _ in range(50):
        possible = all(
            sum(min(p.min_delay for p in net.outgoing(a) if p.post == b) for a, b in hops) >= len(hops)
            for cycle in nx.simple_cycles(nx.DiGraph(net.graph))
            for hops in [list(zip(cycle, [*cycle[1:], cycle[0]], strict=True))]
        )
        if not possible:
            with pytest.raises(RetimeError) as caught:
                Retime()(net)
            error = caught.value
            hops = list(zip(error.cycle, [*error.cycle[1:], error.cycle[0]], strict=True))
            least = [min(p.min_delay for p in net.outgoing(a) if p.post == b) for a, b in hops]
            assert error.delay == sum(least)
            assert error.missing == len(hops) - sum(least) > 0
            net = cured(net, error)
            continue
        retimed = Retime()(net)
        assert min(p.min_delay for p in retimed.projections.values()) >= 1
        assert min(node.lag for node in retimed.nodes.values()) == 0
        for name, p in retimed.projections.items():
            assert p.delay == net.projections[name].delay + retimed.nodes[p.post].lag - retimed.nodes[p.pre].lag
        return
    pytest.fail("the cures never ended")


# ------------------------------------------------------------------------------------------------------------------- rewards


def test_a_reward_is_a_hop_and_arrives_with_the_lag_of_its_target():
    """p3 has lag 3, so what it rewards within a step has lag 4, although its spikes come straight from x."""
    net = chain(0, 0, 0)
    net.population("y", LIF(tau=1e-2), 1)
    rule = RewardSTDP(reward="p3", reward_delay=0)
    net.connect("x", "y", Dense([[1.0]]), delay=1, plasticity=rule)
    retimed = Retime()(net)
    assert retimed.nodes["y"].lag == 4
    assert retimed.projections["x->y"].delay == 5
    assert retimed.projections["x->y"].plasticity.reward_delay == 1
    assert net.projections["x->y"].plasticity.reward_delay == 0
