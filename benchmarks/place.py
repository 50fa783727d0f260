"""Placement at scale: 100,000 neurons in 10 populations, 10 million synapses, sparse fan-out 100, on Loihi 2.

Run: python benchmarks/place.py [--neurons N] [--fan-out K] [--populations P] [--targets T] [--chips C] [--partitioner NAME]
Prints the time and the messages of each partitioner. The networks are a ring of populations, each projecting to itself and to
its next neighbours, created in a shuffled order, so that there is something to find.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

import neurocomp as nc
from neurocomp.ir.passes.place import place


def network(neurons: int, fan_out: int, populations: int, targets: int, seed: int = 0) -> nc.Network:
    """A ring of populations in shuffled order; each neuron has fan_out synapses, spread over `targets` populations."""
    rng = np.random.default_rng(seed)
    size, each = neurons // populations, fan_out // targets
    net = nc.Network("ring", dt=1e-3)
    net.input("drive", size)
    for k in rng.permutation(populations):
        net.population(f"p{k}", nc.CubaLIF(tau_syn=5e-3, tau_mem=20e-3), size)
    net.connect("drive", "p0", nc.OneToOne(1.0), delay=1)
    pre = np.repeat(np.arange(size), each)
    for k in range(populations):
        for step in range(targets):
            post = rng.integers(0, size, size * each)
            weights = rng.normal(0, 1, size * each)
            target = f"p{(k + step) % populations}"
            net.connect(f"p{k}", target, nc.Sparse((weights, (post, pre)), (size, size)), delay=1)
    return net


def main() -> None:
    """Place and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--neurons", type=int, default=100_000)
    parser.add_argument("--fan-out", type=int, default=100)
    parser.add_argument("--populations", type=int, default=10)
    parser.add_argument("--targets", type=int, default=2, help="populations each one projects to")
    parser.add_argument("--chip", default="loihi2")
    parser.add_argument("--chips", type=int, default=4)
    parser.add_argument("--partitioner", nargs="+", default=["ordered", "greedy", "auto"])
    args = parser.parse_args()

    net = network(args.neurons, args.fan_out, args.populations, args.targets)
    synapses = sum(len(x.connectivity) for x in net.projections.values())
    print(f"{args.neurons} neurons, {synapses} synapses, {len(net.projections)} projections")
    for partitioner in args.partitioner:
        start = time.perf_counter()
        placement = place(net, args.chip, chips=args.chips, partitioner=partitioner)
        seconds = time.perf_counter() - start
        print(f"{partitioner} (kept: {placement.partitioner}): {seconds:.1f} s, {len(placement.cores)} cores, ", end="")
        print(f"{placement.messages:.0f} messages and {placement.hops:.0f} hops per step")
    print(placement.text)
    print(f"peak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
