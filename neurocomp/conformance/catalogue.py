"""Cases of the catalogue: biology's neurons with their receptors, refractory periods, noise, and sources."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from neurocomp.conformance.case import Case, spikes
from neurocomp.conformance.recipes import DT, RECIPES, parameters
from neurocomp.ir.connectivity import Dense, OneToOne
from neurocomp.ir.distributions import Normal, Uniform
from neurocomp.ir.model import NeuronModel
from neurocomp.ir.network import Network
from neurocomp.ir.neurons import (
    ALIF,
    IF,
    LIF,
    NOISE_UNITS,
    AdEx,
    AlphaLIF,
    CobaLIF,
    CubaLIF,
    ExpLIF,
    HodgkinHuxley,
    Izhikevich,
    NoisyCurrent,
    Poisson,
    PoissonCounts,
    ResonateFire,
    SigmaDelta,
    StepCurrent,
    StochasticLIF,
    TraubMiles,
)

STEPS = 60
FINE = {"HodgkinHuxley": 2e-4, "TraubMiles": 2e-4, "AdEx": 5e-4, "Izhikevich": 5e-4}  # dt where 1 ms is too coarse to be alive
Generator = np.random.Generator
FUNCTIONS = NeuronModel(
    "Functions",
    {"k": ""},
    before="x = abs(k + randn()) + 0.1; y = min(pow(x, 1.3), 50.0); z = log(x) + log1p(x) + sqrt(x) + expm1(-x)",
    equations="dv/dt = (a + tanh(z) + sin(y) * cos(x) - v * exp(-x)) / 0.01",
    after="w = where(v > 0.2 and not w > 3.0 or t < 0.01, w + sigmoid(v) * exprel(-x) + poisson(0.3), round(w)) ** 0.9",
    spike="v > 0.5 + 0.1 * rand() * w",
    resets={"zero": "v = 0.1 * rand()"},
)


def catalogue_cases() -> Iterator[Case]:
    """All of them."""
    simple = (ALIF, StochasticLIF, ResonateFire, SigmaDelta, AdEx, Izhikevich)
    for model in (*simple, ExpLIF, AlphaLIF, CobaLIF, HodgkinHuxley, TraubMiles):
        for reset in model.resets:
            yield _driven(f"{model.name}-{reset}", model, reset=reset)
    for model in (IF, LIF, CubaLIF, ALIF, ResonateFire, StochasticLIF, AdEx, ExpLIF, AlphaLIF, CobaLIF):
        yield _driven(f"{model.name}-refractory", model, t_ref=np.arange(11) * DT)
    yield from _sources()
    yield _distributions()
    yield _functions()


def _rng(name: str) -> Generator:
    return np.random.default_rng([ord(c) for c in name])


def _driven(name: str, model: NeuronModel, **extra: Any) -> Case:
    """X -> h (the model, every receptor, with recurrence) -> y (LIF)."""
    rng = _rng(name)
    net = Network(name, dt=FINE.get(model.name, DT), seed=5)
    net.input("x", 6)
    net.population("h", model(**parameters(model, rng, 11) | extra), 11)
    scale = RECIPES[model.name].scale / np.sqrt(6)
    for receptor in model.receptors or ("",):
        positive = 0.2 if receptor == "inh" else 1.0
        net.connect("x", "h", Dense(abs(rng.normal(0.5, 1.0, (11, 6))) * scale * positive), receptor=receptor)
        delays = rng.integers(1, 5, (11, 11))
        net.connect("h", "h", Dense(_lateral(model, rng) * scale), delay=delays, receptor=receptor)
    net.population("y", LIF(tau=10e-3), 4)
    net.connect("h", "y", Dense(rng.normal(0.4, 1.0, (4, 11)) * 5.0))
    return Case(name, net, {"x": spikes(rng, STEPS, (6,), 0.3)}, STEPS)


def _lateral(model: NeuronModel, rng: Generator) -> Any:
    weights = rng.normal(0.1, 0.4, (11, 11))
    return abs(weights) if "S" in model.units.values() else weights


def _sources() -> Iterator[Case]:
    """Sources drive neurons through every kind of step: with lags, noise on noise, the same model under two names."""
    net = Network("sources", dt=DT, seed=11)
    net.population("p", Poisson(rate=np.linspace(0.0, 95.0, 7)), 7)
    net.population("q", Poisson(rate=95.0, start=0.01, stop=0.03), 7)
    net.population("many", PoissonCounts(rate=np.linspace(0.0, 5000.0, 7)), 7, max_payload=40)
    net.population("dc", StepCurrent(start=0.005, stop=0.04), 1)
    net.population("noise", NoisyCurrent(), 7)
    net.population("h", LIF(tau=10e-3, t_ref=2e-3), 7)
    net.population("late", StochasticLIF(tau=10e-3, rate=100.0, delta_v=0.2), 7)
    for source, weight in (("p", 6.0), ("q", 4.0), ("many", 1.0), ("noise", 4.0 / NOISE_UNITS)):
        net.connect(source, "h", OneToOne(weight))
    net.connect("dc", "h", Dense(np.linspace(0.0, 1.5, 7)[:, None]))
    net.connect("h", "late", OneToOne(8.0))
    yield Case(net.name, net, {}, STEPS)
    plays = Network("plays", dt=DT)
    plays.input("x", 3, spikes=([1, 4, 4, 9, 50], [0, 1, 2, 0, 1]))
    plays.input("g", 2, max_payload=9, spikes=([0, 7], [1, 0], [-5, 9]))
    plays.population("h", CubaLIF(tau_syn=5e-3, tau_mem=10e-3), 4)
    plays.connect("x", "h", Dense(np.full((4, 3), 40.0)))
    plays.connect("g", "h", Dense(np.full((4, 2), 9.0)), delay=2)
    yield Case(plays.name, plays, {}, STEPS)


def _distributions() -> Case:
    net = Network("distributions", dt=DT, seed=3)
    net.population("p", Poisson(rate=Uniform(10.0, 95.0)), (3, 4))
    neuron = LIF(tau=Normal(10e-3, 2e-3, low=2e-3), v_threshold=Uniform(0.5, 1.0), initial={"v": Uniform(0.0, 0.5)})
    net.population("h", neuron, (3, 4), bias=Normal(0.2, 0.1))
    net.connect("p", "h", OneToOne(9.0))
    return Case(net.name, net, {}, STEPS)


def _functions() -> Case:
    """A model of nobody's that uses every function of the language."""
    rng = _rng("functions")
    net = Network("functions", dt=DT, seed=8)
    net.input("x", 6)
    net.population("h", FUNCTIONS(k=rng.uniform(0.5, 3.0, 700)), 700)  # longer than a chunk of the compiled kernel
    net.connect("x", "h", Dense(rng.normal(0.4, 1.0, (700, 6))))
    net.population("y", IF(), 2)
    net.connect("h", "y", Dense(rng.normal(0.0, 1.0, (2, 700))))
    return Case(net.name, net, {"x": spikes(rng, STEPS, (6,), 0.3)}, STEPS)
