"""What quantisation costs: the strategies at several weight widths, on the demo's digits, random networks and Braille nets.

Digits: "calibrate" chooses scales, thresholds and biases on training samples; everything is measured on held-out ones.
The tables of docs/loihi.md are the output of `python benchmarks/quantise.py` (the last one with --braille FOLDER).
"""

from __future__ import annotations

import argparse
import itertools
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import neurocomp as nc
from neurocomp import demo

STRATEGIES = ("max", "percentile", "mse", "calibrate")
STEPS = 32
CALIBRATION = 100  # training samples
RANDOM = 20  # random networks of each kind, feed-forward and recurrent
BRAILLE = (("braille_noDelay_bias_zero", "snntorch"), ("braille_noDelay_noBias_subtract", "snntorch-subtract"))


def digits(bits: Sequence[int], hidden: int) -> Iterator[str]:
    """Rows of the table: accuracy, same answers, and spikes shifted, removed or added per float spike."""
    data = demo.load_digits()
    conversion = nc.convert_sklearn(demo.train(data, hidden), data.train, max_payload=demo.GREYS, name="digits")
    samples = conversion.encode(data.test, STEPS)
    training = conversion.encode(data.train[:CALIBRATION], STEPS)
    yield "| bits | strategy | accuracy | same answer | hidden spikes changed | output spikes changed |"
    yield "|---|---|---|---|---|---|"
    for width in bits:
        for strategy in STRATEGIES:
            report = nc.quantisation_report(
                conversion.network,
                samples,
                STEPS,
                data.test_labels,
                decode=conversion.decode,
                quantise=quantise(strategy, width, training, STEPS),
            )
            changed = " | ".join(f"{x.changed:.2%}" for x in report.populations)
            accuracy = f"{report.loihi_accuracy:.2%} | {report.agreement:.2%}"
            yield f"| {width} | `{strategy}` | {accuracy} | {changed} |"
    yield f"float: {report.float_accuracy:.2%} of {len(samples)} held-out digits"


def random_network(rng: np.random.Generator, kind: str, recurrent: bool) -> nc.Network:
    """60 inputs, 50 hidden neurons and 10 outputs, with weights of unit spread from a distribution, shifted and scaled."""

    def weights(*shape: int) -> Any:
        if kind == "uniform":
            return rng.uniform(-1, 1, shape) * np.sqrt(3)
        return rng.normal(0, 1, shape) if kind == "normal" else rng.standard_t(3, shape) / np.sqrt(3)

    net = nc.Network(f"random {kind}", dt=1e-3)
    net.input("x", 60)
    net.population("h", nc.CubaLIF(tau_syn=5e-3, tau_mem=20e-3), 50)
    net.population("y", nc.LIF(tau=10e-3), 10)
    net.connect("x", "h", nc.Dense(3 + 12 * weights(50, 60)))
    if recurrent:
        net.connect("h", "h", nc.Dense(4 * weights(50, 50)), delay=1)
    net.connect("h", "y", nc.Dense(1 + 4 * weights(10, 50)))
    return net


def random_networks(bits: Sequence[int]) -> Iterator[str]:
    """Rows of the table "max" against "mse": spikes changed, and on how many of the networks "mse" changes fewer."""
    yield f"| weights | bits | `max` changes | `mse` changes | `mse` better, equal, worse of {2 * RANDOM} |"
    yield "|---|---|---|---|---|"
    for kind in ("uniform", "normal", "student t, 3"):
        for width in bits:
            changed: dict[str, list[float]] = {"max": [], "mse": []}
            for seed, recurrent in itertools.product(range(RANDOM), (False, True)):
                rng = np.random.default_rng(seed)
                net = random_network(rng, kind, recurrent)
                samples = [{"x": rng.random((100, 60)) < 0.06} for _ in range(4)]
                for strategy, values in changed.items():
                    report = nc.quantisation_report(net, samples, 100, quantise=quantise(strategy, width, [], 100))
                    rows = report.populations
                    values.append(sum(x.removed + x.added + x.shifted for x in rows) / sum(x.float_spikes for x in rows))
            one, other = (np.array(x) for x in changed.values())
            counts = f"{(other < one).sum()}, {(other == one).sum()}, {(other > one).sum()}"
            yield f"| {kind} | {width} | {one.mean():.2%} | {other.mean():.2%} | {counts} |"


def braille(folder: Path, bits: Sequence[int]) -> Iterator[str]:
    """The same for trained recurrent networks of NIR's paper, calibrated and measured on one and the same sample."""
    from neurocomp.importers.nir import from_nir

    sample = np.load(folder / "braille_sample0_input.npy")
    yield "| network | bits | strategy | lif1 spikes | removed + added | lif2 spikes | removed + added |"
    yield "|---|---|---|---|---|---|---|"
    for name, dialect in BRAILLE:
        net = from_nir(folder / f"{name}.nir", dialect=dialect)
        inputs = [{next(iter(net.inputs)): sample}]
        for width in bits:
            for strategy in STRATEGIES:
                options = quantise(strategy, width, inputs, len(sample))
                report = nc.quantisation_report(net, inputs, len(sample), quantise=options)
                cells = [f"{x.float_spikes} → {x.loihi_spikes} | {x.removed} + {x.added}" for x in report.populations]
                yield f"| `{name}` | {width} | `{strategy}` | {' | '.join(cells)} |"


def quantise(strategy: Any, bits: int, samples: Sequence[Any], steps: int) -> nc.Quantise:
    """The pass; only "calibrate" looks at samples."""
    calibrated: dict[str, Any] = {"samples": samples, "steps": steps} if strategy == "calibrate" else {}
    return nc.Quantise(strategy, num_weight_bits=bits, **calibrated)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bits", type=int, nargs="+", default=[8, 6, 4, 3])
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--braille", type=Path, help="folder with the Braille networks and their sample")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", module="sklearn")
    for line in digits(arguments.bits, arguments.hidden):
        print(line, flush=True)
    for line in random_networks(arguments.bits):
        print(line, flush=True)
    if arguments.braille is not None:
        for line in braille(arguments.braille, [x for x in arguments.bits if x in (8, 4)]):
            print(line, flush=True)


if __name__ == "__main__":
    main()
