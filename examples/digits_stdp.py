"""Handwritten digits learned without a teacher: spike-timing dependent plasticity, competition and homeostasis.

    python examples/digits_stdp.py                     # trains, tests on a held-out third, writes digits_stdp.png

In the manner of Diehl & Cook (2015, doi:10.3389/fncom.2015.00099): neurons that inhibit each other compete for images, the
winner learns its image by STDP, and a threshold that rises with each spike gives every neuron its share. Labels are seen only
after learning, to find out which digit each neuron has come to stand for.

An image is shown in three phases. Each of the 8 x 8 pixels has an ON cell and an OFF cell, which send one spike each: ON cells
of bright pixels and OFF cells of dark ones early, the others late, each at a random moment of its phase. Between the two, a
slow common excitation lets the neuron spike first whose weights fit best; it silences the others. So its early cells are
"before" and gain weight, its late cells are "after" and lose it: the weight of a cell grows with the probability that it is
early in images that the neuron wins. Each image has as many early as late cells, which keeps the weights of a neuron balanced
without any normalisation.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

import neurocomp as nc

Array = NDArray[Any]

DT = 0.25e-3
PHASE = 80  # steps in which early, and late, cells spike
RAMP = 120  # steps of common excitation between them
IMAGE = 1840  # steps from one image to the next: the pause after the late cells lets everything decay
PIXELS = 64

TAU = 60e-3
GAIN = 1.0 / (1.0 - np.exp(-DT / TAU))  # so that a weight is the jump of the voltage
THRESHOLD = 50.0  # in weights; an image has 64 early cells
RISE = 60.0  # by which the ramp would lift the voltage, without the leak
RISE_PER_SPIKE = 1.0  # of a neuron's own threshold
TAU_THRESHOLD = 500.0
RULE = nc.STDP(tau_pre=40e-3, tau_post=40e-3, a_plus=0.05, a_minus=0.05, bound="soft")


def split(seed: int, train: int | None = None) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """scikit-learn's digits, pixels bright or dark, with labels: two thirds (or `train` of these), and the held-out third."""
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(images))
    images, labels = images[order] > 8, labels[order]
    two_thirds = 2 * len(images) // 3
    part = slice(0, min(train or two_thirds, two_thirds))
    return (images[part], labels[part]), (images[two_thirds:], labels[two_thirds:])


def shown(images: Array, rng: np.random.Generator) -> dict[str, tuple[Array, Array]]:
    """The spikes of ON cells, OFF cells and the ramp while these images are shown one after the other."""
    begin = np.arange(len(images))[:, None] * IMAGE
    early = np.concatenate([images, ~images], axis=1)
    times = begin + np.where(early, 0, PHASE + RAMP) + rng.integers(0, PHASE, early.shape)
    ramp = (begin + PHASE + np.arange(RAMP)).ravel()
    return {"cells": (times.ravel(), np.tile(np.arange(2 * PIXELS), len(images))), "ramp": (ramp, np.zeros_like(ramp))}


def network(neuron: nc.Neuron, neurons: int, weights: Array, learn: bool) -> nc.Network:
    """Cells -> neurons that silence each other."""
    net = nc.Network("digits", dt=DT)
    net.input("cells", 2 * PIXELS)
    net.input("ramp", 1)
    net.population("winners", neuron, neurons)
    net.connect("cells", "winners", nc.Dense(weights), name="fields", plasticity=RULE if learn else None)
    net.connect("ramp", "winners", nc.Dense(np.full((neurons, 1), RISE / RAMP)))
    net.connect("winners", "winners", nc.Dense(100.0 * (np.eye(neurons) - 1)), delay=1)
    return net


def learn(images: Array, neurons: int, epochs: int, rng: np.random.Generator) -> Array:
    """Weights (neurons, cells) after showing the images `epochs` times, each time in another order."""
    usual = TAU_THRESHOLD / (neurons * IMAGE * DT)  # of b: the spikes that count, where each neuron wins equally often
    cell = nc.ALIF(
        tau=TAU,
        r=GAIN,
        v_threshold=THRESHOLD - RISE_PER_SPIKE * usual,
        beta=RISE_PER_SPIKE,
        tau_adapt=TAU_THRESHOLD,
        t_ref=PHASE * 4 * DT,  # one spike an image
        initial={"b": usual},
    )
    net = network(cell, neurons, rng.uniform(0, 1, (neurons, 2 * PIXELS)), learn=True)
    program = nc.compile(net, "cpu")
    for epoch in range(epochs):
        inputs = shown(images[rng.permutation(len(images))], rng)
        program.run(inputs, steps=IMAGE * len(images), record=(), resume=epoch > 0)
    return program.weights("fields")


def responses(weights: Array, images: Array, rng: np.random.Generator) -> Array:
    """(images, neurons) spikes with fixed weights and the same fixed threshold for all."""
    cell = nc.LIF(tau=TAU, r=GAIN, v_threshold=THRESHOLD, t_ref=PHASE * 4 * DT)
    program = nc.compile(network(cell, len(weights), weights, learn=False), "cpu")
    spikes = program.run(shown(images, rng), steps=IMAGE * len(images), record=["winners"])["winners"]
    counts = np.zeros((len(images), len(weights)), np.int64)
    np.add.at(counts, (spikes.times // IMAGE, spikes.ids), 1)
    return counts


def meanings(counts: Array, labels: Array) -> Array:
    """(neurons, 10): how often, in proportion, each neuron spiked for each digit. Seen from the training images alone."""
    by_digit: Array = np.array([counts[labels == digit].mean(axis=0) for digit in range(10)]).T
    total: Array = by_digit.sum(axis=1, keepdims=True)
    return np.divide(by_digit, total, out=np.zeros_like(by_digit), where=total > 0)


def experiment(seed: int = 0, neurons: int = 100, epochs: int = 10, train: int | None = None) -> tuple[float, Array, Array]:
    """(accuracy on the held-out third, weights, meanings)."""
    rng = np.random.default_rng(seed)
    (images, labels), (new_images, new_labels) = split(seed, train)
    weights = learn(images, neurons, epochs, rng)
    means = meanings(responses(weights, images, rng), labels)
    guesses = (responses(weights, new_images, rng) @ means).argmax(axis=1)  # each spike votes with its neuron's meanings
    return float(np.mean(guesses == new_labels)), weights, means


def picture(weights: Array, means: Array, path: str) -> None:
    """The learned fields, ON minus OFF weights, sorted by digit."""
    from matplotlib.figure import Figure

    digits = means.argmax(axis=1)
    columns = 20
    rows = -(-len(weights) // columns)
    figure = Figure(figsize=(columns * 0.5, rows * 0.6 + 0.5), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.axis("off")
    for axis, neuron in zip(axes, np.argsort(digits, kind="stable"), strict=False):
        field = (weights[neuron, :PIXELS] - weights[neuron, PIXELS:]).reshape(8, 8)
        axis.imshow(field, cmap="RdBu_r", vmin=-1, vmax=1)
        axis.set_title(str(digits[neuron]), fontsize=7, pad=1)
    figure.suptitle("learned fields: ON (red) minus OFF (blue) weights, and the digit each neuron stands for", fontsize=9)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--neurons", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--picture", default="digits_stdp.png")
    given = parser.parse_args()
    for seed in given.seeds:
        began = time.perf_counter()
        accuracy, weights, means = experiment(seed, given.neurons, given.epochs)
        print(f"seed {seed}: {accuracy:.1%} of the held-out digits, {time.perf_counter() - began:.0f} s")
        picture(weights, means, given.picture)
    print(f"the last seed's fields are in {given.picture}")


if __name__ == "__main__":
    main()
