"""`LoihiRule`: a learning rule in the form of Loihi's learning engine, with its integers and its rounding at random.

The semantics are those of Lava 0.10's `LearningDense` in fixed point with a `Loihi2FLearningRule`, bit for bit
(docs/plasticity.md says them in words; `backends/loihi_learning.py` is the specification in code). Davies et al. 2018,
doi:10.1109/MM.2018.112130359, describe the engine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from neurocomp.ir.errors import ModelError
from neurocomp.ir.plasticity.products import POST, PRE, TRACES, Product, parse_products, products_text

TRACE_TOP = 127  # traces are integers of 7 bits
FRACTION = 256  # impulses have 8 bits behind the point
WEIGHT_LOW, WEIGHT_HIGH = -256, 255
TAG_LOW, TAG_HIGH = -257, 255
MAX_EPOCH = 63  # spike times within an epoch have 6 bits


@dataclass(frozen=True)
class LoihiRule:
    """A rule of Loihi's learning engine, for targets in Loihi's arithmetic. Names and meaning are Lava's.

    dw, dt: what is added to the weight w and to the synapse's tag t at the end of an epoch: sums of products as in
    "2^-2*x1*y0 - 2^-2*y1*x0" (`products.py` has the grammar), "" for nothing. x1 .. y3: traces of the arriving spikes (x) and
    of the target's (y); each spike adds the impulse (0..127, in 256ths), and in every step a trace decays by exp(-1/tau), tau
    in whole steps (0: it lasts for its step only). t_epoch: steps from one learning to the next, 1..63. rng_seed: of the
    rounding at random.
    """

    dw: str = ""
    dt: str = ""
    dd: str = ""
    x1_impulse: float = 0.0
    x1_tau: int = 0
    x2_impulse: float = 0.0
    x2_tau: int = 0
    y1_impulse: float = 0.0
    y1_tau: int = 0
    y2_impulse: float = 0.0
    y2_tau: int = 0
    y3_impulse: float = 0.0
    y3_tau: int = 0
    t_epoch: int = 1
    rng_seed: int = 0

    reward: ClassVar[None] = None  # rules with a third factor do not exist in this form
    reward_delay: ClassVar[int] = 0

    def __post_init__(self) -> None:
        for name in ("dw", "dt", "dd"):
            if not isinstance(given := getattr(self, name), str):
                raise ModelError(f"LoihiRule: {name} is text, such as '2^-2*x1*y0', not {given!r:.60}")
        if self.dd.strip():
            raise ModelError("LoihiRule: dd is not available: the delay it would learn delays nothing in Lava; leave it out")
        if not self.dw.strip() and not self.dt.strip():
            raise ModelError("LoihiRule: nothing is learned; give dw, such as dw='2^-2*x1*y0 - 2^-2*y1*x0'")
        for trace in TRACES:
            object.__setattr__(self, f"{trace}_impulse", _impulse(f"{trace}_impulse", getattr(self, f"{trace}_impulse")))
            object.__setattr__(self, f"{trace}_tau", _whole(f"{trace}_tau", getattr(self, f"{trace}_tau"), 0, None))
        object.__setattr__(self, "t_epoch", _whole("t_epoch", self.t_epoch, 1, MAX_EPOCH))
        object.__setattr__(self, "rng_seed", _whole("rng_seed", self.rng_seed, 0, None))
        _ = self.k
        self._check_traces()

    def _check_traces(self) -> None:
        for target, products in self.products.items():
            used = {x.name for product in products for x in product.factors}
            for trace in TRACES:
                if trace in used and getattr(self, f"{trace}_impulse") == 0:
                    cure = f"give {trace}_impulse and {trace}_tau"
                    raise ModelError(f"LoihiRule: {target} uses {trace}, which is always 0, as {trace}_impulse is; {cure}")

    @cached_property
    def products(self) -> dict[str, tuple[Product, ...]]:
        """The products of dw and dt, where given."""
        texts = {"dw": self.dw, "dt": self.dt}
        return {target: parse_products(target, text) for target, text in texts.items() if text.strip()}

    @cached_property
    def k(self) -> int | None:
        """The k of its u<k>, or None. Raises `ModelError` where there are several: the engine counts for one only."""
        found = sorted({x.k for products in self.products.values() for x in products if x.dependency == "u"})
        if len(found) > 1:
            raise ModelError(f"LoihiRule: u{found[0]} and u{found[1]} in one rule; all its u<k> need the same k")
        return found[0] if found else None

    @property
    def texts(self) -> dict[str, str]:
        """Canonical texts of dw and dt, where given."""
        return {target: products_text(products) for target, products in self.products.items()}

    def impulses(self, traces: tuple[str, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(whole parts, fractions in 256ths) of the impulses of these traces."""
        given = np.array([getattr(self, f"{x}_impulse") for x in traces])
        return np.floor(given).astype(np.int64), np.rint((given - np.floor(given)) * FRACTION).astype(np.int64)

    def decays(self, traces: tuple[str, ...]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """(traces, 128) whole part and fraction of every value a trace can have, a step later."""
        from neurocomp.ir import numerics  # needs mpmath, which is not there while the package is built

        taus = [getattr(self, f"{x}_tau") for x in traces]
        factors = np.array([float(numerics.exp(np.float64(-1.0 / tau))) if tau else 0.0 for tau in taus])
        later = factors[:, None] * np.arange(TRACE_TOP + 1)
        return np.floor(later).astype(np.int64), np.asarray(later % 1, np.float64)

    def describe(self) -> str:
        """A short stable text."""
        parts = [f"{target}='{text}'" for target, text in self.texts.items()]
        for trace in (*PRE, *POST):
            impulse, tau = getattr(self, f"{trace}_impulse"), getattr(self, f"{trace}_tau")
            parts += [f"{trace}_impulse={impulse:g} {trace}_tau={tau}"] if impulse else []
        return " ".join(["LoihiRule", *parts, f"t_epoch={self.t_epoch}", f"rng_seed={self.rng_seed}"])


def _impulse(name: str, value: Any) -> float:
    number = _number(name, value)
    if not 0 <= number <= TRACE_TOP:
        raise ModelError(f"LoihiRule: {name} = {number:g} is outside 0..{TRACE_TOP}, the range of a trace")
    if number * FRACTION != math.floor(number * FRACTION):
        nearest = round(number * FRACTION) / FRACTION
        raise ModelError(f"LoihiRule: {name} = {number:g} is not a multiple of 1/256, as Loihi keeps it; nearest is {nearest}")
    return number


def _whole(name: str, value: Any, low: int, high: int | None) -> int:
    number = int(value) if isinstance(value, int | np.integer) else _number(name, value)
    if number != math.floor(number):
        raise ModelError(f"LoihiRule: {name} = {number:g} is not a whole number; the nearest is {round(number)}")
    if number < low or (high is not None and number > high):
        span = f"outside {low}..{high}" if high is not None else f"below {low}"
        raise ModelError(f"LoihiRule: {name} = {int(number)} is {span}")
    return int(number)


def _number(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ModelError(f"LoihiRule: {name} = {value!r:.60} is not a number") from None
    if not math.isfinite(number):
        raise ModelError(f"LoihiRule: {name} = {number} is not finite")
    return number
