"""The examples of learning, at reduced size, against controls that must not learn."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_digits_are_learned_without_a_teacher(tmp_path):
    """Half the neurons and two thirds of the training images reach 80 % of the held-out digits; random weights do not."""
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    digits = example("digits_stdp")
    accuracy, weights, means = digits.experiment(seed=0, neurons=50, epochs=6, train=800)
    assert accuracy > 0.8

    rng = np.random.default_rng(0)
    (images, labels), (new_images, new_labels) = digits.split(0, 800)
    random = rng.uniform(0, 1, weights.shape)
    guesses = digits.responses(random, new_images, rng) @ digits.meanings(digits.responses(random, images, rng), labels)
    assert np.mean(guesses.argmax(axis=1) == new_labels) < 0.5

    # each weight has gone towards the share of images, among those of the neuron's digit, in which its cell is early
    early = np.concatenate([images, ~images], axis=1)
    typical = np.array([early[labels == digit].mean(axis=0) for digit in means.argmax(axis=1)])
    assert np.corrcoef(weights.ravel(), typical.ravel())[0, 1] > 0.7
    path = tmp_path / "fields.png"
    digits.picture(weights, means, str(path))
    assert path.read_bytes().startswith(b"\x89PNG")


def test_training_and_held_out_digits_are_different_ones():
    pytest.importorskip("sklearn")
    digits = example("digits_stdp")
    (images, labels), (new_images, new_labels) = digits.split(3)
    assert len(images) == len(labels) == 1198
    assert len(new_images) == len(new_labels) == 599
    (few, _), (same, _) = digits.split(3, 800)
    assert np.array_equal(few, images[:800])
    assert np.array_equal(same, new_images)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_late_reward_teaches_the_right_actions(seed):
    """From chance to at least nine of ten, and again after the world has changed; rewards that mean nothing teach nothing."""
    example_of = example("reward_learning")
    correct = example_of.experiment(trials=300, seed=seed)
    before, after = np.split(correct, 2)
    assert before[-50:].mean() >= 0.9
    assert after[:15].mean() < 0.2
    assert after[-50:].mean() >= 0.9
    for control in ("none", "random"):
        assert example_of.experiment(trials=150, seed=seed, reward=control)[-100:].mean() < 0.45
