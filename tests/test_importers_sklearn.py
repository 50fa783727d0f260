"""Perceptrons of scikit-learn as spiking networks: the rates are the activations, the answers the same."""

import subprocess
import sys
from copy import copy

import numpy as np
import pytest

import neurocomp as nc
from neurocomp.importers import from_sklearn
from neurocomp.importers.rates import encode, feature_grid, winner
from neurocomp.importers.sklearn import convert_sklearn
from neurocomp.ir.errors import InputError, ModelError

pytest.importorskip("sklearn")
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def blobs():
    """Three separable clouds in four dimensions, features of both signs."""
    rng = np.random.default_rng(0)
    centres = np.array([[2, -2, 0, 1], [-2, 2, 1, 0], [0, 0, -3, -2]])
    labels = rng.integers(0, 3, 300)
    return centres[labels] + rng.normal(0, 0.5, (300, 4)), np.array(["ash", "oak", "yew"])[labels]


@pytest.fixture(scope="module")
def mlp(blobs):
    return MLPClassifier((12, 8), max_iter=200, random_state=0).fit(*blobs)


def answers(conversion, samples, steps, **options):
    program = nc.compile(conversion.network, "reference")
    return conversion.decode(program.run_batch(conversion.encode(samples, steps, **options), steps, conversion.record))


def test_the_network_has_the_layers_of_the_perceptron(mlp, blobs):
    net = from_sklearn(mlp, blobs[0], name="trees", dt=2e-3)
    assert (net.name, net.dt) == ("trees", 2e-3)
    assert {name: node.shape for name, node in net.nodes.items()} == {
        "input": (4,),
        "hidden1": (12,),
        "hidden2": (8,),
        "output": (3,),
    }
    assert net.inputs["input"].max_payload == 255
    assert {p.neuron.model.name for p in net.populations.values()} == {"IF"}
    assert {p.neuron.reset for p in net.populations.values()} == {"subtract"}
    assert all(p.connectivity.bias is not None for p in net.projections.values())


def test_spike_counts_are_the_normalised_activations_to_one_spike(mlp, blobs):
    samples, steps = blobs[0][:20], 200
    conversion = convert_sklearn(mlp, blobs[0], percentile=100)
    recordings = nc.compile(conversion.network, "reference").run_batch(conversion.encode(samples, steps), steps)
    on_grid = conversion.grid.values(samples)
    wanted = np.maximum(on_grid @ mlp.coefs_[0] + mlp.intercepts_[0], 0) / conversion.scales[0] * steps
    counts = np.array([recording.spikes["hidden1"].counts() for recording in recordings])
    assert np.abs(counts - wanted).max() <= 0.5 + 1e-3
    assert wanted.max() > 100


@pytest.mark.parametrize(("coding", "steps"), [("direct", 64)])
def test_classes_are_those_of_the_perceptron(mlp, blobs, coding, steps):
    conversion = convert_sklearn(mlp, blobs[0], coding=coding)
    assert np.mean(answers(conversion, blobs[0], steps) == mlp.predict(blobs[0])) > 0.99


def test_rate_coding_is_close_and_repeatable(blobs):
    samples = blobs[0] - blobs[0].min(axis=0)
    mlp = MLPClassifier((16,), max_iter=300, random_state=0).fit(samples, blobs[1])
    conversion = convert_sklearn(mlp, samples, coding="rate")
    assert conversion.network.inputs["input"].max_payload == 1
    assert np.mean(answers(conversion, samples[:60], 200, seed=1) == mlp.predict(samples[:60])) > 0.9
    few, many = conversion.encode(samples[:2], 50, seed=1), conversion.encode(samples[:9], 50, seed=1)
    assert all(
        np.array_equal(a, b)
        for one, other in zip(few, many, strict=False)
        for a, b in zip(one["input"], other["input"], strict=True)
    )
    other = conversion.encode(samples[:1], 50, seed=2)[0]["input"]
    assert len(other[0]) != len(few[0]["input"][0]) or not np.array_equal(other[1], few[0]["input"][1])


def test_rate_coding_draws_the_given_probabilities():
    grid = feature_grid(np.array([[0.0, 4.0]]), "rate")
    conversion_input = np.array([[0.0, 1.0, 2.0, 4.0, 9.0]])
    [(_, ids, payloads)] = encode(conversion_input, 4000, grid)
    rates = np.bincount(ids, minlength=5) / 4000
    assert np.allclose(rates, [0, 0.25, 0.5, 1, 1], atol=0.03)
    assert rates[0] == 0
    assert rates[3] == rates[4] == 1
    assert set(payloads) == {1}


def test_binary_classifiers_have_one_output(blobs):
    yes = (blobs[0][:, 0] > 0).astype(int) * 2 + 5  # labels 5 and 7
    mlp = MLPClassifier((10,), max_iter=300, random_state=0).fit(blobs[0], yes)
    conversion = convert_sklearn(mlp, blobs[0])
    found = answers(conversion, blobs[0], 100)
    assert set(found) == {5, 7}
    assert np.mean(found == mlp.predict(blobs[0])) > 0.97


def test_several_labels_per_sample(blobs):
    labels = (blobs[0][:, :2] > 0).astype(int)
    mlp = MLPClassifier((10,), max_iter=300, random_state=0).fit(blobs[0], labels)
    found = answers(convert_sklearn(mlp, blobs[0]), blobs[0], 100)
    assert found.shape == labels.shape
    assert np.mean(found == mlp.predict(blobs[0])) > 0.97


@pytest.mark.parametrize("outputs", [1, 2])
def test_regressors_give_values_of_both_signs(blobs, outputs):
    values = blobs[0][:, :outputs] if outputs > 1 else blobs[0][:, 0]
    mlp = MLPRegressor(hidden_layer_sizes=(16,), max_iter=300, random_state=0).fit(blobs[0], values)
    found, wanted = answers(convert_sklearn(mlp, blobs[0]), blobs[0][:50], 200), mlp.predict(blobs[0][:50])
    assert found.shape == wanted.shape
    assert wanted.min() < -1
    assert np.abs(found - wanted).max() < 0.15


# --------------------------------------------------------------------------------------------------------------- grids


def test_whole_numbered_features_are_their_own_payloads():
    grid = feature_grid(np.array([[0, 16], [3, 7]], float), "direct")
    assert (grid.scale, grid.max_payload) == (1.0, 16)
    assert grid.payloads(np.array([[3.0, 99.0, -99.0]])).tolist() == [[3, 16, -16]]


def test_real_features_get_the_levels_asked_for():
    grid = feature_grid(np.array([[-0.5, 1.0]]), "direct", 4)
    assert grid.payloads(np.array([[0.3, -0.5, 2.0]])).tolist() == [[1, -2, 4]]
    assert grid.values(np.array([[0.3]])).tolist() == [[0.25]]


def test_ties_are_broken_by_the_voltage():
    counts, v = np.array([[3, 3, 1], [0, 0, 0]]), np.array([[0.1, 0.2, 0.9], [-3.0, -1.0, -2.0]])
    assert winner(counts, v).tolist() == [1, 1]


# -------------------------------------------------------------------------------------------------------------- errors


def test_other_activations_are_refused_by_name(blobs):
    mlp = MLPClassifier((4,), activation="tanh", max_iter=2).fit(*blobs)
    with pytest.raises(ModelError, match=r"activation='tanh'.*supported is 'relu'"):
        from_sklearn(mlp, blobs[0])


def test_other_outputs_are_refused_by_name(mlp, blobs):
    odd = copy(mlp)
    odd.out_activation_ = "exp"
    with pytest.raises(ModelError, match="has the output 'exp'; supported are softmax, logistic, identity"):
        from_sklearn(odd, blobs[0])


def test_untrained_and_foreign_models_are_refused(mlp, blobs):
    with pytest.raises(ModelError, match="not trained yet"):
        from_sklearn(MLPClassifier(), blobs[0])
    with pytest.raises(ModelError, match=r"Pipeline: give its last step"):
        from_sklearn(make_pipeline(StandardScaler(), mlp), blobs[0])
    with pytest.raises(ModelError, match="StandardScaler is not supported"):
        from_sklearn(StandardScaler(), blobs[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"percentile": 0}, "percentile = 0 is outside"),
        ({"max_payload": 0}, "max_payload = 0 must be at least 1"),
        ({"coding": "latency"}, "coding is 'direct' or 'rate', not 'latency'"),
        ({"coding": "rate"}, "needs features >= 0, but the calibration data contain -"),
        ({"coding": "rate", "max_payload": 7}, "max_payload = 7 is for coding='direct'"),
    ],
)
def test_options_that_make_no_sense(mlp, blobs, options, message):
    with pytest.raises(ModelError, match=message):
        from_sklearn(mlp, blobs[0], **options)


def test_data_that_do_not_fit(mlp, blobs):
    with pytest.raises(ModelError, match=r"shape \(300, 3\); expected \(samples, 4\)"):
        from_sklearn(mlp, blobs[0][:, :3])
    with pytest.raises(ModelError, match="1 values that are not finite"):
        from_sklearn(mlp, np.vstack([blobs[0], [np.nan, 0, 0, 0]]))
    conversion = convert_sklearn(mlp, blobs[0])
    with pytest.raises(InputError, match="samples have 3 features, the network was converted for 4"):
        conversion.encode(blobs[0][:, :3], 5)
    with pytest.raises(InputError, match="'output', which was not recorded"):
        conversion.decode([nc.compile(conversion.network, "reference").run({}, 5, ["hidden1"])])


def test_importing_the_importer_does_not_import_scikit_learn():
    code = "import sys, neurocomp.importers; assert 'sklearn' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
