"""How much memory this process can still get, and refusals of what needs more, before anything is allocated."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from neurocomp.backends.base import Record
from neurocomp.ir.connectivity import Dense
from neurocomp.ir.convolution import Conv2d
from neurocomp.ir.errors import MemoryNeedError, size_text
from neurocomp.ir.network import Network, Population, Projection
from neurocomp.ir.patterns import Drawn

SMALL = 2**24  # bytes that nobody asks about
MEMINFO = Path("/proc/meminfo")
CGROUPS = (  # (limit, in use) of version 2, then 1
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)


def available() -> int:
    """Bytes: what the system says is available, or less where a container's limit leaves less.

    A container's file cache counts as used there but is given back when needed, so it is added again.
    """
    return max(0, min(_of_system(), *(_of_container(*files) for files in CGROUPS)))


def need(what: str, size: int, cure: str) -> None:
    """Raise `MemoryNeedError` with the numbers and the cure where `size` bytes cannot be had."""
    have = available() if size > SMALL else SMALL
    if size > have:
        raise MemoryNeedError(what, size, have, cure)


def _of_system() -> int:
    try:
        lines = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines() if ":" in line)
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):  # not Linux: the whole memory
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _of_container(limit: Path, used: Path) -> int:
    """What a control group leaves of its limit; 2^63 - 1 where there is none."""
    try:
        free = int(limit.read_text()) - int(used.read_text())
        counts = dict(line.split() for line in used.with_name("memory.stat").read_text().splitlines())
        return free + int(counts.get("inactive_file", 0)) + int(counts.get("active_file", 0))
    except (OSError, ValueError):  # no such files, or "max"
        return 2**63 - 1


# bytes a synapse takes in a backend while it is lowered, at least: listed (also of patterns), all-to-all, that learns
SYNAPSE: Mapping[str, tuple[int, int, int]] = {"cpu": (4, 4, 24), "reference": (40, 8, 48), "lava": (40, 8, 48)}


def check_network(net: Network, target: str) -> None:
    """Refuse a network whose synapses and neurons alone need more memory than there is, before a pass looks at any of them."""
    parts = {f"projection '{name}'": _of_projection(x, target) for name, x in net.projections.items()}
    for name, node in net.nodes.items():
        states = len(node.neuron.model.state) if isinstance(node, Population) else 0
        parts[f"'{name}'"] = node.size * (8 * states + 4 * net.longest_delay)
    most = max(parts, key=parts.__getitem__, default="")
    need(
        f"network '{net.name}' on target '{target}'",
        sum(parts.values()),
        f"{most} takes {size_text(parts.get(most, 0))} of it: use fewer synapses or neurons, a convolution where weights "
        "repeat, or a machine with more memory",
    )


def _of_projection(projection: Projection, target: str) -> int:
    listed, dense, learning = SYNAPSE.get(target, (4, 4, 4))
    connectivity = projection.connectivity
    if isinstance(connectivity, Drawn):  # listing them to count them is what would take the memory
        number = connectivity.pattern.expected(connectivity.n_pre, connectivity.n_post)
        listed = 2 if target == "cpu" and connectivity.same else listed  # targets only, beside one weight
        return int(number * (learning if projection.plasticity is not None else listed))
    if projection.plasticity is not None:
        return connectivity.weights.size * learning
    if isinstance(connectivity, Conv2d):
        return 4 * int(connectivity.weights.size)
    return connectivity.weights.size * (dense if isinstance(connectivity, Dense) else listed)


FEWER = "record fewer states, every n-th step only (every=n), or fewer steps at a time (resume=True)"


def check_record(net: Network, record: Record, steps: int, runs: int = 1, cure: str = FEWER) -> None:
    """Refuse recordings of states that do not fit into memory. runs: that are kept together."""
    values = {}
    for name, state in record.states:
        plastic = net.projections.get(name)
        width = net.populations[name].size if plastic is None else len(plastic.connectivity.values())
        values[f"{name}.{state}"] = (steps // record.every) * width * runs
    of_runs = f" in {runs} runs" if runs > 1 else ""
    need(
        f"recording {', '.join(values)} over {steps} steps{of_runs}",
        8 * sum(values.values()),
        cure,
    )
