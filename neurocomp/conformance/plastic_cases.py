"""Cases of synapses that learn: rules x connectivity x delays, on several populations at once, and with receptors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from neurocomp.conformance.case import Case, spikes
from neurocomp.ir.connectivity import Connectivity, Dense, OneToOne, Sparse
from neurocomp.ir.network import Network
from neurocomp.ir.neurons import ALIF, LIF, CobaLIF, Poisson
from neurocomp.ir.plasticity import STDP, Plasticity, PlasticityRule, RewardSTDP, Trace, TripletSTDP

DT = 1e-3
STEPS = 200
SIZE = 12
Generator = np.random.Generator

RULES: Mapping[str, Plasticity] = {
    "hard": STDP(a_plus=0.02, a_minus=0.021),
    "soft": STDP(tau_pre=10e-3, a_plus=0.02, a_minus=0.03, bound="soft"),
    "hard-nearest": STDP(tau_post=30e-3, a_plus=0.02, a_minus=0.021, pairing="nearest"),
    "soft-nearest": STDP(a_plus=0.02, a_minus=0.03, bound="soft", pairing="nearest"),
    "triplet": TripletSTDP(a2_minus=2e-2, a3_plus=2e-2),
    "reward": RewardSTDP("r", tau_c=0.2, a_plus=0.05, a_minus=0.05),
}

OWN = PlasticityRule(
    "Own",
    parameters={"tau_a": "s", "tau_b": "s", "tau_e": "s", "tau_f": "s", "eta": "", "target": ""},
    pre={"a": Trace("tau_a"), "fast": Trace("tau_b", "0.5 * ({0} + 1.0)")},
    post={"b": Trace("tau_b", "min({0} + 1.0, 2.0)")},
    synapse={"e": "tau_e", "f": "tau_f"},
    on_pre="e = e + b; w = w * (1.0 - eta) + eta * where(fast > 0.2, b, 0.0)",
    on_post="f = f + a * exp(-e); w = w + eta * (a - target) * sqrt(abs(w_max - w))",
    on_reward="w = w + eta * reward * tanh(e - f); e = 0.5 * e",
)


def plastic_cases(steps: int = STEPS) -> Iterator[Case]:
    """All of them, each of `steps` steps."""
    for rule in RULES:
        for kind in ("Dense", "Sparse", "OneToOne"):
            for delay in (0, 3, "each"):
                yield _learning(f"plastic-{rule}-{kind}-{delay}", RULES[rule], kind, delay, steps)
    yield _two_layers(steps)
    yield _receptors(steps)
    yield _own_rule(steps)
    yield _nothing(steps)


def _rng(name: str) -> Generator:
    return np.random.default_rng([ord(c) for c in name])


def _connectivity(kind: str, rng: Generator) -> Connectivity:
    if kind == "Dense":
        return Dense(rng.uniform(0.0, 1.0, (SIZE, SIZE)))
    if kind == "OneToOne":
        return OneToOne(rng.uniform(0.0, 1.0, SIZE))
    count = 5 * SIZE  # some pairs twice
    places = (rng.integers(0, SIZE, count), rng.integers(0, SIZE, count))
    return Sparse((rng.uniform(0.0, 1.0, count), places), (SIZE, SIZE))


def _learning(name: str, rule: Plasticity, kind: str, delay: Any, steps: int) -> Case:
    """X -> h learns; h is kept active by fixed weights from x and from itself."""
    rng = _rng(name)
    net = Network(name, dt=DT)
    net.input("x", SIZE)
    net.input("r", 1, max_payload=3)
    net.population("h", LIF(tau=8e-3), SIZE)
    synapses = _connectivity(kind, rng)
    delays = rng.integers(0, 6, synapses.weights.shape) if delay == "each" else delay
    net.connect("x", "h", synapses, delay=delays, plasticity=rule, name="p")
    net.connect("x", "h", Dense(rng.normal(0.5, 1.0, (SIZE, SIZE)) * 4.0), delay=1)
    net.connect("h", "h", Dense(rng.normal(-0.5, 1.0, (SIZE, SIZE))), delay=2)
    rewards = spikes(rng, steps, (1,), 0.05) * rng.integers(-3, 4, (steps, 1))
    return Case(name, net, {"x": spikes(rng, steps, (SIZE,), 0.1), "r": rewards}, steps)


def _two_layers(steps: int) -> Case:
    """Layers in the same step, recurrence, and an adaptive threshold; the reward comes from a population."""
    rng = _rng("plastic-layers")
    net = Network("plastic-layers", dt=DT, seed=2)
    net.population("x", Poisson(rate=80.0), SIZE)
    net.population("critic", Poisson(rate=40.0), 1)
    net.population("h", ALIF(tau=8e-3, tau_adapt=50e-3, beta=0.1, t_ref=2e-3), SIZE)
    net.population("y", LIF(tau=8e-3, reset="subtract"), 5)
    net.connect("x", "h", Dense(rng.uniform(0.0, 3.0, (SIZE, SIZE))), plasticity=STDP(w_max=3.0), name="xh")
    net.connect("h", "y", Dense(rng.uniform(0.0, 3.0, (5, SIZE))), plasticity=RewardSTDP("critic", w_max=3.0), name="hy")
    net.connect("y", "h", Dense(rng.uniform(-1.0, 0.0, (SIZE, 5))), delay=2, plasticity=STDP(w_min=-1.0, w_max=0.0), name="yh")
    net.connect("x", "y", OneToOne(2.0) if SIZE == 5 else Dense(rng.normal(0.3, 1.0, (5, SIZE)) * 3.0))
    return Case(net.name, net, {}, steps)


def _receptors(steps: int) -> Case:
    """Conductances that learn, with inhibitory plasticity on the other receptor."""
    rng = _rng("plastic-receptors")
    net = Network("plastic-receptors", dt=DT, seed=4)
    net.population("e", Poisson(rate=60.0), 20)
    net.population("i", Poisson(rate=60.0), 8)
    net.population("h", CobaLIF(c_m=250e-12, t_ref=2e-3), 7)
    rule = STDP(a_plus=4e-11, a_minus=4.2e-11, w_max=4e-9)
    net.connect("e", "h", Dense(rng.uniform(0.0, 4e-9, (7, 20))), plasticity=rule, receptor="exc", name="exc")
    net.connect("i", "h", Dense(rng.uniform(0.0, 4e-9, (7, 8))), plasticity=rule, receptor="inh", delay=2, name="inh")
    return Case(net.name, net, {}, steps)


def _nothing(steps: int) -> Case:
    """A projection that could learn, had it any synapses."""
    rng = _rng("plastic-nothing")
    net = Network("plastic-nothing", dt=DT)
    net.input("x", SIZE)
    net.population("h", LIF(tau=8e-3), 5)
    net.connect("x", "h", Sparse((np.zeros(0), (np.zeros(0, int), np.zeros(0, int))), (5, SIZE)), plasticity=STDP())
    net.connect("x", "h", Dense(rng.normal(0.5, 1.0, (5, SIZE)) * 4.0))
    return Case(net.name, net, {"x": spikes(rng, steps, (SIZE,), 0.1)}, steps)


def _own_rule(steps: int) -> Case:
    """A rule of nobody's, with everything a rule may have."""
    values: dict[str, Any] = {"tau_a": 15e-3, "tau_b": 30e-3, "tau_e": 0.1, "tau_f": 0.3, "eta": 0.05, "target": 0.2}
    return _learning("plastic-own", OWN(w_min=0.0, w_max=1.0, reward="r", **values), "Sparse", "each", steps)
