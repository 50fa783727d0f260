"""What random networks have found and is not a difference between backends: refusals, integrators, counts, coefficients."""

from dataclasses import replace

import mpmath
import numpy as np
import pytest

import neurocomp as nc
from neurocomp.ir import numerics
from neurocomp.ir.errors import VerificationError


@pytest.mark.parametrize("kind", ["conv", "columns"])
def test_shared_weights_take_no_delay_for_each_synapse_even_where_the_numbers_are_equal(kind):
    net = nc.Network("net", dt=1e-3)
    net.input("x", (1, 2, 2))
    layer = nc.Conv2d(np.ones((1, 1, 2, 2)), 2) if kind == "conv" else nc.Dense(np.ones((1, 4)), columns=[3, 2, 1, 0])
    assert len(layer) == layer.weights.size
    net.population("p", nc.LIF(tau=10e-3), 1)
    net.connect("x", "p", layer, delay=np.arange(4).reshape(layer.weights.shape))
    with pytest.raises(VerificationError, match=r"shares its weights; use connectivity.expand\(\)"):
        nc.compile(net, "cpu")


def test_an_inserted_neuron_keeps_its_models_integrator():
    inner = nc.Network("inner", dt=1e-3, integrator="exact")
    inner.population("a", nc.AdEx(), 2)
    inner.population("l", nc.LIF(tau=10e-3), 2)
    outer = nc.Network("outer", dt=1e-3, integrator="euler")
    outer.insert(inner, "in")
    assert outer.populations["in.a"].neuron.integrator is None
    assert outer.populations["in.l"].neuron.integrator == "exact"
    assert nc.compile(outer, "cpu").run(steps=5).steps == 5


def test_energy_of_a_projection_without_synapses_behind_layers():
    net = nc.Network("net", dt=1e-3)
    net.input("x", 2)
    for k in range(4):
        net.population(f"p{k}", nc.LIF(tau=10e-3), 2)
        net.connect(f"p{k - 1}" if k else "x", f"p{k}", nc.Dense(np.full((2, 2), 30.0)))
    nothing = nc.Sparse((np.zeros(0), (np.zeros(0, int), np.zeros(0, int))), (2, 2))
    counted = []
    for synapses in (None, nothing):
        if synapses is not None:
            net.connect("x", "p3", synapses)
        program = nc.compile(net, "cpu")
        recording = program.run({"x": ([0, 1, 2, 3], [0, 1, 0, 1])}, 12)
        assert recording.counters.events.get("x->p3", 0) == 0
        counted.append(nc.energy(program, recording, profile="loihi1-davies2018").to_dict()["counts"])
    assert counted[0] == counted[1]


def test_propagators_are_correctly_rounded():
    """Against mpmath at 600 bits, for couplings from 1e-12 to 1e9 and time constants of five decades."""
    rng = np.random.default_rng(0)
    for trial in range(40):
        n, dt = int(rng.integers(1, 5)), float(10 ** rng.uniform(-5, -2))
        matrix = rng.normal(0, 1, (n, n + 2)) * 10 ** rng.uniform(-2, 3, (n, n + 2))
        if trial % 2:
            matrix = np.triu(matrix) * 10.0 ** rng.uniform(-12, 6, (n, n + 2))
        matrix[np.arange(n), np.arange(n)] = -(10 ** rng.uniform(0, 3, n))
        with mpmath.workprec(600):
            full = mpmath.zeros(n + 2, n + 2)
            for i, j in np.ndindex(n, n + 2):
                full[i, j] = mpmath.mpf(float(matrix[i, j])) * mpmath.mpf(dt)
            exact = mpmath.expm(full)
            wanted = np.array([[float(exact[i, j]) for j in range(n + 2)] for i in range(n)])
        assert np.array_equal(numerics.propagator(matrix.tolist(), dt), wanted)


def test_a_compiled_network_runs_on_another_backend():
    net = nc.Network("net", dt=1e-3)
    net.input("x", 2)
    net.population("p", nc.LIF(tau=10e-3), 2)
    net.connect("x", "p", nc.OneToOne(300.0))
    program = nc.compile(net, "reference")
    again = program.on("cpu", threads=2)
    assert again.lowered is program.lowered
    assert again.target == "cpu"
    inputs = {"x": ([0, 2], [0, 1])}
    one, two = (replace(x.run(inputs, 5), seconds=0.0) for x in (program, again))
    assert nc.compare(one, two) == []
    with pytest.raises(nc.errors.UnsupportedError, match="it has no option 'speed'"):
        program.on("cpu", speed=2)
