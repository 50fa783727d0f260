"""CPU kernel against the reference backend on one network, in one process: 10,000 CubaLIF neurons, 10 million synapses, ~10 Hz.

Run: python benchmarks/cuba.py [--neurons N] [--fan-out K] [--dt SECONDS] [--steps T] [--threads 1 2]
Prints the ratio of the wall times per step and checks that the spikes are identical.
"""

from __future__ import annotations

import argparse
import statistics

import numpy as np

import neurocomp as nc


def network(neurons: int, fan_out: int, dt: float, delay: int, seed: int = 0) -> nc.Network:
    """A sparse, weakly coupled network driven by Poisson input to about 10 Hz."""
    rng = np.random.default_rng(seed)
    net = nc.Network("cuba", dt=dt)
    drive = net.input("drive", neurons)
    cells = net.population("cells", nc.CubaLIF(tau_syn=5e-3, tau_mem=20e-3), neurons)
    net.connect(drive, cells, nc.OneToOne(2.3 * 5e-3 / dt), delay=1)
    pre = np.repeat(np.arange(neurons), fan_out)
    post = rng.integers(0, neurons, neurons * fan_out)
    weights = rng.normal(0.0, 0.02 * 5e-3 / dt, neurons * fan_out)
    net.connect(cells, cells, nc.Sparse((weights, (post, pre)), (neurons, neurons)), delay=delay)
    return net


def drive(neurons: int, steps: int, dt: float, hz: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Poisson spikes as (times, ids)."""
    raster = np.random.default_rng(seed).random((steps, neurons)) < hz * dt
    times, ids = np.nonzero(raster)
    return times, ids


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--neurons", type=int, default=10_000)
    parser.add_argument("--fan-out", type=int, default=1_000)
    parser.add_argument("--dt", type=float, default=1e-4)
    parser.add_argument("--hz", type=float, default=60.0, help="rate of the Poisson drive per neuron")
    parser.add_argument("--delay", type=int, default=15, help="recurrent delay in steps")
    parser.add_argument("--steps", type=int, default=2_000, help="steps on the CPU kernel")
    parser.add_argument("--reference-steps", type=int, default=300, help="steps compared with the reference backend")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    args = parser.parse_args()

    net = network(args.neurons, args.fan_out, args.dt, args.delay)
    times, ids = drive(args.neurons, args.steps, args.dt, args.hz)
    short = times < args.reference_steps
    slow = nc.compile(net, "reference").run({"drive": (times[short], ids[short])}, args.reference_steps, ["cells"])
    per_step = slow.seconds / args.reference_steps
    print(f"reference: {1e3 * per_step:.3f} ms per step over {args.reference_steps} steps")
    for threads in args.threads:
        program = nc.compile(net, "cpu", threads=threads)
        check = program.run({"drive": (times[short], ids[short])}, args.reference_steps, ["cells"])
        same = check["cells"].same_as(slow["cells"])
        runs = [program.run({"drive": (times, ids)}, args.steps, ["cells"]) for _ in range(3)]
        seconds = statistics.median(run.seconds for run in runs)
        rate = len(runs[0]["cells"]) / (args.neurons * args.steps * args.dt)
        events = sum(runs[0].counters.events.values())
        print(
            f"cpu, threads={threads}: {1e3 * seconds / args.steps:.4f} ms per step, {rate:.1f} Hz, "
            f"{1e9 * seconds / events:.2f} ns per event (all included), {per_step * args.steps / seconds:.0f}x the reference, "
            f"spikes {'identical' if same else 'DIFFERENT'} ({len(slow['cells'])} compared)"
        )
        if not same:
            raise SystemExit(1)


if __name__ == "__main__":
    main()
