"""`verify`: every rule finds its fault and says whose it is, with the numbers."""

import numpy as np
import pytest

from neurocomp.ir.connectivity import Dense, OneToOne, Sparse
from neurocomp.ir.errors import VerificationError
from neurocomp.ir.network import LoihiSynapse, Network, Population, Projection
from neurocomp.ir.neurons import IF, LI, LIF, CubaLIF, LoihiLIF
from neurocomp.ir.verify import verify

ONES = Dense(np.ones((2, 3)))


def base(neuron=None, shape=2, bias=0.0):
    net = Network("net", dt=1e-3)
    net.input("x", 3)
    net.population("h", neuron or LIF(tau=1e-2), shape, bias=bias)
    return net


def wired(connectivity=ONES, delay=0, loihi=None, neuron=None):
    net = base(neuron)
    net.connect("x", "h", connectivity, delay=delay, loihi=loihi)
    return net


def edited(change):
    net = wired()
    change(net.graph)
    return net


def replaced(**fields):
    """The projection x->h with other fields, put into the graph past `connect`."""
    net = base()
    values = {"name": "x->h", "pre": "x", "post": "h", "connectivity": ONES, **fields}
    net.graph.add_edge("x", "h", key="x->h", projection=Projection(**values))
    return net


def readout():
    net = base(LI(tau=1e-2))
    net.population("y", IF(), 2)
    net.connect("h", "y", OneToOne())
    return net


def into_input():
    net = base()
    net.connect("h", "x", Dense(np.ones((3, 2))))
    return net


def payload(value):
    net = base()
    net.input("g", 1, max_payload=value)
    return net


def graph_copy(graph):
    graph.add_edge("x", "h", key="other", projection=graph.edges["x", "h", "x->h"]["projection"])


NAN = float("nan")
BAD = {
    "nothing at all": (lambda: Network("void", dt=1e-3), ["void", "empty"]),
    "a foreign node": (lambda: edited(lambda g: g.add_node("alien")), ["alien", "add nodes with input() or population()"]),
    "a foreign node value": (lambda: edited(lambda g: g.add_node("alien", node=5)), ["alien"]),
    "a foreign edge": (lambda: edited(lambda g: g.add_edge("x", "h")), ["x->h", "connect()"]),
    "a foreign edge value": (lambda: edited(lambda g: g.add_edge("x", "h", projection="no")), ["x->h", "connect()"]),
    "a node under another name": (
        lambda: edited(lambda g: g.add_node("z", node=Population("h", IF(), (2,)))),
        ["z", "'h'", "must agree"],
    ),
    "an edge under another name": (lambda: replaced(name="else"), ["else"]),
    "an edge with other ends": (lambda: replaced(pre="h"), ["x->h", "h->h"]),
    "a projection twice": (lambda: edited(graph_copy), ["x->h", "unique"]),
    "a projection onto an input": (into_input, ["h->x", "'x' is an input"]),
    "a projection from a readout": (readout, ["h->y", "'h' is LI", "never spikes"]),
    "too few sources": (lambda: wired(Dense(np.ones((2, 4)))), ["x->h", "(2, 4)", "4 source", "'x' has 3"]),
    "too few targets": (lambda: wired(Dense(np.ones((5, 3)))), ["x->h", "5 target", "'h' has 2"]),
    "a transposed matrix": (lambda: wired(Dense(np.ones((3, 2)))), ["x->h", "the transposed matrix would fit"]),
    "one to one of unequal sizes": (lambda: wired(OneToOne()), ["x->h", "OneToOne", "'x' has 3"]),
    "a weight that is nan": (
        lambda: wired(Dense([[1, 2, 3], [4, NAN, NAN]])),
        ["x->h", "weight is nan", "(1, 1)", "2 of 6"],
    ),
    "a weight that is infinite": (
        lambda: wired(Sparse(([1.0, np.inf], ([0, 1], [0, 2])), (2, 3))),
        ["x->h", "weight is inf", "index 1", "1 of 2"],
    ),
    "a bias that is nan": (lambda: wired(Dense(np.ones((2, 3)), bias=[0.0, NAN])), ["x->h", "bias is nan", "index 1"]),
    "delays of another shape": (lambda: wired(delay=np.ones(6, int)), ["x->h", "(6,)", "(2, 3)"]),
    "a negative delay": (lambda: wired(delay=-2), ["x->h", "delay -2"]),
    "a negative delay in seconds": (lambda: wired(delay=-1e-3), ["x->h", "delay -1"]),
    "a negative delay of one synapse": (lambda: wired(delay=[[1, 2, 3], [0, 0, -7]]), ["x->h", "delay -7"]),
    "a fraction of a step": (lambda: replaced(delay=1.5), ["x->h", "delay 1.5", "whole number"]),
    "a delay that is text": (lambda: replaced(delay="soon"), ["x->h", "'soon'", "whole number"]),
    "an immense delay": (lambda: wired(delay=1_000_001), ["x->h", "1000001", "1000000", "seconds"]),
    "a parameter of another shape": (lambda: base(LIF(tau=[1e-2] * 3)), ["h", "tau", "(3,)", "(2,)"]),
    "a parameter that is text": (lambda: base(LIF(tau="10 ms")), ["h", "tau", "'10 ms'"]),
    "a parameter that is None": (lambda: base(LIF(tau=None)), ["h", "tau"]),
    "a parameter that is nan": (lambda: base(LIF(tau=[1e-2, NAN])), ["h", "tau is nan", "index 1"]),
    "an infinite parameter": (lambda: base(LIF(tau=np.inf)), ["h", "tau is inf"]),
    "an initial state of another shape": (
        lambda: base(LIF(tau=1e-2, initial={"v": [0.0, 0, 0]})),
        ["h", "initial v", "(3,)"],
    ),
    "an initial state that is nan": (lambda: base(LIF(tau=1e-2, initial={"v": NAN})), ["h", "initial v is nan"]),
    "a population bias of another shape": (lambda: base(bias=[1.0, 2.0, 3.0]), ["h", "bias", "(3,)"]),
    "a time constant of zero": (lambda: base(LIF(tau=0.0)), ["h", "LIF needs tau > 0", "tau = 0.0"]),
    "a negative time constant": (
        lambda: base(CubaLIF(tau_syn=1e-3, tau_mem=[1e-3, -2e-3])),
        ["h", "tau_mem > 0", "tau_mem = -0.002", "neuron 1"],
    ),
    "a reset above the threshold": (
        lambda: base(IF(v_reset=[0.0, 3.0], v_threshold=2.0)),
        ["h", "v_reset <= v_threshold", "v_reset = 3.0", "v_threshold = 2.0", "neuron 1"],
    ),
    "a payload of zero": (lambda: payload(0), ["g", "max_payload = 0", "1..8388607"]),
    "a payload beyond 23 bits": (lambda: payload(2**23), ["g", "8388608", "8388607"]),
    "no weight bits": (lambda: wired(loihi=LoihiSynapse(num_weight_bits=0)), ["x->h", "num_weight_bits = 0", "1..8"]),
    "nine weight bits": (lambda: wired(loihi=LoihiSynapse(num_weight_bits=9)), ["x->h", "num_weight_bits = 9"]),
    "a weight exponent": (lambda: wired(loihi=LoihiSynapse(weight_exp=8)), ["x->h", "weight_exp = 8", "-24..7"]),
    "a sign mode": (lambda: wired(loihi=LoihiSynapse(sign_mode="both")), ["x->h", "'both'", "mixed"]),
    "du beyond 12 bits": (lambda: base(LoihiLIF(du=4096, dv=0, vth=1)), ["h", "du <= 4095", "du = 4096"]),
    "a negative dv": (lambda: base(LoihiLIF(du=0, dv=-1, vth=1)), ["h", "0 <= dv", "dv = -1"]),
    "vth beyond 17 bits": (lambda: base(LoihiLIF(du=0, dv=0, vth=[1, 2**17])), ["h", "vth = 131072", "neuron 1"]),
    "a bias mantissa": (lambda: base(LoihiLIF(du=0, dv=0, vth=1, bias_mant=-4097)), ["h", "bias_mant = -4097"]),
    "a bias exponent": (lambda: base(LoihiLIF(du=0, dv=0, vth=1, bias_exp=-8)), ["h", "bias_exp = -8"]),
    "a fraction on Loihi": (lambda: base(LoihiLIF(du=0.5, dv=0, vth=1)), ["h", "du = 0.5", "not an integer"]),
}


@pytest.mark.parametrize(("build", "expected"), BAD.values(), ids=BAD.keys())
def test_faults_are_found_and_named(build, expected):
    net = build()
    with np.errstate(all="ignore"), pytest.raises(VerificationError) as caught:
        verify(net)
    assert caught.value.network == net.name
    assert any(all(part in str(problem) for part in expected) for problem in caught.value.problems), str(caught.value)
    assert caught.value.problems[0].subject in str(caught.value)


GOOD = {
    "plain": wired,
    "explicit integers in floats on Loihi": lambda: base(LoihiLIF(du=1.0, dv=np.array([2.0, 3.0]), vth=4)),
    "parameters shaped and flat in one population": lambda: base(
        LIF(tau=1e-2, v_reset=np.zeros((2, 3)), v_threshold=np.ones(6)), (2, 3)
    ),
    "a threshold equal to the reset": lambda: base(IF(v_threshold=0.0, v_reset=0.0)),
    "no synapses, with delays of none": lambda: wired(
        Sparse((np.zeros(0), (np.zeros(0, int), np.zeros(0, int))), (2, 3)), delay=np.zeros(0, int)
    ),
    "the longest delay": lambda: wired(delay=1_000_000),
    "the largest payload": lambda: payload(2**23 - 1),
}


@pytest.mark.parametrize("build", GOOD.values(), ids=GOOD.keys())
def test_valid_networks_pass(build):
    verify(build())


def test_all_faults_are_listed_at_once():
    net = base(LIF(tau=-1.0))
    net.connect("x", "h", Dense([[NAN] * 3] * 2), delay=-1)
    net.input("g", 1, max_payload=0)
    with pytest.raises(VerificationError) as caught:
        verify(net)
    assert [p.subject for p in caught.value.problems] == ["x->h", "x->h", "h", "g"]
    assert str(caught.value).startswith("network 'net' has 4 problems:\n  - x->h: ")


def test_one_fault_is_one_problem():
    with pytest.raises(VerificationError, match="network 'net' has 1 problem:"):
        verify(wired(delay=-1))
