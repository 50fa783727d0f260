"""What users with a chip get: uniform processes that compute the same, and reasons for neurons of one's own."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest

import neurocomp as nc
from neurocomp.backends.lava.chip import by_projection, custom_reason, groups, uniform
from neurocomp.backends.lava.wires import wires
from neurocomp.backends.reference import ReferenceBackend
from neurocomp.conformance import CASES

NAMES = [
    "CubaLIF-value-euler",
    "loihi-heterogeneous",
    "conv-stride",
    "multapses",
    "Dense-delay-each",
    "graded-Sparse",
    "mutual",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_split_network_computes_the_same(name):
    case = CASES[name]
    program = nc.compile(case.network, "reference", **case.options)
    whole = program.run(case.inputs, case.steps)
    split, parts = uniform(program.lowered)
    events, steps, _ = program.prepare(case.inputs, case.steps)
    everything = nc.compile(case.network, "reference", **case.options).prepare({}, case.steps)[2]
    record = type(everything)(spikes=tuple(split.populations))
    result = ReferenceBackend().lower(split).run(events, steps, record)
    for population, pieces in parts.items():
        raster = np.zeros((case.steps, split.nodes[pieces[0][0]].size if len(pieces) == 1 else whole[population].size), int)
        for part, ids in pieces:
            raster[:, ids] = result.spikes[part].raster().reshape(case.steps, -1)
        assert np.array_equal(raster, whole[population].raster().reshape(case.steps, -1))


def test_groups_have_one_du_dv_and_vth_each():
    net = nc.Network("mixed", dt=1e-3)
    net.population("y", nc.LoihiLIF(du=[1, 2, 1, 2], dv=0, vth=[5, 5, 5, 6]), 4)
    population = nc.compile(net, "reference").lowered.populations["y"]
    assert [ids.tolist() for ids in groups(population)] == [[0, 2], [1], [3]]


@pytest.mark.parametrize(
    ("neuron", "bias", "reason"),
    [
        (nc.LIF(tau=1e-2), 0.0, None),
        (nc.CubaLIF(tau_syn=1e-2, tau_mem=1e-2), 0.0, None),
        (nc.LoihiLIF(du=1, dv=1, vth=1), 0.0, None),
        (nc.LIF(tau=1e-2, reset="subtract"), 0.0, "subtraction"),
        (nc.LIF(tau=1e-2, v_reset=0.1), 0.0, "other than zero"),
        (nc.LIF(tau=1e-2), 1.0, "bias"),
        (nc.SinabsIF(reset="value"), 0.0, "SinabsIF"),
    ],
)
def test_what_needs_a_neuron_of_its_own_is_said(neuron, bias, reason):
    net = nc.Network("one", dt=1e-3)
    net.population("y", neuron, 2, bias=bias)
    found = custom_reason(nc.compile(net, "reference").lowered.populations["y"])
    assert (found is None) if reason is None else reason in found


def test_explain_names_the_processes(lava):
    text = nc.compile(CASES["CubaLIF-subtract-exact"].network, "lava").explain()
    assert "[lava] h: generated process, a neuron of one's own on Loihi 2" in text
    assert "[lava] y: library LIF, maps to Loihi; on Loihi as 4 processes" in text


def test_the_process_graph_is_handed_over_unrun(lava):
    code = """
        import numpy as np, neurocomp as nc
        net = nc.Network("chip", dt=1e-3)
        net.input("x", 3)
        net.population("y", nc.LoihiLIF(du=[0, 9, 0], dv=1, vth=5), 3)
        net.connect("x", "y", nc.Dense(np.full((3, 3), 40.0)), delay=1)
        net.connect("y", "y", nc.Dense(np.full((3, 3), 2.0)), delay=1)
        graph = nc.compile(net, "lava", accept_wrap=True).lava_processes({"x": ([0], [1])}, 4)
        print([(type(p).__name__, p.du.init, ids.tolist()) for p, ids in graph["neurons"]["y"]])
        print({n: [type(p).__name__ for p in made] for n, made in graph["connections"].items()}, list(graph["sources"]))
        print([x.s_in.in_connections[0].process for x in graph["connections"]["x->y"]] == [graph["sources"]["x"]] * 2)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.strip().splitlines()
    assert lines[0] == "[('LIF', 0, [0, 2]), ('LIF', 9, [1])]"
    assert lines[1] == "{'x->y': ['Dense', 'Dense'], 'y->y': ['Dense', 'Dense', 'Dense', 'Dense']} ['x']"
    assert lines[2] == "True"


def test_a_loihi_rule_is_handed_over_as_learning_dense(lava):
    code = """
        import numpy as np, neurocomp as nc
        rule = nc.LoihiRule("0.25*x1*y0", x1_impulse=16, x1_tau=10, rng_seed=7)
        net = nc.Network("chip", dt=1e-3)
        net.input("x", 3)
        net.population("y", nc.LoihiLIF(du=4095, dv=1, vth=[5, 9, 5]), 3)
        net.connect("x", "y", nc.Dense(np.full((3, 3), 40.0)), delay=1, plasticity=rule)
        net.connect("y", "y", nc.Sparse(np.roll(np.eye(3), 1, 0)), delay=1, plasticity=rule, name="own")
        graph = nc.compile(net, "lava", accept_wrap=True).lava_processes({"x": ([0], [1])}, 4)
        first = graph["connections"]["x->y"][0]
        print({n: [type(p).__name__ for p in made] for n, made in graph["connections"].items()})
        print(first.proc_params["learning_rule"].dw_str, first.proc_params["learning_rule"].rng_seed, first.weights.shape)
        print([x.process is graph["neurons"]["y"][0][0] for x in first.s_in_bap.in_connections])
        print(graph["notes"][0])
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.strip().splitlines()
    assert lines[0] == "{'x->y': ['LearningDense', 'LearningDense'], 'own': []}"
    assert lines[1:3] == ["2^-2*y0*x1 7 (2, 3)", "[True]"]
    said = "own: 3 of 3 parts learn in generated processes, which are not among these: in a LearningDense every pair of neurons"
    assert lines[3].startswith(said)


def convolution(delay=1, neuron=None, weight_exp=0, **options):
    """x -> h, a convolution in Loihi's integers, compiled."""
    layer = nc.Conv2d(np.full((2, 1, 3, 3), 9.0), (6, 6), **options)
    net = nc.Network("conv", dt=1e-3)
    net.input("x", (1, 6, 6))
    net.population("h", neuron or nc.LoihiLIF(du=4095, dv=9, vth=9), layer.output_shape)
    net.connect("x", "h", layer, delay=delay, loihi=nc.LoihiSynapse(weight_exp=weight_exp))
    net.connect("h", "h", nc.OneToOne(2.0), delay=1)
    return nc.compile(net, "reference").lowered


def named(net):
    """`by_projection` with numbers as processes."""
    return by_projection(net, range(len(wires(uniform(net)[0]))))


def test_a_shared_convolution_is_one_process_without_a_note():
    assert named(convolution()) == ({"x->h": [0], "h->h": [1]}, [])


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"delay": 3}, "Lava's Conv takes one step, and its delay is up to 3"),
        ({"weight_exp": -2}, "a negative one rounds every sum"),
        ({"dilation": 2}, "takes no dilation"),
    ],
)
def test_an_expanded_convolution_is_noted_with_the_reason(options, reason):
    net = convolution(**options)
    found, (note,) = named(net)
    assert found == {"x->h": [0], "h->h": [1]}
    synapses = len(net.projections["x->h"].connectivity)
    assert note.startswith(f"x->h: its convolution was expanded into a Sparse process of {synapses} synapses in all")
    assert "instead of sharing 18 weights" in note
    assert reason in note


def test_a_convolution_onto_a_split_population_is_expanded_for_each_part():
    net = convolution(neuron=nc.LoihiLIF(du=4095, dv=9, vth=np.arange(32).reshape(2, 4, 4) % 2))
    found, (note,) = named(net)
    assert found == {"x->h": [0, 1], "h->h": [2, 3]}  # one to one: no synapses between the parts
    assert "2 Sparse processes of 288 synapses in all" in note
    assert "'h' is 2 processes, one for each different du, dv and vth" in note


def test_other_targets_have_no_processes():
    with pytest.raises(nc.errors.UnsupportedError, match="target='lava'"):
        nc.compile(CASES["chain"].network, "cpu").lava_processes()
