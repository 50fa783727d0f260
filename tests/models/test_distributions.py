"""Parameters, initial values and biases drawn from distributions."""

import numpy as np
import pytest
from scipy import stats

import neurocomp as nc

SIZE = 20_000
LEVEL = 1e-4


def drawn(value, seed=0, name="cell", size=SIZE):
    net = nc.Network("drawn", dt=1e-3, seed=seed)
    return net.population(name, nc.LIF(tau=value), size).neuron.parameters["tau"]


def test_uniform():
    tau = drawn(nc.Uniform(5e-3, 25e-3))
    assert tau.shape == (SIZE,)
    assert stats.kstest(tau, "uniform", (5e-3, 20e-3)).pvalue > LEVEL
    assert tau.min() >= 5e-3
    assert tau.max() < 25e-3
    assert tau.mean() == pytest.approx(15e-3, rel=0.01)
    assert tau.var() == pytest.approx((20e-3) ** 2 / 12, rel=0.03)


def test_normal():
    tau = drawn(nc.Normal(20e-3, 2e-3))
    assert stats.kstest(tau, "norm", (20e-3, 2e-3)).pvalue > LEVEL
    assert tau.mean() == pytest.approx(20e-3, rel=0.005)
    assert tau.std() == pytest.approx(2e-3, rel=0.02)
    assert stats.skew(tau) == pytest.approx(0, abs=0.05)
    assert stats.kurtosis(tau) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize(("low", "high"), [(19e-3, np.inf), (-np.inf, 20e-3), (18e-3, 23e-3), (23e-3, 30e-3)])
def test_a_truncated_normal_is_drawn_again_not_clipped(low, high):
    mean, std = 20e-3, 2e-3
    tau = drawn(nc.Normal(mean, std, low=low, high=high))
    assert tau.min() >= low
    assert tau.max() <= high
    assert len(np.unique(tau)) == SIZE
    assert stats.kstest(tau, stats.truncnorm((low - mean) / std, (high - mean) / std, mean, std).cdf).pvalue > LEVEL


def test_no_spread_is_a_constant():
    assert (drawn(nc.Normal(20e-3, 0.0), size=5) == 20e-3).all()
    assert (drawn(nc.Uniform(20e-3, 20e-3), size=5) == 20e-3).all()


def test_what_the_values_depend_on():
    """The network's seed, the population's name and the distribution's seed; not which network, or who else is there."""
    normal = nc.Normal(20e-3, 2e-3)
    mine = drawn(normal)
    np.testing.assert_array_equal(mine, drawn(normal))
    for other in (drawn(normal, seed=1), drawn(normal, name="other"), drawn(nc.Normal(20e-3, 2e-3, seed=1))):
        assert abs(np.corrcoef(mine, other)[0, 1]) < 4 / np.sqrt(SIZE)
    net = nc.Network("another", dt=1e-4)
    net.population("before", nc.LIF(tau=normal), 50)
    np.testing.assert_array_equal(mine, net.population("cell", nc.LIF(tau=normal), SIZE).neuron.parameters["tau"])


def test_each_use_is_a_draw_of_its_own():
    """One distribution for two parameters, an initial value and the bias: four arrays that have nothing in common."""
    net = nc.Network("uses", dt=1e-3)
    uniform = nc.Uniform(1.0, 2.0)
    cell = nc.LIF(tau=uniform, r=uniform, v_threshold=5.0, initial={"v": uniform})
    node = net.population("cell", cell, (100, 50), bias=uniform)
    values = [node.neuron.parameters["tau"], node.neuron.parameters["r"], node.neuron.initial["v"], node.bias]
    assert all(x.shape == (100, 50) for x in values)
    r = np.corrcoef([x.ravel() for x in values])[np.triu_indices(4, 1)]
    assert np.abs(r).max() < 4 / np.sqrt(5000)


def test_drawn_values_are_what_runs():
    """Membranes that decay from drawn voltages with drawn time constants."""
    net = nc.Network("runs", dt=1e-3)
    node = net.population("cell", nc.LI(tau=nc.Normal(20e-3, 4e-3, low=5e-3), initial={"v": nc.Uniform(-1.0, 1.0)}), 30)
    tau, v = node.neuron.parameters["tau"], node.neuron.initial["v"]
    trace = nc.compile(net, "cpu").run(steps=50, record=["cell.v"])["cell.v"]
    np.testing.assert_allclose(trace[-1], v * np.exp(-50e-3 / tau), rtol=1e-12)


def test_drawn_refractory_periods():
    net = nc.Network("refractory", dt=1e-3)
    node = net.population("cell", nc.IF(t_ref=nc.Uniform(0.0, 9e-3)), 20, bias=8192.0)
    spikes = nc.compile(net, "cpu").run(steps=100)["cell"]
    for k, t_ref in enumerate(node.neuron.parameters["t_ref"]):
        assert set(np.diff(spikes.times[spikes.ids == k])) == {round(t_ref / 1e-3) + 1}


def test_files_keep_the_numbers(tmp_path):
    net = nc.Network("kept", dt=1e-3, seed=3)
    net.population("cell", nc.LIF(tau=nc.Normal(20e-3, 2e-3)), 10)
    nc.save(net, tmp_path / "kept.nc")
    again = nc.load(tmp_path / "kept.nc")
    np.testing.assert_array_equal(
        again.populations["cell"].neuron.parameters["tau"], net.populations["cell"].neuron.parameters["tau"]
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: nc.Uniform(2.0, 1.0),
        lambda: nc.Uniform(0.0, np.inf),
        lambda: nc.Uniform(np.nan, 1.0),
        lambda: nc.Normal(0.0, -1.0),
        lambda: nc.Normal(np.nan, 1.0),
        lambda: nc.Normal(0.0, np.inf),
        lambda: drawn(nc.Normal(0.0, 1.0, low=50.0), size=3),
        lambda: drawn(nc.Normal(0.0, 1.0, low=2.0, high=1.0), size=3),
    ],
)
def test_nonsense_is_refused(make):
    with pytest.raises(nc.errors.ModelError, match=r"Uniform|Normal"):
        make()


def test_drawn_values_must_make_sense_to_the_model():
    """A normal time constant that is sometimes negative is refused by name when it is compiled."""
    net = nc.Network("negative", dt=1e-3)
    net.population("cell", nc.LIF(tau=nc.Normal(1e-3, 2e-3)), 100)
    with pytest.raises(nc.errors.VerificationError, match=r"cell.*tau"):
        nc.compile(net, "cpu")
