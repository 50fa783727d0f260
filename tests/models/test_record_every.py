"""`run(..., every=k)`: rows of the full trace, after every k-th step."""

import numpy as np
import pytest

import neurocomp as nc

STEPS = 103


def program(target):
    net = nc.Network("every", dt=0.5e-3, seed=2)
    net.population("p", nc.Poisson(rate=400.0), 6)
    net.population("h", nc.CubaLIF(tau_syn=4e-3, tau_mem=9e-3), (2, 3))
    net.population("y", nc.LIF(tau=5e-3, t_ref=1e-3), 2)
    net.connect("p", "h", nc.OneToOne(9.0))
    net.connect("h", "y", nc.Dense(np.full((2, 6), 4.0)))  # within the step: y runs a step behind inside
    net.connect("y", "h", nc.Dense(np.full((6, 2), -1.0)), delay=3)
    return nc.compile(net, target)


RECORD = ["spikes", "h.v", "h.i", "y.v"]


@pytest.mark.parametrize("target", ["reference", "cpu"])
@pytest.mark.parametrize("every", [1, 2, 7, 10, 103])
def test_rows_are_those_of_the_full_trace(target, every):
    """At steps k - 1, 2k - 1, ... (counted from 0), that is after k, 2k, ... steps; spikes are all there."""
    full = program(target).run(steps=STEPS, record=RECORD)
    thin = program(target).run(steps=STEPS, record=RECORD, every=every)
    for name in RECORD[1:]:
        assert len(thin[name]) == STEPS // every
        np.testing.assert_array_equal(thin[name], full[name][every - 1 :: every])
    assert thin["h.v"].shape[1:] == (2, 3)
    np.testing.assert_allclose(thin.times, np.arange(1, STEPS // every + 1) * every * 0.5e-3, rtol=1e-15)
    for name in full.spikes:
        assert thin[name].same_as(full[name])
    assert len(full["y"]) > 5


@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_more_than_the_run_is_no_row(target):
    run = program(target).run(steps=20, record=["h.v"], every=21)
    assert run["h.v"].shape == (0, 2, 3)
    assert len(run.times) == 0


@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_each_piece_counts_from_its_own_start(target):
    whole = program(target)
    full = whole.run(steps=50, record=["h.v"])["h.v"]
    pieces = program(target)
    first = pieces.run(steps=20, record=["h.v"], every=4)["h.v"]
    second = pieces.run(steps=30, record=["h.v"], every=10, resume=True)
    np.testing.assert_array_equal(first, full[3:20:4])
    np.testing.assert_array_equal(second["h.v"], full[20:][9::10])


def test_batches_too():
    batch = program("cpu").run_batch([{}, {}], 40, ["h.v"], every=8)
    full = program("cpu").run(steps=40, record=["h.v"])["h.v"]
    for run in batch:
        np.testing.assert_array_equal(run["h.v"], full[7::8])


@pytest.mark.parametrize("every", [0, -1, 2.5, None])
def test_nonsense_is_refused(every):
    with pytest.raises(nc.errors.InputError, match="every"):
        program("cpu").run(steps=10, record=["h.v"], every=every)
