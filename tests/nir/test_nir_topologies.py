"""What NIR allows between nodes: sums, skips, recurrence, nesting, several inputs and outputs."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

import neurocomp as nc
from neurocomp.importers.nir import NirError, from_nir

DT = 1e-3
LIF = {"type": "LIF", "tau": np.full(1, 4e-3), "r": np.full(1, 8.0), "v_leak": np.zeros(1), "v_threshold": np.ones(1)}


def lif(size=1):
    return {key: value if key == "type" else np.repeat(value, size) for key, value in LIF.items()}


def linear(*rows):
    return {"type": "Linear", "weight": np.array(rows, float)}


def given(net, steps=40, seed=0):
    rng = np.random.default_rng(seed)
    return {name: (rng.random((steps, *node.shape)) < 0.4).astype(int) for name, node in net.inputs.items()}


def build(nodes, edges, **options):
    return from_nir({"nodes": nodes, "edges": edges}, dt=DT, **options)


def delays(net):
    return {label: p.delay for label, p in net.projections.items()}


def test_several_inputs_and_outputs_and_sums_into_a_node():
    nodes = {
        "left": {"type": "Input", "shape": [2]},
        "right": {"type": "Input", "shape": [3]},
        "w1": linear([1, 0.5]),
        "w2": linear([0.5, -0.5, 1]),
        "n": lif(),
        "spikes": {"type": "Output", "shape": [1]},
        "sum": {"type": "Output", "shape": [1]},
    }
    edges = [("left", "w1"), ("right", "w2"), ("w1", "n"), ("w2", "n"), ("n", "spikes"), ("w1", "sum"), ("w2", "sum")]
    net = build(nodes, edges)
    assert set(net.inputs) == {"left", "right"}
    assert net.outputs == {"spikes": "n", "sum": "sum"}
    inputs = given(net)
    recording = nc.compile(net, "cpu").run(inputs, record=["sum.v", "n"])
    expected = inputs["left"] @ nodes["w1"]["weight"].T + inputs["right"] @ nodes["w2"]["weight"].T
    assert np.array_equal(recording["sum.v"], expected)
    assert any("Readout" in str(change) for change in net.changes)


def test_two_weights_into_one_linear_node_add_its_bias_once():
    nodes = {
        "input": {"type": "Input", "shape": [2]},
        "a": linear([1, 0], [0, 1]),
        "b": linear([2, 0], [0, 4]),
        "affine": {"type": "Affine", "weight": np.array([[1.0, 1.0]]), "bias": np.array([0.25])},
        "double": {"type": "Scale", "scale": np.array([2.0])},
        "output": {"type": "Output"},
    }
    edges = [("input", "a"), ("input", "b"), ("a", "affine"), ("b", "affine"), ("affine", "double"), ("double", "output")]
    net = build(nodes, edges)
    inputs = given(net)
    got = nc.compile(net, "cpu").run(inputs, record=["output.v"])["output.v"]
    assert np.array_equal(got[:, 0], 2 * (inputs["input"] @ [3.0, 5.0] + 0.25))


def test_a_bias_alone_drives_a_population():
    nodes = {
        "affine": {"type": "Affine", "weight": np.ones((1, 1)), "bias": np.array([0.5])},
        "n": lif(),
        "output": {"type": "Output"},
    }
    net = build(nodes, [("affine", "n"), ("n", "output")])
    assert net.populations["n"].bias.tolist() == [0.5]
    recording = nc.compile(net, "cpu").run({}, 20)
    assert len(recording["n"]) > 0


def test_skip_paths_stay_within_the_step():
    nodes = {"input": {"type": "Input", "shape": [1]}, "a": lif(), "b": lif(), "output": {"type": "Output"}}
    net = build(nodes, [("input", "a"), ("a", "b"), ("input", "b"), ("b", "output")])
    assert set(delays(net).values()) == {0}
    recording = nc.compile(net, "cpu").run({"input": ([3], [0])}, 10)
    assert recording["a"].times.tolist() == recording["b"].times.tolist() == [3]


def test_self_recurrence_is_a_step_late():
    nodes = {"input": {"type": "Input", "shape": [2]}, "n": lif(2), "w": linear([0, 1], [1, 0]), "output": {"type": "Output"}}
    net = build(nodes, [("input", "n"), ("n", "w"), ("w", "n"), ("n", "output")])
    assert delays(net) == {"input->n": 0, "n->w->n": 1}
    recording = nc.compile(net, "cpu").run({"input": ([0], [0])}, 5)
    assert [recording["n"].raster()[t].tolist() for t in range(4)] == [[1, 0], [0, 1], [1, 0], [0, 1]]


def test_self_recurrence_without_weights():
    nodes = {"input": {"type": "Input", "shape": [1]}, "n": lif(), "output": {"type": "Output"}}
    net = build(nodes, [("input", "n"), ("n", "n"), ("n", "output")])
    assert delays(net) == {"input->n": 0, "n->n": 1}
    assert nc.compile(net, "cpu").run({"input": ([2], [0])}, 6)["n"].times.tolist() == [2, 3, 4, 5]


@pytest.mark.parametrize("flip", [False, True])
def test_the_edge_that_goes_back_is_chosen_from_the_inputs(flip):
    """input -> z -> y -> x -> z, names against the order: the edge x -> z closes the cycle."""
    nodes = {name: lif() for name in ("x", "y", "z")}
    nodes |= {"input": {"type": "Input", "shape": [1]}, "output": {"type": "Output"}}
    edges = [("input", "z"), ("z", "y"), ("y", "x"), ("x", "z"), ("x", "output")]
    net = build(dict(reversed(nodes.items())) if flip else nodes, edges[::-1] if flip else edges)
    assert {label for label, delay in delays(net).items() if delay} == {"x->z"}
    with pytest.raises(nc.errors.RetimeError, match="lacks 2"):  # every hop of a loop takes a step on these backends
        nc.compile(net, "cpu")


def test_a_delay_node_in_a_cycle_is_the_delay():
    nodes = {"input": {"type": "Input", "shape": [1]}, "n": lif(), "d": {"type": "Delay", "delay": np.array([3 * DT])}}
    nodes["output"] = {"type": "Output"}
    net = build(nodes, [("input", "n"), ("n", "d"), ("d", "n"), ("n", "output")])
    assert delays(net) == {"input->n": 0, "n->d->n": 3}
    assert nc.compile(net, "cpu").run({"input": ([0], [0])}, 10)["n"].times.tolist() == [0, 3, 6, 9]


def clusters():
    """snnTorch's form: a graph in the graph, with its own input and output; flat names in the older form."""
    inner = {
        "input": {"type": "Input", "shape": [2]},
        "lif": lif(2),
        "w_rec": linear([0, 1], [1, 0]),
        "output": {"type": "Output", "shape": [2]},
    }
    inner_edges = [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")]
    nested = {
        "nodes": {
            "input": {"type": "Input", "shape": [2]},
            "fc": linear([1, 0.5], [0.5, 1]),
            "lif1": {"type": "NIRGraph", "nodes": inner, "edges": inner_edges},
            "output": {"type": "Output"},
        },
        "edges": [("input", "fc"), ("fc", "lif1"), ("lif1", "output")],
    }
    flat = {
        "nodes": {
            "input": {"type": "Input", "shape": [2]},
            "fc": linear([1, 0.5], [0.5, 1]),
            "lif1.lif": lif(2),
            "lif1.w_rec": inner["w_rec"],
            "output": {"type": "Output"},
        },
        "edges": [
            ("input", "fc"),
            ("fc", "lif1.lif"),
            ("lif1.lif", "lif1.w_rec"),
            ("lif1.w_rec", "lif1.lif"),
            ("lif1.lif", "output"),
        ],
    }
    return nested, flat


def test_nested_and_flat_clusters_are_the_same_network():
    nested, flat = (from_nir(x, dt=DT) for x in clusters())
    assert list(nested.populations) == list(flat.populations) == ["lif1.lif"]
    assert nested.outputs == flat.outputs == {"output": "lif1.lif"}
    inputs = given(nested)
    one, other = (nc.compile(net, "cpu").run(inputs, record=["spikes", "lif1.lif.v"]) for net in (nested, flat))
    assert not nc.compare(one, other)
    assert len(one["lif1.lif"]) > 5


def test_graphs_in_graphs_in_graphs():
    core = {"in": {"type": "Input", "shape": [1]}, "n": lif(), "out": {"type": "Output", "shape": [1]}}
    graph = {"type": "NIRGraph", "nodes": core, "edges": [("in", "n"), ("n", "out")]}
    for _ in range(3):
        graph = {
            "type": "NIRGraph",
            "nodes": {"in": {"type": "Input", "shape": [1]}, "g": graph, "out": {"type": "Output", "shape": [1]}},
            "edges": [("in", "g"), ("g", "out")],
        }
    net = from_nir(graph, dt=DT)
    assert list(net.populations) == ["g.g.g.n"]
    assert net.outputs == {"out": "g.g.g.n"}


def test_a_nested_graph_with_two_inputs_needs_them_named():
    inner = {"a": {"type": "Input", "shape": [1]}, "b": {"type": "Input", "shape": [1]}, "n": lif(), "out": {"type": "Output"}}
    nodes = {
        "input": {"type": "Input", "shape": [1]},
        "g": {"type": "NIRGraph", "nodes": inner, "edges": [("a", "n"), ("b", "n"), ("n", "out")]},
        "output": {"type": "Output"},
    }
    with pytest.raises(NirError, match=r"node 'g': the edge input -> g needs one Input .* has 2"):
        build(nodes, [("input", "g"), ("g", "output")])
    net = build(nodes, [("input", "g.a"), ("input", "g.b"), ("g", "output")])
    assert len(net.projections) == 2


def test_what_cannot_run_says_why():
    source = {"input": {"type": "Input", "shape": [1]}, "output": {"type": "Output"}}
    li = {"type": "LI", "tau": np.full(1, 4e-3), "r": np.ones(1), "v_leak": np.zeros(1)}
    chain = [("input", "li"), ("li", "n"), ("n", "output")]
    with pytest.raises(NirError, match=r"node 'li'.*\(LI\).*voltage is fed to 'n'.*only spikes"):
        build({**source, "li": li, "n": lif()}, chain)
    with pytest.raises(NirError, match=r"voltage is fed to 'w'"):
        build({**source, "li": li, "w": linear([1])}, [("input", "li"), ("li", "w"), ("w", "output")])
    parts = {"s": {"type": "Scale", "scale": np.ones(1)}, "t": {"type": "Scale", "scale": np.ones(1)}}
    with pytest.raises(NirError, match=r"the cycle t -> s -> t has no neuron"):
        build({**source, **parts}, [("input", "s"), ("s", "t"), ("t", "s"), ("t", "output")])
    with pytest.raises(NirError, match=r"node 'output'.*nothing leads"):
        build({**source, "n": lif(), "output": {"type": "Output", "shape": [1]}}, [("input", "n")])
    ends = {**source, "n": lif()}
    with pytest.raises(NirError, match=r"node 'output'.*leads on to 'n'"):
        build(ends, [("input", "n"), ("n", "output"), ("output", "n")])


def test_many_diamonds_are_refused_not_explored():
    nodes = {"input": {"type": "Input", "shape": [1]}, "output": {"type": "Output"}}
    edges, last = [], "input"
    for k in range(40):
        nodes |= {f"a{k}": linear([1]), f"b{k}": linear([1]), f"c{k}": linear([1])}
        edges += [(last, f"a{k}"), (last, f"b{k}"), (f"a{k}", f"c{k}"), (f"b{k}", f"c{k}")]
        last = f"c{k}"
    with pytest.raises(NirError, match="paths of linear nodes"):
        build(nodes, [*edges, (last, "output")])


@pytest.mark.parametrize("seed", range(30))
def test_random_graphs_equal_a_node_by_node_evaluation(seed):
    """Random directed acyclic graphs of matrices, scales and neurons, stepped node by node in NumPy."""
    rng = np.random.default_rng(seed)
    nodes = {"input": {"type": "Input", "shape": [3]}}
    edges = []
    for k in range(rng.integers(3, 9)):
        kind = rng.choice(["Linear", "Affine", "Scale", "LIF"])
        weight, vector = rng.integers(-8, 9, (3, 3)) / 8, rng.integers(-4, 9, 3) / 8
        values = {"Linear": {"weight": weight}, "Affine": {"weight": weight, "bias": vector}, "Scale": {"scale": vector}}
        nodes[f"n{k}"] = lif(3) if kind == "LIF" else {"type": str(kind), **values[str(kind)]}
        sources = [name for name in nodes if name != f"n{k}"]
        edges += [(str(name), f"n{k}") for name in rng.choice(sources, min(len(sources), rng.integers(1, 3)), replace=False)]
    nodes["output"] = {"type": "Output"}
    ends = set(nodes) - {pre for pre, _ in edges} - {"output"}
    edges += [(name, "output") for name in ends]
    net = build(nodes, edges, integrator="euler")
    inputs = given(net, 30, seed)
    watched = list(net.populations)
    record = [*watched, *(f"{net.outputs['output']}.v" for _ in [0] if "output" in watched)]
    recording = nc.compile(net, "reference", mantissa_bits=31).run(inputs, record=record)
    values, v = {}, {name: np.zeros(3) for name in nodes}
    order = list(nx.topological_sort(nx.DiGraph(edges)))
    for t, row in enumerate(inputs["input"]):
        for name in order:
            node, total = nodes[name], sum((values[a] for a, b in edges if b == name), np.zeros(3))
            if name == "input":
                values[name] = row.astype(float)
            elif node["type"] in ("Linear", "Affine"):
                values[name] = node["weight"] @ total + node.get("bias", 0.0)
            elif node["type"] == "Scale":
                values[name] = node["scale"] * total
            elif node["type"] == "LIF":
                v[name] = v[name] * 0.75 + 2.0 * total
                values[name] = (v[name] > 1.0).astype(float)
                v[name] = np.where(values[name] > 0, 0.0, v[name])
                assert np.array_equal(recording[name].raster()[t], values[name] > 0), (name, t)
            else:
                values[name] = total
        if "output.v" in recording.states:
            assert np.allclose(recording["output.v"][t], values["output"], rtol=1e-6, atol=1e-6)
