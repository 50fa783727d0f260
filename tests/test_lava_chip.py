"""What users with a chip get: uniform processes that compute the same, and reasons for neurons of one's own."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest

import neurocomp as nc
from neurocomp.backends.lava.chip import custom_reason, groups, uniform
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
        graph = nc.compile(net, "lava").lava_processes({"x": ([0], [1])}, 4)
        print([(type(p).__name__, p.du.init, ids.tolist()) for p, ids in graph["neurons"]["y"]])
        print(sorted(type(p).__name__ for p in graph["connections"]), list(graph["sources"]))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.strip().splitlines()
    assert lines[0] == "[('LIF', 0, [0, 2]), ('LIF', 9, [1])]"
    assert lines[1] == "['Dense', 'Dense', 'Dense', 'Dense', 'Dense', 'Dense'] ['x']"


def test_other_targets_have_no_processes():
    with pytest.raises(nc.errors.UnsupportedError, match="target='lava'"):
        nc.compile(CASES["chain"].network, "cpu").lava_processes()
