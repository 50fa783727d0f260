"""Random valid networks over everything the IR can say; the seed decides all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from neurocomp.conformance.case import Case, graded, spikes
from neurocomp.conformance.loihi_rules import random_loihi_rule
from neurocomp.conformance.recipes import DT, RECIPES, maybe_each, parameters
from neurocomp.ir import integrators, passes
from neurocomp.ir.connectivity import Connectivity, Dense, OneToOne, Sparse
from neurocomp.ir.convolution import Conv2d
from neurocomp.ir.errors import CompileError, ModelError
from neurocomp.ir.model import Neuron, NeuronModel
from neurocomp.ir.network import LoihiSynapse, Network
from neurocomp.ir.neurons import BUILTIN, LIF, LoihiGradedRelu, LoihiLIF
from neurocomp.ir.plasticity import STDP, LoihiRule, Plasticity, RewardSTDP, TripletSTDP

INTEGRATORS = list(integrators.INTEGRATORS)
FLOAT_MODELS = [model for model in BUILTIN if model.arithmetic == "float"]
CONDUCTANCES = ("CobaLIF", "TraubMiles")  # negative ones would run away
Generator = np.random.Generator


def random_case(seed: int, arithmetic: str | None = None, steps: int | None = None) -> Case:
    """A random network with its inputs. arithmetic: "float", "loihi", or None for either. steps: drawn, too, where None."""
    for shrink in (1.0, 0.25, 1 / 16, 1 / 64, 1 / 256):  # Loihi's inputs are bounded: smaller weights where they would not be
        case = _build(seed, arithmetic, steps, shrink)
        try:
            passes.standard(case.options.get("mantissa_bits", 24))(case.network)
        except CompileError:
            continue
        return case
    raise AssertionError(f"seed {seed} gives no network that compiles")


def _build(seed: int, arithmetic: str | None, wanted: int | None, shrink: float) -> Case:
    rng = np.random.default_rng(seed)
    arithmetic = arithmetic or ("float", "loihi")[int(rng.integers(2))]
    drawn = int(rng.integers(10, 50))
    steps = drawn if wanted is None else wanted
    net = Network(f"random-{seed}", dt=DT, integrator=str(rng.choice(INTEGRATORS)))
    inputs = {}
    for k in range(int(rng.integers(1, 3))):
        shape = _shape(rng)
        payload = int(rng.choice([1, 1, 1, 30]))
        net.input(f"x{k}", shape, max_payload=payload)
        rate = float(rng.choice([0.05, 0.2, 0.6]))
        inputs[f"x{k}"] = spikes(rng, steps, shape, rate) if payload == 1 else graded(rng, steps, shape, rate, payload)
    for k in range(int(rng.integers(1, 5))):
        _population(net, rng, f"p{k}", arithmetic)
    if rng.random() < 0.3:
        _convolution(net, rng, arithmetic)
    _projections(net, rng, arithmetic)
    if arithmetic == "loihi" and shrink != 1.0:
        smaller = {}
        for name, x in net.projections.items():
            connectivity = x.connectivity.with_weights(np.rint(x.connectivity.weights * shrink), x.connectivity.bias)
            smaller[name] = replace(x, connectivity=connectivity)
        net = net.with_changes(projections=smaller)
    options = {"mantissa_bits": int(rng.choice([8, 16, 24, 24, 31]))} if arithmetic == "float" else {"accept_wrap": True}
    return Case(net.name, net, inputs, steps, options)


def _shape(rng: Generator) -> tuple[int, ...]:
    return tuple(int(x) for x in rng.integers(1, 6, int(rng.integers(1, 4))))


def _population(net: Network, rng: Generator, name: str, arithmetic: str) -> None:
    shape = _shape(rng)
    size = int(np.prod(shape))
    neuron = _loihi_neuron(rng, size) if arithmetic == "loihi" else _float_neuron(rng, size)
    bias = 0.0
    plain = neuron.model.listens and not neuron.model.receptors
    if arithmetic == "float" and plain and rng.random() < 0.3:
        bias = maybe_each(rng, size, -0.4, 1.6) * _scale(neuron.model)
    limit = int(rng.choice([3, 15])) if neuron.model.payload and neuron.model.name != "NoisyCurrent" else None
    net.population(name, neuron, shape, bias=bias, max_payload=limit)


def _convolution(net: Network, rng: Generator, arithmetic: str) -> None:
    """A population behind a random convolution of the first input, seen as an image."""
    channels, height, width = (*net.nodes["x0"].shape, 1, 1)[:3]
    groups = int(rng.choice([g for g in (1, 2, 3) if channels % g == 0]))
    kernel = rng.integers(1, 4, 2)
    shape = (int(rng.integers(1, 3)) * groups, channels // groups, *kernel)
    weights = rng.integers(-150, 260, shape) if arithmetic == "loihi" else rng.normal(0.5, 1.0, shape) * 12.0
    stride, padding, dilation = (tuple(int(x) for x in rng.integers(low, 3, 2)) for low in (1, 0, 1))
    try:
        layer = Conv2d(weights, (height, width), stride, padding, dilation, groups)
    except ModelError:
        return  # this kernel does not fit this image
    neuron = _loihi_neuron(rng, layer.n_post) if arithmetic == "loihi" else _lif(rng, layer)
    net.population("conv", neuron, layer.output_shape)
    net.connect("x0", "conv", layer, delay=int(rng.integers(0, 3)), loihi=_synapse(rng, arithmetic))


def _lif(rng: Generator, layer: Conv2d) -> Neuron:
    """A gain for all neurons keeps the convolution's structure through fold; one for each leaves the program unfolded."""
    return LIF(tau=maybe_each(rng, layer.n_post, 2e-3, 30e-3), reset=str(rng.choice(["value", "subtract"])))


def _float_neuron(rng: Generator, size: int) -> Neuron:
    model = FLOAT_MODELS[int(rng.integers(len(FLOAT_MODELS)))]
    span = RECIPES[model.name].initial
    initial = {name: maybe_each(rng, size, *span) for name in model.state if name == "v" or span[0] == -0.5}
    initial = {name: value for name, value in initial.items() if rng.random() < 0.2}
    reset = str(rng.choice([*model.resets])) if model.resets else None
    integrator = str(rng.choice(INTEGRATORS)) if rng.random() < 0.3 and model.integrator is None else None
    return model(reset=reset, integrator=integrator, initial=initial, **parameters(model, rng, size))


def _scale(model: NeuronModel) -> float:
    """The size of weights onto a neuron of float arithmetic."""
    return RECIPES[model.name.removeprefix("Refractory")].scale


def _loihi_neuron(rng: Generator, size: int) -> Neuron:
    def value(low: int, high: int) -> Any:
        return rng.integers(low, high, size) if rng.random() < 0.4 else int(rng.integers(low, high))

    if rng.random() < 0.15:
        return LoihiGradedRelu(vth=value(0, 200), exp=value(0, 8))
    parameters: dict[str, Any] = {"du": value(0, 4096), "dv": value(0, 4096), "vth": value(20, 800)}
    if rng.random() < 0.4:
        parameters |= {"bias_mant": value(-100, 200), "bias_exp": value(-2, 6)}
    initial = {name: value(-20000, 20000) for name in ("u", "v") if rng.random() < 0.2}
    return LoihiLIF(initial=initial, **parameters)


def _projections(net: Network, rng: Generator, arithmetic: str) -> None:
    """Forward edges of any delay; backward edges with enough delay for the longest cycle they can close."""
    order = list(net.nodes)
    populations = list(net.populations)
    for post in populations:
        if not net.populations[post].neuron.model.listens:
            continue
        certain = str(rng.choice(list(net.inputs)))  # every population hears at least one input
        for pre in order:
            source = net.populations.get(pre)
            if (source is not None and source.neuron.model.spike is None) or (pre != certain and rng.random() > 0.5):
                continue
            hops = order.index(pre) - order.index(post) + 1
            least = max(hops, 0) if pre in populations else 0
            for _ in range(int(rng.choice([1, 1, 1, 2]))):
                connectivity = _connectivity(net, rng, pre, post, arithmetic)
                receptors = net.populations[post].neuron.model.receptors
                receptor = str(rng.choice(receptors)) if receptors else ""
                delay, synapse = _delay(rng, connectivity, least), _synapse(rng, arithmetic)
                rule: Plasticity | LoihiRule | None = None
                if arithmetic == "float":
                    rule = _rule(net, rng, pre, post, connectivity)
                else:
                    rule = _loihi_rule(net, rng, pre, connectivity, synapse)
                if isinstance(rule, Plasticity):
                    low, high = rule.bounds
                    connectivity = connectivity.with_weights(np.clip(connectivity.weights, low, high), None)
                net.connect(pre, post, connectivity, delay=delay, loihi=synapse, receptor=receptor, plasticity=rule)


def _rule(net: Network, rng: Generator, pre: str, post: str, connectivity: Connectivity) -> Plasticity | None:
    """Now and then a learning rule, where the projection can have one."""
    target = net.populations[post].neuron.model
    if rng.random() > 0.25 or target.spike is None or net.node(pre).graded:
        return None
    span = float(np.abs(connectivity.weights).max(initial=1e-12)) * 1.5
    low = -span if rng.random() < 0.5 and not target.name.endswith(CONDUCTANCES) else 0.0
    bounds: dict[str, Any] = {"w_min": low, "w_max": span}
    step: dict[str, Any] = {"a_plus": 0.05 * span, "a_minus": 0.05 * span}
    taus: dict[str, Any] = {"tau_pre": float(rng.uniform(2e-3, 40e-3)), "tau_post": float(rng.uniform(2e-3, 40e-3))}
    kind = rng.random()
    if kind < 0.4:
        return STDP(**taus, **step, **bounds, pairing=str(rng.choice(["all", "nearest"])))
    if kind < 0.6:
        return STDP(**taus, a_plus=0.05, a_minus=0.05, bound="soft", **bounds)
    if kind < 0.8:
        return TripletSTDP(a2_minus=0.05 * span, a3_plus=0.05 * span, **bounds)
    lonely = [name for name, node in net.inputs.items() if node.size == 1]
    if not lonely:
        return None
    return RewardSTDP(str(rng.choice(lonely)), **taus, **step, **bounds, tau_c=0.1, reward_delay=int(rng.integers(0, 3)))


def _loihi_rule(
    net: Network, rng: Generator, pre: str, connectivity: Connectivity, synapse: LoihiSynapse | None
) -> LoihiRule | None:
    """Now and then a rule of Loihi's learning engine, where the weights it can reach do not flood the target."""
    exponent = 0 if synapse is None else synapse.weight_exp
    if rng.random() > 0.25 or net.node(pre).graded or connectivity.n_pre * 2**exponent > 100:
        return None
    return random_loihi_rule(rng)


def _delay(rng: Generator, connectivity: Connectivity, least: int) -> Any:
    kind = rng.random()
    if kind < 0.4:
        return least
    if kind < 0.7:
        return least + int(rng.integers(0, 8))
    return least + rng.integers(0, 8, connectivity.weights.shape)


def _synapse(rng: Generator, arithmetic: str) -> LoihiSynapse | None:
    if arithmetic == "float" or rng.random() < 0.4:
        return None
    mode = [None, None, "mixed", "excitatory", "inhibitory"][int(rng.integers(5))]
    return LoihiSynapse(int(rng.integers(-4, 3)), int(rng.integers(3, 9)), mode)


def _connectivity(net: Network, rng: Generator, pre: str, post: str, arithmetic: str) -> Connectivity:
    n_pre, n_post = net.nodes[pre].size, net.nodes[post].size

    def weights(*shape: int) -> Any:
        if arithmetic == "loihi":
            return rng.integers(-150, 260, shape).astype(np.float64)
        sent = net.nodes[pre].max_payload
        payload = min(sent, 4096) if sent > 4096 or model.name in ("HodgkinHuxley", "TraubMiles") else 1
        drawn = rng.normal(0.5, 1.0, shape) * _scale(model) / np.sqrt(n_pre) / payload
        return np.abs(drawn) if model.name.endswith(CONDUCTANCES) else drawn

    model = net.populations[post].neuron.model
    plain = arithmetic == "float" and not model.receptors
    bias = rng.normal(0, 0.25, n_post) * _scale(model) if plain and rng.random() < 0.2 else None
    if n_pre == n_post and rng.random() < 0.4:
        return OneToOne(weights(n_pre), bias=bias)
    if rng.random() < 0.5:
        return Dense(weights(n_post, n_pre), bias=bias)
    count = int(rng.integers(0, n_pre * n_post + 1))
    return Sparse((weights(count), (rng.integers(0, n_post, count), rng.integers(0, n_pre, count))), (n_post, n_pre), bias)
