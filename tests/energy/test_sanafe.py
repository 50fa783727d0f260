"""Equality with SANA-FE 2.2.9 on its own Loihi profile: the same networks, spikes and cores, every component to 1e-9.

SANA-FE is GPL and runs as another program, in an environment of its own whose Python is named by NEUROCOMP_SANAFE_PYTHON.
Its neurons update as v = trunc(64 leak v)/64 + bias + input; weights here are multiples of 1/64, so that both are exact.
"""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import neurocomp as nc
from neurocomp.energy.profile import Profile
from neurocomp.ir.chips import Chip

SCRIPT = Path(__file__).with_name("simulate_sanafe.py")
PYTHON = os.environ.get("NEUROCOMP_SANAFE_PYTHON", "")
PROFILE = "loihi1-sanafe"
UNITS = {"synop.dense": "loihi_dense_synapse", "synop.sparse": "loihi_sparse_synapse", "synop.conv": "loihi_conv_synapse"}
CLOSE = 1e-9
LONGEST = 70  # steps; inputs are silent from step 40 on

SANAFE_LIF = nc.NeuronModel(
    "SanafeLIF",
    parameters={"leak": "", "v_threshold": ""},
    step="""
        x = 64.0 * leak * v
        v = where(x >= 0.0, round(x - 0.375), round(x + 0.375)) / 64.0 + a
    """,
    spike="v > v_threshold",
    resets={"value": "v = 0.0"},
)


def weights(rng, shape, low=-0.5, high=1.0):
    return rng.integers(int(64 * low), int(64 * high), shape, endpoint=True) / 64.0


def listed(rng, post, pre, chance, **span):
    keep = rng.random((post, pre)) < chance
    return nc.Sparse(np.where(keep, np.where((w := weights(rng, (post, pre), **span)) == 0, 1 / 64, w), 0.0))


def lif(leak=0.75, threshold=1.0):
    return SANAFE_LIF(leak=leak, v_threshold=threshold)


def dense_layers(rng):
    net = nc.Network("dense layers", dt=1e-3)
    net.input("x", 16)
    net.population("h", lif(), 64)
    net.population("y", lif(0.5), 10)
    net.connect("x", "h", nc.Dense(weights(rng, (64, 16), 0.0)), delay=1)
    net.connect("h", "y", nc.Dense(weights(rng, (10, 64), -0.2, 0.3)), delay=1)
    return net


def recurrent(rng):
    net = nc.Network("recurrent", dt=1e-3)
    net.input("x", 30)
    net.population("e", lif(), 120)
    net.population("i", lif(0.5, 1.5), 30)
    for pre, post, low, high in (("x", "e", 0.2, 1), ("e", "e", 0, 0.3), ("e", "i", 0, 0.5), ("i", "e", -1, -0.2)):
        sizes = [net.node(name).size for name in (post, pre)]
        net.connect(pre, post, listed(rng, *sizes, 0.2, low=low, high=high), delay=1)
    return net


def convolution(rng):
    net = nc.Network("convolution", dt=1e-3)
    net.input("x", (1, 10, 10))
    net.population("c", lif(), (4, 8, 8))
    net.population("y", lif(0.5), 5)
    net.connect("x", "c", nc.Conv2d(weights(rng, (4, 1, 3, 3)), (10, 10)), delay=1)
    net.connect("c", "y", nc.Dense(weights(rng, (5, 256), -0.1, 0.1)), delay=1)
    return net


def biased(rng):
    net = nc.Network("biased", dt=1e-3)
    net.population("p", lif(1.0, 2.0), 50, bias=np.repeat([0.25, 0.0], 25))
    net.population("q", lif(0.5, 0.9), 40)
    net.connect("p", "q", listed(rng, 40, 50, 0.3), delay=1)
    pairs = (rng.integers(25, 50, 60), rng.integers(0, 40, 60))  # onto those without a bias, which keep silent
    net.connect("q", "p", nc.Sparse((weights(rng, 60, -0.3, 0.1), pairs), (50, 40)), delay=1)
    return net


def one_to_one(rng):
    net = nc.Network("cancelling", dt=1e-3)
    net.input("x", 40)
    net.population("p", lif(0.5, 3.0), 40)
    net.population("q", lif(), 40)
    net.connect(
        "x", "p", nc.Sparse((np.tile([1.0, -1.0], 40), (np.repeat(np.arange(40), 2), np.repeat(np.arange(40), 2))), (40, 40)), 1
    )
    net.connect("x", "q", nc.OneToOne(1.25), delay=1)
    net.connect("q", "p", nc.OneToOne(3.5), delay=1)
    net.connect("p", "q", nc.OneToOne(0.5), delay=1)
    return net


def wide(rng):
    net = nc.Network("wide", dt=1e-3)
    net.input("x", 50)
    net.population("h", lif(), 1500)
    net.population("y", lif(), 20)
    net.connect("x", "h", listed(rng, 1500, 50, 0.1, low=0.1, high=1.0), delay=1)
    net.connect("h", "y", listed(rng, 20, 1500, 0.2, low=-0.3, high=0.3), delay=1)
    return net


NETWORKS = {f.__name__: f for f in (dense_layers, recurrent, convolution, biased, one_to_one, wide)}


class Case:
    """A network, a run of it that ends when nothing is on its way, and where its neurons and inputs lie."""

    def __init__(self, name, compartments, entry):
        rng = np.random.default_rng(7)
        self.net, self.entry = NETWORKS[name](rng), entry
        self.program = nc.compile(self.net, "reference")
        inputs = {x.name: rng.random((LONGEST, *x.shape)) < 0.15 for x in self.net.inputs.values()}
        for raster in inputs.values():
            raster[40:] = False
        whole = self.program.run(inputs, LONGEST)
        sent = sum(np.bincount(whole.spikes[x].times, minlength=LONGEST) for x in self.net.nodes if self.net.outgoing(x))
        # SANA-FE charges what the last step sends, a run of ours ends before it arrives: end where nobody sent anything
        self.steps = int(np.flatnonzero(sent == 0)[-1]) + 1
        assert self.steps > 30, f"{name} is never quiet"
        self.recording = self.program.run({x: raster[: self.steps] for x, raster in inputs.items()}, self.steps)
        chip = replace(Chip.load("loihi1"), compartments=compartments, custom_neurons=True)
        self.placement = nc.place(self.program.lowered, chip, recording=self.recording)

    def description(self):
        """As `simulate_sanafe.py` takes it."""
        groups = []
        for name, node in self.net.nodes.items():
            if name in self.net.inputs:
                events = self.recording.spikes[name]
                trains = [events.times[events.ids == k].tolist() for k in range(node.size)]
                tile = self.entry[0] * 4 + self.entry[1]
                groups.append({"name": name, "cores": [[tile, 3]] * node.size, "unit": UNITS["synop.dense"], "spikes": trains})
                continue
            cores = [self.placement.cores[k] for k in self.placement.core_of(name)]
            where = [[x.tile[0] * 4 + x.tile[1], x.number % 4] for x in cores]
            (unit,) = {UNITS[kind(x.connectivity)] for x in self.net.incoming(name)}
            numbers = {"threshold": float(node.neuron.parameters["v_threshold"]), "leak": float(node.neuron.parameters["leak"])}
            bias = np.broadcast_to(node.bias, node.size).tolist()
            groups.append({"name": name, "cores": where, "unit": unit, "bias": bias, **numbers})
        projections = []
        for x in self.net.projections.values():
            pre, post = x.connectivity.synapses()
            edges = list(zip(pre.tolist(), post.tolist(), x.connectivity.values().tolist(), strict=True))
            projections.append({"pre": x.pre, "post": x.post, "edges": edges})
        return {"groups": groups, "projections": projections, "steps": self.steps}

    def report(self):
        return nc.energy(self.program, self.recording, PROFILE, placement=self.placement, entry=self.entry, pace="fast")


def kind(connectivity):
    if isinstance(connectivity, nc.Dense):
        return "synop.dense"
    return "synop.conv" if isinstance(connectivity, nc.Conv2d) else "synop.sparse"


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Our case and SANA-FE's result, by network; all in one process of SANA-FE."""
    if not PYTHON:
        pytest.skip("NEUROCOMP_SANAFE_PYTHON does not name the Python of an environment with sanafe==2.2.9")
    spread = {"dense_layers": 8, "recurrent": 10, "convolution": 30, "biased": 12, "one_to_one": 5, "wide": 1024}
    cases = {name: Case(name, size, (k % 8, k % 4)) for k, (name, size) in enumerate(spread.items())}
    target = tmp_path_factory.mktemp("sanafe") / "found.json"
    text = json.dumps([case.description() for case in cases.values()])
    subprocess.run([PYTHON, SCRIPT, target], input=text, text=True, check=True, capture_output=True, timeout=300)
    return dict(zip(cases, zip(cases.values(), json.loads(target.read_text()), strict=True), strict=True))


@pytest.mark.parametrize("name", NETWORKS)
def test_components_are_sanafes(found, name):
    case, theirs = found[name]
    for node in case.net.nodes:
        mine = list(zip(case.recording.spikes[node].times.tolist(), case.recording.spikes[node].ids.tolist(), strict=True))
        assert sorted(map(tuple, theirs["trace"][node])) == mine, f"spikes of {node}"
    report, counts = case.report(), case.report().activity.counts()
    assert sum(counts.get(x, 0) for x in UNITS) == theirs["spikes"]
    assert counts.get("message", 0) + counts.get("message.input", 0) == theirs["packets_sent"]
    inputs = sum(len(case.recording.spikes[x]) for x in case.net.inputs)
    assert counts["neuron.active"] + inputs == theirs["neurons_updated"]
    components = report.components
    assert components["synapse"].value == pytest.approx(theirs["energy"]["synapse"], rel=CLOSE)
    assert components["neuron"].value == pytest.approx(theirs["energy"]["soma"], rel=CLOSE)
    assert components["network"].value == pytest.approx(theirs["energy"]["network"], rel=CLOSE)
    assert report.dynamic.value == pytest.approx(theirs["energy"]["total"], rel=CLOSE)


@pytest.mark.parametrize("name", NETWORKS)
def test_step_times_are_near_sanafes(found, name):
    """Its "simple" timing has the same form, but charges each message with the updates since the last one, and counts the tile
    of the inputs: within 10 %, and no equality is claimed.
    """
    case, theirs = found[name]
    assert case.report().timing.steps[0].sum() == pytest.approx(theirs["sim_time"], rel=0.1)


def test_every_kind_of_event_happened(found):
    """So that the equality above says something about each price."""
    happened = set().union(*(case.report().activity.counts() for case, _ in found.values()))
    assert happened >= {
        *UNITS,
        "neuron.active",
        "neuron.inactive",
        "neuron.spike",
        "message",
        "message.input",
        "hop.x",
        "hop.y",
    }
    assert all(len(case.placement.cores) > 1 for case, _ in found.values())


def test_the_profile_is_the_file_of_sanafe(found):
    """Every constant as SANA-FE's own file has it."""
    code = "import pathlib, sanafe; print((pathlib.Path(sanafe.__file__).parent / 'examples' / 'loihi.yaml').read_text())"
    text = subprocess.run([PYTHON, "-c", code], check=True, text=True, capture_output=True, timeout=60).stdout
    written = {
        float(line.split(":")[1])
        for line in text.splitlines()
        if line.strip().startswith(("energy_", "latency_")) and "{" not in line
    }
    profile = Profile.load(PROFILE)
    priced = [x.value for name, x in (*profile.energy.items(), *profile.time.items()) if name != "neuron.random"]
    assert all(any(np.isclose(value, other, rtol=1e-12) for other in written) for value in priced)
