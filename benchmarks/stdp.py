"""STDP: 1000 Poisson inputs of 15 Hz onto 100 leaky neurons, ten biological seconds at dt 0.1 ms.

The network of Brian2's STDP example (Song, Miller & Abbott 2000) with 100 targets. Where the environment variable
NEUROCOMP_BRIAN2_PYTHON names a Python with brian2, its C++ standalone runs the same network in the same call.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time

import numpy as np

import neurocomp as nc

SECONDS, DT, INPUTS, CELLS, RATE = 10.0, 0.1e-3, 1000, 100, 15.0
G_MAX, A_PRE, A_POST, TAU = 0.01, 0.01, 0.01 * 1.05, 20e-3

BRIAN2 = """
import json, sys, tempfile, time
from brian2 import *
folder = tempfile.mkdtemp()
set_device('cpp_standalone', directory=folder, build_on_run=False)
prefs.core.default_float_dtype = float64
defaultclock.dt = {dt}*second
taum, taupre, taupost, Ee, vt, vr, El, taue = 10*ms, 20*ms, 20*ms, 0*mV, -54*mV, -60*mV, -74*mV, 5*ms
gmax = {g_max}; dApre = {a_pre}*gmax; dApost = -{a_post}*gmax
neurons = NeuronGroup({cells}, '''dv/dt = (ge*(Ee-v) + El - v)/taum : volt
dge/dt = -ge/taue : 1''', threshold='v>vt', reset='v = vr', method='euler')
neurons.v = vr
inputs = PoissonGroup({inputs}, rates={rate}*Hz)
S = Synapses(inputs, neurons, '''w : 1
dApre/dt = -Apre/taupre : 1 (event-driven)
dApost/dt = -Apost/taupost : 1 (event-driven)''',
on_pre='''ge += w
Apre += dApre
w = clip(w + Apost, 0, gmax)''', on_post='''Apost += dApost
w = clip(w + Apre, 0, gmax)''')
S.connect(); S.w = 'rand()*gmax'
mon = SpikeMonitor(neurons, record=False)
run({seconds}*second)
device.build(directory=folder, run=False)
times = []
for _ in range({runs}):
    began = time.perf_counter(); device.run(directory=folder, with_output=False); times.append(time.perf_counter() - began)
print(json.dumps(dict(times=times, rate=mon.num_spikes/{cells}/{seconds}, w=float(mean(S.w[:])/gmax))))
"""


def network() -> nc.Network:
    """Brian2's example, with 100 targets."""
    rng = np.random.default_rng(0)
    model = nc.NeuronModel(
        "SongLIF",
        parameters={"tau_mem": "s", "tau_syn": "s", "v_leak": "V", "e_exc": "V", "v_threshold": "V", "v_reset": "V"},
        receptors=("exc",),
        equations="""
            dv/dt = (g * (e_exc - v) + v_leak - v) / tau_mem
            dg/dt = -g / tau_syn
        """,
        after="g = g + exc",
        spike="v > v_threshold",
        resets={"value": "v = v_reset"},
        initial={"v": "v_reset"},
        integrator="euler",
    )
    net = nc.Network("stdp", dt=DT, seed=1)
    net.population("inputs", nc.Poisson(rate=RATE), INPUTS)
    cell = model(tau_mem=10e-3, tau_syn=5e-3, v_leak=-74e-3, e_exc=0.0, v_threshold=-54e-3, v_reset=-60e-3)
    net.population("cells", cell, CELLS)
    rule = nc.STDP(TAU, TAU, A_PRE * G_MAX, A_POST * G_MAX, 0.0, G_MAX)
    net.connect("inputs", "cells", nc.Dense(rng.uniform(0.0, G_MAX, (CELLS, INPUTS))), delay=1, plasticity=rule, name="learns")
    return net


def main(runs: int = 5) -> None:
    """Print wall times, rates and the ratio."""
    steps = round(SECONDS / DT)
    for threads in (1, 2):
        program = nc.compile(network(), "cpu", threads=threads)
        times = []
        for _ in range(runs):
            began = time.perf_counter()
            recording = program.run(steps=steps, record=[])
            times.append(time.perf_counter() - began)
        ours = statistics.median(times)
        spikes = recording.counters.spikes
        events = spikes["inputs"] * CELLS + spikes["cells"] * INPUTS
        print(
            f"neurocomp, {threads} thread(s): {ours:.3f} s (min {min(times):.3f}, max {max(times):.3f}), "
            f"{spikes['cells'] / CELLS / SECONDS:.1f} Hz, mean weight {program.weights('learns').mean() / G_MAX:.3f} of g_max, "
            f"{events / 1e6:.1f} million weight changes"
        )
        if threads == 1:
            single = ours
    python = os.environ.get("NEUROCOMP_BRIAN2_PYTHON")
    if not python:
        print("Brian2: set NEUROCOMP_BRIAN2_PYTHON to a Python that has it")
        return
    script = BRIAN2.format(
        dt=DT, g_max=G_MAX, a_pre=A_PRE, a_post=A_POST, cells=CELLS, inputs=INPUTS, rate=RATE, seconds=SECONDS, runs=runs
    )
    done = subprocess.run([python, "-c", script], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"Brian2 failed:\n{done.stderr[-2000:]}")
    peer = json.loads(done.stdout.splitlines()[-1])
    theirs = statistics.median(peer["times"])
    print(f"Brian2 C++ standalone, one thread: {theirs:.3f} s, {peer['rate']:.1f} Hz, mean weight {peer['w']:.3f} of g_max")
    print(f"ratio on one thread: {theirs / single:.1f}")


if __name__ == "__main__":
    main()
