"""What a step of one neuron costs, for every built-in model: nanoseconds per neuron and step on one thread.

Populations without inputs, so a step is: fetch the input, update, look for spikes. Two sizes: one whose state stays in the
second cache, one whose state does not. Beside them what the machine can do: a NumPy multiply-add over arrays as long. With
--vectors, what the C compiler made of each update: how many 64-bit numbers its widest vector loop computes at a time.

Run: taskset -c 1 python benchmarks/neurons.py [--models LIF CubaLIF] [--sizes 4000 100000] [--vectors]
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import neurocomp as nc
from neurocomp.backends.cpu.codegen import EXACT, FAST
from neurocomp.backends.cpu.toolchain import find_compiler, headers
from neurocomp.ir.neurons import BUILTIN
from neurocomp.ir.printers.c_step import c_function

DT = 1e-4
GIVEN: dict[str, Any] = {  # where a model has no default
    "tau": 10e-3,
    "tau_syn": 5e-3,
    "tau_mem": 20e-3,
    "tau_adapt": 100e-3,
    "beta": 0.2,
    "rate": 10.0,
    "delta_v": 0.1,
    "damping": 10.0,
    "omega": 300.0,
    "threshold": 1.0,
    **nc.IZHIKEVICH["regular spiking"],
    "du": 400,
    "dv": 200,
    "vth": 100,
}
Timer = Callable[[], float]  # -> nanoseconds per element and pass


def network(model: nc.NeuronModel, size: int) -> nc.Network:
    """One population without inputs, but with a bias or initial values: neurons at rest would be left out."""
    net = nc.Network(model.name, dt=DT)
    given = {name: GIVEN[name] for name in model.parameters if name not in model.defaults}
    given |= {"bias_mant": 1} if "bias_mant" in model.parameters else {}
    plain = model.listens and not model.receptors and model.arithmetic == "float"
    low = model.defaults.get("v_reset", 0.0)
    start = {"v": nc.Uniform(low, low + 1e-3)} if model.receptors else {}
    net.population("cells", model(initial=start, **given), size, bias=1.05 if plain else 0.0)
    return net


def timer(model: nc.NeuronModel, size: int, lasting: float) -> Timer:
    """Times runs of about so many seconds."""
    program = nc.compile(network(model, size), "cpu")
    steps = max(round(20 * lasting / program.run(steps=20, record=()).seconds), 20)

    def run() -> float:
        return 1e9 * program.run(steps=steps, record=()).seconds / steps / size

    return run


def multiply_add(size: int, lasting: float) -> Timer:
    """Times z = x * 0.9 + y in NumPy."""
    x, y, z = np.ones(size), np.ones(size), np.ones(size)
    passes = round(lasting * 1e9 / size)

    def run() -> float:
        began = time.perf_counter()
        for _ in range(passes):
            np.multiply(x, 0.9, z)
            np.add(z, y, z)
        return 1e9 * (time.perf_counter() - began) / passes / size

    return run


def measure(timers: Sequence[Timer], runs: int) -> list[list[float]]:
    """Every timer `runs` times in turn, its values in ascending order."""
    values: list[list[float]] = [[] for _ in timers]
    for _ in range(runs):
        for of_one, run in zip(values, timers, strict=True):
            of_one.append(run())
    return [sorted(of_one) for of_one in values]


def lanes(model: nc.NeuronModel) -> str:
    """What the compiler says of the loop over neurons."""
    program = nc.compile(network(model, 16), "reference").lowered.populations["cells"].program
    assert program is not None
    used = "nc_update used = update;\n"  # else the compiler leaves the function out
    text = '#include "step.h"\n' + c_function(program.form, "update") + used
    loop = next(k for k, line in enumerate(text.splitlines(), 1) if "NC_ELEMENTWISE" in line)
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "update.c"
        source.write_text(text)
        command = [*find_compiler().command, *FAST, *EXACT, f"-I{headers()}", "-fopt-info-vec-optimized", "-fPIC", "-c"]
        done = subprocess.run([*command, source, "-o", source.with_suffix(".o")], capture_output=True, text=True, check=True)
    found = re.findall(rf"update\.c:(?:{loop}|{loop + 1}):\d+: optimized: loop vectorized using (\d+) byte", done.stderr)
    return f"{max(map(int, found)) // 8} at a time" if found else "one at a time"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--models", nargs="+", default=[model.name for model in BUILTIN if model.equations or not model.listens]
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[4_000, 100_000])
    parser.add_argument("--lasting", type=float, default=0.02, help="seconds of a run")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--vectors", action="store_true", help="ask the compiler, too")
    args = parser.parse_args()

    by_name = {model.name: model for model in BUILTIN}
    models = [model for model in BUILTIN if model.name in args.models]
    print(f"load of the machine: {os.getloadavg()[0]:.1f}; ns per neuron and step, median (least to most of {args.runs} runs)")
    print(f"{'':28}" + "".join(f"{f'{size} neurons':>28}" for size in args.sizes))
    columns = []
    for size in args.sizes:
        timers = [multiply_add(size, args.lasting), *(timer(model, size, args.lasting) for model in models)]
        columns.append(measure(timers, args.runs))
    for name, *row in zip(["NumPy x * 0.9 + y", *(model.name for model in models)], *columns, strict=True):
        cells = [f"{statistics.median(x):.2f} ({x[0]:.2f} to {x[-1]:.2f})" for x in row]
        compiled = lanes(by_name[name]) if args.vectors and name in by_name else ""
        print(f"{name:28}" + "".join(f"{cell:>28}" for cell in cells) + f"{compiled:>18}", flush=True)


if __name__ == "__main__":
    main()
