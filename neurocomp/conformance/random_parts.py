"""The parts of random networks: neurons, connectivities, delays and learning rules, of both arithmetics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from neurocomp.conformance.catalogue import FUNCTIONS
from neurocomp.conformance.draws import Draws
from neurocomp.conformance.loihi_rules import random_loihi_rule
from neurocomp.conformance.plastic_cases import OWN
from neurocomp.conformance.recipes import RECIPES, maybe_each, parameters
from neurocomp.ir import integrators
from neurocomp.ir.connectivity import Connectivity, Dense, OneToOne, Sparse
from neurocomp.ir.convolution import AvgPool2d, Conv1d, Conv2d, SumPool2d
from neurocomp.ir.distributions import Distribution, Normal, Uniform
from neurocomp.ir.errors import ModelError
from neurocomp.ir.model import Neuron, NeuronModel
from neurocomp.ir.network import LoihiSynapse, Network
from neurocomp.ir.neurons import BUILTIN, IF, LIF, CubaLIF, LoihiGradedRelu, LoihiLIF
from neurocomp.ir.patterns import FixedInDegree, FixedOutDegree, FixedProbability, FixedTotalNumber, Pattern
from neurocomp.ir.plasticity import STDP, LoihiRule, Plasticity, RewardSTDP, TripletSTDP

INTEGRATORS = list(integrators.INTEGRATORS)
FLOAT_MODELS = [*(model for model in BUILTIN if model.arithmetic == "float"), FUNCTIONS]
QUANTISABLE = [LIF, IF, CubaLIF]
CONDUCTANCES = ("CobaLIF", "TraubMiles")  # negative ones would run away
LOIHI_WEIGHTS = (-150, 260)


@dataclass(frozen=True)
class Ends:
    """What a projection's parts depend on. least: the smallest delay that keeps every cycle long enough, in steps."""

    net: Network
    pre: str
    post: str
    loihi: bool
    least: int = 0

    @property
    def model(self) -> NeuronModel:
        """The target's model."""
        return self.net.populations[self.post].neuron.model

    @property
    def sizes(self) -> tuple[int, int]:
        """(n_pre, n_post)."""
        return self.net.nodes[self.pre].size, self.net.nodes[self.post].size

    @property
    def negative(self) -> bool:
        """Whether weights may be negative."""
        return not self.model.name.endswith(CONDUCTANCES)

    @property
    def scale(self) -> float:
        """The size of a weight that makes the target spike now and then."""
        if self.loihi:
            return 100.0
        sent = self.net.nodes[self.pre].max_payload
        payload = min(sent, 4096) if sent > 4096 or self.model.name in ("HodgkinHuxley", "TraubMiles") else 1
        return scale_of(self.model) / float(np.sqrt(self.sizes[0])) / payload

    def weights(self, draws: Draws, shape: Any) -> Any:
        """Random weights of that size."""
        if self.loihi:
            return draws.integers(*LOIHI_WEIGHTS, shape).astype(np.float64)
        drawn = draws.normal(0.5, 1.0, shape) * self.scale
        return drawn if self.negative else np.abs(drawn)


# ------------------------------------------------------------------------------------------------------------- neurons


def scale_of(model: NeuronModel) -> float:
    """The size of weights onto a neuron of float arithmetic."""
    return RECIPES[model.name.removeprefix("Refractory")].scale


def float_neuron(draws: Draws, size: int, models: list[NeuronModel]) -> Neuron:
    """Any of the models, lively, with any reset, integrator and initial state."""
    model = draws.among(models)
    span = RECIPES[model.name].initial
    initial = {name: maybe_each(draws, size, *span) for name in model.state if name == "v" or span[0] == -0.5}
    initial = {name: value for name, value in initial.items() if draws.chance(0.2)}
    reset = draws.among([*model.resets]) if model.resets else None
    integrator = draws.among(INTEGRATORS) if draws.chance(0.3) and model.integrator is None else None
    integrator = "euler" if model is FUNCTIONS else integrator  # it is not linear
    return model(reset=reset, integrator=integrator, initial=initial, **parameters(model, draws, size))


def loihi_neuron(draws: Draws, size: int) -> Neuron:
    """A neuron of Loihi's arithmetic."""

    def value(low: int, high: int) -> Any:
        return draws.integers(low, high, size) if draws.chance(0.4) else draws.integers(low, high)

    if draws.chance(0.15):
        return LoihiGradedRelu(vth=value(0, 200), exp=value(0, 8))
    values: dict[str, Any] = {"du": value(0, 4096), "dv": value(0, 4096), "vth": value(20, 800)}
    if draws.chance(0.4):
        values |= {"bias_mant": value(-100, 200), "bias_exp": value(-2, 6)}
    initial = {name: value(-20000, 20000) for name in ("u", "v") if draws.chance(0.2)}
    return LoihiLIF(reset=draws.among([*LoihiLIF.resets]), initial=initial, **values)


# ------------------------------------------------------------------------------------------------------ connectivities


def connectivity(draws: Draws, ends: Ends) -> Connectivity | Pattern:
    """Synapses between two nodes of any shape: listed, a matrix, one to one, or a pattern."""
    n_pre, n_post = ends.sizes
    plain = not ends.loihi and not ends.model.receptors
    bias = draws.normal(0.0, 0.25, n_post) * scale_of(ends.model) if plain and draws.chance(0.2) else None
    kinds = ["dense", "sparse", "dense", "sparse", "pattern", "columns"]
    match draws.among(["one", "one", *kinds] if n_pre == n_post else kinds):
        case "one":
            return OneToOne(ends.weights(draws, n_pre), bias=bias)
        case "dense":
            return Dense(ends.weights(draws, (n_post, n_pre)), bias=bias)
        case "columns":
            used = draws.integers(1, n_pre + 1)
            return Dense(ends.weights(draws, (n_post, used)), bias=bias, columns=draws.integers(-1, used, n_pre))
        case "pattern":
            return _pattern(draws, ends)
    count = draws.integers(0, n_pre * n_post + 1)
    places = (draws.integers(0, n_post, count), draws.integers(0, n_pre, count))
    return Sparse((ends.weights(draws, count), places), (n_post, n_pre), bias)


def _pattern(draws: Draws, ends: Ends) -> Pattern:
    n_pre, n_post = ends.sizes
    scale, low = ends.scale, -0.5 if ends.negative else 0.0
    one = draws.uniform(low, 2.0) * scale
    weights: float | Distribution = float(np.rint(one)) if ends.loihi else one
    match draws.among(["one", "uniform", "normal"]):
        case "uniform":
            weights = Uniform(low * scale, 2.0 * scale, draws.whole(0, 3))
        case "normal":
            weights = Normal(0.5 * scale, scale, low=-np.inf if ends.negative else 0.0)
    match draws.among(["probability", "total", "in", "out"]):
        case "probability":
            return FixedProbability(draws.uniform(0.0, 1.0), weights)
        case "total":
            return FixedTotalNumber(draws.whole(0, n_pre * n_post), weights)
        case "in":
            return FixedInDegree(draws.whole(0, n_pre), weights)
    return FixedOutDegree(draws.whole(0, n_post), weights)


def layer(draws: Draws, shape: tuple[int, ...], loihi: bool) -> Conv2d | None:
    """A convolution or pool of any kind over an image of this shape; None where what was drawn does not fit."""
    channels, height, width = (*shape, 1, 1)[:3]
    kernel, stride, padding, dilation = ((draws.whole(low, 3 - (low == 0)), draws.whole(low, 2)) for low in (1, 1, 0, 1))
    groups = draws.among([g for g in (1, 2, 3) if channels % g == 0])
    kind = draws.among(["conv", "conv", "same", "line", "sum", "mean"])
    outer = (draws.whole(1, 2) * groups, channels // groups)

    def weights(*size: int) -> Any:
        full = (*outer, *size)
        return draws.integers(*LOIHI_WEIGHTS, full) if loihi else draws.normal(0.5, 1.0, full) * RECIPES["LIF"].scale

    bias = draws.normal(0.0, 1.0, outer[0]) if not loihi and draws.chance(0.2) else None
    try:
        match kind:
            case "line":
                return Conv1d(weights(kernel[0]), height * width, stride[0], padding[0], dilation[0], groups, bias)
            case "sum":
                return SumPool2d(channels, (height, width), kernel, stride, padding)
            case "mean" if not loihi:
                return AvgPool2d(channels, (height, width), kernel, stride, padding)
            case "same":
                return Conv2d(weights(*kernel), (height, width), 1, "same", dilation, groups, bias)
        return Conv2d(weights(*kernel), (height, width), stride, padding, dilation, groups, bias)
    except ModelError:
        return None


# ----------------------------------------------------------------------------------------------------- delays and rules


def delay(draws: Draws, ends: Ends, given: Connectivity | Pattern) -> Any:
    """One for all, one for each synapse, or a distribution; now and then long."""
    least, more = ends.least, draws.among([8, 8, 8, 50 if ends.loihi else 90])
    dt = ends.net.dt
    drawn = Uniform(least * dt, (least + more) * dt, draws.whole(0, 3))
    match draws.among(["least", "later", "each", "drawn"]):
        case "least":
            return least
        case "later":
            return least + draws.integers(0, more)
        case "drawn" if isinstance(given, Pattern | Sparse | OneToOne):
            return drawn
        case "each" if isinstance(given, Sparse | OneToOne) or (isinstance(given, Dense) and given.columns is None):
            return least + draws.integers(0, more, given.weights.shape)
    return least + 1


def synapse(draws: Draws, loihi: bool) -> LoihiSynapse | None:
    """How Loihi stores the weights."""
    if not loihi or draws.chance(0.4):
        return None
    mode = draws.among([None, None, "mixed", "excitatory", "inhibitory"])
    return LoihiSynapse(draws.integers(-4, 3), draws.integers(3, 9), mode)


def can_learn(ends: Ends, given: Connectivity | Pattern) -> bool:
    """Whether such a projection may have a rule."""
    shares = isinstance(given, Dense) and given.columns is not None
    return ends.model.spike is not None and not ends.net.node(ends.pre).graded and not shares


def rule(draws: Draws, ends: Ends) -> Plasticity:
    """A learning rule with bounds around the size of the target's weights."""
    span = ends.scale * 2.0
    bounds: dict[str, Any] = {"w_min": -span if draws.chance(0.5) and ends.negative else 0.0, "w_max": span}
    step: dict[str, Any] = {"a_plus": 0.05 * span, "a_minus": 0.05 * span}
    taus: dict[str, Any] = {"tau_pre": draws.uniform(2e-3, 40e-3), "tau_post": draws.uniform(2e-3, 40e-3)}
    reward = _reward(draws, ends.net)
    match draws.among(["pair", "pair", "soft", "triplet", "reward", "own"]):
        case "soft":
            pairing = draws.among(["all", "nearest"])
            return STDP(**taus, a_plus=0.05, a_minus=0.05, bound="soft", pairing=pairing, **bounds)
        case "triplet":
            return TripletSTDP(a2_minus=0.05 * span, a3_plus=0.05 * span, **bounds)
        case "reward" if reward is not None:
            return RewardSTDP(reward[0], **taus, **step, **bounds, tau_c=0.1, reward_delay=reward[1])
        case "own" if reward is not None and span < 1e6:
            times: dict[str, Any] = {"tau_a": taus["tau_pre"], "tau_b": taus["tau_post"], "tau_e": 0.1, "tau_f": 0.3}
            return OWN(reward=reward[0], reward_delay=reward[1], eta=0.05, target=0.2, **times, **bounds)
    return STDP(**taus, **step, **bounds, pairing=draws.among(["all", "nearest"]))


def _reward(draws: Draws, net: Network) -> tuple[str, int] | None:
    """A node that can be a reward, and its delay in steps."""
    lonely = [name for name, node in net.inputs.items() if node.size == 1]
    critics = [name for name, x in net.populations.items() if x.size == 1 and x.neuron.model.spike is not None]
    if not lonely and not critics:
        return None
    name = draws.among([*lonely, *critics])
    return name, draws.whole(0, 2) + (len(net.nodes) if name in critics else 0)


def loihi_rule(draws: Draws, ends: Ends, given: LoihiSynapse | None) -> LoihiRule | None:
    """A rule of Loihi's learning engine, where the weights it can reach do not flood the target."""
    exponent = 0 if given is None else given.weight_exp
    return None if ends.sizes[0] * 2**exponent > 100 else random_loihi_rule(draws)
