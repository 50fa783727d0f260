"""`place`: which core of a chip holds which neurons, under the chip's limits and with few messages between cores.

Populations are cut into contiguous slices. A core may hold slices of several populations. What a core needs is computed from
the connectivity itself, without expanding convolutions. The network is not changed, so the result is a `Placement`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from neurocomp.ir.chips import LIMITS, Chip
from neurocomp.ir.errors import InputError, ModelError
from neurocomp.ir.events import Events
from neurocomp.ir.network import Network, Population
from neurocomp.ir.placement.demand import Content, Demand, Traffic
from neurocomp.ir.placement.fill import merged, ordered
from neurocomp.ir.placement.mesh import assign
from neurocomp.ir.placement.neurons import check_neurons
from neurocomp.ir.placement.partition import cut, grouped, metis, refined
from neurocomp.ir.placement.reach import ASSUMED_BITS, Runs
from neurocomp.ir.placement.result import Core, Placement, PlacementError, Slice, plural

PARTITIONERS = ("auto", "metis", "greedy", "ordered")
RATE = 0.01  # spikes per neuron and step where nothing is known: 10 Hz at steps of 1 ms
LEAST_GAIN = 0.01  # share of the messages that regrouping must save: less is not worth scattered slices
Groups = Sequence[Mapping[str, Runs]]


class Recorded(Protocol):
    """Anything with the spikes of a run, such as a `Recording`."""

    @property
    def spikes(self) -> Mapping[str, Events]:
        """Spikes by node."""


@dataclass(frozen=True)
class Place:
    """Place a network on a chip.

    chip: a name ("loihi1", "loihi2"), the path of a .toml file, or a `Chip`. chips: how many may be used.
    partitioner: "ordered" fills core after core; "metis" (needs pymetis) and "greedy" regroup that fill and
    keep it where they find nothing better; "auto" is METIS where it is installed, else greedy. seed: of both.
    rate: spikes per neuron and step that are assumed where no recording is given.
    """

    chip: str | Chip = "loihi2"
    chips: int = 1
    partitioner: str = "auto"
    seed: int = 0
    rate: float = RATE
    name: ClassVar[str] = "place"

    def __call__(self, net: Network, recording: Recorded | None = None) -> Placement:
        """The placement of a network, best a compiled one, whose delays are those that run.

        recording: its spikes say what each core sends. Raises `PlacementError` naming the limit, what is needed, what there
        is and what to change, or the populations whose neurons the chip does not have; `ModelError` and `InputError` for
        arguments that make no sense.
        """
        chip = self.chip if isinstance(self.chip, Chip) else Chip.load(self.chip)
        self._check(net, chip)
        check_neurons(net, chip)
        counts, steps = _counts(net, recording, self.rate)
        demand = Demand(net, chip, counts)
        groups, traffic, partitioner = self._best(demand)
        return _placement(demand, self.chips, groups, traffic, steps, self.rate, partitioner)

    def _check(self, net: Network, chip: Chip) -> None:
        if self.partitioner not in PARTITIONERS:
            raise ModelError(f"there is no partitioner '{self.partitioner}'; use one of {', '.join(PARTITIONERS)}")
        if not isinstance(self.chips, int) or not 1 <= self.chips <= chip.max_chips:
            raise ModelError(f"chips must be a whole number from 1 to {chip.max_chips} ({chip.name}), not {self.chips!r}")
        if not self.rate >= 0 or not np.isfinite(self.rate):
            raise ModelError(f"rate is a number of spikes per neuron and step, at least 0, not {self.rate!r}")
        if not any(population.size for population in net.populations.values()):
            raise PlacementError(net.name, "compartments", 0, None, "it has no neurons to place; add a population")
        if self.partitioner == "metis" and not _has_metis():
            raise ModelError('partitioner "metis" needs pymetis: pip install "neurocomp[place]", or use "greedy"')

    def _best(self, demand: Demand) -> tuple[Groups, Traffic, str]:
        """The groups with the fewest messages that fit the chips, their traffic, and what found them."""
        room = demand.chip.cores * self.chips
        filled = ordered(demand)
        _check_cores(demand, filled, self.chips)
        groups, traffic = _settled(demand, filled, self.chips)
        best = (groups, traffic, "ordered")
        wanted = ("metis" if _has_metis() else "greedy") if self.partitioner == "auto" else self.partitioner
        if wanted == "ordered" or len(filled) == 1:
            return best
        parts = cut(demand, filled)
        starts = {"greedy": parts.home, "metis": metis(demand, parts, self.seed) if wanted == "metis" else None}
        for name, start in starts.items():
            if start is None or (name == "metis" and len(grouped(parts, start)) > room):
                continue
            found = refined(demand, parts, start, self.seed)
            if len(found) > room:
                continue
            try:
                groups, traffic = _settled(demand, found, self.chips)
            except PlacementError:
                continue  # the fill is a placement, so this grouping's cores have too many targets
            limit = (1 - LEAST_GAIN) * best[1].cost if best[2] == "ordered" else best[1].cost
            if traffic.cost < limit:
                best = (groups, traffic, name)
        return best


def place(
    net: Network,
    chip: str | Chip = "loihi2",
    *,
    chips: int = 1,
    recording: Recorded | None = None,
    partitioner: str = "auto",
    seed: int = 0,
    rate: float = RATE,
) -> Placement:
    """Place a network on a chip; the arguments are those of `Place`. recording: a run whose spikes are the traffic."""
    return Place(chip, chips, partitioner, seed, rate)(net, recording)


def _has_metis() -> bool:
    return importlib.util.find_spec("pymetis") is not None


def _counts(net: Network, recording: Recorded | None, rate: float) -> tuple[dict[str, NDArray[np.float64]], int | None]:
    """Spikes of every neuron by node, and over how many steps; without a recording one step at the assumed rate."""
    if recording is None:
        silent = {name for name, node in net.populations.items() if node.neuron.model.spike is None}
        return {name: np.full(node.size, 0.0 if name in silent else rate) for name, node in net.nodes.items()}, None
    counts, steps = {}, set()
    for name, node in net.nodes.items():
        events = recording.spikes.get(name)
        if events is None and net.outgoing(name):
            cure = 'record them with record=["spikes"]'
            raise InputError(f"the recording lacks the spikes of '{name}', which sends them on; {cure}")
        if events is not None and events.size != node.size:
            raise InputError(f"the recording has {events.size} neurons of '{name}', the network {node.size}")
        counts[name] = np.zeros(node.size) if events is None else events.counts().ravel().astype(np.float64)
        steps |= set() if events is None else {events.steps}
    return counts, max(steps, default=1)


def _check_cores(demand: Demand, groups: Groups, chips: int, *, split: bool = False) -> None:
    """Refuse more groups than cores, naming the limit that is taken most. split: they were split for their out-axons."""
    chip, needed = demand.chip, len(groups)
    available = chip.cores * chips
    if needed <= available:
        return
    use = [demand.use(content) for content in groups]
    share = {name: float(np.mean([x[name] for x in use])) / limit for name, limit in chip.limits.items()}
    limit = max(share, key=share.__getitem__)
    cause = f"the cores' {LIMITS[limit]} are the limit, {share[limit]:.0%} of {chip.limits[limit]:,} used"
    if split:
        cause = f"cores that send to more than {chip.out_axons:,} others are split for their out-axons"
    enough = -(-needed // chip.cores)
    cure = f"allow chips={enough}{' or more' if split else ''}"
    if enough > chip.max_chips:
        cure = f"more than the largest system of {plural(chip.max_chips, 'chip')} holds"
    have = f"{plural(chips, 'chip')} of {chip.name} {'have' if chips > 1 else 'has'} {available:,}"
    message = f"it needs {'at least ' if split else ''}{needed:,} cores ({cause}), {have}: {cure}, or make the network smaller"
    raise PlacementError(demand.net.name, "cores", needed, available, message)


def _settled(demand: Demand, groups: Groups, chips: int) -> tuple[Groups, Traffic]:
    """The groups, split until no core sends to more cores than it has out-axons, and their traffic.

    A core gives away as many neurons as it lacks out-axons for; new cores collect them. Each round adds cores, so it ends.
    """
    limit = demand.chip.out_axons
    while True:
        traffic = demand.traffic(groups)
        if limit is None or traffic.out_axons.max() <= limit:
            return groups, traffic
        kept: list[Mapping[str, Runs]] = []
        new: list[Mapping[str, Runs]] = []
        taken = 0.0  # out-axons of the last new core
        for content, needed in zip(groups, traffic.out_axons.tolist(), strict=True):
            if needed <= limit:
                kept.append(content)
                continue
            rest, given, share = _split(demand, content, needed)
            kept.append(rest)
            if new and taken + share <= limit and demand.fits(merged(new[-1], given)):
                new[-1], taken = merged(new[-1], given), taken + share
            else:
                new, taken = [*new, given], share
        groups = [*kept, *new]
        _check_cores(demand, groups, chips, split=True)


def _split(demand: Demand, content: Content, needed: int) -> tuple[dict[str, Runs], dict[str, Runs], float]:
    """A core that needs too many out-axons as two: what it keeps, what it gives away, and about what that needs.

    Populations that send nothing stay. Raises `PlacementError` where a single neuron sends to too many.
    """
    assert demand.chip.out_axons is not None
    sends = {name: any(x.post in demand.sizes for x in demand.net.outgoing(name)) for name in content}
    senders = sum(stop - start for name, runs in content.items() for start, stop in runs if sends[name])
    keep = min(max(int(senders * demand.chip.out_axons / needed), 1), senders - 1)
    first: dict[str, Runs] = {name: runs for name, runs in content.items() if not sends[name]}
    second: dict[str, Runs] = {}
    left = keep
    for name, runs in content.items():
        for start, stop in runs if sends[name] else ():
            if senders == 1:
                raise _too_many_targets(demand, name, start, needed)
            middle = min(start + left, stop)
            left -= middle - start
            if middle > start:
                first[name] = (*first.get(name, ()), (start, middle))
            if stop > middle:
                second[name] = (*second.get(name, ()), (middle, stop))
    return first, second, needed * (senders - keep) / senders


def _too_many_targets(demand: Demand, name: str, neuron: int, needed: int) -> PlacementError:
    available = demand.chip.out_axons
    return PlacementError(
        name,
        "out_axons",
        needed,
        available,
        f"neuron {neuron} sends to so many cores that it needs {needed:,} out-axons, a core of {demand.chip.name} has "
        f"{available:,}: lower its fan-out, or put relay populations in between",
    )


def _placement(
    demand: Demand, chips: int, groups: Groups, traffic: Traffic, steps: int | None, rate: float, partitioner: str
) -> Placement:
    """The result: groups on cores of the mesh, in the order of the cores."""
    chip = demand.chip
    numbers = assign(chip, chips, traffic.between)
    order = np.argsort(numbers, kind="stable")
    cores, slices = [], []
    for position, k in enumerate(order.tolist()):
        on_chip, number = divmod(int(numbers[k]), chip.cores)
        x, y = chip.tile(number)
        use = {**demand.use(groups[k]), "out_axons": int(traffic.out_axons[k])}
        cores.append(Core(on_chip, number, (int(x), int(y)), use))
        slices += [Slice(name, start, stop, position) for name, runs in groups[k].items() for start, stop in runs]
    rank = {name: k for k, name in enumerate(demand.net.populations)}
    slices.sort(key=lambda piece: (rank[piece.population], piece.start))
    per_step = float(steps or 1)
    between = traffic.between[np.ix_(order, order)] / per_step
    inputs = traffic.inputs[order] / per_step
    notes = _notes(demand.net, chip, chips)
    return Placement(
        demand.net.name, chip, chips, tuple(slices), tuple(cores), between, inputs, steps, rate, partitioner, notes
    )


def _notes(net: Network, chip: Chip, chips: int) -> tuple[str, ...]:
    """What was assumed on the way."""
    notes = []
    if any(isinstance(node, Population) and node.neuron.model.arithmetic == "float" for node in net.nodes.values()):
        notes.append(f"float weights are counted with {ASSUMED_BITS} bits and an exponent per projection, as if quantised")
    unknown = [f"{LIMITS.get(name, name)} ({why})" for name, why in chip.absent.items()]
    if unknown:
        notes.append(f"not checked on {chip.name}: {', '.join(unknown)}")
    if any(fact.source.startswith("assumed") for fact in chip.facts.values()):
        names = [name for name, fact in chip.facts.items() if fact.source.startswith("assumed")]
        notes.append(f"assumed for {chip.name}, not published: {', '.join(names)}")
    if chips > 1:
        notes.append("hops between chips assume that the meshes of the chips lie side by side in a nearly square grid")
    return tuple(notes)
