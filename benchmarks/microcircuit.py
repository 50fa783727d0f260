"""The cortical microcircuit of Potjans & Diesmann (2014, doi:10.1093/cercor/bhs358): 77,169 neurons, 299 million synapses.

Everything of the published model at dt = 0.1 ms: numbers, weights and delays drawn, a Poisson drive for every neuron. Prints
what building costs, seconds per biological second, rates and irregularity beside the published ones, and in the same run what
the machine can do: adding words of 16-bit targets and weights from rows as long at random places, and two processes at once.

Run: python benchmarks/microcircuit.py [--scale 0.1] [--threads 1 2] [--seconds 1] [--arithmetic float32]
"""

from __future__ import annotations

import argparse
import ctypes
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import neurocomp as nc
from neurocomp.backends.cpu.codegen import FAST
from neurocomp.backends.cpu.toolchain import find_compiler

NAMES = ("L23E", "L23I", "L4E", "L4I", "L5E", "L5I", "L6E", "L6I")
SIZES = (20683, 5834, 21915, 5479, 4850, 1065, 14395, 2948)
CHANCE = (  # of a pair to be connected at least once; row: target, column: source
    (0.1009, 0.1689, 0.0437, 0.0818, 0.0323, 0.0, 0.0076, 0.0),
    (0.1346, 0.1371, 0.0316, 0.0515, 0.0755, 0.0, 0.0042, 0.0),
    (0.0077, 0.0059, 0.0497, 0.135, 0.0067, 0.0003, 0.0453, 0.0),
    (0.0691, 0.0029, 0.0794, 0.1597, 0.0033, 0.0, 0.1057, 0.0),
    (0.1004, 0.0622, 0.0505, 0.0057, 0.0831, 0.3726, 0.0204, 0.0),
    (0.0548, 0.0269, 0.0257, 0.0022, 0.06, 0.3158, 0.0086, 0.0),
    (0.0156, 0.0066, 0.0211, 0.0166, 0.0572, 0.0197, 0.0396, 0.2252),
    (0.0364, 0.001, 0.0034, 0.0005, 0.0277, 0.008, 0.0658, 0.1443),
)
EXTERNAL = (1600, 1500, 2100, 1900, 2000, 1900, 2900, 2100)  # synapses from outside, each at 8 Hz
MEAN_V = (-68.28, -63.16, -63.33, -63.45, -63.11, -61.66, -66.72, -61.43)  # mV, as found after a second
STD_V = (5.36, 4.57, 4.74, 4.94, 4.94, 4.55, 5.46, 4.48)
RATES = (0.9, 2.9, 4.4, 5.9, 7.5, 8.6, 1.1, 7.8)  # Hz, published
DT, BACKGROUND, WEIGHT, G = 1e-4, 8.0, 87.8e-12, -4.0  # s, Hz, A
DELAY = {"E": 1.5e-3, "I": 0.75e-3}

Cell = nc.NeuronModel(
    "MicrocircuitCell",
    parameters={
        **dict.fromkeys(("tau_mem", "tau_syn"), "s"),
        **dict.fromkeys(("v_leak", "v_threshold", "v_reset"), "V"),
        **dict.fromkeys(("w_ext", "i_offset"), "A"),
        "c_m": "F",
        "rate": "Hz",
    },
    defaults={
        "tau_mem": 10e-3,
        "tau_syn": 0.5e-3,
        "v_leak": -65e-3,
        "v_threshold": -50e-3,
        "v_reset": -65e-3,
        "c_m": 250e-12,
        "w_ext": WEIGHT,
        "i_offset": 0.0,
    },
    equations="""
        di/dt = -i / tau_syn
        dv/dt = (v_leak - v) / tau_mem + (i + i_offset) / c_m
    """,
    after="i = i + a + w_ext * poisson(rate * dt)",
    spike="v >= v_threshold",
    resets={"value": "v = v_reset"},
    refractory=("v",),
    integrator="exact",
    description="NEST's iaf_psc_exp with a Poisson drive of its own",
)


def network(scale: float = 1.0, seed: int = 55) -> nc.Network:
    """The circuit with `scale` of its neurons and of each neuron's synapses.

    As in van Albada et al. (2015, doi:10.1371/journal.pcbi.1004490), weights grow by 1 / sqrt(scale), which keeps the variance
    of a neuron's input, and a current replaces what its mean has lost.
    """
    grown = scale**-0.5
    net = nc.Network("microcircuit", dt=DT, seed=seed)
    sizes = [max(round(scale * size), 1) for size in SIZES]
    for k, (name, size) in enumerate(zip(NAMES, sizes, strict=True)):
        drive = EXTERNAL[k] * BACKGROUND * WEIGHT
        drive += sum(_synapses(k, j) / SIZES[k] * RATES[j] * _weight(k, j) for j in range(len(NAMES)))
        start = nc.Normal(MEAN_V[k] * 1e-3, STD_V[k] * 1e-3, high=-50e-3)
        rate, lost = BACKGROUND * EXTERNAL[k] * scale, (1 - scale**0.5) * drive * 0.5e-3
        cell = Cell(rate=rate, w_ext=WEIGHT * grown, i_offset=lost, t_ref=2e-3, initial={"v": start})
        net.population(name, cell, size)
    for k, target in enumerate(NAMES):
        for j, source in enumerate(NAMES):
            number = round(_synapses(k, j) * scale**2)
            if number:
                mean, bound = _weight(k, j) * grown, (0.0, np.inf) if source.endswith("E") else (-np.inf, 0.0)
                weights = nc.Normal(mean, 0.1 * abs(mean), *bound)
                delay = DELAY[source[-1]]
                delays = nc.Normal(delay, 0.5 * delay, low=DT)
                net.connect(source, target, nc.FixedTotalNumber(number, weights=weights), delay=delays)
    return net


def _synapses(target: int, source: int) -> int:
    pairs = SIZES[target] * SIZES[source]
    return round(float(np.log1p(-CHANCE[target][source]) / np.log1p(-1 / pairs)))


def _weight(target: int, source: int) -> float:
    """The mean in A; that from L4E onto L2/3E is twice as large."""
    double = 2.0 if (NAMES[target], NAMES[source]) == ("L23E", "L4E") else 1.0
    return WEIGHT * (double if NAMES[source].endswith("E") else G)


FLOOR = """
#include <stdint.h>
#include <stddef.h>
void add(ptrdiff_t rows, ptrdiff_t length, const int32_t *order, const uint32_t *words, int32_t *to) {
    for (ptrdiff_t i = 0; i < rows; i++) {
        const uint32_t *row = words + (ptrdiff_t)order[i] * length;
        const uint32_t *later = words + (ptrdiff_t)order[i + 6 < rows ? i + 6 : i] * length;
        for (ptrdiff_t k = 0; k < length; k += 16) __builtin_prefetch(later + k);
        for (ptrdiff_t k = 0; k < length; k++) to[row[k] & 131071] += (int32_t)row[k] >> 17;
    }
}
"""


def floor(length: int, targets: int, seconds: float = 0.5) -> float:
    """Nanoseconds per event of adding rows of `length` words, at random places in 1 GB, to `targets` integers in C."""
    rng = np.random.default_rng(0)
    rows = 1_000_000_000 // (4 * length)
    words = rng.integers(0, targets, rows * length, np.uint32) | np.uint32(3 << 17)
    order, to = rng.integers(0, rows, int(seconds * 6e8 / length), np.int32), np.zeros(131072, np.int32)
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "floor.c", Path(folder) / "floor.so"
        source.write_text(FLOOR)
        command = [*find_compiler().command, *FAST, "-march=native", "-shared", "-fPIC", str(source), "-o", str(library)]
        subprocess.run(command, check=True)
        add = ctypes.CDLL(str(library)).add
    arrays = [ctypes.c_void_p(array.ctypes.data) for array in (order, words, to)]
    times = []
    for _ in range(5):
        began = time.perf_counter()
        add(ctypes.c_ssize_t(len(order)), ctypes.c_ssize_t(length), *arrays)
        times.append(time.perf_counter() - began)
    return 1e9 * statistics.median(times) / (len(order) * length)


def irregularity(events: nc.Events) -> float:
    """The coefficient of variation of the intervals between a neuron's spikes, mean of neurons with at least five."""
    order = np.lexsort((events.times, events.ids))
    ids, times = events.ids[order], events.times[order]
    parts = np.split(np.diff(times), np.flatnonzero(np.diff(ids)) + 1) if len(ids) else []
    # np.diff(times) has one entry for each pair of neighbours; the one that ends a neuron's train is no interval
    intervals = [part[:-1] if k < len(parts) - 1 else part for k, part in enumerate(parts)]
    values = [np.std(x) / np.mean(x) for x in intervals if len(x) >= 5]
    return float(np.mean(values)) if values else float("nan")


def rss() -> float:
    """The most memory this process has had, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def main() -> None:
    """Build, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--arithmetic", default="float", choices=["float", "float32"])
    parser.add_argument("--two", action="store_true", help="run two processes at once, too")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    steps = round(args.seconds / DT)
    print(f"load of the machine: {os.getloadavg()[0]:.1f}")
    for threads in args.threads:
        began = time.perf_counter()
        program = nc.compile(network(args.scale), "cpu", threads=threads, mantissa_bits=15, arithmetic=args.arithmetic)
        built = time.perf_counter() - began
        program.run(steps=round(0.1 / DT), record=[])
        runs = [program.run(steps=steps, record=[]) for _ in range(args.runs)]
        report(program, threads, built, [run.seconds / args.seconds for run in runs], args.seconds, runs[-1])
        del program
    length = round(sum(_synapses(k, j) for k in range(8) for j in range(8)) / sum(SIZES) / 50)
    for name, targets in (("one thread's", sum(SIZES)), ("half of the", sum(SIZES) // 2)):
        print(f"the machine, rows of {length} into {name} targets, one thread: {floor(length, targets):.2f} ns per event")
    if args.two:
        two_processes(args.scale, args.seconds, args.arithmetic)


def report(program: nc.Program, threads: int, built: float, seconds: list[float], lasting: float, last: nc.Recording) -> None:
    """What was measured of one program."""
    events = sum(last.counters.events.values()) / lasting
    synapses = sum(len(x.connectivity) for x in program.network.projections.values())
    middle = statistics.median(seconds)
    print(
        f"cpu, threads={threads}: built in {built:.1f} s, at most {rss():.2f} GB, {synapses / 1e6:.0f} million synapses\n"
        f"  {middle:.3f} s per biological second ({min(seconds):.3f} to {max(seconds):.3f}), {events / 1e6:.0f} million "
        f"events, {1e9 * middle / events:.2f} ns each with everything"
    )
    rates = {name: last.counters.spikes[name] / program.network.populations[name].size / lasting for name in NAMES}
    shown = (f"{name} {rates[name]:.2f} ({wanted})" for name, wanted in zip(NAMES, RATES, strict=True))
    print("  Hz: " + ", ".join(shown))
    recorded = program.run(steps=round(lasting / DT), record=list(NAMES))
    print("  CV of intervals: " + ", ".join(f"{name} {irregularity(recorded[name]):.2f}" for name in NAMES), flush=True)


def two_processes(scale: float, seconds: float, arithmetic: str) -> None:
    """What two processes with a thread each reach at once."""
    given = {"--threads": "1", "--scale": str(scale), "--seconds": str(seconds), "--arithmetic": arithmetic}
    command = [sys.executable, __file__, *(x for pair in given.items() for x in pair)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        output = process.communicate()[0]
        print("of two processes, one: " + next(line for line in output.splitlines() if "biological" in line).strip())


if __name__ == "__main__":
    main()
