"""Each dialect against a few lines of NumPy written after the framework's own source (versions: docs/nir.md)."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

import neurocomp as nc
from neurocomp.importers.nir import DIALECTS, Dialect, NirError, from_nir

DT, STEPS, SIZE = 1e-4, 150, 6
PARAMS = {
    "IF": {"r": 1.0, "v_threshold": 1.1},
    "LIF": {"tau": 6e-4, "r": 5.0, "v_leak": 0.0, "v_threshold": 1.1},
    "CubaLIF": {"tau_syn": 4e-4, "tau_mem": 7e-4, "r": 7.0, "v_leak": 0.0, "v_threshold": 1.2, "w_in": 3.0},
}


def drive(seed=0):
    rng = np.random.default_rng(seed)
    weight = rng.normal(0.25, 0.4, (SIZE, 4))
    raster = (rng.random((STEPS, 4)) < 0.4).astype(int)
    return weight, raster, raster @ weight.T


def network(kind, dialect, weight, **changed):
    node = {"type": kind, **{k: np.full(SIZE, v) for k, v in (PARAMS[kind] | changed).items()}}
    nodes = {
        "input": {"type": "Input", "shape": [4]},
        "w": {"type": "Linear", "weight": weight},
        "n": node,
        "output": {"type": "Output"},
    }
    return from_nir({"nodes": nodes, "edges": list(itertools.pairwise(nodes))}, dt=DT, dialect=dialect)


def steps(step, inputs):
    """Spikes of a step function (state, input) -> (state, spikes)."""
    state, out = (np.zeros(SIZE), np.zeros(SIZE)), []
    for a in inputs:
        state, z = step(state, a)
        out.append(z)
    return np.array(out)


# ------------------------------------------------------------------------------------ the frameworks' steps, as they read


def norse_lif(p, reset=0.0):
    def step(state, a):
        v = state[1] + DT / p["tau"] * (a + p["v_leak"] - state[1])  # r is not used
        z = v > p["v_threshold"]
        return (state[0], np.where(z, reset, v)), z

    return step


def norse_if(p):
    def step(state, a):
        v = state[1] + a  # neither dt nor r
        z = v > p["v_threshold"]
        return (state[0], np.where(z, 0.0, v)), z

    return step


def norse_cuba(p):
    def step(state, a):
        i = state[0] + DT / p["tau_syn"] * (p["w_in"] * a - state[0])
        v = state[1] + DT / p["tau_mem"] * (p["r"] * i + p["v_leak"] - state[1])
        z = v > p["v_threshold"]
        return (i, np.where(z, 0.0, v)), z

    return step


def snntorch_lif(p):
    """import_from_nir: beta, and the threshold over r dt / tau."""
    beta, threshold = 1 - DT / p["tau"], p["v_threshold"] / (p["r"] * DT / p["tau"])

    def step(state, a):
        v = beta * state[1] + a
        z = v > threshold
        return (state[0], np.where(z, 0.0, v)), z

    return step


def snntorch_if(p):
    """import_from_nir: snn.Leaky(beta=0.9, threshold=v_threshold * r, reset_delay=False), which subtracts."""
    threshold = p["v_threshold"] * p["r"]

    def step(state, a):
        old = state[1] > threshold
        v = 0.9 * state[1] + a - old * threshold
        z = v > threshold
        return (state[0], v - (z.astype(float) - old) * threshold), z

    return step


def rockpool_lif(p):
    def step(state, a):
        v = np.exp(-DT / p["tau"]) * state[1] + DT / p["tau"] * p["r"] * a + p["v_leak"]
        z = v > p["v_threshold"]
        return (state[0], v - z * p["v_threshold"]), z

    return step


def sinabs_lif(p):
    """tau in steps; the input as it is; >= makes no difference for these numbers."""

    def step(state, a):
        v = np.exp(-1.0 / p["tau"]) * state[1] + a
        z = v - p["v_threshold"] >= 0
        return (state[0], v - z * p["v_threshold"]), z

    return step


def sinabs_if(p):
    def step(state, a):
        v = state[1] + a
        z = v - p["v_threshold"] >= 0
        return (state[0], np.maximum(v - z * p["v_threshold"], -p["v_threshold"])), z

    return step


def spyx_lif(p):
    def step(state, a):
        z = state[1] > p["v_threshold"]
        return (state[0], (1 - DT / p["tau"]) * state[1] + a - z * p["v_threshold"]), z

    return step


def spyx_if(p):
    def step(state, a):
        z = state[1] > p["v_threshold"]
        return (state[0], state[1] + a - z * p["v_threshold"]), z

    return step


def spyx_cuba(p):
    def step(state, a):
        z = state[1] > p["v_threshold"]
        i = (1 - DT / p["tau_syn"]) * state[0] + a
        return (i, (1 - DT / p["tau_mem"]) * (state[1] - z * p["v_threshold"]) + i), z

    return step


def nengo_lif(p):
    def step(state, a):
        v = state[1] + (p["v_leak"] + p["r"] * a - state[1]) * -np.expm1(-DT / p["tau"])
        z = v > p["v_threshold"]
        return (state[0], np.where(z, 0.0, v)), z

    return step


def lava_lif(p):
    du, gain = DT / p["tau"], DT / p["tau"] * p["r"]

    def step(state, a):
        v = state[1] * (1 - du) + a * gain
        z = v > p["v_threshold"]
        return (state[0], np.where(z, 0.0, v)), z

    return step


# (dialect, type, the framework's step, changed parameters, steps its spikes come after ours, steps ours come after the input)
STEPS_OF = [
    ("norse", "LIF", norse_lif, {"r": 1.0, "v_threshold": 0.2}, 0, 0),
    ("norse", "LIF", norse_lif, {"r": 9.0, "v_threshold": 0.2, "v_leak": 0.05, "v_reset": -1.0}, 0, 0),
    ("norse", "IF", norse_if, {"r": 3.0}, 0, 0),
    ("norse", "CubaLIF", norse_cuba, {}, 0, 0),
    ("snntorch", "LIF", snntorch_lif, {}, 0, 0),
    ("snntorch", "CubaLIF", norse_cuba, {}, 0, 0),
    ("snntorch", "IF", snntorch_if, {}, 0, 0),
    ("rockpool", "LIF", rockpool_lif, {}, 0, 0),
    ("rockpool", "LIF", rockpool_lif, {"v_leak": 0.03}, 0, 0),
    ("sinabs", "LIF", sinabs_lif, {"tau": 7.0, "r": 1.0}, 0, 0),
    ("sinabs", "IF", sinabs_if, {}, 0, 0),
    ("spyx", "LIF", spyx_lif, {"v_leak": 0.5}, 1, 0),
    ("spyx", "IF", spyx_if, {}, 1, 0),
    ("spyx", "CubaLIF", spyx_cuba, {}, 1, 0),
    ("nengo", "LIF", nengo_lif, {}, 0, 0),
    ("lava", "LIF", lava_lif, {}, 0, 1),
    ("spinnaker2", "CubaLIF", norse_cuba, {}, 0, 0),
]


@pytest.mark.parametrize("case", STEPS_OF, ids=lambda case: f"{case[0]}-{case[1]}-{'-'.join(case[3])}")
def test_spikes_are_those_of_the_framework(case):
    dialect, kind, step, changed, shown_late, late = case
    weight, raster, sums = drive()
    net = network(kind, dialect, weight, **changed)
    theirs = steps(step(PARAMS[kind] | changed), np.vstack([np.zeros((late, SIZE)), sums])[:STEPS])
    try:
        program = nc.compile(net, "cpu", mantissa_bits=31)
    except nc.errors.UnsupportedError:  # a neuron that is not compiled (yet)
        program = nc.compile(net, "reference", mantissa_bits=31)
    ours = program.run({"input": raster})["n"].raster()
    assert theirs.sum() > 50
    assert np.array_equal(ours[: STEPS - shown_late], theirs[shown_late:])


def test_spyx_hands_on_its_late_spikes():
    """Two layers: the second gets the first's spikes a step late, as spyx's scan passes them."""
    weight, raster, sums = drive()
    node = {"type": "CubaLIF", **{k: np.full(SIZE, v) for k, v in PARAMS["CubaLIF"].items()}}
    second = np.random.default_rng(3).normal(0.3, 0.4, (SIZE, SIZE))
    nodes = {
        "input": {"type": "Input", "shape": [4]},
        "w": {"type": "Linear", "weight": weight},
        "a": node,
        "w2": {"type": "Linear", "weight": second},
        "b": node,
        "output": {"type": "Output"},
    }
    net = from_nir({"nodes": nodes, "edges": list(itertools.pairwise(nodes))}, dt=DT, dialect="spyx")
    first = steps(spyx_cuba(PARAMS["CubaLIF"]), sums)
    theirs = steps(spyx_cuba(PARAMS["CubaLIF"]), first.astype(float) @ second.T)
    ours = nc.compile(net, "cpu", mantissa_bits=31).run({"input": raster})["b"].raster()
    assert np.array_equal(ours[:-1], theirs[1:])
    assert theirs.sum() > 50


def explain(net):
    return nc.compile(net, "reference").explain()


def test_everything_changed_is_in_explain():
    weight, _, _ = drive()
    text = explain(network("LIF", "norse", weight, r=9.0, v_reset=-1.0))
    assert "[from_nir] n: r = 9 -> r = 1 (norse ignores r of LIF)" in text
    assert "[from_nir] n: v_reset = -1 -> v_reset = 0 (norse ignores v_reset)" in text
    text = explain(network("LIF", "rockpool", weight, v_leak=0.5))
    assert "v_leak = 0.5 -> v_leak = 3 (rockpool adds v_leak at every step)" in text
    assert "reset to v_reset -> reset by subtraction" in text
    text = explain(network("IF", "sinabs", weight))
    assert "IF -> SinabsIF" in text
    assert "r = 1 -> r = 10000 (sinabs adds the weighted input as it is)" in text
    text = explain(network("LIF", "lava", weight))
    assert "input->w->n: within the step -> 1 step later" in text
    text = explain(network("LIF", "sinabs", weight, tau=7.0))
    assert "tau = 7 -> tau = 0.0007 (sinabs writes time constants in steps)" in text
    assert "the importer of rockpool does not read IF" in explain(network("IF", "rockpool", weight))


@pytest.mark.parametrize("dialect", ["snntorch", "sinabs"])
def test_what_the_framework_refuses_is_refused(dialect):
    weight, _, _ = drive()
    with pytest.raises(NirError, match=rf"node 'n'.*v_leak = 0.25, which {dialect} does not run as written"):
        network("LIF", dialect, weight, v_leak=0.25)


def test_the_integrator_can_be_chosen_and_is_told():
    weight, raster, _ = drive()
    node = {
        "nodes": {"input": {"type": "Input", "shape": [4]}, "w": {"type": "Linear", "weight": weight}},
        "edges": [("input", "w"), ("w", "n"), ("n", "output")],
    }
    node["nodes"] |= {
        "n": {"type": "LIF", **{k: np.full(SIZE, v) for k, v in PARAMS["LIF"].items()}},
        "output": {"type": "Output"},
    }
    net = from_nir(node, dt=DT, dialect="spinnaker2", integrator="exponential")
    assert net.integrator == "exponential"
    assert "integrator euler -> integrator exponential (asked for)" in explain(net)
    assert len(nc.compile(net).run({"input": raster})["n"]) > 0


def test_a_dialect_of_ones_own():
    weight, raster, sums = drive()
    mine = Dialect("mine", "subtract, Euler", "euler", resets={"LIF": "subtract"})
    net = network("LIF", mine, weight)
    p, v, spikes = PARAMS["LIF"], np.zeros(SIZE), []
    for a in sums:
        v = v + DT / p["tau"] * (p["r"] * a - v)
        z = v > p["v_threshold"]
        v = v - z * p["v_threshold"]
        spikes.append(z)
    assert np.array_equal(nc.compile(net, mantissa_bits=31).run({"input": raster})["n"].raster(), np.array(spikes))


def test_the_table_is_sound():
    for name, row in DIALECTS.items():
        assert row.name == name
        assert row.integrator in nc.ir.integrators.INTEGRATORS
        assert set(row.resets.values()) <= {"value", "zero", "subtract"}
        assert set(row.gain.values()) <= {"model", "unscaled"}
        for kind in (*row.resets, *row.gain, *row.ignores, *row.refuses, *row.models):
            assert kind in ("I", "LI", "CubaLI", "IF", "LIF", "CubaLIF")


def table_row(row):
    """A row of the table in docs/nir.md, from the data."""
    gain = {kind: "1" if row.gain.get(kind) == "unscaled" else "as written" for kind in ("IF", "LIF", "CubaLIF")}
    gains = gain["LIF"] if len(set(gain.values())) == 1 else f"{gain['LIF']}; IF: {gain['IF']}"
    rules = {kind: row.resets[kind] for kind in ("IF", "LIF", "CubaLIF")}
    resets = rules["LIF"] if len(set(rules.values())) == 1 else f"{rules['LIF']}; IF: {rules['IF']}"
    delays = f"{row.from_input} / {row.from_population}"
    dt = "given" if row.dt is None else f"{row.dt:g}"
    return f"| `{row.name}` | {row.integrator} | {gains} | {resets} | {delays} | {dt} | {row.source or '-'} |"


def test_the_documented_table_is_the_data():
    page = (Path(__file__).resolve().parents[2] / "docs" / "nir.md").read_text()
    for row in DIALECTS.values():
        assert table_row(row) in page, table_row(row)
