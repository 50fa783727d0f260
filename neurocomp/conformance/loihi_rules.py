"""Cases of Loihi's learning engine: rules x connectivity x delays x weight formats, layers that lag, and rules at random."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from neurocomp.conformance.case import Case, spikes
from neurocomp.conformance.draws import Random
from neurocomp.ir.connectivity import Connectivity, Dense, OneToOne, Sparse
from neurocomp.ir.network import LoihiSynapse, Network
from neurocomp.ir.neurons import LoihiLIF
from neurocomp.ir.plasticity import LoihiRule
from neurocomp.ir.plasticity.products import MOST_BITS, POST, PRE, WIDTHS

DT = 1e-3
STEPS = 120
SIZE = 8
Generator = np.random.Generator

PAIR = "2^-2*x1*y0 - 2^-2*y1*x0"
TRACES: dict[str, Any] = {
    "x1_impulse": 16,
    "x1_tau": 10,
    "x2_impulse": 40,
    "x2_tau": 3,
    "y1_impulse": 16,
    "y1_tau": 7,
    "y2_impulse": 7.25,
    "y2_tau": 30,
    "y3_impulse": 100.5,
}
RULES: Mapping[str, LoihiRule] = {
    "pair": LoihiRule(PAIR, **TRACES, rng_seed=5),
    "pair-epoch4": LoihiRule(PAIR, **TRACES, t_epoch=4, rng_seed=6),
    "triplet": LoihiRule("2^-4*x1*y0*y2 - 2^-2*x0*y1 - 2^-5*x0*y1*x2", **TRACES, t_epoch=2, rng_seed=7),
    "bounded": LoihiRule("2^-6*(w-200)*x0*y1 - 3*2^-7*y0*x1*(w+100) + sgn(w-3)*u2", **TRACES, rng_seed=8),
    "tagged": LoihiRule("2^-3*u3*t - u3*sgn(w)", "2^-1*x1*y0 - 2^-2*x0*(y1-4) - 2^-2*u3*t", **TRACES, t_epoch=3, rng_seed=9),
    "lasting": LoihiRule("2*y0*(x2-1) - 2^-1*x0*y3", **TRACES, t_epoch=7, rng_seed=0),
}


def loihi_rule_cases() -> Iterator[Case]:
    """All of them."""
    for name, rule in RULES.items():
        yield _learning(f"loihi-rule-{name}", rule)
    for kind in ("Sparse", "OneToOne"):
        for delay in (0, "each"):
            yield _learning(f"loihi-rule-{kind}-{delay}", RULES["pair-epoch4"], kind, delay)
    for delay in (1, 4):
        yield _learning(f"loihi-rule-delay{delay}", RULES["triplet"], delay=delay)
    yield _learning("loihi-rule-dense-each", RULES["tagged"], delay="each")
    for exponent, mode in ((2, "mixed"), (-2, None), (-1, "excitatory"), (1, "inhibitory")):
        synapse = LoihiSynapse(weight_exp=exponent, num_weight_bits=6 if mode is None else 8, sign_mode=mode)
        yield _learning(f"loihi-rule-exp{exponent}-{mode}", RULES["bounded"], synapse=synapse)
        yield _learning(f"loihi-rule-sparse-exp{exponent}-{mode}", RULES["pair"], "Sparse", "each", synapse)
    yield _learning("loihi-rule-wide", RULES["triplet"], size=50)
    yield _layers()
    yield _late()


def _rng(name: str) -> Generator:
    return np.random.default_rng([ord(c) for c in name])


def _connectivity(kind: str, rng: Generator, size: int) -> Connectivity:
    if kind == "Dense":
        return Dense(rng.integers(-120, 200, (size, SIZE)))
    if kind == "OneToOne":
        return OneToOne(rng.integers(-120, 200, SIZE))
    count = 4 * SIZE  # some pairs twice
    places = (rng.integers(0, size, count), rng.integers(0, SIZE, count))
    return Sparse((rng.integers(-120, 200, count), places), (size, SIZE))


def _learning(
    name: str, rule: LoihiRule, kind: str = "Dense", delay: Any = 0, synapse: LoihiSynapse | None = None, size: int = SIZE
) -> Case:
    """X -> h learns; h is kept active by fixed weights from x and from itself."""
    rng = _rng(name)
    net = Network(name, dt=DT)
    net.input("x", SIZE)
    net.population("h", LoihiLIF(du=3000, dv=2000, vth=250), size)
    synapses = _connectivity(kind, rng, size)
    delays = rng.integers(0, 5, synapses.weights.shape) if delay == "each" else delay
    net.connect("x", "h", synapses, delay=delays, plasticity=rule, name="p", loihi=synapse)
    net.connect("x", "h", Dense(rng.integers(-100, 256, (size, SIZE))), delay=1)
    net.connect("h", "h", Dense(rng.integers(-60, 40, (size, size))), delay=2)
    return Case(name, net, {"x": spikes(rng, STEPS, (SIZE,), 0.15)}, STEPS, {"accept_wrap": True})


def _layers() -> Case:
    """Layers in the same step, so that the later ones lag, with recurrence and two rules; one population is not at rest."""
    rng = _rng("loihi-rule-layers")
    net = Network("loihi-rule-layers", dt=DT)
    net.input("x", SIZE)
    net.population("h", LoihiLIF(du=3000, dv=2000, vth=250, bias_mant=20, bias_exp=5), SIZE)
    net.population("y", LoihiLIF(du=4095, dv=500, vth=200), 5)
    net.connect("x", "h", Dense(rng.integers(0, 200, (SIZE, SIZE))), name="xh", plasticity=RULES["tagged"])
    net.connect("h", "y", Dense(rng.integers(-50, 200, (5, SIZE))), name="hy", plasticity=RULES["bounded"])
    net.connect("y", "h", Dense(rng.integers(-100, 50, (SIZE, 5))), delay=2, name="yh", plasticity=RULES["pair-epoch4"])
    net.connect("y", "y", Sparse(np.diag([-60.0] * 5)), delay=1, name="yy", plasticity=RULES["lasting"])
    return Case(net.name, net, {"x": spikes(rng, STEPS, (SIZE,), 0.2)}, STEPS, {"accept_wrap": True})


def _late() -> Case:
    """A population three steps behind its source: the chip's steps before its first one change weights already."""
    rng = _rng("loihi-rule-late")
    net = Network("loihi-rule-late", dt=DT)
    net.input("x", SIZE)
    for k in range(3):
        net.population(f"p{k}", LoihiLIF(du=4095, dv=2000, vth=150), SIZE)
        net.connect(f"p{k - 1}" if k else "x", f"p{k}", Dense(rng.integers(0, 150, (SIZE, SIZE))))
    rule = LoihiRule("3*u0 - 2^-1*x0*(w-60) + 2^-3*x1*y0", **TRACES, t_epoch=1, rng_seed=3)
    net.connect("x", "p2", Dense(rng.integers(0, 100, (SIZE, SIZE))), name="late", plasticity=rule)
    rule = LoihiRule("-2*u1 - 2^-2*x0*w", **TRACES, t_epoch=2, rng_seed=4)
    net.connect("x", "p2", Sparse(np.diag([90.0] * SIZE)), name="sparse", plasticity=rule, delay=2)
    return Case(net.name, net, {"x": spikes(rng, STEPS, (SIZE,), 0.3)}, STEPS, {"accept_wrap": True})


def random_loihi_rule(rng: Random) -> LoihiRule:
    """Any rule of the grammar, with scales that make it move weights without throwing them to their bounds at once."""
    traces: dict[str, Any] = {}
    for trace in (*PRE, *POST):
        traces[f"{trace}_impulse"] = int(rng.integers(1, 128)) if rng.random() < 0.7 else int(rng.integers(1, 127 * 256)) / 256
        traces[f"{trace}_tau"] = int(rng.choice([0, 1, 2, 5, 10, 30, 200]))
    k = int(rng.integers(0, 4))
    dw = "".join(_product(rng, k) for _ in range(int(rng.integers(1, 4))))
    dt = "".join(_product(rng, k) for _ in range(int(rng.integers(0, 3))))
    return LoihiRule(dw, dt, **traces, t_epoch=int(rng.choice([1, 1, 2, 3, 5, 8])), rng_seed=int(rng.integers(0, 2**31)))


def _product(rng: Random, k: int) -> str:
    factors = [str(rng.choice(["x0", "x0", "y0", "y0", f"u{k}"]))]
    bits = 0
    for _ in range(int(rng.integers(0, 4))):
        name = str(rng.choice(list(WIDTHS)))
        if bits + WIDTHS[name] > MOST_BITS:
            break
        bits += WIDTHS[name]
        constant = int(rng.integers(-20, 21))
        inner = f"{name}{constant:+d}" if constant and rng.random() < 0.5 else name
        sign = name in ("w", "t") and rng.random() < 0.3
        factors.append(f"sgn({inner})" if sign else f"({inner})" if inner != name else name)
    exponent = int(rng.integers(-7, 1)) if bits < 10 else int(rng.integers(-7, -3))
    scale = f"{rng.choice(['+', '-'])}{int(rng.integers(1, 8))}*2^{exponent}"
    return "*".join([scale, *factors])
