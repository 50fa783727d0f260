"""Layered networks as deep learning makes them, against snnTorch: samples per second over 300 steps of 2 % random input.

Dense: 784-512-512-10. Convolutional: 2x34x34 -> 16c5s2 -> 32c3s2 -> 10. Leaky neurons with snnTorch's rules; weights normal, of
a size that keeps all layers active. snnTorch evaluates a batch of samples at once on torch's CPU, ours one after the other.
Where the environment variable NEUROCOMP_SNNTORCH_PYTHON names a Python with snnTorch, it runs in the same call, with the same
weights and inputs, on as many threads; its spikes are counted, too.

Run: python benchmarks/layers.py [--threads 1 2] [--batch 64]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import neurocomp as nc

Weights = np.ndarray[Any, Any]
DT, STEPS, RATE, BETA = 1e-3, 300, 0.02, 0.9
SNNTORCH = """
import json, sys, time, numpy as np, torch, snntorch as snn
torch.set_num_threads({threads})
data = np.load({file!r})
x = torch.tensor(data["x"], dtype=torch.float32)  # steps, samples, ...
layers = []
for k in range({layers}):
    w = torch.tensor(data[f"w{{k}}"], dtype=torch.float32)
    if w.ndim == 4:
        f = torch.nn.Conv2d(w.shape[1], w.shape[0], w.shape[2], stride=2, bias=False)
    else:
        f = torch.nn.Linear(w.shape[1], w.shape[0], bias=False)
    f.weight.data = w
    layers.append((f, snn.Leaky(beta={beta}, reset_mechanism="zero", reset_delay=False)))
def run():
    mems = [lif.init_leaky() for _, lif in layers]
    counts = [torch.zeros(()) for _ in layers]
    for t in range(x.shape[0]):
        s = x[t]
        for k, (f, lif) in enumerate(layers):
            s = s.flatten(1) if isinstance(f, torch.nn.Linear) else s
            s, mems[k] = lif(f(s), mems[k])
            counts[k] = counts[k] + s.sum()
    return counts
with torch.no_grad():
    run(); times = []
    for _ in range(3):
        began = time.perf_counter(); counts = run(); times.append(time.perf_counter() - began)
print(json.dumps(dict(seconds=sorted(times)[1], spikes=[float(c) for c in counts])))
"""


def weights(kind: str, rng: np.random.Generator) -> list[Weights]:
    """Of the layers, (out, in) or (out, in, height, width)."""
    if kind == "dense":
        shapes: list[tuple[int, ...]] = [(512, 784), (512, 512), (10, 512)]
        scales = (0.1, 0.06, 0.05)
    else:
        shapes, scales = [(16, 2, 5, 5), (32, 16, 3, 3), (10, 32 * 7 * 7)], (0.4, 0.15, 0.05)
    return [
        np.asarray(rng.normal(0.1 * scale, scale, shape), np.float32).astype(np.float64)
        for shape, scale in zip(shapes, scales, strict=True)
    ]


def network(kind: str, layers: list[Weights]) -> nc.Network:
    """The network of snnTorch's Leaky, without delay of the reset: v = beta v + input, a spike above 1, then 0."""
    net = nc.Network(kind, dt=DT, integrator="euler")
    shape: tuple[int, ...] = (784,) if kind == "dense" else (2, 34, 34)
    net.input("x", shape)
    before = "x"
    for k, w in enumerate(layers):
        layer = nc.Dense(w) if w.ndim == 2 else nc.Conv2d(w, shape[1:], 2)
        shape = layer.output_shape if isinstance(layer, nc.Conv2d) else (w.shape[0],)
        net.population(f"h{k}", nc.LIF(tau=DT / (1 - BETA), r=1 / (1 - BETA)), shape)
        net.connect(before, f"h{k}", layer)
        before = f"h{k}"
    return net


def snntorch(python: str, kind: str, layers: list[Weights], rasters: Weights, threads: int) -> tuple[float, list[float]]:
    """(seconds for all samples, spikes of each layer)."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "net.npz"
        arrays: dict[str, Any] = {"x": rasters.swapaxes(0, 1)} | {f"w{k}": w for k, w in enumerate(layers)}
        np.savez(file, **arrays)
        script = SNNTORCH.format(threads=threads, file=str(file), layers=len(layers), beta=BETA)
        done = subprocess.run([python, "-c", script], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"snnTorch failed:\n{done.stderr[-2000:]}")
    result = json.loads(done.stdout.splitlines()[-1])
    return result["seconds"], result["spikes"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--kinds", nargs="+", default=["dense", "conv"])
    args = parser.parse_args()
    python = os.environ.get("NEUROCOMP_SNNTORCH_PYTHON")
    print(f"load of the machine: {os.getloadavg()[0]:.1f}" + ("" if python else "; snnTorch: set NEUROCOMP_SNNTORCH_PYTHON"))
    for kind in args.kinds:
        layers = weights(kind, np.random.default_rng(1))
        net = network(kind, layers)
        rasters = np.random.default_rng(2).random((args.batch, STEPS, *net.nodes["x"].shape)) < RATE
        samples = [{"x": raster} for raster in rasters]
        for threads in args.threads:
            program = nc.compile(net, "cpu", threads=threads)
            batches = [program.run_batch(samples, STEPS, record=[]) for _ in range(5)]
            seconds = statistics.median(sum(x.seconds for x in batch) for batch in batches)
            spikes = {name: sum(x.counters.spikes[name] for x in batches[0]) for name in net.populations}
            active = ", ".join(f"{100 * n / (args.batch * STEPS * net.nodes[k].size):.1f} %" for k, n in spikes.items())
            print(f"{kind}, cpu, threads={threads}: {args.batch / seconds:.0f} samples per second; layers spike in {active}")
            if python:
                theirs, counted = snntorch(python, kind, layers, rasters, threads)
                off = max(abs(a - b) / max(b, 1) for a, b in zip(spikes.values(), counted, strict=True))
                print(
                    f"{kind}, snnTorch, threads={threads}: {args.batch / theirs:.0f} samples per second; "
                    f"ours {theirs / seconds:.1f} times as many; numbers of spikes differ by {100 * off:.2f} %"
                )


if __name__ == "__main__":
    main()
