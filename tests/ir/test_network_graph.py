"""Networks as live graphs, connectivities, and every error a constructor can give."""

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp

from neurocomp.ir.connectivity import Dense, OneToOne, Sparse
from neurocomp.ir.errors import ModelError
from neurocomp.ir.network import Input, Network, Population, Projection
from neurocomp.ir.neurons import IF, LIF, CubaLIF
from neurocomp.ir.verify import verify
from neurocomp.program import compile as compile_network

DT = 1e-3


def small():
    net = Network("small", dt=DT)
    x = net.input("x", 3)
    h = net.population("h", LIF(tau=1e-2), 2)
    y = net.population("y", IF(), 2)
    net.connect(x, h, Dense(np.ones((2, 3))))
    net.connect(h, y, OneToOne(2.0))
    net.connect(y, h, OneToOne(-1.0), delay=2)
    return net


# ---------------------------------------------------------------------------------------------------------------- graph


def test_the_graph_is_a_live_multidigraph():
    net = small()
    assert isinstance(net.graph, nx.MultiDiGraph)
    assert list(nx.dfs_preorder_nodes(net.graph, "x")) == ["x", "h", "y"]
    assert sorted(map(sorted, nx.simple_cycles(nx.DiGraph(net.graph)))) == [["h", "y"]]
    assert net.graph.nodes["h"]["node"] is net.populations["h"]
    assert net.graph.edges["x", "h", "x->h"]["projection"] is net.projections["x->h"]


def test_removing_a_node_through_networkx_is_seen():
    net = small()
    net.graph.remove_node("y")
    assert list(net.nodes) == ["x", "h"]
    assert list(net.projections) == ["x->h"]
    verify(net)
    rec = compile_network(net, "reference").run({"x": np.ones((3, 3))})
    assert set(rec.spikes) == {"x", "h"}


def test_removing_an_edge_through_networkx_is_seen():
    net = small()
    net.graph.remove_edge("y", "h", "y->h")
    assert list(net.projections) == ["x->h", "h->y"]
    assert [p.name for p in net.incoming("h")] == ["x->h"]
    assert net.outgoing("y") == []


def test_nodes_keep_the_order_of_creation_and_know_their_kind():
    net = small()
    assert list(net.nodes) == ["x", "h", "y"]
    assert isinstance(net.inputs["x"], Input)
    assert isinstance(net.populations["y"], Population)
    assert (net.node("x").size, net.node("h").shape) == (3, (2,))
    assert repr(net) == "<Network 'small': 3 nodes, 3 projections, dt=0.001 s>"


def test_parallel_projections_get_their_own_names():
    net = small()
    for _ in range(2):
        net.connect("x", "h", Dense(np.ones((2, 3))), delay=1)
    net.connect("x", "h", Dense(np.ones((2, 3))), name="mine")
    assert [p.name for p in net.incoming("h")] == ["x->h", "x->h#2", "x->h#3", "mine", "y->h"]


def test_with_changes_leaves_the_given_network_alone():
    net = small()
    other = net.with_changes({"h": Population("h", LIF(tau=1.0), (2,))})
    assert net.populations["h"].neuron.parameters["tau"] == 1e-2
    assert other.populations["h"].neuron.parameters["tau"] == 1.0
    other.graph.remove_node("y")
    assert "y" in net.nodes


# --------------------------------------------------------------------------------------------------------------- insert


def test_insert_copies_under_a_prefix():
    inner, net = small(), Network("outer", dt=DT, integrator="euler")
    names = net.insert(inner, "left")
    assert names == {"x": "left.x", "h": "left.h", "y": "left.y"}
    net.insert(inner, "right")
    assert list(net.projections)[:3] == ["left.x->h", "left.h->y", "left.y->h"]
    projection = net.projections["right.y->h"]
    assert (projection.pre, projection.post, projection.delay) == ("right.y", "right.h", 2)
    verify(net)
    inner.graph.remove_node("y")
    assert "left.y" in net.nodes


def test_inserted_populations_keep_the_integrator_they_had():
    inner, net = Network("inner", dt=DT, integrator="exact"), Network("outer", dt=DT, integrator="euler")
    inner.population("a", LIF(tau=1e-2), 1)
    inner.population("b", LIF(tau=1e-2, integrator="exponential"), 1)
    net.insert(inner, "in")
    assert net.populations["in.a"].neuron.integrator == "exact"
    assert net.populations["in.b"].neuron.integrator == "exponential"


def test_a_network_can_be_inserted_into_itself():
    net = small()
    net.insert(net, "copy")
    assert list(net.nodes) == ["x", "h", "y", "copy.x", "copy.h", "copy.y"]
    verify(net)


def test_insert_refuses_another_dt_and_taken_names():
    net = small()
    with pytest.raises(ModelError, match=r"'fast' \(dt=0.0005 s\) into 'small' \(dt=0.001 s\)"):
        net.insert(Network("fast", dt=5e-4), "f")
    net.insert(small(), "in")
    with pytest.raises(ModelError, match=r"already a node 'in\.x'"):
        net.insert(small(), "in")


def test_a_refused_insert_leaves_nothing_behind():
    net = Network("outer", dt=DT)
    net.input("in.h", 1)
    with pytest.raises(ModelError, match=r"already a node 'in\.h'"):
        net.insert(small(), "in")
    assert list(net.nodes) == ["in.h"]
    assert not net.projections


# --------------------------------------------------------------------------------------------------------------- delays


def test_delays_in_seconds_become_steps():
    net = small()

    def steps(delay, connectivity=None):
        return net.connect("x", "h", connectivity or Dense(np.ones((2, 3))), delay=delay).delay

    assert steps(3e-3) == 3
    assert isinstance(steps(3e-3), int)
    assert steps(0.0) == 0
    assert steps(np.int32(4)) == 4
    assert steps(7 * 0.001) == 7  # 0.007000000000000001 / 0.001
    assert steps(np.array([[1e-3, 2e-3, 3e-3], [0.0, 0.1, 1.0]])).tolist() == [[1, 2, 3], [0, 100, 1000]]
    assert steps([[1, 2, 3], [4, 5, 6]]).dtype == np.int64
    frozen = steps(np.ones((2, 3), int))
    with pytest.raises(ValueError, match="read-only"):
        frozen[0, 0] = 5


@pytest.mark.parametrize(
    ("delay", "expected"),
    [
        (1.5e-3, ["x->h#2", "0.0015 s", "1.5 steps", "dt=0.001 s"]),
        (1e-4, ["0.0001 s", "0.1 steps"]),
        ([[1e-3, 2e-3, 3e-3], [1e-3, 2e-3, 3.2e-3]], ["0.0032 s", "3.2 steps"]),
        (float("nan"), ["x->h#2", "nan"]),
        (float("inf"), ["x->h#2"]),
        (10**30, ["x->h#2", str(10**30)]),
        ("5 ms", ["x->h#2", "'5 ms'"]),
        (True, ["x->h#2", "True"]),
        (1j, ["x->h#2"]),
        (None, ["x->h#2", "None"]),
    ],
)
def test_delays_that_are_none(delay, expected):
    net = small()
    with np.errstate(invalid="ignore"), pytest.raises(ModelError) as caught:
        net.connect("x", "h", Dense(np.ones((2, 3))), delay=delay)
    for part in expected:
        assert part in str(caught.value)
    assert len(net.projections) == 3


# --------------------------------------------------------------------------------------------------------- constructors


def loop():
    return Network("n", dt=DT)


CONSTRUCTORS = {
    "dt of zero": (lambda: Network("n", dt=0), ["'n'", "dt", "0"]),
    "negative dt": (lambda: Network("n", dt=-1e-3), ["'n'", "-0.001"]),
    "infinite dt": (lambda: Network("n", dt=float("inf")), ["inf"]),
    "dt as text": (lambda: Network("n", dt="1 ms"), ["'1 ms'"]),
    "integrator": (lambda: Network("n", dt=DT, integrator="rk4"), ["'n'", "'rk4'", "euler, exponential, exact"]),
    "empty name": (lambda: loop().input("", 3), ["''"]),
    "name with a slash": (lambda: loop().input("a/b", 3), ["'a/b'"]),
    "name with a newline": (lambda: loop().population("a\nb", IF(), 3), ["not a usable name"]),
    "outer blanks": (lambda: loop().input(" x", 3), ["' x'"]),
    "taken name": (lambda: small().input("h", 3), ["'h'", "'small'"]),
    "shape of zero": (lambda: loop().input("x", 0), ["'x'", "0"]),
    "negative shape": (lambda: loop().input("x", (3, -1)), ["'x'", "(3, -1)"]),
    "empty shape": (lambda: loop().input("x", ()), ["'x'", "()"]),
    "fractional shape": (lambda: loop().input("x", 2.5), ["'x'", "2.5"]),
    "fraction in the shape": (lambda: loop().input("x", (2, 2.5)), ["'x'", "(2, 2.5)"]),
    "shape as text": (lambda: loop().input("x", "ab"), ["'x'", "'ab'"]),
    "no shape": (lambda: loop().input("x", None), ["'x'", "None"]),
    "model without parameters": (lambda: loop().population("p", CubaLIF, 3), ["'p'", "CubaLIF(...)"]),
    "unknown end": (lambda: small().connect("x", "z", OneToOne()), ["x -> z", "'z'", "x, h, y"]),
    "unknown end in an empty network": (lambda: loop().connect("x", "z", OneToOne()), ["'x'", "none yet"]),
    "taken projection name": (
        lambda: small().connect("x", "h", Dense(np.ones((2, 3))), name="y->h"),
        ["'y->h'", "name="],
    ),
    "dense vector": (lambda: Dense([1.0, 2.0]), ["(n_post, n_pre)", "(2,)"]),
    "dense cube": (lambda: Dense(np.ones((2, 2, 2))), ["(2, 2, 2)"]),
    "dense bias": (lambda: Dense(np.ones((2, 3)), bias=[1, 2, 3]), ["(3,)", "2 target"]),
    "sparse without shape": (lambda: Sparse(([1.0], ([0], [0]))), ["shape=(n_post, n_pre)"]),
    "sparse of something else": (lambda: Sparse(7), ["triples"]),
    "sparse of three lists": (lambda: Sparse(([1.0], [0], [0]), (2, 3)), ["triples"]),
    "sparse post": (lambda: Sparse(([1.0], ([2], [0])), (2, 3)), ["post index 2", "0..1", "(2, 3)"]),
    "sparse pre": (lambda: Sparse(([1.0], ([0], [3])), (2, 3)), ["pre index 3", "0..2"]),
    "sparse negative": (lambda: Sparse(([1.0, 1.0], ([0, -1], [0, 0])), (2, 3)), ["post index -1"]),
    "sparse unequal": (lambda: Sparse((1.0, ([0, 1], [0])), (2, 3)), ["(2,)", "(1,)"]),
    "sparse weights": (lambda: Sparse(([1.0, 2.0, 3.0], ([0, 1], [0, 1])), (2, 3)), ["(3,)", "(2,)"]),
    "sparse bias": (lambda: Sparse(([1.0], ([0], [0])), (2, 3), bias=[1, 2, 3]), ["bias", "(3,)", "2 target"]),
    "one to one weights": (lambda: OneToOne([1.0, 2.0], size=3), ["2 weights", "3 neurons"]),
    "one to one bias": (lambda: OneToOne([1.0, 2.0, 3.0], bias=[1.0, 2.0]), ["bias", "(2,)", "3 neurons"]),
    "one to one bias of a scalar": (lambda: OneToOne(1.0, bias=[1.0, 2.0]).sized(3), ["bias", "(2,)", "3 neurons"]),
}


@pytest.mark.parametrize(("build", "expected"), CONSTRUCTORS.values(), ids=CONSTRUCTORS.keys())
def test_constructor_errors_name_the_thing_and_the_numbers(build, expected):
    with pytest.raises(ModelError) as caught:
        build()
    for part in expected:
        assert part in str(caught.value), str(caught.value)


# -------------------------------------------------------------------------------------------------------- connectivities


def matrix(connectivity):
    """The dense matrix, from the list of synapses."""
    pre, post = connectivity.synapses()
    result = np.zeros((connectivity.n_post, connectivity.n_pre))
    np.add.at(result, (post, pre), connectivity.weights.ravel())
    return result.tolist()


def test_dense_lists_its_synapses_in_the_order_of_the_weights():
    dense = Dense([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    pre, post = dense.synapses()
    assert list(zip(pre.tolist(), post.tolist(), dense.weights.ravel().tolist(), strict=True)) == [
        (0, 0, 1.0), (1, 0, 2.0), (2, 0, 3.0), (0, 1, 4.0), (1, 1, 5.0), (2, 1, 6.0),
    ]  # fmt: skip
    assert (dense.n_post, dense.n_pre, len(dense)) == (2, 3, 6)


def test_sparse_keeps_order_duplicates_and_explicit_zeros():
    sparse = Sparse(([1.0, 2.0, 4.0, 0.0], ([1, 0, 1, 1], [2, 0, 2, 0])), (2, 3))
    assert sparse.pre.tolist() == [2, 0, 2, 0]
    assert matrix(sparse) == [[2.0, 0.0, 0.0], [0.0, 0.0, 5.0]]
    assert sparse.row_lengths().tolist() == [2, 0, 2]
    assert sparse.fan_in(np.abs(sparse.weights)).tolist() == [2.0, 5.0]


@pytest.mark.parametrize("make", [sp.csr_array, sp.csc_array, sp.coo_array, sp.csr_matrix, sp.lil_array])
def test_sparse_takes_every_scipy_matrix(make):
    dense = np.array([[0, 2, 0], [3, 0, -1]])
    assert matrix(Sparse(make(dense))) == dense.tolist()


def test_one_to_one_follows_the_populations():
    net = small()
    projection = net.connect("h", "y", OneToOne(3.0, bias=0.5), name="again")
    assert matrix(projection.connectivity) == [[3.0, 0.0], [0.0, 3.0]]
    assert projection.connectivity.bias.tolist() == [0.5, 0.5]
    assert matrix(OneToOne([1.0, 2.0])) == [[1.0, 0.0], [0.0, 2.0]]


def test_scaling_by_a_factor_each_target():
    gain = np.array([10.0, 100.0])
    assert matrix(Dense([[1, 2], [3, 4]]).scaled(gain)) == [[10.0, 20.0], [300.0, 400.0]]
    assert matrix(Sparse(([1.0, 2.0], ([1, 0], [0, 1])), (2, 2)).scaled(gain)) == [[0.0, 20.0], [100.0, 0.0]]
    scaled = OneToOne([1.0, 2.0], bias=[1.0, 1.0]).scaled(gain)
    assert matrix(scaled) == [[10.0, 0.0], [0.0, 200.0]]
    assert scaled.bias.tolist() == [10.0, 100.0]
    assert matrix(Dense([[1, 2], [3, 4]]).scaled(np.asarray(2.0))) == [[2.0, 4.0], [6.0, 8.0]]


def test_weights_are_private_and_read_only():
    given = np.ones((2, 2))
    dense = Dense(given, bias=[1.0, 2.0])
    given[0, 0] = 7
    assert dense.weights[0, 0] == 1.0
    for array in (dense.weights, dense.bias):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 5


def test_descriptions():
    assert repr(Dense([[1.0, -2.5]], bias=0.0)) == "Dense(Dense 1x2 synapses=2 w=[-2.5, 1] bias)"
    assert repr(Sparse((np.zeros(0), (np.zeros(0, int), np.zeros(0, int))), (2, 3))) == "Sparse(Sparse 2x3 synapses=0 w=[])"


def test_delays_of_a_projection_without_synapses():
    none = Sparse((np.zeros(0), (np.zeros(0, int), np.zeros(0, int))), (2, 3))
    assert Projection("p", "x", "h", none, np.zeros(0, np.int64)).min_delay == 0
    assert Projection("p", "x", "h", none, np.array([3, 1])).max_delay == 3
