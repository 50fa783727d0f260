"""The learning rules that come with the package. Adding one means adding its definition here and to `BUILTIN_RULES`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

from neurocomp.ir.errors import ModelError
from neurocomp.ir.plasticity.rule import Plasticity, PlasticityRule, Trace, unknown_parameter

Arguments = ParamSpec("Arguments")

NEAREST = "1.0"  # a trace that knows only the latest spike
_PAIR = {"tau_pre": "s", "tau_post": "s", "a_plus": "w", "a_minus": "w"}
_SOFT = {"tau_pre": "s", "tau_post": "s", "a_plus": "", "a_minus": ""}


def _pair(name: str, soft: bool, nearest: bool) -> PlasticityRule:
    jump = {"jump": NEAREST} if nearest else {}
    down, up = ("a_minus * y * (w - w_min)", "a_plus * x * (w_max - w)") if soft else ("a_minus * y", "a_plus * x")
    pairing = "the nearest spikes" if nearest else "all pairs of spikes"
    bound = "ever smaller steps towards the bounds" if soft else "steps of fixed size"
    return PlasticityRule(
        name,
        parameters=_SOFT if soft else _PAIR,
        pre={"x": Trace("tau_pre", **jump)},
        post={"y": Trace("tau_post", **jump)},
        on_pre=f"w = w - {down}",
        on_post=f"w = w + {up}",
        description=f"spike-timing dependent plasticity over {pairing}, with {bound} "
        "(Song, Miller & Abbott 2000, doi:10.1038/78829; Morrison, Diesmann & Gerstner 2008, doi:10.1007/s00422-008-0233-1)",
    )


HardSTDP = _pair("HardSTDP", soft=False, nearest=False)
SoftSTDP = _pair("SoftSTDP", soft=True, nearest=False)
HardNearestSTDP = _pair("HardNearestSTDP", soft=False, nearest=True)
SoftNearestSTDP = _pair("SoftNearestSTDP", soft=True, nearest=True)

Triplet = PlasticityRule(
    "Triplet",
    parameters={
        "tau_plus": "s",
        "tau_x": "s",
        "tau_minus": "s",
        "tau_y": "s",
        "a2_plus": "w",
        "a3_plus": "w",
        "a2_minus": "w",
        "a3_minus": "w",
    },
    pre={"r1": Trace("tau_plus"), "r2": Trace("tau_x")},
    post={"o1": Trace("tau_minus"), "o2": Trace("tau_y")},
    on_pre="w = w - o1 * (a2_minus + a3_minus * r2)",
    on_post="w = w + r1 * (a2_plus + a3_plus * o2)",
    description="triplet STDP, all-to-all (Pfister & Gerstner 2006, doi:10.1523/JNEUROSCI.1425-06.2006)",
)

Reward = PlasticityRule(
    "Reward",
    parameters={**_PAIR, "tau_c": "s", "rate": ""},
    pre={"x": Trace("tau_pre")},
    post={"y": Trace("tau_post")},
    synapse={"c": "tau_c"},
    on_pre="c = c - a_minus * y",
    on_post="c = c + a_plus * x",
    on_reward="w = w + rate * reward * c",
    description="reward-modulated STDP: pairs of spikes leave an eligibility c that a reward turns into weight "
    "(Izhikevich 2007, doi:10.1093/cercor/bhl152)",
)

BUILTIN_RULES = (HardSTDP, SoftSTDP, HardNearestSTDP, SoftNearestSTDP, Triplet, Reward)


def _named(make: Callable[Arguments, Plasticity]) -> Callable[Arguments, Plasticity]:
    """Refuse keywords that do not exist by the package's own error."""
    known = tuple(inspect.signature(make).parameters)

    @wraps(make)
    def checked(*args: Arguments.args, **values: Arguments.kwargs) -> Plasticity:
        for name in values:
            if name not in known:
                raise unknown_parameter(make.__name__, name, known)
        return make(*args, **values)

    return checked


@_named
def STDP(  # noqa: N802 - a rule is made as a neuron is, by its name
    tau_pre: float = 20e-3,
    tau_post: float = 20e-3,
    a_plus: float = 0.01,
    a_minus: float = 0.0105,
    w_min: float = 0.0,
    w_max: float = 1.0,
    bound: str = "hard",
    pairing: str = "all",
) -> Plasticity:
    """Pair-based spike-timing dependent plasticity.

    A pair with the target's spike dt >= 0 s after the arriving one adds a_plus * exp(-dt / tau_pre); one with the target's
    spike dt > 0 s before takes a_minus * exp(-dt / tau_post) away (so a_minus > 0 depresses). tau_pre, tau_post: s.
    bound: "hard", amounts in units of the weight, or "soft", amounts as fractions of the distance to w_max and w_min. pairing:
    "all" pairs, or the "nearest" spike of the other side only.
    """
    rules = {
        ("hard", "all"): HardSTDP,
        ("soft", "all"): SoftSTDP,
        ("hard", "nearest"): HardNearestSTDP,
        ("soft", "nearest"): SoftNearestSTDP,
    }
    if (bound, pairing) not in rules:
        raise ModelError(f"STDP: bound is 'hard' or 'soft', pairing 'all' or 'nearest', not {bound!r} and {pairing!r}")
    values: dict[str, Any] = {"tau_pre": tau_pre, "tau_post": tau_post, "a_plus": a_plus, "a_minus": a_minus}
    return rules[bound, pairing](w_min=w_min, w_max=w_max, **values)


@_named
def TripletSTDP(  # noqa: N802
    tau_plus: float = 16.8e-3,
    tau_x: float = 101e-3,
    tau_minus: float = 33.7e-3,
    tau_y: float = 125e-3,
    a2_plus: float = 5e-10,
    a3_plus: float = 6.2e-3,
    a2_minus: float = 7e-3,
    a3_minus: float = 2.3e-4,
    w_min: float = 0.0,
    w_max: float = 1.0,
) -> Plasticity:
    """Triplet STDP (Pfister & Gerstner 2006); the defaults are their visual-cortex set (table 4, all-to-all). Times in s."""
    values: dict[str, Any] = {
        "tau_plus": tau_plus,
        "tau_x": tau_x,
        "tau_minus": tau_minus,
        "tau_y": tau_y,
        "a2_plus": a2_plus,
        "a3_plus": a3_plus,
        "a2_minus": a2_minus,
        "a3_minus": a3_minus,
    }
    return Triplet(w_min=w_min, w_max=w_max, **values)


@_named
def RewardSTDP(  # noqa: N802
    reward: Any,
    tau_pre: float = 20e-3,
    tau_post: float = 20e-3,
    a_plus: float = 0.01,
    a_minus: float = 0.0105,
    tau_c: float = 1.0,
    rate: float = 1.0,
    w_min: float = 0.0,
    w_max: float = 1.0,
    reward_delay: int = 0,
) -> Plasticity:
    """Reward-modulated STDP: what `STDP` would add goes to an eligibility c, which decays with tau_c (s).

    reward: the input or population of one neuron whose spikes are rewards; each changes every weight by rate * payload * c (a
    payload is 1 unless the node is graded; negative payloads punish). reward_delay: steps from the node to the synapses.
    """
    values = {"tau_pre": tau_pre, "tau_post": tau_post, "a_plus": a_plus, "a_minus": a_minus, "tau_c": tau_c, "rate": rate}
    return Reward(w_min=w_min, w_max=w_max, reward=reward, reward_delay=reward_delay, **values)
