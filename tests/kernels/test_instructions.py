"""How many instructions the step loop takes: a check against slow code that no busy machine can disturb.

valgrind counts instructions, the same ones at every run, with AVX2 at most. Bounds are what gcc 12 needs and 15 % more.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pytest

WORK = """
import neurocomp as nc
net = nc.Network("work", dt=1e-3, seed=1)
net.population("drive", nc.Poisson(rate=50.0), 500)
net.population("cells", nc.CubaLIF(tau_syn=5e-3, tau_mem=20e-3), 2000)
net.population("next", nc.LIF(tau=20e-3), 100)
net.connect("drive", "cells", nc.FixedOutDegree(400, weights=nc.Normal(1.0, 0.2)), delay=nc.Uniform(1e-3, 5e-3))
net.connect("cells", "next", [[0.01] * 2000] * 100)
counters = nc.compile(net, "cpu", mantissa_bits=15).run(steps=100, record=[]).counters
print(counters.events["drive->cells"], counters.events["cells->next"])
""".replace("[[0.01] * 2000] * 100", "nc.Dense([[0.01] * 2000] * 100)")

BOUNDS = {  # instructions: of one event, or of one neuron and step (a fifth of which spike, the input taken and spikes listed)
    "add_segments": 9.4,
    "nc_add_rows": 0.71,
    "neurons_update": 1.1,
    "update_": 19.3,
}


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
def test_the_step_loop_takes_no_more_instructions_than_it_did(tmp_path):
    collect = ["--collect-atstart=no", "--toggle-collect=*run_loop*", f"--callgrind-out-file={tmp_path}/out"]
    command = ["valgrind", "--tool=callgrind", *collect, sys.executable, "-c", WORK]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    listed, rows = map(int, done.stdout.split())
    annotated = subprocess.run(["callgrind_annotate", f"{tmp_path}/out"], capture_output=True, text=True, check=True).stdout
    costs = dict.fromkeys(BOUNDS, 0)
    functions = annotated.partition("-- Auto-annotated")[0]
    for count, where in re.findall(r"^ *([\d,]+) \([ \d.]+%\)  \S+?:(\S+)", functions, re.MULTILINE):
        name = next((name for name in BOUNDS if name in where), None)
        if name is not None:
            costs[name] += int(count.replace(",", ""))
    assert listed > 500_000
    assert rows > 100_000
    per = {"add_segments": listed, "nc_add_rows": rows, "neurons_update": 2600 * 100, "update_": 2600 * 100}
    measured = {name: costs[name] / per[name] for name in BOUNDS}
    assert all(measured.values()), measured  # the functions have these names
    assert {name: value for name, value in measured.items() if value > BOUNDS[name]} == {}, measured
