"""Sources: their statistics by tests of goodness of fit, their exact steps, and what their random numbers depend on.

Seeds are fixed, so a test's verdict never changes; one of the size of 1e-4 is beyond bad luck, and a distribution that is
wrong by some per cent is far beyond it.
"""

import numpy as np
import pytest
from scipy import stats

import neurocomp as nc

RATES = np.array([5.0, 20.0, 80.0, 300.0, 900.0])
LEVEL = 1e-4  # of significance
WIDE = 3.9  # standard deviations, which that level allows


def sources(neuron, size, steps, name="source", seed=4, dt=1e-3, target="cpu", **how):
    """(steps, size) raster."""
    net = nc.Network("sources", dt=dt, seed=seed)
    net.population(name, neuron, size, **how)
    return nc.compile(net, target).run(steps=steps)[name].raster()


def goodness(values, pmf, start=0, least=8):
    """p of whole numbers >= start under a distribution; neighbouring values are joined until `least` of them are expected."""
    expected = len(values) * pmf(np.arange(start, start + 20_000))
    seen = np.bincount(np.asarray(values) - start, minlength=len(expected))[: len(expected)]
    group = np.zeros(len(expected), int)
    filled, current = 0.0, 0
    for k, x in enumerate(expected):
        group[k] = current
        filled += x
        if filled >= least:
            filled, current = 0.0, current + 1
    group = np.minimum(group, max(current - 1, 0))
    wanted = np.bincount(group, expected)
    return stats.chisquare(np.bincount(group, seen), wanted / wanted.sum() * len(values)).pvalue


# ----------------------------------------------------------------------------------------------------------------- Poisson


@pytest.mark.parametrize("rate", RATES)
def test_poisson_counts_per_bin(rate):
    """A step has a spike with the probability 1 - exp(-rate dt), so 50 steps have a binomial number of them."""
    raster = sources(nc.Poisson(rate=rate), 40, 10_000)
    counts = raster.reshape(-1, 50, 40).sum(axis=1).ravel()
    p = -np.expm1(-rate * 1e-3)
    assert goodness(counts, stats.binom(50, p).pmf) > LEVEL
    assert stats.binomtest(int(raster.sum()), raster.size, p).pvalue > LEVEL


@pytest.mark.parametrize("rate", RATES)
def test_in_fine_steps_counts_are_poissons(rate):
    """At dt = 10 us, 0.1 s have a Poisson number of spikes, less what falls into one step (at most 0.5 %)."""
    raster = sources(nc.Poisson(rate=rate), 20, 100_000, dt=1e-5)
    counts = raster.reshape(10, -1, 20).sum(axis=1).ravel()
    assert goodness(counts, stats.poisson(rate * 0.1).pmf, least=5) > LEVEL


@pytest.mark.parametrize("rate", RATES)
def test_intervals_are_geometric(rate):
    """Of all neurons in a row, which is as good as one train, as no step knows of another."""
    raster = sources(nc.Poisson(rate=rate), 50, 4000)
    waits = np.diff(np.flatnonzero(raster.T.ravel()))
    assert goodness(waits, stats.geom(-np.expm1(-rate * 1e-3)).pmf, start=1) > LEVEL


def test_intervals_are_exponential_in_fine_steps():
    """Kolmogorov and Smirnov, at 40 Hz and dt = 10 us, where a step is 1/2500 of the mean interval."""
    raster = sources(nc.Poisson(rate=40.0), 20, 200_000, dt=1e-5)
    waits = np.diff(np.flatnonzero(raster.T.ravel())) * 1e-5
    assert len(waits) > 1000
    assert stats.kstest(waits, "expon", (0, 1 / 40.0)).pvalue > LEVEL


def test_rates_differ_by_neuron():
    raster = sources(nc.Poisson(rate=RATES), 5, 40_000)
    for count, rate in zip(raster.sum(axis=0), RATES, strict=True):
        assert stats.binomtest(int(count), 40_000, -np.expm1(-rate * 1e-3)).pvalue > LEVEL


def test_a_rate_of_zero_is_silent_and_a_huge_one_fills_every_step():
    raster = sources(nc.Poisson(rate=np.array([0.0, 1e6])), 2, 2000)
    assert raster.sum(axis=0).tolist() == [0, 2000]


def standardised(raster):
    return (raster - raster.mean(axis=0)) / raster.std(axis=0)


def dependence(first, second):
    """p of no correlation between any column of one and any of the other: the sum of squares of r sqrt(n)."""
    r = standardised(first).T @ standardised(second) / len(first)
    return stats.chi2(r.size).sf((r**2).sum() * len(first))


def test_neurons_are_independent():
    """No pair of 40 correlates, in the same step or one to twenty apart, nor does any neuron with its own past."""
    raster = sources(nc.Poisson(rate=200.0), 40, 5000)
    z = standardised(raster)
    r = (z.T @ z / len(z))[np.triu_indices(40, 1)]
    assert stats.chi2(r.size).sf((r**2).sum() * len(z)) > LEVEL
    assert np.abs(r).max() < 6 / np.sqrt(len(z))
    for lag in (1, 2, 3, 4, 20):
        assert dependence(raster[:-lag], raster[lag:]) > LEVEL


@pytest.mark.parametrize("other", ["seed", "name", "beside"])
def test_seeds_and_populations_are_independent(other):
    """The p values of 25 comparisons with another seed, another name or another population of the network are uniform."""
    neuron, values = nc.Poisson(rate=200.0), []
    for k in range(25):
        if other == "seed":
            first, second = sources(neuron, 20, 2000), sources(neuron, 20, 2000, seed=5 + k)
        elif other == "name":
            first, second = sources(neuron, 20, 2000), sources(neuron, 20, 2000, name=f"source{k}")
        else:
            net = nc.Network("two", dt=1e-3, seed=k)
            for name in "ab":
                net.population(name, neuron, 20)
            run = nc.compile(net, "cpu").run(steps=2000)
            first, second = run["a"].raster(), run["b"].raster()
        values.append(dependence(first, second))
    assert stats.kstest(values, "uniform").pvalue > LEVEL
    assert min(values) > LEVEL / 25


RANDOM = {
    "Poisson": nc.Poisson(rate=200.0),
    "PoissonCounts": nc.PoissonCounts(rate=1500.0),
    "NoisyCurrent": nc.NoisyCurrent(),
    "StochasticLIF": nc.StochasticLIF(tau=20e-3, rate=200.0, delta_v=0.2, v_leak=1.1),
    "StochasticLIF with t_ref": nc.StochasticLIF(tau=20e-3, rate=200.0, delta_v=0.2, v_leak=1.1, t_ref=1e-3),
}


@pytest.mark.parametrize("neuron", RANDOM.values(), ids=RANDOM.keys())
def test_what_the_numbers_depend_on(neuron):
    """The network's seed and the population's name; not the target, the run, the network's name or who else is there."""
    mine = sources(neuron, 20, 500)
    np.testing.assert_array_equal(mine, sources(neuron, 20, 500))
    np.testing.assert_array_equal(mine, sources(neuron, 20, 500, target="reference"))
    np.testing.assert_array_equal(mine[:, :7], sources(neuron, 7, 500))
    assert (mine != sources(neuron, 20, 500, seed=5)).any()
    assert (mine != sources(neuron, 20, 500, name="renamed")).any()
    net = nc.Network("another", dt=1e-3, seed=4)
    net.population("before", nc.PoissonCounts(rate=100.0), 3)
    net.population("source", neuron, 20)
    program = nc.compile(net, "cpu")
    for _ in range(2):
        np.testing.assert_array_equal(mine, program.run(steps=500)["source"].raster())


# ----------------------------------------------------------------------------------------------------------- PoissonCounts


@pytest.mark.parametrize("mean", [0.1, 1.6, 10.0])
def test_poisson_counts_per_step(mean):
    """Events per step are Poisson's: the right mean, a variance that equals it, and the right share of every number."""
    raster = sources(nc.PoissonCounts(rate=mean / 1e-3), 50, 2000)
    counts = raster.ravel()
    n = counts.size
    assert abs(counts.mean() - mean) < WIDE * np.sqrt(mean / n)
    assert abs(counts.var() / counts.mean() - 1) < WIDE * np.sqrt(2 / n)  # the index of dispersion
    assert goodness(counts, stats.poisson(mean).pmf) > LEVEL
    assert dependence(raster[:-1], raster[1:]) > LEVEL


def test_poisson_counts_are_carried_by_payloads():
    """A weight w makes w times the count; numbers beyond max_payload saturate."""
    net = nc.Network("counts", dt=1e-3, seed=4)
    net.population("many", nc.PoissonCounts(rate=3000.0), 4, max_payload=5)
    net.population("sum", nc.Readout(), 4)
    net.connect("many", "sum", nc.OneToOne(0.25))
    run = nc.compile(net, "cpu").run(steps=2000, record=["many", "sum.v"])
    counts = run["many"].raster()
    assert counts.max() == 5
    np.testing.assert_array_equal(run["sum.v"], 0.25 * counts)
    free = sources(nc.PoissonCounts(rate=3000.0), 4, 2000, name="many")
    np.testing.assert_array_equal(counts, np.minimum(free, 5))


# ------------------------------------------------------------------------------------------------------------ NoisyCurrent


def test_noise_is_white_and_normal():
    """A projection of weight s / NOISE_UNITS is a current of mean 0 and standard deviation s, new in every step."""
    sigma = 0.25
    net = nc.Network("noise", dt=1e-3, seed=4)
    net.population("noise", nc.NoisyCurrent(), 20)
    net.population("seen", nc.Readout(), 20)
    net.connect("noise", "seen", nc.OneToOne(sigma / nc.NOISE_UNITS))
    x = nc.compile(net, "cpu").run(steps=5000, record=["seen.v"])["seen.v"]
    n = x.size
    assert abs(x.mean()) < WIDE * sigma / np.sqrt(n)
    assert abs(x.var() / sigma**2 - 1) < WIDE * np.sqrt(2 / n)
    assert stats.kstest(x.ravel(), "norm", (0, sigma)).pvalue > LEVEL
    for lag in (1, 2, 3, 10):
        assert dependence(x[:-lag], x[lag:]) > LEVEL
    z = standardised(x)
    r = (z.T @ z / len(z))[np.triu_indices(20, 1)]
    assert stats.chi2(r.size).sf((r**2).sum() * len(z)) > LEVEL
    power = (np.abs(np.fft.rfft(x[:4096] / sigma, axis=0)[1:-1]) ** 2 / 4096).mean(axis=1)  # mean of 20 exponentials of mean 1
    halves = power[: len(power) // 2].mean(), power[len(power) // 2 :].mean()
    assert halves == pytest.approx((1.0, 1.0), abs=4 / np.sqrt(20 * len(power) / 2))


def test_noise_makes_a_leaky_integrator_fluctuate():
    """Steps of the decay q = exp(-dt / tau) give v the variance sigma^2 (1 - q) / (1 + q): an AR(1) process."""
    sigma, tau, dt = 3.0, 10e-3, 1e-3
    net = nc.Network("membrane", dt=dt, seed=9)
    net.population("noise", nc.NoisyCurrent(), 200)
    net.population("cell", nc.LI(tau=tau), 200)
    net.connect("noise", "cell", nc.OneToOne(sigma / nc.NOISE_UNITS))
    v = nc.compile(net, "cpu").run(steps=3000, record=["cell.v"])["cell.v"][200:]
    q = np.exp(-dt / tau)
    assert v.var() == pytest.approx(sigma**2 * (1 - q) / (1 + q), rel=0.02)
    assert (v[:-1] * v[1:]).mean() / v.var() == pytest.approx(q, rel=0.01)


# ------------------------------------------------------------------------------------------- starts and stops, whole and cut


@pytest.mark.parametrize("dt", [1e-3, 1e-4, 0.25e-3, 0.3e-3])
def test_a_current_lasts_from_start_to_before_stop(dt):
    """In whole steps, also where start / dt is not a whole number in floating point (0.3 / 0.0001 is 2999.9999999999995)."""
    starts = np.array([0, 1, 3, 7, 10, 29, 57, 300, 999])
    stops = starts + np.array([1, 2, 5, 1, 100, 3, 30, 11, 1])
    raster = sources(nc.StepCurrent(start=starts * dt, stop=stops * dt), len(starts), 1010, dt=dt)
    wanted = (np.arange(1010)[:, None] >= starts) & (np.arange(1010)[:, None] < stops)
    np.testing.assert_array_equal(raster, wanted)
    always = sources(nc.StepCurrent(), 1, 50, dt=dt)
    assert always.all()
    assert not sources(nc.StepCurrent(start=5 * dt, stop=5 * dt), 1, 50, dt=dt).any()


def test_written_decimals_are_whole_steps():
    raster = sources(nc.StepCurrent(start=0.3, stop=0.7), 1, 8000, dt=1e-4)[:, 0]
    assert np.flatnonzero(raster)[[0, -1]].tolist() == [3000, 6999]


@pytest.mark.parametrize("model", [nc.Poisson, nc.PoissonCounts, nc.NoisyCurrent])
def test_random_sources_start_and_stop(model):
    """Outside they are silent; inside, from the first step to the last, they are as active as without limits."""
    rate = {} if model is nc.NoisyCurrent else {"rate": 900.0}
    active = sources(model(start=0.02, stop=0.05, **rate), 2000, 100) != 0
    assert not active[:20].any()
    assert not active[50:].any()
    p = 1 - 1 / (nc.NOISE_UNITS * np.sqrt(2 * np.pi)) if model is nc.NoisyCurrent else -np.expm1(-0.9)  # normal: |x| > 1/2 unit
    for inside in (active[20], active[21], active[49], active[20:50]):
        assert stats.binomtest(int(inside.sum()), inside.size, p).pvalue > LEVEL


def whole_network():
    net = nc.Network("whole", dt=1e-3, seed=8)
    net.input("x", 3, spikes=([0, 4, 4, 37, 38, 90], [0, 1, 2, 0, 1, 2]))
    net.input("g", 2, max_payload=9, spikes=([2, 50], [1, 0], [-5, 9]))
    net.population("p", nc.Poisson(rate=300.0), 3)
    net.population("noise", nc.NoisyCurrent(stop=0.06), 3)
    net.population("on", nc.StepCurrent(start=0.03, stop=0.07), 1)
    net.population("cell", nc.StochasticLIF(tau=10e-3, rate=400.0, delta_v=0.3, t_ref=2e-3), 3)
    net.connect("x", "cell", nc.OneToOne(8.0), delay=3)
    net.connect("g", "cell", nc.Dense(np.full((3, 2), 0.5)))
    net.connect("p", "cell", nc.OneToOne(2.0))
    net.connect("noise", "cell", nc.OneToOne(2.0 / nc.NOISE_UNITS), delay=2)
    net.connect("on", "cell", nc.Dense(np.full((3, 1), 0.5)))
    return net


RECORD = ["spikes", "cell.v"]


@pytest.mark.parametrize("target", ["reference", "cpu"])
@pytest.mark.parametrize("lengths", [[1] * 100, [37, 1, 62], [4, 46, 50]])
def test_a_run_in_pieces_is_the_whole_run(target, lengths):
    """Random numbers, windows in time and stored spikes go on where the last piece ended."""
    program = nc.compile(whole_network(), target)
    whole = program.run(steps=100, record=RECORD)
    pieces = [program.run(steps=n, record=RECORD, resume=k > 0) for k, n in enumerate(lengths)]
    for name in whole.spikes:
        together = np.concatenate([piece[name].raster() for piece in pieces])
        np.testing.assert_array_equal(together, whole[name].raster())
    np.testing.assert_array_equal(np.concatenate([piece["cell.v"] for piece in pieces]), whole["cell.v"])
    assert whole["cell"].counts().min() > 3


def test_stored_spikes_play_where_a_run_gives_nothing():
    """After every reset from the start; what a run gives takes their place."""
    net = nc.Network("plays", dt=1e-3)
    net.input("x", 2, spikes=([1, 5, 30], [0, 1, 0]))
    net.population("seen", nc.Readout(), 2)
    net.connect("x", "seen", nc.OneToOne(1.0))
    program = nc.compile(net, "cpu")
    assert program.run(steps=10)["x"].times.tolist() == [1, 5]
    assert program.run(steps=40)["x"].times.tolist() == [1, 5, 30]
    assert program.run({"x": ([2], [1])}, steps=40)["x"].times.tolist() == [2]
    assert program.run(steps=3)["x"].times.tolist() == [1]
    assert program.run(steps=3, resume=True)["x"].times.tolist() == [2]  # step 5 of the whole
    program.reset()
    assert [len(program.step()) for _ in range(2)] == [1, 1]
    assert program.run(steps=4, resume=True)["x"].times.tolist() == [3]
