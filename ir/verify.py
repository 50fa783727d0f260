"""Verification: every rule a network must obey, one function a rule, run over the whole network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from neurocomp.ir.connectivity import Connectivity, Dense
from neurocomp.ir.convolution import Conv2d
from neurocomp.ir.errors import Problem, VerificationError
from neurocomp.ir.expressions import names, parse_condition
from neurocomp.ir.network import Input, LoihiSynapse, Network, Population, Projection
from neurocomp.ir.patterns import Drawn, DrawnDelays
from neurocomp.ir.plasticity import LoihiRule, Plasticity
from neurocomp.ir.printers.numpy import numpy_value

MAX_DELAY = 1_000_000


def verify(net: Network) -> None:
    """Raise `VerificationError` with every problem found: names, shapes, numbers, units of time, delays."""
    problems = [problem for rule in RULES for problem in rule(net)]
    if problems:
        raise VerificationError(net.name, problems)


def _graph_is_ours(net: Network) -> Iterator[Problem]:
    if not net.graph:
        yield Problem(net.name, "the network is empty; add an input and a population")
    for name, data in net.graph.nodes(data=True):
        node = data.get("node")
        if not isinstance(node, (Input, Population)):
            yield Problem(str(name), "graph node without an Input or Population; add nodes with input() or population()")
        elif node.name != name:
            yield Problem(str(name), f"graph node holds '{node.name}'; node keys and names must agree")
    for pre, post, key, data in net.graph.edges(keys=True, data=True):
        projection = data.get("projection")
        if not isinstance(projection, Projection):
            yield Problem(f"{pre}->{post}", "graph edge without a Projection; add edges with connect()")
        elif (projection.pre, projection.post, projection.name) != (pre, post, key):
            yield Problem(projection.name, f"edge {pre}->{post} holds the projection {projection.pre}->{projection.post}")
    labels = [d["projection"].name for *_, d in net.graph.edges(data=True) if isinstance(d.get("projection"), Projection)]
    for label in sorted({x for x in labels if labels.count(x) > 1}) if len(labels) != len(set(labels)) else ():
        yield Problem(label, "several projections have this name; names are unique")


def _recordable(net: Network) -> Iterator[Problem]:
    """`record=[...]` must be able to tell nodes, states and "spikes" apart."""
    for name in net.nodes:
        if name == "spikes":
            yield Problem(name, "this name means the spikes of all nodes where recordings are asked for; choose another")
    for name, population in net.populations.items():
        for state in population.neuron.model.state:
            if f"{name}.{state}" in net.nodes:
                yield Problem(f"{name}.{state}", f"this node has the name of the state {state} of '{name}'; choose another")


def _outputs(net: Network) -> Iterator[Problem]:
    for name, node in net.outputs.items():
        if node not in net.nodes:
            yield Problem(name, f"this output is '{node}', which does not exist (any more)")


def _projection_ends(net: Network) -> Iterator[Problem]:
    for projection in net.projections.values():
        post, pre = net.nodes.get(projection.post), net.nodes.get(projection.pre)
        if isinstance(post, Input):
            yield Problem(projection.name, f"target '{post.name}' is an input; inputs receive nothing")
        if isinstance(pre, Population) and pre.neuron.model.spike is None:
            yield Problem(
                projection.name,
                f"source '{pre.name}' is {pre.neuron.model.name}, which never spikes, so it can send nothing; record it",
            )


def _listens(net: Network) -> Iterator[Problem]:
    for projection in net.projections.values():
        target = net.nodes.get(projection.post)
        if isinstance(target, Population) and not target.neuron.model.listens:
            yield Problem(
                projection.name, f"'{target.name}' is a source ({target.neuron.model.name}) and takes no input; connect from it"
            )


def _projection_shapes(net: Network) -> Iterator[Problem]:
    for projection in net.projections.values():
        wanted = projection.connectivity
        for end, size, what in ((projection.pre, wanted.n_pre, "source"), (projection.post, wanted.n_post, "target")):
            node = net.nodes.get(end)
            if node is not None and node.size != size:
                yield Problem(
                    projection.name,
                    f"{wanted.kind} of shape ({wanted.n_post}, {wanted.n_pre}) = (n_post, n_pre) needs {size} {what} "
                    f"neurons, but '{end}' has {node.size}, shape {node.shape}"
                    + (_transposed(net, projection) if what == "source" else ""),
                )


def _transposed(net: Network, projection: Projection) -> str:
    shape = (projection.connectivity.n_pre, projection.connectivity.n_post)
    ends = tuple(getattr(net.nodes.get(x), "size", None) for x in (projection.post, projection.pre))
    return "; the transposed matrix would fit" if shape == ends else ""


def _projection_numbers(net: Network) -> Iterator[Problem]:
    for projection in net.projections.values():
        if isinstance(projection.connectivity, Drawn):
            continue  # its numbers were checked when it was made
        yield from _finite(projection.name, "weight", projection.connectivity.weights)
        if projection.connectivity.bias is not None:
            yield from _finite(projection.name, "bias", projection.connectivity.bias)


def _receptors(net: Network) -> Iterator[Problem]:
    for projection in net.projections.values():
        target = net.nodes.get(projection.post)
        receptors = target.neuron.model.receptors if isinstance(target, Population) else ()
        if projection.receptor not in (receptors or ("",)):
            known = ", ".join(receptors) or "one input and no receptors"
            yield Problem(projection.name, f"receptor '{projection.receptor}' does not exist; '{projection.post}' has {known}")
        if receptors and projection.connectivity.bias is not None:
            yield Problem(
                projection.name,
                f"a bias onto receptor '{projection.receptor}' is not possible; give '{projection.post}' a current",
            )
    for projection in net.projections.values():
        target = net.nodes.get(projection.post)
        units = target.neuron.model.units if isinstance(target, Population) and projection.receptor else {}
        connectivity = projection.connectivity
        least = connectivity.weight_span[0] if isinstance(connectivity, Drawn) else connectivity.weights.min(initial=0.0)
        if units.get(projection.receptor) == "S" and least < 0:
            yield Problem(
                projection.name,
                f"weight {least:g} onto receptor '{projection.receptor}' is a negative conductance; inhibition is a "
                "positive weight onto another receptor",
            )
    for population in net.populations.values():
        if not population.neuron.model.listens and np.any(np.asarray(population.bias) != 0):
            yield Problem(population.name, f"a source ({population.neuron.model.name}) takes no bias; it has no input")
        if population.neuron.model.receptors and np.any(np.asarray(population.bias) != 0):
            yield Problem(population.name, "a population with receptors takes no bias; use a parameter of its model")


def _plasticity(net: Network) -> Iterator[Problem]:
    for projection in net.projections.values():
        plasticity = projection.plasticity
        if plasticity is None:
            continue
        yield from _learnable(net, projection)
        if isinstance(plasticity, LoihiRule):
            continue  # the loihi pass brings the weights into their bits
        low, high = plasticity.bounds
        weights = projection.connectivity.weights
        outside = weights[(weights < low) | (weights > high)]
        if len(outside):
            yield Problem(
                projection.name, f"weight {outside[0]:g} starts outside w_min..w_max = {low:g}..{high:g} of its plasticity"
            )
        if plasticity.reward is not None:
            yield from _reward(net, projection, plasticity)


def _learnable(net: Network, projection: Projection) -> Iterator[Problem]:
    connectivity, post = projection.connectivity, net.nodes.get(projection.post)
    if _shares_weights(connectivity):
        yield Problem(
            projection.name,
            f"{connectivity.kind} shares its weights among synapses, which cannot learn; use connectivity.expand()",
        )
    if projection.connectivity.bias is not None:
        yield Problem(projection.name, "a plastic projection takes no bias; give it to the population")
    if isinstance(post, Population) and post.neuron.model.spike is None:
        yield Problem(projection.name, f"'{post.name}' never spikes ({post.neuron.model.name}), so nothing can be learned")
    loihi = isinstance(projection.plasticity, LoihiRule)
    if isinstance(post, Population) and (post.neuron.model.arithmetic == "loihi") != loihi:
        cure = "use a neuron of that arithmetic, such as LoihiLIF" if loihi else "use LoihiRule, or a float neuron"
        kind = "a LoihiRule learns in Loihi's arithmetic" if loihi else "this rule learns in float arithmetic"
        yield Problem(projection.name, f"{kind}, but '{post.name}' ({post.neuron.model.name}) is not of it; {cure}")
    pre = net.nodes.get(projection.pre)
    if pre is not None and pre.graded:
        yield Problem(projection.name, f"'{pre.name}' sends graded spikes; a plastic projection takes plain ones")


def _shares_weights(connectivity: Connectivity) -> bool:
    """Whether several synapses may be one stored number; decided by the structure, whatever the sizes happen to be."""
    return isinstance(connectivity, Conv2d) or (isinstance(connectivity, Dense) and connectivity.columns is not None)


def _reward(net: Network, projection: Projection, plasticity: Plasticity) -> Iterator[Problem]:
    source = net.nodes.get(plasticity.reward or "")
    if source is None:
        yield Problem(projection.name, f"its reward comes from '{plasticity.reward}', which does not exist")
    elif source.size != 1:
        yield Problem(projection.name, f"its reward comes from '{source.name}', which has {source.size} neurons, not one")
    if plasticity.reward_delay < 0:
        yield Problem(projection.name, f"reward_delay {plasticity.reward_delay} is negative")


def _delays(net: Network) -> Iterator[Problem]:
    for projection in net.projections.values():
        if isinstance(projection.delay, DrawnDelays):
            if projection.max_delay > MAX_DELAY:
                yield Problem(
                    projection.name, f"delays reach {projection.max_delay} steps, beyond {MAX_DELAY}; give them a high="
                )
            continue
        delay, connectivity = np.asarray(projection.delay), projection.connectivity
        if delay.ndim and _shares_weights(connectivity):
            yield Problem(
                projection.name,
                f"a delay per synapse needs synapses stored one by one, but this {connectivity.kind} shares its weights; "
                "use connectivity.expand()",
            )
        elif delay.ndim and delay.shape != connectivity.weights.shape:
            yield Problem(
                projection.name,
                f"per-synapse delays have shape {delay.shape}, the {connectivity.kind} weights {connectivity.weights.shape}",
            )
        if delay.size and delay.dtype.kind not in "iu":
            yield Problem(projection.name, f"delay {_first(delay)!r} is not a whole number of steps; connect() takes seconds")
            continue
        if delay.size and delay.min() < 0:
            yield Problem(projection.name, f"delay {int(delay.min())} is negative; a spike cannot arrive before it is sent")
        if delay.size and delay.max() > MAX_DELAY:
            yield Problem(projection.name, f"delay {int(delay.max())} steps is beyond {MAX_DELAY}; is it meant in seconds?")


def _parameters(net: Network) -> Iterator[Problem]:
    for population in net.populations.values():
        neuron = population.neuron
        given = {**neuron.parameters, **{f"initial {k}": v for k, v in neuron.initial.items()}, "bias": population.bias}
        usable = True
        for name in neuron.model.parameters:  # a file may have left one out
            if name not in neuron.parameters:
                usable = False
                yield Problem(population.name, f"parameter {name} of {neuron.model.name} is missing")
        for name, value in given.items():
            for problem in _number(population, name, value):
                usable = False
                yield problem
        if usable:
            yield from _constraints(population)


def _number(population: Population, name: str, value: Any) -> Iterator[Problem]:
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        yield Problem(population.name, f"{name} = {value!r} is not a number or an array of numbers")
        return
    if array.ndim and array.shape != population.shape and array.shape != (population.size,):
        yield Problem(
            population.name, f"{name} has shape {array.shape}; expected a scalar or the population's shape {population.shape}"
        )
    yield from _finite(population.name, name, array)
    if population.neuron.model.arithmetic == "loihi" and not np.array_equal(array, np.rint(array)):
        yield Problem(population.name, f"{name} = {_first(array[array != np.rint(array)])} is not an integer, as Loihi needs")


def _constraints(population: Population) -> Iterator[Problem]:
    model, values = population.neuron.model, {k: np.asarray(v) for k, v in population.neuron.parameters.items()}
    values = {k: v.ravel() if v.ndim else v for k, v in values.items()}  # some may come shaped, some flat
    for constraint in model.constraints:
        holds = np.asarray(numpy_value(model.parse(parse_condition, constraint), values, model.arithmetic))
        if not holds.all():
            worst = int(np.argmin(holds.ravel()))
            where = f" at neuron {worst}" if holds.ndim else ""
            used = {*names(model.parse(parse_condition, constraint))}
            shown = ", ".join(f"{k} = {_first(v.ravel()[worst:] if v.ndim else v)}" for k, v in values.items() if k in used)
            yield Problem(population.name, f"{model.name} needs {constraint}, but {shown}{where}")


def _max_payload(net: Network) -> Iterator[Problem]:
    for node in net.nodes.values():
        if not 1 <= node.max_payload < 2**23:
            yield Problem(node.name, f"max_payload = {node.max_payload} is outside 1..{2**23 - 1}")


def _loihi_synapses(net: Network) -> Iterator[Problem]:
    for projection in net.projections.values():
        synapse: LoihiSynapse | None = projection.loihi
        if synapse is None:
            continue
        if not 1 <= synapse.num_weight_bits <= 8:
            yield Problem(projection.name, f"num_weight_bits = {synapse.num_weight_bits} is outside 1..8")
        if not -24 <= synapse.weight_exp <= 7:
            yield Problem(projection.name, f"weight_exp = {synapse.weight_exp} is outside -24..7")
        if synapse.sign_mode not in (None, "mixed", "excitatory", "inhibitory"):
            yield Problem(projection.name, f"sign_mode {synapse.sign_mode!r} is not mixed, excitatory or inhibitory")


def _finite(subject: str, what: str, values: Any) -> Iterator[Problem]:
    array = np.asarray(values, np.float64)
    bad = ~np.isfinite(array)
    if bad.any():
        index = tuple(int(k) for k in np.argwhere(bad)[0])
        where = f" at index {index if len(index) != 1 else index[0]}" if index else ""
        yield Problem(subject, f"{what} is {array[bad].flat[0]}{where} ({int(bad.sum())} of {array.size}); it must be finite")


def _first(values: Any) -> Any:
    return np.asarray(values).ravel()[0].item()


RULES: tuple[Callable[[Network], Iterator[Problem]], ...] = (
    _graph_is_ours,
    _recordable,
    _outputs,
    _projection_ends,
    _listens,
    _projection_shapes,
    _projection_numbers,
    _receptors,
    _plasticity,
    _delays,
    _parameters,
    _max_payload,
    _loihi_synapses,
)
