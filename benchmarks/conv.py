"""The CPU kernel's convolutions: time against the reference backend, memory against the expanded matrices.

The network is the N-MNIST convolutional net of the NIR paper (2x34x34 -> 16c5s2 -> 16c3 -> pool -> 8c3 -> pool -> 256 -> 10),
with random weights of its size, or a trained one given as a .nir file.
Run: python benchmarks/conv.py [--model cnn.nir] [--steps 300] [--rate 0.02]
"""

from __future__ import annotations

import argparse
import statistics

import numpy as np

import neurocomp as nc
from neurocomp.backends.cpu import CpuExecutable


def network(seed: int = 0) -> nc.Network:
    """The architecture with random weights that keep all layers active."""
    rng = np.random.default_rng(seed)
    net = nc.Network("conv", dt=1e-3)
    net.input("input", (2, 34, 34))
    before, shape = "input", (2, 34, 34)
    layers = [(16, 5, 2, 1, 1), (16, 3, 1, 1, 1), (8, 3, 1, 1, 2)]  # channels, kernel, stride, padding, pool before
    for k, (channels, kernel, stride, padding, pool) in enumerate(layers):
        weights = rng.normal(0.15, 0.5, (channels, shape[0], kernel, kernel))
        if pool == 2:  # a sum pool before a convolution is a larger kernel with a larger stride
            weights, stride, padding = np.repeat(np.repeat(weights, 2, 2), 2, 3) / 4, 2, 2
        layer = nc.Conv2d(weights, shape[1:], stride, padding)
        shape = layer.output_shape
        net.population(f"conv{k}", nc.IF(r=1e3), shape)
        net.connect(before, f"conv{k}", layer)
        before = f"conv{k}"
    c, y, x = np.indices(shape).reshape(3, -1)
    columns = (c * (shape[1] // 2) + y // 2) * (shape[2] // 2) + x // 2
    net.population("dense", nc.IF(r=1e3), 256)
    net.connect(before, "dense", nc.Dense(rng.normal(0.02, 0.3, (256, 128)), columns=columns))
    net.population("output", nc.IF(r=1e3), 10)
    net.connect("dense", "output", nc.Dense(rng.normal(0.0, 0.3, (10, 256))))
    return net


def synapse_bytes(program: nc.Program) -> tuple[int, int]:
    """(bytes the kernel holds for synapses, bytes of the same synapses listed one by one in the same kernel)."""

    def held(net: nc.Network) -> int:
        return CpuExecutable(net).synapse_bytes()

    lowered = program.lowered
    listed = {
        name: nc.Projection(name, x.pre, x.post, x.connectivity.expand(), x.delay, x.loihi, x.shift)
        for name, x in lowered.projections.items()
    }
    return held(lowered), held(lowered.with_changes(projections=listed))


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a .nir file instead of random weights")
    parser.add_argument("--dt", type=float, default=1e-3)
    parser.add_argument("--dialect", default="sinabs")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--rate", type=float, default=0.02, help="probability of an input spike per neuron and step")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    args = parser.parse_args()

    net = nc.from_nir(args.model, dt=args.dt, dialect=args.dialect) if args.model else network()
    (name, node), *_ = net.inputs.items()
    raster = np.random.default_rng(1).random((args.steps, *node.shape)) < args.rate
    slow_program = nc.compile(net, "reference")
    slow = slow_program.run({name: raster}, args.steps)
    print(f"reference: {slow.seconds:.3f} s for {args.steps} steps; {sum(slow.counters.events.values())} synaptic events")
    for threads in args.threads:
        program = nc.compile(net, "cpu", threads=threads)
        runs = [program.run({name: raster}, args.steps) for _ in range(7)]
        seconds = statistics.median(run.seconds for run in runs)
        same = not nc.compare(slow, runs[0])
        print(
            f"cpu, threads={threads}: {1e3 * seconds:.2f} ms, {1 / seconds:.0f} samples/s, {slow.seconds / seconds:.0f}x the "
            f"reference, spikes {'identical' if same else 'DIFFERENT'} ({sum(runs[0].counters.spikes.values())} compared)"
        )
        if not same:
            raise SystemExit(1)
    kept, listed = synapse_bytes(program)
    print(f"synapses: {kept / 1e3:.0f} kB kept, {listed / 1e3:.0f} kB if listed: 1/{listed / kept:.0f}")


if __name__ == "__main__":
    main()
