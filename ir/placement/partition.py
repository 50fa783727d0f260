"""Better than the ordered fill: its slices are cut into parts, and the parts are regrouped so that fewer spikes travel.

The graph of parts has an edge for the spikes that one part would send to the other. METIS (Karypis and Kumar 1998,
doi:10.1137/S1064827595287997) cuts it into balanced groups; a greedy refinement moves single parts. Both only look at
pairs of parts; which grouping is kept is decided by the messages between cores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from neurocomp.ir.placement.demand import Content, Demand
from neurocomp.ir.placement.fill import merged
from neurocomp.ir.placement.reach import Runs

Ints = NDArray[np.int64]
PARTS_PER_CORE = 8
MOST_PARTS = 6000  # fewer per core where there are many cores
PASSES = 4  # of the refinement over all parts
TRIALS = 1500  # how often the refinement may compute whether a core can hold a part


@dataclass(frozen=True)
class Parts:
    """Parts of populations, the core of each in the ordered fill, and the spikes between them (symmetric, no diagonal)."""

    contents: tuple[Content, ...]
    home: Ints
    edges: sp.csr_array


def cut(demand: Demand, cores: Sequence[Content]) -> Parts:
    """The slices of a fill, cut into parts of about an eighth of a core (larger ones of very many cores)."""
    contents: list[Content] = []
    home = []
    wanted = min(PARTS_PER_CORE, MOST_PARTS / len(cores))
    for core, content in enumerate(cores):
        for name, runs in content.items():
            for start, stop in runs:
                number = min(max(round(wanted * demand.fullness({name: ((start, stop),)})), 1), stop - start)
                bounds = np.linspace(start, stop, number + 1).astype(int).tolist()
                contents += [{name: (bound,)} for bound in pairwise(bounds)]
                home += [core] * number
    return Parts(tuple(contents), np.array(home, np.int64), _edges(demand, contents))


def refined(demand: Demand, parts: Parts, group: Ints, seed: int) -> list[dict[str, Runs]]:
    """The groups after moving parts, one at a time, to the group they exchange most spikes with, where it can hold them."""
    group = group.copy()
    contents = grouped(parts, group)
    rng = np.random.default_rng(seed)
    trials = 0
    for _ in range(PASSES):
        moved = False
        for part in rng.permutation(len(parts.contents)):
            ties = _ties(parts, group, int(part), len(contents))
            best, own = int(ties.argmax()), int(group[part])
            if best == own or ties[best] <= ties[own] or trials >= TRIALS:
                continue
            trials += 1
            larger = merged(contents[best], parts.contents[part])
            if demand.fits(larger):
                group[part], contents[best] = best, larger
                contents[own] = _together(parts, group, own)
                moved = True
        if not moved:
            break
    return [content for content in contents if content]


def metis(demand: Demand, parts: Parts, seed: int) -> Ints | None:
    """The group of each part by METIS, made to respect all limits; None where METIS finds no groups. Needs pymetis."""
    import pymetis

    number = int(parts.home.max()) + 1
    if number < 2 or parts.edges.nnz == 0:
        return None
    share = np.array([demand.fullness(content) for content in parts.contents])
    slack = number / max(float(share.sum()), 1e-9) - 1
    options = pymetis.Options(seed=seed, ufactor=int(np.clip(1000 * slack, 1, 300)))
    edges = parts.edges
    strength = np.maximum(np.rint(edges.data * (1e6 / edges.data.max())), 1).astype(int)
    result = pymetis.part_graph(
        number,
        pymetis.CSRAdjacency(edges.indptr.tolist(), edges.indices.tolist()),
        eweights=strength.tolist(),
        vweights=np.maximum(np.rint(1000 * share), 1).astype(int).tolist(),
        recursive=number <= 8,
        options=options,
    )
    return _repaired(demand, parts, np.array(result.vertex_part, np.int64), number)


def grouped(parts: Parts, group: Ints) -> list[dict[str, Runs]]:
    """The content of every group of parts."""
    return [_together(parts, group, number) for number in range(int(group.max()) + 1)]


def _together(parts: Parts, group: Ints, number: int) -> dict[str, Runs]:
    return reduce(merged, (parts.contents[part] for part in np.flatnonzero(group == number)), {})


def _repaired(demand: Demand, parts: Parts, group: Ints, number: int) -> Ints:
    """Groups that exceed a limit give away the parts they are least tied to: to a group with room, else to a new one."""
    contents = [_together(parts, group, k) for k in range(number)]
    queue = [k for k in range(number) if contents[k] and not demand.fits(contents[k])]
    for crowded in queue:
        members = np.flatnonzero(group == crowded)
        for part in members[np.argsort([_ties(parts, group, int(part), len(contents))[crowded] for part in members])]:
            if demand.fits(contents[crowded]):
                break
            other = _room(demand, parts, group, contents, int(part), crowded)
            if other == len(contents):
                contents.append({})
            group[part], contents[other] = other, merged(contents[other], parts.contents[part])
            contents[crowded] = _together(parts, group, crowded)
    return group


def _room(demand: Demand, parts: Parts, group: Ints, contents: Sequence[Content], part: int, crowded: int) -> int:
    """The group with room for a part that it is tied to most, or the number of a new group."""
    ties = _ties(parts, group, part, len(contents))
    tried = 0
    for other in np.argsort(-ties, kind="stable"):
        if other == crowded:
            continue
        tried += 1
        if tried > 8 and other < int(group.max()):  # the least tied: only the last one opened is worth another look
            continue
        if demand.fits(merged(contents[other], parts.contents[part])):
            return int(other)
    return len(contents)


def _ties(parts: Parts, group: Ints, part: int, groups: int) -> NDArray[np.float64]:
    """(groups,) spikes a part exchanges with each group."""
    edges = parts.edges
    first, last = edges.indptr[part], edges.indptr[part + 1]
    strength = np.asarray(edges.data[first:last], np.float64)
    return np.bincount(group[edges.indices[first:last]], strength, minlength=groups).astype(np.float64)


def _edges(demand: Demand, contents: Sequence[Content]) -> sp.csr_array:
    """Spikes between parts, both directions added up."""
    part_of = {name: np.zeros(size, np.int64) for name, size in demand.sizes.items()}
    for part, content in enumerate(contents):
        for name, runs in content.items():
            part_of[name][runs[0][0] : runs[0][1]] = part
    rows, columns, values = [], [], []
    for target, content in enumerate(contents):
        for way, need in demand.needs(content):
            if way.projection.pre in part_of:
                parts = part_of[way.projection.pre][need.sources]
                low = int(parts.min())
                spikes = np.bincount(parts - low, demand.counts[way.projection.pre][need.sources])
                senders = np.flatnonzero(spikes)
                rows.append(senders + low)
                columns.append(np.full(len(senders), target))
                values.append(spikes[senders])
    shape = (len(contents), len(contents))
    if not rows:
        return sp.csr_array(shape)
    matrix = sp.coo_array((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape).tocsr()
    both = sp.csr_array(matrix + matrix.T)
    both.setdiag(0)
    both.eliminate_zeros()
    return both
