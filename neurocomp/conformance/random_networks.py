"""Random valid networks over everything the IR can say; the numbers drawn decide all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from neurocomp.conformance import random_parts as parts
from neurocomp.conformance.case import Case, graded, spikes
from neurocomp.conformance.draws import Draws
from neurocomp.conformance.random_parts import Ends
from neurocomp.conformance.recipes import DT, maybe_each
from neurocomp.ir import passes
from neurocomp.ir.connectivity import Connectivity
from neurocomp.ir.distributions import Uniform
from neurocomp.ir.errors import CompileError
from neurocomp.ir.network import Network, Projection
from neurocomp.ir.patterns import Drawn, Pattern

SMALLER = (1.0, 1 / 16, 1 / 256, 0.0)  # Loihi's inputs are bounded: smaller weights where they would not be


def random_case(seed: int, arithmetic: str | None = None, steps: int | None = None) -> Case:
    """A random network with its inputs. arithmetic: "float", "float32", "loihi", or None for any. steps: drawn where None."""
    case = drawn_case(Draws.seeded(seed), f"random-{seed}", arithmetic, steps)
    if case is None:
        raise AssertionError(f"seed {seed} gives no network that compiles")
    return case


def drawn_case(draws: Draws, name: str, arithmetic: str | None = None, steps: int | None = None) -> Case | None:
    """The case these numbers describe; None where no such network compiles, however small its weights."""
    kind = {None: None, "float32": "float"}.get(arithmetic, arithmetic) or draws.among(["float", "loihi"])
    quantised = arithmetic is None and kind == "float" and draws.chance(0.15)
    drawn = draws.whole(1, 60)
    length = drawn if steps is None else steps
    net = Network(
        name, dt=draws.among([DT, DT, DT, 5e-4, 1e-4]), integrator=draws.among(parts.INTEGRATORS), seed=draws.whole(0, 9)
    )
    given = _inputs(net, draws, length)
    _populations(net, draws, kind == "loihi", quantised)
    _projections(net, draws, kind == "loihi", quantised)
    for option in _options(draws, kind, quantised):
        for factor in SMALLER:
            case = Case(name, _scaled(net, factor), given, length, option)
            if _compiles(case):
                case = _inserted(case) if draws.chance(0.1) else case
                return case if kind == "loihi" or quantised else _in_float32(case, draws, arithmetic)
            if kind == "float" and not quantised:
                break
    return None


def _options(draws: Draws, kind: str, quantised: bool) -> Iterator[dict[str, Any]]:
    """Ways to compile it, the first wish first."""
    if kind == "loihi":
        yield {"accept_wrap": True}
        return
    if quantised:
        yield {"accept_wrap": True, "arithmetic": "loihi"}
    yield {"mantissa_bits": draws.among([24, 24, 8, 16, 31])}


def _compiles(case: Case) -> bool:
    quantise = passes.Quantise(accept_wrap=True) if case.options.get("arithmetic") == "loihi" else None
    try:
        passes.standard(case.options.get("mantissa_bits", 24), None, quantise)(case.network)
    except CompileError:
        return False
    return True


def _in_float32(case: Case, draws: Draws, arithmetic: str | None) -> Case:
    """The case as asked for; where that is open, every tenth in float32."""
    if arithmetic == "float" or (arithmetic is None and not draws.chance(0.1)):
        return case
    return replace(case, options={**case.options, "arithmetic": "float32"})


def _scaled(net: Network, factor: float) -> Network:
    """The same network with weights times the factor, as whole numbers."""
    if factor == 1.0:
        return net
    smaller: dict[str, Projection] = {}
    for name, x in net.projections.items():
        connectivity = x.connectivity.expand() if isinstance(x.connectivity, Drawn) else x.connectivity
        delay = np.asarray(x.delay) if isinstance(x.connectivity, Drawn) and np.ndim(x.delay) else x.delay
        weights = np.rint(connectivity.weights * factor)
        smaller[name] = replace(x, connectivity=connectivity.with_weights(weights, connectivity.bias), delay=delay)
    return net.with_changes(projections=smaller)


def _inserted(case: Case) -> Case:
    """The same network as a part of another one."""
    net = Network(case.name, dt=case.network.dt, seed=case.network.seed)
    names = net.insert(case.network, "part")
    return replace(case, network=net, inputs={names[name]: given for name, given in case.inputs.items()})


# --------------------------------------------------------------------------------------------------------------- nodes


def _shape(draws: Draws) -> tuple[int, ...]:
    if draws.chance(0.04):
        return (draws.whole(1, 700),)  # several parts of a population, and of a compiled loop
    return tuple(draws.whole(1, 5) for _ in range(draws.whole(1, 3)))


def _inputs(net: Network, draws: Draws, steps: int) -> dict[str, Any]:
    """Inputs of all kinds, and what is given to them: a raster, times and ids, nothing, or spikes of their own."""
    given: dict[str, Any] = {}
    for k in draws.several(3, 0.7):
        name, shape, payload = f"x{k}", _shape(draws), draws.among([1, 1, 1, 30, 1000])
        if k == 2:
            shape, payload = (1,), draws.among([1, 3])  # may be a reward
        rate = draws.among([0.2, 0.6, 0.05])
        raster = spikes(draws, steps, shape, rate) if payload == 1 else graded(draws, steps, shape, rate, payload)
        own = draws.among(["raster", "raster", "raster", "events", "own", "silent"])
        times, *place = np.nonzero(raster)
        ids = np.ravel_multi_index(tuple(place), shape)
        events = (times, ids) if payload == 1 else (times, ids, raster[(times, *place)])
        net.input(name, shape, payload, events if own == "own" else None)
        if own in ("raster", "events"):
            given[name] = raster if own == "raster" else events
    return given


def _populations(net: Network, draws: Draws, loihi: bool, quantised: bool) -> None:
    models = parts.QUANTISABLE if quantised else parts.FLOAT_MODELS
    for k in draws.several(4, 0.75):
        name, shape = f"p{k}", _shape(draws)
        if draws.chance(0.2) and (layer := _image(net, draws, loihi)) is not None:
            source, connectivity = layer
            neuron = parts.loihi_neuron(draws, connectivity.n_post) if loihi else _plain(draws, connectivity.n_post, quantised)
            net.population(name, neuron, connectivity.output_shape)
            ends = Ends(net, source, name, loihi)
            delay, synapse = parts.delay(draws, ends, connectivity), parts.synapse(draws, loihi)
            net.connect(source, name, connectivity, delay=delay, loihi=synapse)
            continue
        size = int(np.prod(shape))
        neuron = parts.loihi_neuron(draws, size) if loihi else parts.float_neuron(draws, size, models)
        bias: Any = 0.0
        if not loihi and neuron.model.listens and not neuron.model.receptors and draws.chance(0.3):
            scale = parts.scale_of(neuron.model)
            bias = maybe_each(draws, size, -0.4 * scale, 1.6 * scale)
        limit = draws.among([15, 3]) if neuron.model.payload and neuron.model.name != "NoisyCurrent" else None
        net.population(name, neuron, shape, bias=bias, max_payload=limit)


def _plain(draws: Draws, size: int, quantised: bool) -> Any:
    """A gain for all neurons keeps the convolution's structure through fold; one for each leaves the program unfolded."""
    return parts.float_neuron(draws, size, parts.QUANTISABLE if quantised else parts.QUANTISABLE[:1])


def _image(net: Network, draws: Draws, loihi: bool) -> tuple[str, Any] | None:
    """A node that came before, and a convolution of it."""
    senders = [
        name for name, x in net.nodes.items() if name in net.inputs or net.populations[name].neuron.model.spike is not None
    ]
    small = [name for name in senders if net.node(name).size < 200]
    if not small:
        return None
    source = draws.among(small)
    layer = parts.layer(draws, net.node(source).shape, loihi)
    return None if layer is None else (source, layer)


# --------------------------------------------------------------------------------------------------------- projections


def _projections(net: Network, draws: Draws, loihi: bool, quantised: bool) -> None:
    """Forward edges of any delay; backward edges with enough delay for the longest cycle they can close."""
    order = list(net.nodes)
    for post, population in net.populations.items():
        if not population.neuron.model.listens:
            continue
        certain = draws.among(list(net.inputs))  # every population hears at least one input
        for pre in order:
            source = net.populations.get(pre)
            if (source is not None and source.neuron.model.spike is None) or (pre != certain and not draws.chance(0.5)):
                continue
            hops = order.index(pre) - order.index(post) + 1
            ends = Ends(net, pre, post, loihi, max(hops, 0) if source is not None else 0)
            if ends.sizes[0] * ends.sizes[1] > 20_000:
                continue  # two large ones
            for _ in draws.several(2, 0.25):
                _connect(net, draws, ends, quantised)


def _connect(net: Network, draws: Draws, ends: Ends, quantised: bool) -> None:
    given = parts.connectivity(draws, ends)
    receptors = ends.model.receptors
    receptor = draws.among(list(receptors)) if receptors else ""
    delay, synapse = parts.delay(draws, ends, given), parts.synapse(draws, ends.loihi)
    learned: Any = None
    if draws.chance(0.1) and parts.can_learn(ends, given) and not quantised:
        learned = parts.loihi_rule(draws, ends, synapse) if ends.loihi else parts.rule(draws, ends)
    if learned is not None and not ends.loihi:
        given = _within(given, *learned.bounds)
    elif learned is not None and isinstance(given, Connectivity) and given.bias is not None:
        given = given.with_weights(given.weights, None)
    net.connect(ends.pre, ends.post, given, delay=delay, loihi=synapse, receptor=receptor, plasticity=learned)


def _within(given: Connectivity | Pattern, low: float, high: float) -> Connectivity | Pattern:
    """The same synapses with weights between these bounds, and no bias."""
    if isinstance(given, Pattern):
        return replace(given, weights=Uniform(low, high))  # type: ignore[call-arg] # every pattern has them
    return given.with_weights(np.clip(given.weights, low, high), None)
