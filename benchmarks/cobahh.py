"""COBAHH: 4000 Hodgkin-Huxley neurons with conductance synapses, 2 % connected, one biological second at dt = 0.1 ms.

The network of Brette et al. 2007 (doi:10.1007/s10827-007-0038-6) with the numbers of Brian2's example. Where the environment
variable NEUROCOMP_BRIAN2_PYTHON names a Python with brian2, its C++ standalone (one thread, float64, its own compiler flags)
simulates the same synapses and initial values, its runs in turn with ours; what counts of it is the loop over steps inside its
binary, without building, loading and saving.

Both step by exponential Euler. Brian2 evaluates every equation at the state of the step before, ours one after the other at the
newest values, so spikes are not the same, and the network amplifies any difference; that it is the same network shows in the
rates at a fifth of the step. A spike is an upward crossing of -20 mV for both; Brian2's example ignores crossings for 3 ms
after another, which is one in seven here.

Run: taskset -c 1 python benchmarks/cobahh.py --threads 1
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import neurocomp as nc

NEURONS, EXCITATORY, CONNECTED = 4000, 3200, 0.02
DT, FINE = 1e-4, 2e-5  # seconds
OTHER = "brian2 C++ standalone"
SYNAPSES = (("exc", 6e-9), ("inh", 67e-9))
Run = Callable[[], tuple[float, int]]  # -> (seconds of wall time, spikes)
Arrays = Mapping[str, np.ndarray[Any, Any]]

BRIAN2 = """
import json, sys
import numpy as np
from brian2 import *
data, folder, dt, seconds = np.load(sys.argv[1]), sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
set_device("cpp_standalone", directory=folder, build_on_run=False)
defaultclock.dt = dt * second
Cm, gl, El, EK, ENa = 200 * pF, 10 * nS, -60 * mV, -90 * mV, 50 * mV
g_na, g_kd, VT, taue, taui, Ee, Ei = 20 * usiemens, 6 * usiemens, -63 * mV, 5 * ms, 10 * ms, 0 * mV, -80 * mV
we, wi = 6 * nS, 67 * nS
cells = NeuronGroup(len(data["v"]), '''
    dv/dt = (gl*(El-v)+ge*(Ee-v)+gi*(Ei-v)-g_na*(m*m*m)*h*(v-ENa)-g_kd*(n*n*n*n)*(v-EK))/Cm : volt
    dm/dt = alpha_m*(1-m)-beta_m*m : 1
    dn/dt = alpha_n*(1-n)-beta_n*n : 1
    dh/dt = alpha_h*(1-h)-beta_h*h : 1
    dge/dt = -ge*(1./taue) : siemens
    dgi/dt = -gi*(1./taui) : siemens
    alpha_m = 0.32*(mV**-1)*4*mV/exprel((13*mV-v+VT)/(4*mV))/ms : Hz
    beta_m = 0.28*(mV**-1)*5*mV/exprel((v-VT-40*mV)/(5*mV))/ms : Hz
    alpha_h = 0.128*exp((17*mV-v+VT)/(18*mV))/ms : Hz
    beta_h = 4./(1+exp((40*mV-v+VT)/(5*mV)))/ms : Hz
    alpha_n = 0.032*(mV**-1)*5*mV/exprel((15*mV-v+VT)/(5*mV))/ms : Hz
    beta_n = .5*exp((10*mV-v+VT)/(40*mV))/ms : Hz
''', threshold="v > -20*mV", refractory="v > -20*mV", method="exponential_euler")
cells.v, cells.ge, cells.gi = data["v"] * volt, data["g_exc"] * siemens, data["g_inh"] * siemens
excitatory = Synapses(cells, cells, on_pre="ge += we", delay=0.1*ms)
excitatory.connect(i=data["exc_pre"], j=data["exc_post"])
inhibitory = Synapses(cells, cells, on_pre="gi += wi", delay=0.1*ms)
inhibitory.connect(i=data["inh_pre"], j=data["inh_post"])
spikes = SpikeMonitor(cells)
run(seconds * second)
device.build(directory=folder, run=False, compile=True)
print("ready", flush=True)
for _ in sys.stdin:
    device.run(directory=folder, with_output=False)
    print(json.dumps([device._last_run_time, int(spikes.num_spikes)]), flush=True)
"""


def draw(seed: int = 0) -> Arrays:
    """Synapses and initial values."""
    rng = np.random.default_rng(seed)
    drawn: dict[str, np.ndarray[Any, Any]] = {
        "v": -60e-3 + (rng.standard_normal(NEURONS) * 5 - 5) * 1e-3,
        "g_exc": (rng.standard_normal(NEURONS) * 1.5 + 4) * 10e-9,
        "g_inh": (rng.standard_normal(NEURONS) * 12 + 20) * 10e-9,
    }
    for receptor, begin, end in (("exc", 0, EXCITATORY), ("inh", EXCITATORY, NEURONS)):
        pre, post = np.nonzero(rng.random((end - begin, NEURONS)) < CONNECTED)
        drawn |= {f"{receptor}_pre": pre + begin, f"{receptor}_post": post}
    return drawn


def network(drawn: Arrays, dt: float) -> nc.Network:
    """The network in our words; spikes take 0.1 ms."""
    net = nc.Network("cobahh", dt=dt)
    net.population("cells", nc.TraubMiles(initial={state: drawn[state] for state in ("v", "g_exc", "g_inh")}), NEURONS)
    for receptor, weight in SYNAPSES:
        pre, post = drawn[f"{receptor}_pre"], drawn[f"{receptor}_post"]
        synapses = nc.Sparse((np.full(len(pre), weight), (post, pre)), (NEURONS, NEURONS))
        net.connect("cells", "cells", synapses, delay=round(1e-4 / dt), receptor=receptor)
    return net


def ours(net: nc.Network, threads: int, seconds: float) -> Run:
    """Runs of ours, everything included."""
    program = nc.compile(net, "cpu", threads=threads)

    def run() -> tuple[float, int]:
        began = time.perf_counter()
        spikes = program.run(steps=round(seconds / net.dt), record=["cells"])["cells"]
        return time.perf_counter() - began, len(spikes)

    return run


def brian2(python: str, folder: Path, drawn: Arrays, dt: float, seconds: float) -> Run:
    """Build it and give its runs."""
    folder.mkdir()
    np.savez(folder / "network.npz", **drawn)  # type: ignore[arg-type]
    command = [python, "-c", BRIAN2, str(folder / "network.npz"), str(folder / "built"), str(dt), str(seconds)]
    log = (folder / "log.txt").open("w")
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=folder)
    assert child.stdin is not None
    assert child.stdout is not None
    to, back = child.stdin, child.stdout
    for line in back:
        if line.strip() == "ready":
            break
    else:
        raise SystemExit("brian2 failed:\n" + (folder / "log.txt").read_text()[-3000:])

    def run() -> tuple[float, int]:
        to.write("run\n")
        to.flush()
        for line in back:
            if line.startswith("["):
                wall, spikes = json.loads(line)
                return wall, spikes
        raise SystemExit("brian2 ended:\n" + (folder / "log.txt").read_text()[-3000:])

    return run


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=1.0, help="biological time of a run")
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    drawn, python = draw(), os.environ.get("NEUROCOMP_BRIAN2_PYTHON")

    with tempfile.TemporaryDirectory() as name:
        runs = {f"cpu, threads={threads}": ours(network(drawn, DT), threads, args.seconds) for threads in args.threads}
        if python:
            runs[OTHER] = brian2(python, Path(name) / "coarse", drawn, DT, args.seconds)
        results: dict[str, list[tuple[float, int]]] = {who: [] for who in runs}
        for _ in range(args.runs):
            for who, run in runs.items():
                results[who].append(run())
        report(results, args.seconds)
        if python is None:
            print("NEUROCOMP_BRIAN2_PYTHON is not set: no comparison")
            return
        check = (ours(network(drawn, FINE), args.threads[0], 1.0), brian2(python, Path(name) / "fine", drawn, FINE, 1.0))
        mine, theirs = (run()[1] / NEURONS for run in check)
        print(f"at dt = {1e6 * FINE:.0f} us: cpu {mine:.1f} Hz, brian2 {theirs:.1f} Hz")
        if not 0.9 < mine / theirs < 1.1:
            raise SystemExit("these are not the same network")


def report(results: Mapping[str, list[tuple[float, int]]], seconds: float) -> None:
    """Times per biological second, rates, and how many times the other's speed."""
    print(f"load of the machine: {os.getloadavg()[0]:.1f}")
    walls = {who: sorted(wall / seconds for wall, _ in pairs) for who, pairs in results.items()}
    for who, of_who in walls.items():
        wall, spikes = statistics.median(of_who), results[who][0][1]
        print(
            f"{who}: {wall:.3f} s per biological second ({of_who[0]:.3f} to {of_who[-1]:.3f} in {len(of_who)} runs), "
            f"{1e9 * wall * DT / NEURONS:.1f} ns per neuron and step, {spikes} spikes, {spikes / NEURONS / seconds:.1f} Hz"
        )
    for who, of_who in walls.items():
        if OTHER in walls and who != OTHER:
            by_median, by_best = statistics.median(walls[OTHER]) / statistics.median(of_who), walls[OTHER][0] / of_who[0]
            print(f"{who}: {by_median:.2f} times the speed of {OTHER} ({by_best:.2f} by the best runs)")


if __name__ == "__main__":
    main()
