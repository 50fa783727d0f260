"""Two yardsticks of the field against Brian2's C++ standalone and NEST: CUBA and Brunel's random network.

CUBA (Vogels & Abbott 2005): 4000 leaky neurons with exponential currents, 2 % connected (40,000 with --neurons 40000, 200
synapses each, weaker by 0.4). Brunel (2000): 12,500 neurons, 15.6 million synapses, 1.5 ms, every neuron with a Poisson
drive of its own, asynchronous irregular (g = 5, twice the drive of threshold). One biological second at dt = 0.1 ms.
Synapses are drawn by each simulator for itself, so rates agree and single spikes do not. Where NEUROCOMP_BRIAN2_PYTHON or
NEUROCOMP_NEST_PYTHON names a Python with one of them, it runs in the same call, with one thread; of them only the loop over
steps counts, of ours the whole `run`.

With --arithmetic float32, Brian2's states are float32, too (NEST knows float64 only).

Run: python benchmarks/networks.py [--threads 1 2] [--networks cuba brunel] [--neurons 4000] [--arithmetic float float32]
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import tempfile
from typing import Any

import neurocomp as nc

DT, SECONDS = 1e-4, 1.0
START = """
import json, sys, tempfile
from brian2 import *
folder = tempfile.mkdtemp()
set_device("cpp_standalone", directory=folder, build_on_run=False)
prefs.core.default_float_dtype = {dtype}
defaultclock.dt = 0.1 * ms
"""
END = """
spikes = SpikeMonitor(cells, record=False)
run({seconds} * second)
device.build(directory=folder, run=False, compile=True)
times = []
for _ in range({runs}):
    device.run(directory=folder, with_output=False)
    times.append(device._last_run_time)
print(json.dumps([sorted(times), int(spikes.num_spikes)]))
"""
CUBA = """
N, p, scale = {neurons}, {p}, {scale}
cells = NeuronGroup(N, '''dv/dt = (ge + gi - (v + 49*mV)) / (20*ms) : volt (unless refractory)
dge/dt = -ge / (5*ms) : volt
dgi/dt = -gi / (10*ms) : volt''', threshold='v > -50*mV', reset='v = -60*mV', refractory=5*ms, method='exact')
cells.v = '-60*mV + rand() * 10*mV'
E = Synapses(cells[:4*N//5], cells, on_pre='ge += scale*1.62*mV')
E.connect(p=p)
I = Synapses(cells[4*N//5:], cells, on_pre='gi += -scale*9*mV')
I.connect(p=p)
"""
BRUNEL = """
cells = NeuronGroup(12500, 'dv/dt = -v / (20*ms) : volt (unless refractory)', threshold='v >= 20*mV', reset='v = 10*mV',
    refractory=2*ms, method='exact')
cells.v = 'rand() * 20*mV'
E = Synapses(cells[:10000], cells, on_pre='v += 0.1*mV', delay=1.5*ms)
E.connect(p=0.1)
I = Synapses(cells[10000:], cells, on_pre='v += -0.5*mV', delay=1.5*ms)
I.connect(p=0.1)
drive = PoissonInput(cells, 'v', 1000, 20*Hz, weight=0.1*mV)
"""

NEST_START = """
import json, time
import nest
nest.set_verbosity("M_ERROR")
times = []
for _ in range({runs}):
    nest.ResetKernel()
    nest.set(resolution=0.1, local_num_threads=1)
"""
NEST_END = """
    for source, weight in ((cells[:E], excitation), (cells[E:], inhibition)):
        rule = {{"rule": "pairwise_bernoulli", "p": p, "allow_autapses": True}}
        nest.Connect(source, cells, rule, {{"weight": weight, "delay": delay}})
    nest.Prepare()
    before, began = nest.local_spike_counter, time.perf_counter()
    nest.Run({seconds} * 1000.0)
    times.append(time.perf_counter() - began)
    spikes = nest.local_spike_counter - before
    nest.Cleanup()
print(json.dumps([sorted(times), int(spikes)]))
"""
NEST_CUBA = """
    cells = nest.Create("iaf_psc_exp", {neurons}, {{"tau_m": 20.0, "C_m": 20.0, "tau_syn_ex": 5.0, "tau_syn_in": 10.0,
        "E_L": -49.0, "V_th": -50.0, "V_reset": -60.0, "t_ref": 5.0, "V_m": nest.random.uniform(-60.0, -50.0)}})
    E, p, delay, excitation, inhibition = 4 * {neurons} // 5, {p}, 0.1, {scale} * 1.62, {scale} * -9.0
"""
NEST_BRUNEL = """
    cells = nest.Create("iaf_psc_delta", 12500, {"tau_m": 20.0, "C_m": 1.0, "E_L": 0.0, "V_th": 20.0, "V_reset": 10.0,
        "t_ref": 2.0, "V_m": nest.random.uniform(0.0, 20.0)})
    E, p, delay, excitation, inhibition = 10000, 0.1, 1.5, 0.1, -0.5
    nest.Connect(nest.Create("poisson_generator", params={"rate": 20000.0}), cells, syn_spec={"weight": 0.1, "delay": 1.5})
"""

Driven = nc.NeuronModel(
    "DrivenLIF",
    parameters={"tau": "s", "v_threshold": "V", "v_reset": "V", "j_ext": "V", "rate": "Hz"},
    equations="dv/dt = -v / tau",
    after="v = v + a + j_ext * poisson(rate * dt)",
    spike="v >= v_threshold",
    resets={"value": "v = v_reset"},
    refractory=("v",),
    integrator="exact",
    description="leaky integrate and fire with jumps, and a Poisson drive of its own",
)


def cuba(neurons: int, p: float, scale: float) -> nc.Network:
    """As in Brian2's example; currents over the capacity are its voltages g."""
    net = nc.Network("cuba", dt=DT, seed=1)
    units: dict[str, Any] = {"tau_mem": 20e-3, "c_m": 20e-3, "tau_exc": 5e-3, "tau_inh": 10e-3, "v_leak": -49e-3}
    cell = nc.ExpLIF(**units, v_threshold=-50e-3, v_reset=-60e-3, t_ref=5e-3, initial={"v": nc.Uniform(-60e-3, -50e-3)})
    excitatory = 4 * neurons // 5
    net.population("e", cell, excitatory)
    net.population("i", cell, neurons - excitatory)
    for source, receptor, weight in (("e", "exc", 1.62e-3), ("i", "inh", -9e-3)):
        for target in "ei":
            net.connect(source, target, nc.FixedProbability(p, scale * weight), receptor=receptor, delay=1)
    return net


def brunel() -> nc.Network:
    """Excitation of 0.1 mV, inhibition of -0.5 mV, a drive of 20,000 events per second."""
    net = nc.Network("brunel", dt=DT, seed=1)
    numbers: dict[str, Any] = {"tau": 20e-3, "v_threshold": 20e-3, "v_reset": 10e-3, "j_ext": 0.1e-3, "rate": 20e3}
    cell = Driven(**numbers, t_ref=2e-3, initial={"v": nc.Uniform(0.0, 20e-3)})
    net.population("e", cell, 10_000)
    net.population("i", cell, 2_500)
    for source, weight in (("e", 0.1e-3), ("i", -0.5e-3)):
        for target in "ei":
            net.connect(source, target, nc.FixedProbability(0.1, weight), delay=1.5e-3)
    return net


def scripts(cuba: bool, neurons: int, runs: int, arithmetic: str) -> dict[str, tuple[str, str]]:
    """By peer, the variable that names its Python, and what that runs."""
    p, scale = connected(neurons)
    numbers: dict[str, Any] = {"neurons": neurons, "p": p, "scale": scale, "seconds": SECONDS, "runs": runs}
    start = START.format(dtype="float32" if arithmetic == "float32" else "float64")
    brian2 = start + (CUBA.format(**numbers) if cuba else BRUNEL) + END.format(**numbers)
    nest = NEST_START.format(**numbers) + (NEST_CUBA.format(**numbers) if cuba else NEST_BRUNEL) + NEST_END.format(**numbers)
    found = {"Brian2": ("NEUROCOMP_BRIAN2_PYTHON", brian2)}
    return found if arithmetic == "float32" else {**found, "NEST": ("NEUROCOMP_NEST_PYTHON", nest)}


def connected(neurons: int) -> tuple[float, float]:
    """CUBA's connection probability, and what weights are multiplied with."""
    return (0.02, 1.0) if neurons <= 4000 else (200 / neurons, 0.4)


def measure_peer(name: str, python: str, script: str) -> tuple[list[float], int]:
    """(seconds of its runs in ascending order, spikes of one)."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([python, "-c", script], capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-2000:]}")
    times, spikes = json.loads(done.stdout.splitlines()[-1])
    return times, spikes


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--networks", nargs="+", default=["cuba", "brunel"])
    parser.add_argument("--neurons", type=int, default=4000, help="of CUBA")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--arithmetic", nargs="+", default=["float"], choices=["float", "float32"])
    args = parser.parse_args()
    print(f"load of the machine: {os.getloadavg()[0]:.1f}")
    for name, arithmetic in itertools.product(args.networks, args.arithmetic):
        net = cuba(args.neurons, *connected(args.neurons)) if name == "cuba" else brunel()
        size = sum(x.size for x in net.populations.values())
        medians = {}
        for threads in args.threads:
            program = nc.compile(net, "cpu", threads=threads, mantissa_bits=15, arithmetic=arithmetic)
            runs = []
            for _ in range(args.runs):
                program.reset()
                runs.append(program.run(steps=round(SECONDS / DT), record=[]))
            medians[threads] = statistics.median(run.seconds for run in runs)
            spikes, events = sum(runs[0].counters.spikes.values()), sum(runs[0].counters.events.values())
            print(
                f"{name}, {arithmetic}, cpu, threads={threads}: {medians[threads]:.4f} s ({min(x.seconds for x in runs):.4f} "
                f"to {max(x.seconds for x in runs):.4f}), {spikes / size / SECONDS:.1f} Hz, {events / 1e6:.1f} million events"
            )
        for peer, (variable, script) in scripts(name == "cuba", args.neurons, args.runs, arithmetic).items():
            if variable not in os.environ:
                print(f"{name}, {arithmetic}, {peer}: not run; {variable} names no Python that has it")
                continue
            times, spikes = measure_peer(peer, os.environ[variable], script)
            ratios = ", ".join(f"threads={k}: {statistics.median(times) / x:.1f} times as fast" for k, x in medians.items())
            print(
                f"{name}, {arithmetic}, {peer}: {statistics.median(times):.4f} s ({times[0]:.4f} to {times[-1]:.4f}), "
                f"{spikes / size / SECONDS:.1f} Hz; ours {ratios}"
            )


if __name__ == "__main__":
    main()
