"""Random networks run by Brian2 and by NEST, each in its own environment: their spikes are ours, step by step.

    python3.12 -m venv .venv-brian2 && .venv-brian2/bin/pip install brian2
    python3 -m venv .venv-nest && .venv-nest/bin/pip install nest-simulator

NEUROCOMP_BRIAN2_PYTHON and NEUROCOMP_NEST_PYTHON name other interpreters.

Both simulators integrate these models exactly, as we do, so that nothing but rounding differs. What has to be translated is
the order of events in a step:

* Brian2 updates states, then tests thresholds, then runs synapses, then resets: what arrives in step t first moves the voltage
  in step t + 1. So do our models with receptors (ExpLIF, AlphaLIF). Inputs of the others act in their own step: their synapses
  run at another time of Brian2's step, at its end where the next step holds the input (CubaLIF, CubaLI, ResonateFire), right
  after its state update where an input moves the voltage itself (IF, LIF, LI, ALIF). Either way that is one step of the delay.
* We count a refractory period in steps after the spike's, Brian2 in steps from spike to first free step: one more.
* NEST gives a spike of our step t the time (t + 1) dt, the end of the step. All else is the same.

Weights and currents are chosen such that our grid (31 bits here) does not move them; see docs/numbers.md.

Nonlinear models are stepped by first-order methods on both sides: Brian2 takes all equations from the state of the step
before, ours take them one after the other, each from the newest values. Spike times then differ by what the methods do, in
proportion to dt. So the tests ask for the same number of spikes, for times within a tolerance, and that a quarter of the step
leaves at most about a quarter of the difference: both come to the same solution.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

import neurocomp as nc

HERE = Path(__file__).resolve().parent
DT = 1e-4
NETS = 12
COARSE = 40e-6  # seconds, the larger step of nonlinear models
TARGETS = ("reference", "cpu")

# ------------------------------------------------------------------------------------------------------------------ networks


def leaky(rng):
    drawn = {"r": (0.5, 2.0), "v_leak": (-0.2, 0.2), "v_threshold": (0.9, 1.1), "v_reset": (-0.3, 0.1), "tau": (5e-3, 30e-3)}
    return {name: rng.uniform(*span) for name, span in drawn.items()}


def perfect(rng):
    return {name: value for name, value in leaky(rng).items() if name not in ("v_leak", "tau")}


def two_stage(rng):
    given = leaky(rng)
    return given | {"tau_mem": given.pop("tau"), "tau_syn": rng.uniform(2e-3, 4e-3), "w_in": rng.uniform(0.5, 2.0)}


def adaptive(rng):
    return leaky(rng) | {"tau_adapt": rng.uniform(30e-3, 90e-3), "beta": rng.uniform(0.05, 0.4)}


def resonant(rng):
    drawn = {
        "damping": (5.0, 40.0),
        "omega": (200.0, 900.0),
        "gain": (0.5, 2.0),
        "x_reset": (-0.5, 0.5),
        "y_reset": (-1.0, 0.9),
    }
    return {name: rng.uniform(*span) for name, span in drawn.items()} | {"threshold": 1.0}


def with_receptors(rng):
    drawn = {"c_m": (0.2e-9, 1e-9), "tau_mem": (10e-3, 30e-3), "tau_exc": (1e-3, 4e-3), "tau_inh": (5e-3, 9e-3)}
    drawn |= {"v_leak": (-72e-3, -65e-3), "v_threshold": (-55e-3, -50e-3), "v_reset": (-75e-3, -65e-3)}
    return {name: rng.uniform(*span) for name, span in drawn.items()}


def silent(draw):
    return lambda rng: {name: value for name, value in draw(rng).items() if name not in ("v_threshold", "v_reset")}


@dataclass(frozen=True)
class Case:
    """weight, current, t_ref: about the largest; a current of IF is per second, t_ref is in steps."""

    model: nc.NeuronModel
    parameters: Callable[[np.random.Generator], dict[str, float]]
    weight: float
    current: float
    t_ref: int = 0


CASES = {
    "IF": Case(nc.IF, perfect, 0.2, 50.0),
    "LIF": Case(nc.LIF, leaky, 0.2, 1.4),
    "LIF-refractory": Case(nc.LIF, leaky, 0.2, 1.6, t_ref=30),
    "CubaLIF": Case(nc.CubaLIF, two_stage, 16.0, 2.2),
    "CubaLIF-refractory": Case(nc.CubaLIF, two_stage, 16.0, 2.4, t_ref=30),
    "ALIF": Case(nc.ALIF, adaptive, 0.3, 2.0),
    "ResonateFire": Case(nc.ResonateFire, resonant, 9000.0, 0.0),
    "ExpLIF": Case(nc.ExpLIF, with_receptors, 1e-9, 1.4e-9),
    "ExpLIF-refractory": Case(nc.ExpLIF, with_receptors, 1e-9, 1.6e-9, t_ref=30),
    "AlphaLIF": Case(nc.AlphaLIF, with_receptors, 0.6e-9, 1.4e-9),
    "AlphaLIF-refractory": Case(nc.AlphaLIF, with_receptors, 0.6e-9, 1.6e-9, t_ref=30),
    "LI": Case(nc.LI, silent(leaky), 0.2, 1.0),
    "CubaLI": Case(nc.CubaLI, silent(two_stage), 8.0, 1.0),
}


def squid(rng):
    return {name: value for name, value in nc.HodgkinHuxley.defaults.items() if name != "i_offset"}


def pyramid(rng):
    return {name: value for name, value in nc.TraubMiles.defaults.items() if name != "i_offset"}


def bursting(rng):
    given = {name: value for name, value in nc.AdEx.defaults.items() if name != "i_offset"}
    return given | {"tau_adapt": rng.uniform(60e-3, 200e-3), "b_adapt": rng.uniform(0.0, 0.1e-9)}


def simple(rng):
    kind = ("regular spiking", "fast spiking", "low-threshold spiking")[rng.integers(3)]
    return dict(nc.IZHIKEVICH[kind])


def with_conductances(rng):
    return with_receptors(rng) | {"e_exc": rng.uniform(-5e-3, 5e-3), "e_inh": rng.uniform(-85e-3, -75e-3)}


@dataclass(frozen=True)
class Rough:
    """A model without exact integration. start: of its states, else 0. tolerance: of spike times at the coarse step (s)."""

    model: nc.NeuronModel
    parameters: Callable[[np.random.Generator], dict[str, float]]
    current: tuple[float, float]
    start: Callable[[dict[str, float]], dict[str, float]]
    tolerance: float
    weight: float = 0.0


ROUGH = {
    "HodgkinHuxley": Rough(
        nc.HodgkinHuxley, squid, (0.08, 0.5), lambda p: {"v": -65e-3, "m": 0.0529325, "h": 0.5961208, "n": 0.3176769}, 2e-3
    ),
    "TraubMiles": Rough(nc.TraubMiles, pyramid, (0.3e-9, 1.5e-9), lambda p: {"v": p["e_leak"]}, 4e-3, 2e-9),
    "AdEx": Rough(nc.AdEx, bursting, (0.7e-9, 2e-9), lambda p: {"v": p["v_leak"]}, 0.1e-3),
    "Izhikevich": Rough(nc.Izhikevich, simple, (5.0, 20.0), lambda p: {"v": p["c"], "u": p["b"] * p["c"]}, 1e-3),
    "CobaLIF": Rough(nc.CobaLIF, with_conductances, (1.2e-9, 2.5e-9), lambda p: {"v": p["v_leak"]}, 0.3e-3, 1e-9),
}
SPIKING = [name for name, case in CASES.items() if case.model.spike is not None]
SILENT = [name for name in CASES if name not in SPIKING]
IN_NEST = [name for name in SPIKING if name.split("-")[0] in ("LIF", "ExpLIF", "AlphaLIF")]


@dataclass
class Net:
    """A network as numbers, from which all sides build it.

    Synapses come from the inputs, 0 .. inputs, and from the neurons, numbered from there on. Where a model's input moves v at
    once, `weight` is by how much, and `current` is where the current alone would bring v (for IF: its slope); elsewhere
    both are what the model takes.
    """

    case: str
    size: int
    inputs: int
    steps: int
    t_ref: int | None
    parameters: dict[str, float]
    initial: dict[str, list]
    current: list
    times: list
    ids: list
    pre: list
    post: list
    weight: list
    delay: list
    dt: float = DT
    gain: float = 1.0  # of v in our input's units

    def arrays(self, *names):
        return [np.array(getattr(self, name)) for name in names]


def on_grid(values, scale):
    """To multiples of 2^-20 of about `scale`."""
    unit = 2.0 ** (np.floor(np.log2(scale)) - 20)
    return np.round(np.asarray(values) / unit) * unit


def draw(name, number):
    case = CASES[name]
    rng = np.random.default_rng([ord(c) for c in name] + [number])
    size, inputs, steps = int(rng.integers(5, 21)), int(rng.integers(3, 9)), int(rng.integers(300, 1001))
    given = case.parameters(rng)
    times, ids = np.nonzero(rng.random((steps, inputs)) < rng.uniform(0.01, 0.04))
    chance = np.where(np.arange(inputs + size) < inputs, 0.6, 0.3 if case.model.spike else 0.0)
    pre, post = np.nonzero(rng.random((inputs + size, size)) < chance[:, None])
    signs = np.where(rng.random(len(pre)) < 0.7, 1.0, -1.0)
    weight = on_grid(signs * rng.uniform(0.2, 1.0, len(pre)) * case.weight, case.weight)
    current, gain = rng.choice(rng.uniform(0.4, 1.0, 3), size) * case.current, 1.0
    if case.model in (nc.IF, nc.LIF, nc.LI, nc.ALIF):  # how far a current moves v in a step
        of_v = DT if case.model is nc.IF else -np.expm1(-DT / given["tau"])
        current, gain = on_grid(current * of_v, case.weight) / of_v, given["r"] * of_v
    elif case.model in (nc.CubaLIF, nc.CubaLI):
        current = on_grid(current / given["w_in"] / given["r"], case.weight)
    voltages = (-70e-3, -60e-3) if case.model.receptors else (0.0, 0.5)
    return Net(
        case=name,
        size=size,
        inputs=inputs,
        steps=steps,
        t_ref=int(rng.integers(0, case.t_ref)) if case.t_ref else None,
        parameters=given,
        initial={"v": rng.uniform(*voltages, size).tolist()},
        current=current.tolist(),
        times=times.tolist(),
        ids=ids.tolist(),
        pre=pre.tolist(),
        post=post.tolist(),
        weight=weight.tolist(),
        delay=rng.integers(1, 31, len(pre)).tolist(),
        gain=gain,
    )


def draw_rough(name, number, dt):
    """Unconnected neurons of a nonlinear model with currents from weak to strong; where it has receptors, with inputs."""
    case = ROUGH[name]
    rng = np.random.default_rng([ord(c) for c in name] + [number])
    given, size, inputs = case.parameters(rng), 12, 5
    times, ids = np.nonzero(rng.random((60, inputs)) < 0.1)  # one chance in a millisecond
    millisecond = round(1e-3 / dt)
    post, pre = np.indices((size, inputs)).reshape(2, -1) if case.weight else np.zeros((2, 0), int)
    weight = np.where(pre < 4, 1.0, -2.0) * rng.uniform(0.5, 1.0, len(pre)) * case.weight
    initial = {state: [value] * size for state, value in case.start(given).items()}
    return Net(
        case=name,
        size=size,
        inputs=inputs,
        steps=round(0.06 / dt),
        t_ref=None,
        parameters=given,
        initial=initial,
        current=np.linspace(*case.current, size).tolist(),
        times=(times * millisecond).tolist(),
        ids=ids.tolist(),
        pre=pre.tolist(),
        post=post.tolist(),
        weight=weight.tolist(),
        delay=[millisecond] * len(pre),
        dt=dt,
    )


def ours(net):
    """The network in our words. A weight of j / gain moves v by j: docs/semantics.md, an input lasts one step."""
    model = (CASES | ROUGH)[net.case].model
    current, pre, post, weight, delay = net.arrays("current", "pre", "post", "weight", "delay")
    given = net.parameters | ({} if net.t_ref is None else {"t_ref": net.t_ref * net.dt})
    if "i_offset" in model.parameters:
        given, bias = given | {"i_offset": current}, 0.0
    else:
        bias = current / given["r"] if net.gain != 1.0 else current
    result = nc.Network(net.case, dt=net.dt, integrator="exact")  # of models without one of their own
    result.input("x", net.inputs, spikes=(net.times, net.ids))
    start = {"y" if model is nc.ResonateFire else name: np.array(values) for name, values in net.initial.items()}
    result.population("h", model(**given, initial=start), net.size, bias=bias)
    for source, first, count in (("x", 0, net.inputs), ("h", net.inputs, net.size)):
        for receptor in model.receptors or ("",):
            mine = (pre >= first) & (pre < first + count)
            if receptor:
                mine &= (weight > 0) == (receptor == "exc")
            if mine.any():
                size = np.abs(weight[mine]) if "e_inh" in given else weight[mine] / net.gain
                synapses = nc.Sparse((size, (post[mine], pre[mine] - first)), (net.size, count))
                result.connect(source, "h", synapses, delay=delay[mine], receptor=receptor)
    return result


# ---------------------------------------------------------------------------------------------------------------- simulators


def simulated(simulator, nets, folder):
    """The answers of a simulator, one for each network; all are of the same case."""
    python = Path(
        os.environ.get(f"NEUROCOMP_{simulator.upper()}_PYTHON", HERE.parents[1] / f".venv-{simulator}" / "bin" / "python")
    )
    if not python.exists():
        pytest.skip(f"no {simulator} environment at {python}; the module's docstring says how to make one")
    (folder / "job.json").write_text(json.dumps({"dt": nets[0].dt, "nets": [vars(net) for net in nets]}))
    command = [python, HERE / f"simulate_{simulator}.py", folder / "job.json", folder / "answers.json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "answers.json").read_text())


def trains(spikes, size):
    """The times of every neuron's spikes, from (time, id) pairs."""
    return [np.sort([time for time, k in spikes if k == neuron]) for neuron in range(size)]


def run(net, target):
    """(time, id) of every spike of ours."""
    spikes = nc.compile(ours(net), target, mantissa_bits=31).run(steps=net.steps)["h"]
    return set(zip(spikes.times.tolist(), spikes.ids.tolist(), strict=True))


def spikes_of(answer):
    return set(zip(answer["times"], answer["ids"], strict=True))


def check_every_spike(simulator, name, folder):
    nets = [draw(name, number) for number in range(NETS)]
    answers = [spikes_of(answer) for answer in simulated(simulator, nets, folder)]
    for number, (net, theirs) in enumerate(zip(nets, answers, strict=True)):
        assert len(theirs) >= 5, f"network {number} is not alive"
        for target in TARGETS:
            mine = run(net, target)
            first = min(mine ^ theirs, default=None)
            assert mine == theirs, f"network {number} on {target}: {len(mine ^ theirs)} of {len(theirs)} differ, first {first}"
    assert sum(map(len, answers)) > 500


@pytest.mark.parametrize("name", SPIKING)
def test_the_spikes_of_brian2(name, tmp_path):
    check_every_spike("brian2", name, tmp_path)


@pytest.mark.parametrize("name", IN_NEST)
def test_the_spikes_of_nest(name, tmp_path):
    check_every_spike("nest", name, tmp_path)


@pytest.mark.parametrize("name", SILENT)
def test_the_voltages_of_brian2(name, tmp_path):
    nets = [draw(name, number) for number in range(NETS)]
    for net, answer in zip(nets, simulated("brian2", nets, tmp_path), strict=True):
        theirs = np.array(answer["v"])
        assert np.ptp(theirs) > 0.3
        for target in TARGETS:
            v = nc.compile(ours(net), target, mantissa_bits=31).run(steps=net.steps, record=["h.v"])["h.v"]
            assert v == pytest.approx(theirs, rel=0, abs=1e-12)


@pytest.mark.parametrize("name", ROUGH)
def test_nonlinear_models_come_to_the_solution_of_brian2(name, tmp_path):
    apart = []
    for dt in COARSE, COARSE / 4:
        nets = [draw_rough(name, number, dt) for number in range(3)]
        worst = 0.0
        for net, answer in zip(nets, simulated("brian2", nets, tmp_path), strict=True):
            trains_of_both = (trains(spikes, net.size) for spikes in (run(net, "cpu"), spikes_of(answer)))
            for mine, theirs in zip(*trains_of_both, strict=True):
                both = min(len(mine), len(theirs))
                assert both > 0
                unmatched = [*mine[both:], *theirs[both:]]  # the other side's is after the end
                assert len(unmatched) <= 1
                late = [net.steps - time for time in unmatched]
                worst = max(worst, *late, *abs(mine[:both] - theirs[:both]), 0)
        apart.append(worst * dt)
    assert apart[0] <= ROUGH[name].tolerance
    assert apart[1] <= 0.4 * apart[0] + COARSE / 2


def test_the_comparison_can_fail(tmp_path):
    """With delays of one step more, no network has the same spikes."""
    nets = [draw("LIF", number) for number in range(NETS)]
    late = [replace(net, delay=[delay + 1 for delay in net.delay]) for net in nets]
    answers = simulated("brian2", late, tmp_path)
    assert all(run(net, "cpu") != spikes_of(answer) for net, answer in zip(nets, answers, strict=True))
