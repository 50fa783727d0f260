"""Random connectivity: the numbers a pattern promises, their statistics, and that they depend on the seed and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import neurocomp as nc
from neurocomp.ir import patterns
from neurocomp.ir.patterns import Drawn, DrawnDelays

DT = 1e-4


def between(pattern, n_pre, n_post, delay=1, seed=1, **options):
    """The projection of a pattern between two populations."""
    net = nc.Network("n", dt=DT, seed=seed)
    net.population("a", nc.LIF(tau=1e-2), n_pre)
    net.population("b", nc.LIF(tau=1e-2), n_post)
    return net.connect("a", "b", pattern, delay=delay, **options)


def ends(pattern, n_pre, n_post, **options):
    return between(pattern, n_pre, n_post, **options).connectivity.synapses()


@pytest.fixture(params=[patterns.PIECE, 500], ids=["one piece", "many pieces"])
def piece(request, monkeypatch):
    monkeypatch.setattr(patterns, "PIECE", request.param)


def test_in_degrees_and_out_degrees_are_fixed(piece):
    pre, post = ends(nc.FixedInDegree(30), 200, 100)
    assert np.bincount(post).tolist() == [30] * 100
    assert stats.chisquare(np.bincount(pre, minlength=200)).pvalue > 1e-3
    pre, post = ends(nc.FixedOutDegree(30), 100, 200)
    assert np.bincount(pre).tolist() == [30] * 100
    assert stats.chisquare(np.bincount(post, minlength=200)).pvalue > 1e-3


def test_a_total_number_is_spread_evenly(piece):
    pre, post = ends(nc.FixedTotalNumber(40_000), 50, 80)
    assert len(pre) == len(post) == 40_000
    assert stats.chisquare(np.bincount(pre * 80 + post, minlength=4000)).pvalue > 1e-3


def test_every_pair_has_the_same_probability_and_at_most_one_synapse(piece):
    counts = np.zeros(40 * 30)
    for seed in range(400):
        pre, post = ends(nc.FixedProbability(0.15), 40, 30, seed=seed)
        pairs = pre * 30 + post
        assert len(np.unique(pairs)) == len(pairs)
        counts[pairs] += 1
    law = stats.binom(400, 0.15)
    assert abs(counts.mean() - law.mean()) < 5 * law.std() / np.sqrt(counts.size)
    assert abs(counts.var() / law.var() - 1) < 0.2
    assert (counts[[0, -1]] > 20).all()  # the first and the last pair, too


@pytest.mark.parametrize(("p", "expected"), [(0.0, 0), (1.0, 1200)])
def test_certain_probabilities(p, expected):
    pre, post = ends(nc.FixedProbability(p), 40, 30)
    assert len(pre) == len(np.unique(pre * 30 + post)) == expected


def test_weights_and_delays_follow_their_distributions(piece):
    pattern = nc.FixedTotalNumber(20_000, weights=nc.Normal(2.0, 0.5, low=0.0))
    projection = between(pattern, 100, 100, delay=nc.Normal(1.5e-3, 0.75e-3, low=DT))
    assert stats.kstest(projection.connectivity.weights, stats.truncnorm(-4, np.inf, 2.0, 0.5).cdf).pvalue > 1e-3
    delays = np.asarray(projection.delay)
    assert (projection.min_delay, projection.max_delay) == (1, 90)
    assert delays.min() >= 1
    law = stats.truncnorm((DT - 1.5e-3) / 0.75e-3, np.inf, 15, 7.5)
    edges = np.arange(0.5, 30)
    expected = np.diff(law.cdf(np.append(edges, np.inf)), prepend=0)[1:]
    observed = np.bincount(np.minimum(delays, 30), minlength=31)[1:]
    assert stats.chisquare(observed, expected / expected.sum() * observed.sum()).pvalue > 1e-3
    assert abs(np.corrcoef(projection.connectivity.weights, delays)[0, 1]) < 0.03


def test_the_seed_and_the_projections_name_decide():
    pattern = nc.FixedTotalNumber(500, weights=nc.Uniform(0.0, 1.0))
    first = between(pattern, 50, 50, seed=4).connectivity
    again, other, renamed = (
        between(pattern, 50, 50, seed=seed, name=name).connectivity for seed, name in ((4, None), (5, None), (4, "z"))
    )
    assert np.array_equal(first.synapses(), again.synapses())
    assert np.array_equal(first.weights, again.weights)
    for different in (other, renamed):
        assert not np.array_equal(first.synapses(), different.synapses())
        assert not np.array_equal(first.weights, different.weights)


def test_bits_are_those_of_every_release():
    """Who changes these numbers changes every random network there is."""
    projection = between(nc.FixedTotalNumber(5, weights=nc.Uniform(0.0, 1.0)), 100, 100, seed=3)
    pre, post = projection.connectivity.synapses()
    assert (pre.tolist(), post.tolist()) == ([21, 91, 86, 74, 81], [58, 13, 70, 67, 43])
    assert projection.connectivity.weights[0].hex() == "0x1.96a186e956fe4p-3"


def test_pieces_are_the_whole(piece):
    for pattern in (nc.FixedProbability(0.3), nc.FixedTotalNumber(2000), nc.FixedInDegree(20), nc.FixedOutDegree(20)):
        connectivity = between(pattern, 90, 110).connectivity
        assert isinstance(connectivity, Drawn)
        parts = list(connectivity.pieces())
        pre, post = connectivity.synapses()
        assert np.array_equal(pre, np.concatenate([x.pre for x in parts]))
        assert np.array_equal(post, np.concatenate([x.post for x in parts]))
        assert len(connectivity) == len(pre)
        assert connectivity.row_lengths().tolist() == np.bincount(pre, minlength=90).tolist()
        assert connectivity.fan_in(np.array([2.0])).tolist() == (2.0 * np.bincount(post, minlength=110)).tolist()


def test_lowering_a_large_network_draws_no_list(monkeypatch):
    """Only the kernel's own layout may hold the synapses."""
    net = nc.Network("n", dt=DT)
    net.population("a", nc.CubaLIF(tau_syn=5e-3, tau_mem=2e-2, v_leak=1.5), 500)
    delays = nc.Normal(1.5e-3, 0.75e-3, low=DT)
    net.connect("a", "a", nc.FixedTotalNumber(20_000, weights=nc.Normal(0.2, 0.02)), delay=delays)
    monkeypatch.setattr(Drawn, "_listed", property(lambda self: pytest.fail("listed")))
    program = nc.compile(net, "cpu", mantissa_bits=15)
    assert program.run(steps=400, record=[]).counters.events["a->a"] > 0
    assert "20000" in str(net)


def test_drawn_delays_are_an_array_that_shifts():
    delay = between(nc.FixedOutDegree(3), 10, 10, delay=nc.Uniform(1e-4, 9e-4)).delay
    assert isinstance(delay, DrawnDelays)
    assert (delay.ndim, delay.size, delay.shape, delay.span) == (1, 30, (30,), (1, 9))
    assert np.array_equal(np.asarray(delay + 4), np.asarray(delay) + 4)


def test_delays_may_be_drawn_for_listed_synapses():
    delay = between(nc.Dense(np.ones((20, 10))), 10, 20, delay=nc.Uniform(1e-4, 9e-4)).delay
    assert delay.shape == (20, 10)
    assert set(np.unique(delay)) == {*range(1, 10)}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nc.FixedProbability(1.5), "p = 1.5 is not a probability"),
        (lambda: nc.FixedProbability("half"), "is not a probability"),
        (lambda: nc.FixedTotalNumber(-1), "number = -1 is not a whole number of synapses"),
        (lambda: nc.FixedInDegree(2.5), "number = 2.5 is not a whole number of synapses"),
        (lambda: nc.FixedOutDegree(True), "is not a whole number of synapses"),
        (lambda: nc.FixedInDegree(2, weights=[1, 2]), r"weights = \[1, 2\] is neither one finite number nor a distribution"),
        (lambda: nc.FixedInDegree(2, weights=np.inf), "weights = inf is neither one finite number"),
        (lambda: between(nc.FixedInDegree(2), 3, 3, delay=nc.Normal(1e-3, 1e-3)), "may be negative; give it a low="),
        (lambda: between(nc.FixedInDegree(2), 3, 3, delay=1.5e-4 / 4), "give a multiple"),
    ],
)
def test_what_cannot_be(make, message):
    with pytest.raises(nc.errors.ModelError, match=message):
        make()


def test_conductances_that_may_be_negative_are_refused():
    net = nc.Network("n", dt=DT)
    net.input("x", 5)
    net.population("p", nc.CobaLIF(), 5)
    net.connect("x", "p", nc.FixedInDegree(2, weights=nc.Normal(1e-9, 1e-9)), receptor="exc", delay=1)
    with pytest.raises(nc.errors.VerificationError, match="negative conductance"):
        nc.compile(net, "reference")


def test_weights_below_the_grid_are_warned_of():
    net = nc.Network("n", dt=DT)
    net.input("x", 5)
    net.population("p", nc.LIF(tau=1e-2), 5)
    net.connect("x", "p", nc.FixedInDegree(2, weights=1.0), delay=1)
    net.connect("x", "p", nc.FixedInDegree(2, weights=1e-9), delay=1)
    with pytest.warns(nc.errors.PrecisionWarning, match="became 0"):
        nc.compile(net, "reference")


def test_files_keep_the_pattern_not_the_list(tmp_path):
    net = nc.Network("n", dt=DT, seed=2)
    net.input("x", 500)
    net.population("p", nc.LIF(tau=1e-2), 500)
    net.connect("x", "p", nc.FixedProbability(0.2, weights=nc.Normal(1.0, 0.1)), delay=nc.Uniform(1e-4, 2e-3))
    nc.save(net, tmp_path / "n.neurocomp")
    assert (tmp_path / "n.neurocomp").stat().st_size < 5000
    loaded = nc.load(tmp_path / "n.neurocomp")
    for one, two in zip(net.projections.values(), loaded.projections.values(), strict=True):
        assert np.array_equal(one.connectivity.synapses(), two.connectivity.synapses())
        assert np.array_equal(np.asarray(one.delay), np.asarray(two.delay))
