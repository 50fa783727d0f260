"""`integrator="exact"` against scipy's matrix exponential, to 1e-12 of the trajectory's size."""

import numpy as np
import pytest
from scipy.linalg import expm

import neurocomp as nc

STEPS = 200


def linear_model(size):
    """dx/dt = M x + n a + c, any M."""
    parameters = {f"m{j}{k}": "" for j in range(size) for k in range(size)}
    parameters |= {f"{x}{j}": "" for x in "nc" for j in range(size)}
    lines = []
    for j in range(size):
        terms = " + ".join(f"m{j}{k} * x{k}" for k in range(size))
        lines.append(f"dx{j}/dt = {terms} + n{j} * a + c{j}")
    return nc.NeuronModel(f"Linear{size}", parameters, "\n".join(lines))


def follow(system, drive, constant, start, inputs, dt):
    """x after every step, by the exponential of the system with input and constant as states that do not change."""
    size = len(start)
    whole = np.zeros((size + 2, size + 2))
    whole[:size] = np.column_stack([system, drive, constant])
    step = expm(whole * dt)[:size]
    states, x = [], np.array(start, float)
    for a in inputs:
        x = step @ [*x, a, 1.0]
        states.append(x)
    return np.array(states)


def inputs_of(rng):
    """Spikes at random, and a weight that is on any grid."""
    return (rng.random(STEPS) < 0.2).astype(int), 2.0 ** int(rng.integers(-3, 4))


def close(got, wanted):
    for k in range(wanted.shape[1]):
        np.testing.assert_allclose(got[:, k], wanted[:, k], rtol=0, atol=1e-12 * np.abs(wanted[:, k]).max())


@pytest.mark.parametrize("size", [2, 3, 4, 5])
@pytest.mark.parametrize("seed", range(3))
def test_random_linear_systems(size, seed):
    """Full matrices with decaying and oscillating modes, an input of spikes, a constant term and any start."""
    rng = np.random.default_rng([size, seed])
    dt = float(rng.choice([1e-4, 1e-3, 5e-3]))
    system = rng.normal(0, 100, (size, size))
    system -= np.eye(size) * (np.linalg.eigvals(system).real.max() + rng.uniform(5, 50))
    drive, constant, start = rng.normal(0, 30, (3, size))
    values = {f"m{j}{k}": system[j, k] for j in range(size) for k in range(size)}
    values |= {f"n{j}": drive[j] for j in range(size)} | {f"c{j}": constant[j] for j in range(size)}
    initial = {f"x{j}": start[j] for j in range(size)}
    spikes, weight = inputs_of(rng)
    net = nc.Network("linear", dt=dt)
    net.input("x", 1)
    net.population("cell", linear_model(size)(**values, initial=initial, integrator="exact"), 1)
    net.connect("x", "cell", nc.OneToOne(weight))
    record = [f"cell.x{j}" for j in range(size)]
    run = nc.compile(net, "reference").run({"x": spikes[:, None]}, record=record)
    got = np.column_stack([run[name][:, 0] for name in record])
    close(got, follow(system, drive, constant, start, spikes * weight, dt))


def first_jump(current, spikes):
    """What the first spike adds to the current: weight times gain, which the compiler rounds to its grid (docs/numbers.md)."""
    return current[np.flatnonzero(spikes)[0]]


@pytest.mark.parametrize("seed", range(3))
def test_a_leaky_integrator_of_a_synaptic_current(seed):
    """CubaLI: di/dt = (w a - i) / tau_syn, dv/dt = (v_leak - v + r i) / tau_mem."""
    rng = np.random.default_rng(seed)
    tau_syn, tau_mem = rng.uniform(1e-3, 30e-3, 2)
    r, w, leak = rng.uniform(0.5, 2.0, 3)
    spikes, weight = inputs_of(rng)
    net = nc.Network("cuba", dt=1e-3, integrator="exact")
    net.input("x", 1)
    net.population("cell", nc.CubaLI(tau_syn=tau_syn, tau_mem=tau_mem, r=r, w_in=w, v_leak=leak), 1)
    net.connect("x", "cell", nc.OneToOne(weight))
    run = nc.compile(net, "cpu", mantissa_bits=31).run({"x": spikes[:, None]}, record=["cell.i", "cell.v"])
    gain = first_jump(run["cell.i"][:, 0], spikes)
    system = np.array([[-1 / tau_syn, 0], [r / tau_mem, -1 / tau_mem]])
    drive = np.array([gain / -np.expm1(-1e-3 / tau_syn) / tau_syn, 0])
    assert gain == pytest.approx(w * weight * -np.expm1(-1e-3 / tau_syn), rel=1e-8)
    close(np.column_stack([run["cell.i"], run["cell.v"]]), follow(system, drive, [0, leak / tau_mem], [0, 0], spikes, 1e-3))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("model", [nc.ExpLIF, nc.AlphaLIF])
def test_neurons_with_synaptic_currents(model, seed):
    """Two receptors, a constant current, spikes that jump the synaptic states after the step."""
    rng = np.random.default_rng(seed)
    tau_mem, tau_exc, tau_inh = rng.uniform(1e-3, 30e-3, 3)
    offset, c = rng.uniform(0.1e-9, 0.5e-9, 2)
    alpha = model is nc.AlphaLIF
    given = {"tau_mem": tau_mem, "tau_exc": tau_exc, "tau_inh": tau_inh, "i_offset": offset, "c_m": c}
    cell = model(**given, v_leak=0.0, v_threshold=10.0, v_reset=0.0)
    net = nc.Network("synapses", dt=1e-3)
    arrivals = rng.integers(0, 2, (STEPS, 2))
    for k, (receptor, weight) in enumerate((("exc", 2.0**-30), ("inh", -(2.0**-31)))):
        net.input(receptor, 1, spikes=(np.flatnonzero(arrivals[:, k]), np.zeros(arrivals[:, k].sum(), int)))
        if k == 0:
            net.population("cell", cell, 1)
        net.connect(receptor, "cell", nc.OneToOne(weight), receptor=receptor)
    states = ["j_exc", "i_exc", "j_inh", "i_inh", "v"] if alpha else ["i_exc", "i_inh", "v"]
    run = nc.compile(net, "cpu").run(steps=STEPS, record=[f"cell.{x}" for x in states])
    got = np.column_stack([run[f"cell.{x}"] for x in states])
    weights = [2.0**-30, -(2.0**-31)]
    if alpha:
        system = np.diag([-1 / tau_exc, -1 / tau_exc, -1 / tau_inh, -1 / tau_inh, -1 / tau_mem])
        system[1, 0] = system[3, 2] = 1.0
        system[4, 1] = system[4, 3] = 1 / c
        jumps = [[np.e / tau_exc * weights[0], 0, 0, 0, 0], [0, 0, np.e / tau_inh * weights[1], 0, 0]]
    else:
        system = np.diag([-1 / tau_exc, -1 / tau_inh, -1 / tau_mem])
        system[2, :2] = 1 / c
        jumps = [[weights[0], 0, 0], [0, weights[1], 0]]
    size = len(system)
    whole = np.zeros((size + 1, size + 1))
    whole[:size, :size], whole[size - 1, size] = system, offset / c
    step, x, wanted = expm(whole * 1e-3)[:size], np.zeros(size), []
    for arrived in arrivals:
        x = step @ [*x, 1.0] + arrived @ np.array(jumps)
        wanted.append(x)
    close(got, np.array(wanted))
