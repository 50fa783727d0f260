"""What quantisation costs: the strategies at several weight widths, on the demo's digits (and the Braille nets, where at hand).

Digits: "calibrate" chooses scales, thresholds and biases on training samples; everything is measured on held-out ones.
The table of docs/loihi.md is the output of `python benchmarks/quantise.py`.
"""

from __future__ import annotations

import argparse
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
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bits", type=int, nargs="+", default=[8, 6, 4, 3])
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--braille", type=Path, help="folder with the Braille networks and their sample")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", module="sklearn")
    for line in digits(arguments.bits, arguments.hidden):
        print(line, flush=True)
    if arguments.braille is not None:
        for line in braille(arguments.braille, [x for x in arguments.bits if x in (8, 4)]):
            print(line, flush=True)


if __name__ == "__main__":
    main()
