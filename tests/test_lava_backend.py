"""What is special to Lava: identity to the reference through its processes, and that nothing of a run remains.

The shared suite covers the language of networks; here every route of the lowering is taken. Networks run in few children, as
the start of Python and Lava is most of the cost.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurocomp as nc
from neurocomp.backends.base import Record, Result
from neurocomp.backends.lava import Job, LavaBackend, run_jobs, try_jobs
from neurocomp.backends.lava.group import members
from neurocomp.backends.lava.match import library_lif
from neurocomp.backends.lava.replicate import replicate
from neurocomp.backends.lava.wires import wires
from neurocomp.ir.errors import BackendError, UnsupportedError
from neurocomp.ir.events import Events
from neurocomp.ir.program import StepProgram

SUPPORT = LavaBackend().available()
needs_lava = pytest.mark.skipif(not SUPPORT.ok, reason=SUPPORT.reason)
STEPS = 24
SHM = Path("/dev/shm")

pytestmark = pytest.mark.xdist_group("lava")  # one Lava child at a time: two on two cores mostly wait for each other


# ------------------------------------------------------------------------------------------------------------- networks


@dataclass(frozen=True)
class Case:
    """A network with its inputs and what the reference makes of it."""

    name: str
    net: nc.Network
    inputs: Mapping[str, Any]
    steps: int = STEPS
    accept_wrap: bool = False

    @property
    def record(self) -> list[str]:
        """Everything there is to record."""
        return ["spikes", *(f"{x.name}.{s}" for x in self.net.populations.values() for s in x.neuron.model.state)]

    def job(self) -> Job:
        """The case for `run_jobs`."""
        program = nc.compile(self.net, "reference", accept_wrap=self.accept_wrap)
        return Job(program.lowered, program._events(self.inputs, self.steps), self.steps, program._record(self.record))

    def expected(self) -> Result:
        """The reference's result."""
        job = self.job()
        return nc.compile(self.net, "reference", accept_wrap=self.accept_wrap)._executable.run(
            job.inputs, job.steps, job.record
        )


def spikes(seed: int, size: int, steps: int = STEPS, rate: float = 0.3, payload: int = 1) -> Any:
    rng = np.random.default_rng(seed)
    raster = (rng.random((steps, size)) < rate).astype(np.int64)
    return raster if payload == 1 else raster * rng.integers(-payload, payload + 1, raster.shape)


def network(name: str, integrator: str = "exponential") -> nc.Network:
    return nc.Network(name, dt=1e-3, integrator=integrator)


def models(integrator: str) -> Case:
    """Every neuron model under every reset rule, each fed by the input and feeding the next."""
    rng, net = np.random.default_rng(1), network(f"models {integrator}", integrator)
    net.input("x", 5)
    neurons = [
        neuron
        for reset in ("value", "subtract")
        for neuron in (
            nc.IF(v_threshold=0.7, reset=reset),
            nc.LIF(tau=8e-3, v_threshold=0.3, reset=reset),
            nc.CubaLIF(tau_syn=4e-3, tau_mem=9e-3, v_threshold=0.4, reset=reset),
        )
    ]
    before = None
    for k, neuron in enumerate(neurons):
        net.population(f"p{k}", neuron, 4)
        net.connect("x", f"p{k}", nc.Dense(rng.normal(0.3, 1, (4, 5))))
        if before is not None:
            net.connect(before, f"p{k}", nc.Dense(rng.normal(0, 1, (4, 4))), delay=1 + k % 2)
        before = f"p{k}"
    for k, neuron in enumerate((nc.I(), nc.LI(tau=5e-3, v_leak=0.2), nc.CubaLI(tau_syn=4e-3, tau_mem=9e-3))):
        net.population(f"o{k}", neuron, 3)
        net.connect(f"p{2 * k}", f"o{k}", nc.Dense(rng.normal(0, 1, (3, 4))))
    return Case(net.name, net, {"x": spikes(1, 5)})


def arrays() -> Case:
    """Parameters, bias and initial state per neuron; resets to other values than 0; a leak potential."""
    rng, net = np.random.default_rng(2), network("arrays")
    net.input("x", (2, 3))
    shape = (2, 2)

    def values(low: float, high: float) -> Any:
        return rng.uniform(low, high, shape)

    cuba = nc.CubaLIF(
        tau_syn=values(2e-3, 9e-3), tau_mem=values(5e-3, 2e-2), v_threshold=values(0.1, 0.4), v_leak=values(0, 0.2)
    )
    net.population("library", replace(cuba, initial={"i": values(0, 1), "v": values(0, 0.1)}), shape)
    net.population("other reset", nc.LIF(tau=5e-3, v_threshold=0.4, v_reset=values(-0.5, 0.1)), shape)
    net.population("biased", nc.LIF(tau=5e-3, v_threshold=0.2), shape, bias=values(0, 0.5))
    for name in net.populations:
        net.connect("x", name, nc.Dense(rng.normal(0.2, 1, (4, 6)), bias=0.1 if name == "biased" else None), delay=1)
    return Case(net.name, net, {"x": spikes(2, 6).reshape(-1, 2, 3)})


def delays() -> Case:
    """Uniform, per-synapse, beyond Lava's 63 steps, repeated pairs, one-to-one, and a loop."""
    rng, net = np.random.default_rng(3), network("delays")
    net.input("x", 6)
    for name in "abcde":
        net.population(name, nc.CubaLIF(tau_syn=4e-3, tau_mem=9e-3, v_threshold=0.3), 6)
    post, pre = rng.integers(0, 6, 30), rng.integers(0, 6, 30)
    sparse = nc.Sparse((rng.normal(0.3, 1, 30), (post, pre)), shape=(6, 6))
    net.connect("x", "a", nc.Dense(rng.normal(0.3, 1, (6, 6))), delay=rng.integers(1, 5, (6, 6)))
    net.connect("x", "b", sparse, delay=rng.integers(1, 90, 30))
    net.connect("a", "b", nc.OneToOne(rng.normal(0.5, 1, 6)), delay=rng.integers(1, 4, 6))
    net.connect("b", "b", sparse, delay=1)
    net.connect("b", "c", nc.Dense(rng.normal(0.2, 1, (6, 6))), delay=70)
    net.connect("a", "d", nc.OneToOne(0.7), delay=3)
    net.connect("d", "e", nc.Sparse((np.ones(0), (np.zeros(0, int), np.zeros(0, int))), shape=(6, 6)))
    net.connect("x", "e", sparse)
    return Case(net.name, net, {"x": spikes(3, 6, 100)}, 100)


def lags() -> Case:
    """A chain within one step, with skips; populations that may not evolve before their first step."""
    rng, net = np.random.default_rng(4), network("lags")
    net.input("x", 4)
    net.population("a", nc.LIF(tau=5e-3, v_threshold=0.1), 4)
    net.population("b", nc.LIF(tau=5e-3, v_threshold=0.05, v_leak=0.1), 4)
    net.population("c", nc.CubaLIF(tau_syn=3e-3, tau_mem=6e-3, v_threshold=0.05, initial={"i": 0.5}), 4)
    net.population("d", nc.LIF(tau=5e-3, v_threshold=-0.1, v_reset=-1.0), 4)
    net.population("f", nc.IF(v_threshold=-0.5, v_reset=-0.5), 4)
    chain = ["x", "a", "b", "c", "d", "f"]
    for pre, post in itertools.pairwise(chain):
        net.connect(pre, post, nc.Dense(rng.normal(0.3, 1, (4, 4))))
    net.connect("x", "c", nc.Dense(rng.normal(0.3, 1, (4, 4))))
    net.connect("c", "a", nc.Dense(rng.normal(0.1, 1, (4, 4))), delay=3)
    return Case(net.name, net, {"x": spikes(4, 4)})


def graded() -> Case:
    """Payloads of both signs, over every kind of connection."""
    rng, net = np.random.default_rng(5), network("graded")
    net.input("x", 5, max_payload=40)
    net.input("signs", 5, max_payload=2)
    net.population("a", nc.CubaLIF(tau_syn=4e-3, tau_mem=9e-3, v_threshold=0.5), 5)
    net.population("b", nc.LIF(tau=9e-3, v_threshold=0.2, reset="subtract"), 5)
    twice = (rng.normal(0, 0.2, 12), (rng.integers(0, 5, 12), rng.integers(0, 5, 12)))
    net.connect("x", "a", nc.Dense(rng.normal(0, 0.1, (5, 5))))
    net.connect("x", "a", nc.Sparse(twice, shape=(5, 5)), delay=rng.integers(0, 3, 12))
    net.connect("x", "b", nc.Dense(rng.normal(0, 0.1, (5, 5))), delay=rng.integers(1, 3, (5, 5)))
    net.connect("signs", "b", nc.OneToOne(0.4))
    return Case(net.name, net, {"x": spikes(5, 5, payload=40), "signs": spikes(6, 5) * -1})


def apart() -> Case:
    """Parts that are not connected: a driven one, a population alone, an unused input, an input without any spikes."""
    net = network("apart")
    net.input("x", 2)
    net.input("unused", 3)
    net.input("silent", 2)
    for name in ("driven", "alone", "quiet"):
        net.population(name, nc.LIF(tau=5e-3, v_threshold=0.1, v_leak=0.2 if name == "alone" else 0.0), 2)
    net.population("one", nc.IF(v_threshold=0.5), 1)
    net.connect("x", "driven", nc.OneToOne(1.0))
    net.connect("silent", "quiet", nc.OneToOne(1.0))
    net.connect("one", "one", nc.Dense([[0.7]]), delay=1)
    return Case(net.name, net, {"x": spikes(7, 2), "unused": spikes(8, 3)})


def structured(loihi: bool) -> Case:
    """A convolution and a matrix with shared columns, which Lava gets as listed synapses."""
    rng, net = np.random.default_rng(15), network(f"structured {'loihi' if loihi else 'float'}")
    net.input("x", (2, 5, 4))
    neuron = nc.LoihiLIF(du=900, dv=300, vth=40) if loihi else nc.CubaLIF(tau_syn=4e-3, tau_mem=9e-3, v_threshold=0.3)

    def weights(shape: Any) -> Any:
        return rng.integers(-90, 250, shape) if loihi else rng.normal(0.3, 1, shape)

    kept = nc.LoihiSynapse(-2, 6) if loihi else None
    convolution = nc.Conv2d(weights((3, 2, 3, 2)), input_shape=(5, 4), stride=2, padding=1)
    net.population("h", neuron, convolution.output_shape)
    net.population("y", neuron, 4)
    net.connect("x", "h", convolution, delay=2, loihi=kept)
    size = convolution.n_post
    net.connect("h", "y", nc.Dense(weights((4, 3)), columns=rng.integers(-1, 3, size)), loihi=kept)
    return Case(net.name, net, {"x": spikes(15, 40).reshape(-1, 2, 5, 4)})


def no_population() -> Case:
    net = network("input only")
    net.input("x", 2)
    return Case(net.name, net, {"x": spikes(9, 2)})


def own_model() -> Case:
    """Equations and steps of the user's: other names in the library's structure, and a structure of its own."""
    mine = nc.NeuronModel(
        "Mine",
        dict.fromkeys(("kw", "kx", "top", "low"), ""),
        step="w = w*kw + a\nx = x*kx + w",
        spike="x > top",
        resets={"r": "x = low"},
    )
    adaptive = nc.NeuronModel(
        "Adaptive",
        {"tau": "s", "b": ""},
        "dv/dt = (a - v) / tau\ndw/dt = -w / tau",
        spike="v > 0.2 + w",
        resets={"r": "v = 0; w = w + b"},
    )
    net = network("own model")
    net.input("x", 3)
    net.population("library", mine(kw=0.5, kx=0.75, top=1.0, low=0.0), 3)
    net.population("low", mine(kw=0.5, kx=0.75, top=1.0, low=-1.0), 3)
    net.population("grows", mine(kw=1.01, kx=0.75, top=1.0, low=0.0), 3)
    net.population("inexact", mine(kw=0.1 + 2**-56, kx=0.75, top=1.0, low=0.0), 3)
    net.population("adaptive", adaptive(tau=5e-3, b=0.1), 3)
    for name in net.populations:
        net.connect("x", name, nc.Dense(np.random.default_rng(10).normal(0.3, 1, (3, 3))))
    return Case(net.name, net, {"x": spikes(10, 3)})


def loihi_weights(exponent: int, bits: int) -> Case:
    """All sign modes under one exponent, over Dense, Sparse with repeated pairs, and delays; given and decided by the signs."""
    rng, net = np.random.default_rng(20 + exponent + bits), network(f"loihi exp {exponent} bits {bits}")
    net.input("x", 6)
    neuron = nc.LoihiLIF(du=900, dv=300, vth=60 if exponent < 0 else 400, bias_mant=3, bias_exp=2)
    spans = {None: (-300, 300), "mixed": (-20, 260), "excitatory": (-10, 300), "inhibitory": (-300, 10)}
    post, pre = rng.integers(0, 6, 40), rng.integers(0, 6, 40)
    for k, (mode, (low, high)) in enumerate(spans.items()):
        net.population(f"p{k}", neuron, 6)
        kept = nc.LoihiSynapse(exponent, bits, mode)
        net.connect("x", f"p{k}", nc.Dense(rng.integers(0, 200, (6, 6))), delay=1, loihi=replace(kept, sign_mode=None))
        weights = rng.integers(low, high, 40)
        net.connect("x", f"p{k}", nc.Sparse((weights, (post, pre)), shape=(6, 6)), delay=rng.integers(1, 4, 40), loihi=kept)
        net.connect(f"p{k}", f"p{k}", nc.Dense(rng.integers(low, high, (6, 6))), delay=1 + k, loihi=kept)
    return Case(net.name, net, {"x": spikes(11, 6)})


def loihi_corners() -> Case:
    """Mixed weights of which truncation leaves no positive one; payloads; lags; values per neuron; beyond 16 bits."""
    rng, net = np.random.default_rng(30), network("loihi corners")
    net.input("x", 4, max_payload=100)
    net.input("s", 4)
    net.population("a", nc.LoihiLIF(du=[0, 100, 4095, 2000], dv=[0, 50, 4095, 7], vth=[50, 90, 10, 2000]), 4)
    net.population("b", nc.LoihiLIF(du=100, dv=100, vth=20, bias_mant=[-100, 90, 3, 0], bias_exp=[1, -2, 7, 0]), 4)
    net.population("c", nc.LoihiLIF(du=10, dv=10, vth=100, initial={"u": 5000, "v": [-9, 8, 2**22, 0]}), 4)
    net.population("wraps", nc.LoihiLIF(du=0, dv=0, vth=131071), 4)
    net.connect("s", "a", nc.Dense([[-256, 1, -256, -4]] * 4), loihi=nc.LoihiSynapse(-1))
    net.connect("s", "a", nc.Dense(rng.integers(0, 255, (4, 4))))
    net.connect("x", "a", nc.Dense(rng.integers(-99, 99, (4, 4))), loihi=nc.LoihiSynapse(-3))
    net.connect("x", "b", nc.Sparse((rng.integers(-99, 99, 6), (rng.integers(0, 4, 6), rng.integers(0, 4, 6))), shape=(4, 4)))
    net.connect("a", "b", nc.Dense(rng.integers(0, 255, (4, 4))))
    net.connect("b", "c", nc.OneToOne(rng.integers(-99, 255, 4)), loihi=nc.LoihiSynapse(2))
    net.connect("x", "wraps", nc.Dense(rng.integers(-200, 255, (4, 4))), loihi=nc.LoihiSynapse(1), delay=63)
    return Case(net.name, net, {"x": spikes(12, 4, 90, payload=100), "s": spikes(13, 4, 90)}, 90, accept_wrap=True)


def loihi_own_model() -> Case:
    """Integer steps of the user's: the library's structure under other names, the same out of its range, and another."""
    lif = "i = wrap24(decay12(i, d + 1) + (a << 6))\nw = clip24(decay12(w, e) + i + shift(m, x))"
    mine = nc.NeuronModel(
        "Mine", dict.fromkeys("demxh", ""), step=lif, spike="w > h << 6", resets={"r": "w = 0"}, arithmetic="loihi"
    )
    counts = nc.NeuronModel(
        "Counts",
        {"top": ""},
        step="n = n + a\nn = max(n, 0)",
        spike="n >= top",
        resets={"r": "n = n - top"},
        arithmetic="loihi",
    )
    net = network("loihi own model")
    net.input("x", 3)
    net.population("library", mine(d=50, e=30, m=-4, x=1, h=90), 3)
    net.population("out of range", mine(d=50, e=30, m=-4, x=1, h=-2), 3)
    net.population("counts", counts(top=300), 3)
    for name in net.populations:
        net.connect("x", name, nc.Dense(np.random.default_rng(14).integers(-50, 200, (3, 3))), delay=1)
    return Case(net.name, net, {"x": spikes(14, 3)})


def random_case(seed: int, loihi: bool) -> Case:
    """A random network: any models, any connectivity, delays and loops that retiming can balance."""
    rng, net = np.random.default_rng(1000 + seed), network(f"random {'loihi' if loihi else 'float'} {seed}")
    net.integrator = str(rng.choice(["euler", "exponential", "exact"]))
    sizes = {f"x{k}": int(rng.integers(1, 7)) for k in range(rng.integers(1, 3))}
    inputs = {}
    for k, (name, size) in enumerate(sizes.items()):
        payload = int(rng.choice([1, 1, 9]))
        net.input(name, size, max_payload=payload)
        inputs[name] = spikes(seed * 10 + k, size, payload=payload)
    for k in range(int(rng.integers(1, 4))):
        sizes[f"p{k}"] = int(rng.integers(1, 7))
        net.population(f"p{k}", _random_neuron(rng, loihi), sizes[f"p{k}"], bias=0 if loihi else float(rng.choice([0, 0, 0.2])))
    names = list(sizes)
    for post in net.populations:
        for pre in rng.choice(names, int(rng.integers(1, 4))):
            source = net.node(pre)
            if isinstance(source, nc.Population) and source.neuron.model.spike is None:
                continue
            least = max(0, names.index(pre) - names.index(post) + 1)  # as many steps as the longest way back has hops
            connectivity = _random_connectivity(rng, sizes[post], sizes[pre], loihi)
            shape = connectivity.weights.shape
            delay: Any = int(rng.integers(least, least + 4)) if rng.random() < 0.6 else rng.integers(least, least + 4, shape)
            bits, mode = int(rng.integers(4, 9)), (None, "mixed", "excitatory", "inhibitory")[rng.integers(4)]
            synapse = nc.LoihiSynapse(int(rng.integers(-3, 3)), bits, mode) if loihi else None
            net.connect(str(pre), post, connectivity, delay, loihi=synapse)
    return Case(net.name, net, inputs, accept_wrap=loihi)


def _random_neuron(rng: np.random.Generator, loihi: bool) -> nc.Neuron:
    if loihi:
        du, dv, vth, mant = (int(rng.integers(0, x)) for x in (4096, 2000, 150, 9))
        return nc.LoihiLIF(du=du, dv=dv, vth=vth, bias_mant=mant, bias_exp=int(rng.integers(-2, 3)))
    reset, leak = str(rng.choice(["value", "subtract"])), float(rng.choice([0, 0, 0.1]))
    tau, threshold = float(rng.uniform(2e-3, 2e-2)), float(rng.uniform(0.01, 0.1))
    return [
        nc.IF(v_threshold=threshold, reset=reset, v_reset=-leak),
        nc.LIF(tau=tau, v_threshold=threshold, reset=reset, v_leak=leak),
        nc.CubaLIF(tau_syn=3e-3, tau_mem=tau, v_threshold=threshold, reset=reset, v_leak=leak),
        nc.LI(tau=tau, v_leak=leak),
        nc.CubaLI(tau_syn=3e-3, tau_mem=tau),
    ][int(rng.integers(0, 5))]


def _random_connectivity(rng: np.random.Generator, n_post: int, n_pre: int, loihi: bool) -> Any:
    def weights(shape: Any) -> Any:
        return rng.integers(-120, 250, shape) if loihi else rng.normal(0.5, 1, shape)

    kind = rng.integers(0, 3)
    if kind == 0:
        return nc.Dense(weights((n_post, n_pre)))
    if kind == 1 and n_post == n_pre:
        return nc.OneToOne(weights(n_pre))
    count = int(rng.integers(1, 2 * n_post * n_pre + 1))
    return nc.Sparse((weights(count), (rng.integers(0, n_post, count), rng.integers(0, n_pre, count))), shape=(n_post, n_pre))


CASES: dict[str, Callable[[], Case]] = {
    **{f"models-{x}": partial(models, x) for x in ("euler", "exponential", "exact")},
    "arrays": arrays,
    "delays": delays,
    "lags": lags,
    "graded": graded,
    "apart": apart,
    "no-population": no_population,
    "own-model": own_model,
    "structured": partial(structured, False),
    "loihi-structured": partial(structured, True),
    **{f"loihi{e}/{b}": partial(loihi_weights, e, b) for e, b in ((0, 8), (3, 6), (-4, 8), (-2, 5))},
    "loihi-corners": loihi_corners,
    "loihi-own-model": loihi_own_model,
    **{f"random-{k}": partial(random_case, k, False) for k in range(14)},
    **{f"random-loihi-{k}": partial(random_case, k, True) for k in range(8)},
}


@cache
def outcomes() -> dict[str, Result | BackendError]:
    """All cases through one child."""
    return dict(zip(CASES, try_jobs([CASES[name]().job() for name in CASES]), strict=True))


# ------------------------------------------------------------------------------------------------------------- identity


def assert_same(got: Result, wanted: Result) -> None:
    assert got.counters == wanted.counters
    assert got.spikes.keys() == wanted.spikes.keys()
    for name, events in wanted.spikes.items():
        mine = got.spikes[name]
        assert mine.same_as(events), f"spikes of {name} differ"
        assert (mine.shape, mine.steps) == (events.shape, events.steps)
        assert (mine.payload is None) == (events.payload is None)
    assert got.states.keys() == wanted.states.keys()
    for key, trace in wanted.states.items():
        assert got.states[key].dtype == trace.dtype
        assert np.array_equal(got.states[key], trace), f"trace of {key} differs"


@needs_lava
@pytest.mark.parametrize("name", CASES)
def test_identical_to_the_reference(name: str) -> None:
    got, wanted = outcomes()[name], CASES[name]().expected()
    assert isinstance(got, Result), got
    assert_same(got, wanted)


def test_cases_are_alive() -> None:
    """Silent networks would prove nothing."""
    counts = {
        name: sum(made().expected().counters.spikes.get(x, 0) for x in made().net.populations) for name, made in CASES.items()
    }
    random = [count for name, count in counts.items() if name.startswith("random")]
    assert sum(count > 0 for count in random) > len(random) / 2
    assert all(count > 0 for name, count in counts.items() if not name.startswith("random") and name != "no-population"), counts


@needs_lava
def test_front_door_and_repeat() -> None:
    case = models("exponential")
    program = nc.compile(case.net, "lava", timeout=60)
    first, second = (program.run(case.inputs, record=["p0", "p2.v"]) for _ in range(2))
    wanted = nc.compile(case.net, "reference").run(case.inputs, record=["p0", "p2.v"])
    for got in (first, second):
        assert got.counters == wanted.counters
        assert set(got.spikes) == {"p0"}
        assert got["p0"].same_as(wanted["p0"])
        assert np.array_equal(got["p2.v"], wanted["p2.v"])


# ------------------------------------------------------------------------------------------------------------- lowering


def process_of(case: Case) -> dict[str, bool]:
    return {name: library_lif(x) is not None for name, x in case.job().net.populations.items()}


def test_library_process_where_it_fits() -> None:
    library = {name for name, fits in process_of(models("exponential")).items() if fits}
    assert library == {"p0", "p1", "p2", "o0", "o2"}  # value resets and integrators; o1 leaks to 0.2 and lags
    assert not any(fits for name, fits in process_of(models("exact")).items() if name in ("p2", "p5", "o2"))
    assert process_of(arrays()) == {"library": True, "other reset": False, "biased": False}
    assert process_of(own_model()) == {"library": True, "low": False, "grows": False, "inexact": False, "adaptive": False}
    assert process_of(loihi_own_model()) == {"library": True, "out of range": False, "counts": False}
    assert all(process_of(loihi_weights(0, 8)).values())


def test_lagging_populations_use_the_library_only_at_rest() -> None:
    assert process_of(lags()) == {"a": True, "b": False, "c": False, "d": False, "f": False}


def test_wires_hold_every_synapse_once() -> None:
    for case in (delays(), loihi_corners()):
        net = case.job().net
        made = wires(net)
        assert all(x.delays is None or x.delays.max() <= 63 for x in made)
        total = sum(x.weights.size if isinstance(x.weights, np.ndarray) else x.weights.nnz for x in made)
        assert total == sum(len(x.connectivity) for x in net.projections.values())
        assert any(x.wait for x in made) == (case.name == "delays")


# ---------------------------------------------------------------------------------------------------------------- batch


@needs_lava
@pytest.mark.parametrize(
    "make",
    [delays, graded, arrays, partial(loihi_weights, -4, 8), partial(structured, True)],
    ids=["delays", "graded", "arrays", "loihi", "structured"],
)
def test_batch_equals_single_runs(make: Callable[[], Case], monkeypatch: pytest.MonkeyPatch) -> None:
    case = make()
    samples = [{name: np.roll(data, k, axis=0) for name, data in case.inputs.items()} for k in range(5)]
    program, reference = nc.compile(case.net, "lava"), nc.compile(case.net, "reference")
    monkeypatch.setattr(type(program._executable), "_copies", lambda self, steps, record: 3)
    got = program._executable.run_batch(
        [program._events(x, case.steps) for x in samples], case.steps, program._record(case.record)
    )
    wanted = reference._executable.run_batch(
        [reference._events(x, case.steps) for x in samples], case.steps, reference._record(case.record)
    )
    assert len(got) == 5
    for mine, its in zip(got, wanted, strict=True):
        assert_same(mine, its)


def test_replicated_network_is_a_network() -> None:
    net = arrays().job().net
    copies = replicate(net, 3)
    nc.verify(copies)
    assert copies.populations["library"].shape == (3, 2, 2)
    assert net.populations["library"].shape == (2, 2)


def test_batch_of_nothing() -> None:
    assert LavaBackend().lower(apart().job().net).run_batch([], 5, Record()) == []


# ------------------------------------------------------------------------------------------------------ errors and ends


@pytest.fixture
def private(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary folder of our own; of what runs in it, no process, shared memory or file may remain."""
    segments = set(SHM.glob("psm_*"))
    with tempfile.TemporaryDirectory(prefix="nct-") as name:
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield Path(name)
        assert not _processes(name)
        assert not list(Path(name).glob("nc-lava-*"))
        assert _until(lambda: not _orphans(segments), 5), _orphans(segments)


def _processes(folder: str | Path) -> set[int]:
    """Ids of the children of a folder's runs and of all they forked (forks keep the command line)."""
    wanted = {f"neurocomp.backends.lava.child\0{folder}/".encode()}
    return {pid for pid, line in _proc("cmdline") if any(x in line for x in wanted)}


def _orphans(before: set[Path]) -> set[Path]:
    """Shared memory that appeared since and that no process has mapped (others may run Lava at the same time)."""
    new = set(SHM.glob("psm_*")) - before
    used = b"".join(text for _, text in _proc("maps")) if new else b""
    return {x for x in new if str(x).encode() not in used and x.exists()}


def _proc(what: str) -> Iterator[tuple[int, bytes]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                yield int(entry.name), (entry / what).read_bytes()


def small(name: str = "small") -> Case:
    net = network(name)
    net.input("x", 2)
    net.population("p", nc.LIF(tau=5e-3, v_threshold=0.1), 2)
    net.connect("x", "p", nc.Dense([[1.0, 0.0], [0.0, 1.0]]))
    return Case(name, net, {"x": spikes(40, 2)})


def broken() -> Job:
    """A population whose program lacks its constants: an error inside one of Lava's processes, before it sends."""
    job = models("euler").job()
    population = job.net.populations["p4"]
    assert population.program is not None
    program = StepProgram(population.program.form, {}, population.program.initial)
    return replace(job, net=job.net.with_changes({"p4": replace(population, program=program)}))


def endless(name: str = "endless") -> Job:
    job = small(name).job()
    return replace(job, steps=10**6)


@needs_lava
def test_run_leaves_nothing(private: Path) -> None:
    case = small()
    nc.compile(case.net, "lava").run(case.inputs)


@needs_lava
def test_errors_and_hangs_stay_with_their_job(private: Path) -> None:
    case = small()
    first, failed, hung, last = try_jobs([case.job(), broken(), endless(), case.job()], timeout=6)
    for result in (first, last):
        assert isinstance(result, Result)
        assert_same(result, case.expected())
    assert isinstance(failed, BackendError)
    assert all(x in str(failed) for x in ("models euler", "KeyError", "run_spk")), failed
    assert isinstance(hung, BackendError)
    assert all(x in str(hung) for x in ("endless", "within 6 s", "timeout=")), hung


@needs_lava
def test_death_of_a_lava_process_is_reported(private: Path) -> None:
    def kill_one() -> None:
        assert _until(lambda: len(_processes(private)) >= 8)
        time.sleep(0.5)
        os.kill(max(_processes(private)), signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    (result,) = try_jobs([endless()], timeout=60)
    killer.join()
    assert isinstance(result, BackendError)
    assert "1 of Lava's processes ended with status -9" in str(result)


@needs_lava
def test_run_jobs_raises_the_first_error(private: Path) -> None:
    with pytest.raises(BackendError, match=r"within 0\.05 s"):
        run_jobs([small().job()], timeout=0.05)


@needs_lava
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL], ids=["interrupt", "kill"])
def test_end_of_the_parent_ends_everything(end: signal.Signals, private: Path) -> None:
    code = "import test_lava_backend as t; t.run_jobs([t.endless()])"  # elsewhere, as if installed
    path = os.pathsep.join([str(Path(__file__).parent), *(os.path.abspath(x) for x in sys.path)])
    environment = {**os.environ, "PYTHONPATH": path, "TMPDIR": str(private)}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, cwd=private, stderr=subprocess.PIPE) as parent:
        assert _until(lambda: len(_processes(private)) >= 5), "Lava's processes did not start"
        group = os.getpgid(next(iter(_processes(private))))
        parent.send_signal(end)
        _, errors = parent.communicate(timeout=20)
    assert _until(lambda: not members(group))
    assert parent.returncode != 0
    if end == signal.SIGINT:
        assert b"KeyboardInterrupt" in errors
    for folder in private.glob("nc-lava-*"):  # a killed parent cannot remove its files
        assert end == signal.SIGKILL
        shutil.rmtree(folder)


def _until(holds: Callable[[], bool], seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


# ------------------------------------------------------------------------------------------------------------ front door


def test_lava_is_not_imported_here() -> None:
    code = (
        "import sys, neurocomp as nc; from neurocomp.backends import lava; lava.LavaBackend().available(); "
        "print([x for x in sys.modules if x.partition('.')[0] == 'lava'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_with_path())
    assert done.stdout.strip() == "[]"


def _with_path() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(x) for x in sys.path)}


def test_what_is_missing_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neurocomp.backends.lava.executable.find_spec", lambda name: None)
    with pytest.raises(UnsupportedError, match=r"pip install --no-deps --ignore-requires-python lava-nc==0\.10\.0"):
        nc.compile(small().net, "lava")


@needs_lava
def test_refusals_name_their_reason() -> None:
    program = nc.compile(small().net, "lava")
    with pytest.raises(UnsupportedError, match="closed loops"):
        program.step()
    with pytest.raises(UnsupportedError, match="positive number of seconds"):
        nc.compile(small().net, "lava", timeout=-1)
    with pytest.raises(UnsupportedError, match="timeout: seconds"):
        nc.compile(small().net, "lava", threads=2)


def test_inputs_left_out_are_silent() -> None:
    job = small().job()
    events = Events(np.zeros(0, np.int64), np.zeros(0, np.int64), (2,), STEPS)
    if SUPPORT.ok:
        silent, given = run_jobs([replace(job, inputs={}), replace(job, inputs={"x": events})])
        assert silent.counters == given.counters
        assert silent.spikes["x"].same_as(given.spikes["x"])
