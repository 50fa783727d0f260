"""ReLU networks as spiking networks: what every importer of trained rate models shares.

A ReLU unit becomes an integrate-and-fire neuron with reset by subtraction, whose spike rate approximates the unit's activation
(Rueckauer et al. 2017, doi:10.3389/fnins.2017.00682). A neuron spikes at most once a step, so activations are scaled to
at most about 1 by data-based weight normalisation: with s_l a high percentile of layer l's activations on training data,

    W_l <- W_l * s_(l-1) / s_l        b_l <- b_l / s_l

(Diehl et al. 2015, doi:10.1109/IJCNN.2015.7280696; the percentile instead of the maximum is Rueckauer's). Membranes start half
way to the threshold, so that spike counts are rounded instead of cut off (Bu et al. 2022, arXiv:2202.01440).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurocomp.ir.connectivity import Dense
from neurocomp.ir.errors import InputError, ModelError
from neurocomp.ir.network import Network
from neurocomp.ir.neurons import IF
from neurocomp.recording import Recording

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Coding = Literal["direct", "rate"]
Triple = tuple[Ints, Ints, Ints]
Task = Literal["classes", "labels", "values"]

INPUT, OUTPUT = "input", "output"
THRESHOLD = 1.0
HALF_WAY = 0.5  # initial membrane voltage of every neuron, in thresholds
DEFAULT_PAYLOAD = 255  # grid of real-valued features: 8 bits
LARGEST_WHOLE = 4095  # whole-numbered features up to here are their own payloads


@dataclass(frozen=True)
class Layer:
    """A dense layer of the trained network: weights (n_post, n_pre), bias (n_post,)."""

    weights: Floats
    bias: Floats


@dataclass(frozen=True)
class FeatureGrid:
    """How features become spikes.

    direct: a feature is the integer payload nearest to feature / scale, within -max_payload..max_payload, the same at every
    step. rate: the probability of a spike is feature / scale, within 0..1. scale is in the feature's unit.
    """

    coding: Coding
    scale: float
    max_payload: int = 1

    def values(self, samples: Floats) -> Floats:
        """The features (samples, features) as the spiking network sees them, in their own unit: on the grid, clipped."""
        if self.coding == "rate":
            return np.asarray(np.clip(samples / self.scale, 0.0, 1.0) * self.scale, np.float64)
        return np.asarray(self.payloads(samples) * self.scale, np.float64)

    def payloads(self, samples: Floats) -> Ints:
        """(samples, features) integer payloads of direct coding."""
        limit = self.max_payload
        return np.clip(np.rint(samples / self.scale), -limit, limit).astype(np.int64)


def feature_grid(calibration: Floats, coding: Coding, max_payload: int | None = None) -> FeatureGrid:
    """The grid that fits calibration data (samples, features).

    max_payload: levels of direct coding; None takes whole-numbered features as they are, and 255 levels for others.
    """
    largest = float(np.abs(calibration).max(initial=0.0)) or 1.0
    if coding == "rate":
        if max_payload not in (None, 1):
            raise ModelError(f"max_payload = {max_payload} is for coding='direct'; the spikes of coding='rate' carry nothing")
        if calibration.min(initial=0.0) < 0:
            raise ModelError(
                f"coding='rate' needs features >= 0, but the calibration data contain {calibration.min():g}: a spike "
                "probability cannot be negative; use coding='direct' or scale the features to 0..1 before training"
            )
        return FeatureGrid("rate", largest)
    if coding != "direct":
        raise ModelError(f"coding is 'direct' or 'rate', not {coding!r}")
    if max_payload is None and largest <= LARGEST_WHOLE and np.array_equal(calibration, np.rint(calibration)):
        return FeatureGrid("direct", 1.0, int(largest))
    levels = DEFAULT_PAYLOAD if max_payload is None else int(max_payload)
    if levels < 1:
        raise ModelError(f"max_payload = {max_payload} must be at least 1")
    return FeatureGrid("direct", largest / levels, levels)


# ------------------------------------------------------------------------------------------------------------- convert


@dataclass(frozen=True)
class Conversion:
    """A converted network and what is needed to talk to it.

    grid: how features become spikes. scales: (layers,) the activation that one spike per step stands for, per layer.
    classes: label of each output neuron for classifiers, else None. task: "classes" (one of many), "labels" (each output
    yes or no) or "values" (regression).
    """

    network: Network
    grid: FeatureGrid
    scales: Floats
    task: Task
    classes: NDArray[Any] | None = None

    @property
    def record(self) -> list[str]:
        """What `run_batch` must record for `decode`."""
        return [OUTPUT, f"{OUTPUT}.v"]

    def encode(self, samples: ArrayLike, steps: int, seed: int = 0) -> list[dict[str, Any]]:
        """Inputs for `Program.run_batch` from samples (n, features). seed: of rate coding."""
        encoded = encode(samples, steps, self.grid, seed)
        width = self.network.inputs[INPUT].size
        if encoded and np.shape(samples)[1] != width:
            raise InputError(f"samples have {np.shape(samples)[1]} features, the network was converted for {width}")
        return [{INPUT: triple} for triple in encoded]

    def decode(self, recordings: Sequence[Recording]) -> NDArray[Any]:
        """What the network answers, shaped as the trained model's `predict`.

        Classes: the label of the output that spiked most, the higher remaining voltage deciding between equals. Values and
        yes/no labels: spikes and remaining voltage together are exactly the sum of what the output received.
        """
        counts, v = output_activity(recordings)
        if self.task == "values":
            steps = np.array([[recording.steps] for recording in recordings])
            values = np.asarray((counts * THRESHOLD + v - HALF_WAY) / steps * self.scales[-1])
            return values[:, 0] if values.shape[1] == 1 else values
        if self.task == "labels":
            yes = (counts * THRESHOLD + v > HALF_WAY).astype(np.int64)
            return yes if self.classes is None else np.asarray(self.classes[yes[:, 0]])
        winners = winner(counts, v)
        return winners if self.classes is None else np.asarray(self.classes[winners])


def convert(
    layers: Sequence[Layer],
    calibration: ArrayLike,
    *,
    task: Task,
    classes: NDArray[Any] | None = None,
    dt: float = 1e-3,
    percentile: float = 99.9,
    coding: Coding = "direct",
    max_payload: int | None = None,
    name: str = "network",
) -> Conversion:
    """A chain of dense ReLU layers (the last one linear) as a spiking network "input" -> "hidden1" ... -> "output".

    calibration: (samples, features) training data that fix the scales. dt: seconds per step. percentile: of the activations,
    0 < percentile <= 100. Other arguments: `from_sklearn`.
    """
    if not 0 < percentile <= 100:
        raise ModelError(f"percentile = {percentile} is outside 0..100; 99.9 is usual")
    data = _calibration(calibration, layers[0].weights.shape[1])
    grid = feature_grid(data, coding, max_payload)
    scales = activation_scales(layers, grid.values(data), percentile)
    net = Network(name, dt=dt)
    before = net.input(INPUT, layers[0].weights.shape[1], max_payload=grid.max_payload).name
    neuron = IF(r=1.0 / dt, v_threshold=THRESHOLD, reset="subtract", initial={"v": HALF_WAY})
    gains = np.concatenate([[grid.scale], scales[:-1]])  # activation that one spike of the layer before stands for
    for k, layer in enumerate(layers):
        label = OUTPUT if k == len(layers) - 1 else f"hidden{k + 1}"
        net.population(label, neuron, len(layer.bias))
        net.connect(before, label, Dense(layer.weights * (gains[k] / scales[k]), bias=layer.bias / scales[k]))
        before = label
    return Conversion(net, grid, scales, task, classes)


def activation_scales(layers: Sequence[Layer], samples: Floats, percentile: float) -> Floats:
    """(layers,) the given percentile of each layer's positive activations over samples (n, features) and units."""
    scales = []
    values = samples
    for layer in layers:
        values = values @ layer.weights.T + layer.bias
        positive = values[values > 0]
        active = positive if positive.size else np.abs(values)
        scales.append(float(np.percentile(active, percentile)) or 1.0)
        values = np.maximum(values, 0.0)
    return np.array(scales)


def _calibration(calibration: ArrayLike, width: int) -> Floats:
    data = np.asarray(calibration, np.float64)
    if data.ndim != 2 or data.shape[1] != width or not len(data):
        raise ModelError(f"calibration data have shape {data.shape}; expected (samples, {width}) training samples")
    if not np.isfinite(data).all():
        raise ModelError(f"calibration data contain {int((~np.isfinite(data)).sum())} values that are not finite")
    return data


# ------------------------------------------------------------------------------------------------------ encode, decode


def encode(samples: ArrayLike, steps: int, grid: FeatureGrid, seed: int = 0) -> list[Triple]:
    """(times, ids, payloads) for each of the samples (n, features).

    direct: the payloads of a sample, at every step. rate: one Bernoulli draw per step and feature, from a Philox generator
    keyed by seed and sample index, so that a sample's spikes do not depend on how many follow it.
    """
    data = np.asarray(samples, np.float64)
    if data.ndim != 2 or not np.isfinite(data).all():
        raise InputError(f"samples must be finite numbers of shape (n, features), not of shape {data.shape}")
    if grid.coding == "rate":
        return [_bernoulli(probability, steps, seed, k) for k, probability in enumerate(grid.values(data) / grid.scale)]
    return [_constant(payload, steps) for payload in grid.payloads(data)]


def _constant(payload: Ints, steps: int) -> Triple:
    ids = np.flatnonzero(payload)
    times = np.repeat(np.arange(steps, dtype=np.int64), len(ids))
    return times, np.tile(ids, steps), np.tile(payload[ids], steps)


def _bernoulli(probability: Floats, steps: int, seed: int, index: int) -> Triple:
    draws = np.random.Generator(np.random.Philox(key=[seed, index])).random((steps, len(probability)))
    times, ids = np.nonzero(draws < probability)
    return times, ids, np.ones(len(times), np.int64)


def output_activity(recordings: Sequence[Recording], output: str = OUTPUT) -> tuple[Ints, Floats]:
    """(counts, v), each (n, neurons): spikes of the output population and its membrane voltage (V) at the end."""
    try:
        counts = [recording.spikes[output].counts().ravel() for recording in recordings]
        rest = [recording.states[f"{output}.v"][-1].ravel() for recording in recordings]
    except KeyError as error:
        raise InputError(f"decoding needs {error}, which was not recorded; use record={[output, f'{output}.v']}") from None
    return np.array(counts), np.array(rest)


def winner(counts: Ints, v: Floats) -> Ints:
    """(n,) the neuron with most spikes of each sample; the higher remaining voltage decides between equals."""
    best = counts == counts.max(axis=1, keepdims=True)
    return np.asarray(np.where(best, v, -np.inf).argmax(axis=1), np.int64)
