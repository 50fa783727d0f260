"""Cases of random connectivity: every pattern, with weights and delays drawn or not, onto several populations at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from neurocomp.conformance.case import Case, spikes
from neurocomp.ir.distributions import Normal, Uniform
from neurocomp.ir.network import Network
from neurocomp.ir.neurons import LIF, CubaLIF, ExpLIF, LoihiLIF
from neurocomp.ir.patterns import FixedInDegree, FixedOutDegree, FixedProbability, FixedTotalNumber
from neurocomp.ir.plasticity import STDP

DT, STEPS, SIZE = 1e-3, 120, 40
LATER = Normal(3e-3, 1e-3, low=1e-3)
PATTERNS: dict[str, Any] = {
    "probability": lambda w: FixedProbability(0.2, w),
    "total": lambda w: FixedTotalNumber(300, w),
    "in-degree": lambda w: FixedInDegree(7, w),
    "out-degree": lambda w: FixedOutDegree(7, w),
}


def pattern_cases() -> Iterator[Case]:
    """All of them."""
    for name, pattern in PATTERNS.items():
        for drawn in (False, True):
            yield _recurrent(f"pattern-{name}-{'drawn' if drawn else 'alike'}", pattern, drawn)
    yield _one_source()
    yield _receptors()
    yield _loihi()


def _inputs(name: str, size: int = SIZE) -> dict[str, Any]:
    return {"x": spikes(np.random.default_rng([ord(c) for c in name]), STEPS, (size,), 0.15)}


def _recurrent(name: str, pattern: Any, drawn: bool) -> Case:
    net = Network(name, dt=DT, seed=6)
    net.input("x", SIZE)
    net.population("p", LIF(tau=8e-3), SIZE)
    net.connect("x", "p", pattern(Uniform(1.0, 9.0) if drawn else 4.0), delay=Uniform(0.0, 4e-3) if drawn else 0)
    net.connect("p", "p", pattern(Normal(0.0, 1.5) if drawn else -0.8), delay=LATER if drawn else 2)
    return Case(name, net, _inputs(name), STEPS)


def _one_source() -> Case:
    """What one source sends to several populations, three times to one of them, and some of it never."""
    net = Network("pattern-one-source", dt=DT, seed=8)
    net.input("x", SIZE)
    for name, size in (("p", 90), ("q", 17), ("r", 40)):
        gain = np.linspace(0.5, 2.0, size)  # folded into the weights, a factor for each target
        net.population(name, CubaLIF(tau_syn=4e-3, tau_mem=8e-3, r=gain), size)
        net.connect("x", name, FixedProbability(0.3, Normal(8.0, 2.0)), delay=LATER)
    net.connect("x", "p", FixedInDegree(3, 6.0), delay=1)
    net.connect("x", "p", FixedOutDegree(2, 5.0), delay=4)
    net.connect("p", "q", FixedProbability(0.0), delay=1)
    net.connect("p", "q", FixedTotalNumber(0), delay=LATER)
    return Case(net.name, net, _inputs(net.name), STEPS)


def _receptors() -> Case:
    net = Network("pattern-receptors", dt=DT, seed=9)
    net.input("x", SIZE)
    net.population("p", ExpLIF(c_m=250e-12, t_ref=2e-3), 30)
    net.connect("x", "p", FixedProbability(0.4, Normal(4e-10, 1e-10)), receptor="exc", delay=LATER)
    net.connect("x", "p", FixedProbability(0.4, Uniform(-3e-10, 0.0)), receptor="inh", delay=2)
    rule = STDP(a_plus=4e-12, a_minus=4e-12, w_max=8e-10)
    net.connect(
        "x", "p", FixedProbability(0.2, Uniform(0.0, 8e-10)), receptor="exc", delay=LATER, plasticity=rule, name="learns"
    )
    return Case(net.name, net, _inputs(net.name), STEPS)


def _loihi() -> Case:
    net = Network("pattern-loihi", dt=DT, seed=10)
    net.input("x", SIZE)
    net.population("p", LoihiLIF(du=1000, dv=300, vth=300), 30)
    net.connect("x", "p", FixedProbability(0.4, Uniform(0.0, 120.0)), delay=LATER)
    net.connect("p", "p", FixedInDegree(4, -60.0), delay=3)
    return Case(net.name, net, _inputs(net.name), STEPS)
