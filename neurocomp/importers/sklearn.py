"""scikit-learn's multi-layer perceptrons as spiking networks. scikit-learn itself is not needed to read them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from neurocomp.importers.rates import Coding, Conversion, Layer, Task, convert
from neurocomp.ir.errors import ModelError
from neurocomp.ir.network import Network

TASKS: dict[str, Task] = {"softmax": "classes", "logistic": "labels", "identity": "values"}


def from_sklearn(
    mlp: Any,
    calibration: ArrayLike,
    *,
    dt: float = 1e-3,
    percentile: float = 99.9,
    coding: Coding = "direct",
    max_payload: int | None = None,
    name: str = "mlp",
) -> Network:
    """A trained `MLPClassifier` or `MLPRegressor` with ReLU units as a network of integrate-and-fire neurons.

    The network has the input "input", the populations "hidden1", ... and "output", and the biases on its projections. The
    method and its sources are in `neurocomp.importers.rates`. `convert_sklearn` gives the same network together with
    the encoding of samples and the decoding of answers.

    calibration: (samples, features) training data, as the MLP was trained on. dt: seconds per step. percentile: the share of
    activations (in percent) that a spike rate of at most 1 per step can express. coding: "direct" gives every feature as an
    integer payload, the same at every step; "rate" as random spikes. max_payload: levels of direct coding (default: the
    features themselves where they are whole numbers, else 255).
    """
    options: dict[str, Any] = {"dt": dt, "percentile": percentile, "coding": coding, "max_payload": max_payload}
    return convert_sklearn(mlp, calibration, name=name, **options).network


def convert_sklearn(mlp: Any, calibration: ArrayLike, *, name: str = "mlp", **options: Any) -> Conversion:
    """Convert as `from_sklearn` does, with the same options, and give `encode` and `decode` beside the `network`.

    conversion = convert_sklearn(mlp, X_train)
    program = nc.compile(conversion.network)
    runs = program.run_batch(conversion.encode(X_test, steps=32), 32, conversion.record)
    labels = conversion.decode(runs)
    """
    layers = _layers(mlp)
    task = TASKS[mlp.out_activation_]
    classes = np.asarray(mlp.classes_) if hasattr(mlp, "classes_") else None
    if task == "labels" and len(layers[-1].bias) > 1:
        classes = None  # several yes/no labels per sample, which have no names
    return convert(layers, calibration, task=task, classes=classes, name=name, **options)


def _layers(mlp: Any) -> list[Layer]:
    kind = type(mlp).__name__
    if hasattr(mlp, "steps") and hasattr(mlp, "named_steps"):
        raise ModelError(
            f"{kind}: give its last step, the MLP itself (pipeline[-1]), and calibration data as the steps before it "
            "transform them (pipeline[:-1].transform(X))"
        )
    if not all(hasattr(mlp, attribute) for attribute in ("activation", "hidden_layer_sizes", "solver")):
        raise ModelError(f"{kind} is not supported; give an MLPClassifier or MLPRegressor with activation='relu'")
    if not hasattr(mlp, "coefs_"):
        raise ModelError(f"this {kind} is not trained yet; call its fit(X, y) first")
    if mlp.activation != "relu" and len(mlp.coefs_) > 1:
        raise ModelError(
            f"{kind} has activation='{mlp.activation}', which no spike rate can express exactly; supported is 'relu': "
            "train it with activation='relu'"
        )
    if mlp.out_activation_ not in TASKS:
        raise ModelError(f"{kind} has the output '{mlp.out_activation_}'; supported are {', '.join(TASKS)}")
    pairs = zip(mlp.coefs_, mlp.intercepts_, strict=True)
    return [Layer(np.asarray(weights, np.float64).T, np.asarray(bias, np.float64)) for weights, bias in pairs]
