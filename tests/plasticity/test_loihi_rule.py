"""`LoihiRule`: the worked example of Lava's learning, an independent NumPy model of it, and what a run may be cut into.

That all backends learn the same, Lava's own LearningDense among them, is the shared suite's business.
"""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

import neurocomp as nc
from neurocomp.backends.loihi_learning import Draws
from neurocomp.ir.errors import UnsupportedError, VerificationError

BACKENDS = ["reference", "cpu"]
PAIR = "2^-2*x1*y0 - 2^-2*y1*x0"
TRACES = {"x1_impulse": 16, "x1_tau": 10, "y1_impulse": 16, "y1_tau": 7}


def taught(pre, post, rule, weights, steps, delay=1, **synapse):
    """Sources that spike at `pre`, targets made to spike in the steps of `post` (steps, targets), whatever is learned."""
    n_post, n_pre = np.shape(weights)
    net = nc.Network("taught", dt=1e-3)
    net.input("x", n_pre)
    net.input("teacher", n_post)
    net.population("y", nc.LoihiLIF(du=4095, dv=4095, vth=20_000), n_post)  # what is learned sums to less
    net.connect("teacher", "y", nc.OneToOne(255.0), delay=1, loihi=nc.LoihiSynapse(weight_exp=7))
    loihi = nc.LoihiSynapse(**synapse) if synapse else None
    net.connect("x", "y", nc.Dense(weights), delay=delay, plasticity=rule, name="p", loihi=loihi)
    ahead = np.zeros((steps, n_post), int)
    ahead[:-1] = np.asarray(post)[1:]  # the teacher's spikes take a step
    return net, {"x": pre, "teacher": ahead}


@pytest.mark.parametrize("target", BACKENDS)
@pytest.mark.parametrize("sign_mode", ["mixed", "excitatory"])
def test_the_worked_example_of_lava(target, sign_mode):
    """STDPLoihi with A_plus = 1, A_minus = -2, tau = 10 from w = 50: arrivals at 3 and 10, spikes of the target at 6 and 8."""
    pre, post = np.zeros((15, 1), int), np.zeros((15, 1), int)
    pre[[2, 9]], post[[5, 7]] = 1, 1  # steps count from 0, Lava's from 1
    rule = nc.LoihiRule("(-2)*x0*y1 + y0*x1", x1_impulse=16, x1_tau=10, y1_impulse=16, y1_tau=10, rng_seed=5)
    net, inputs = taught(pre, post, rule, [[50]], 15, sign_mode=sign_mode)
    recording = nc.compile(net, target).run(inputs, 15, record=["y", "p.w"])
    assert recording["y"].times.tolist() == [5, 7]
    assert recording["p.w"].ravel().tolist() == [50] * 6 + [62] * 2 + [71] * 2 + [25] * 5


@pytest.mark.parametrize("epoch", [1, 2, 3, 7, 20])
@pytest.mark.parametrize("target", BACKENDS)
def test_random_trains_equal_an_independent_model_of_lava(epoch, target, shared):
    oracle = load(shared / "facts" / "lava_reference.py")
    for seed in range(10):
        rng = np.random.default_rng(seed)
        steps, weights = 80, rng.integers(-100, 100, (4, 5))
        pre, post = ((rng.random((steps, n)) < 0.2).astype(int) for n in (5, 4))
        rule = nc.LoihiRule(PAIR, **TRACES, t_epoch=epoch, rng_seed=seed)
        net, inputs = taught(pre, post, rule, weights, steps)
        recording = nc.compile(net, target).run(inputs, steps, record=["y", "p.w"])
        assert np.array_equal(recording["y"].raster()[1:], post[1:])
        post[0] = 0  # nothing can be taught in the first step
        model = oracle.STDPFixed(weights, [("y0", ["x1"], 1, 5), ("x0", ["y1"], -1, 5)], 16, 10, 16, 7, epoch, seed)
        wanted = []
        for t in range(steps):
            wanted.append(model.w.copy())
            model.recv(pre[t], post[t])
        assert np.array_equal(recording["p.w"], wanted)
        assert epoch > 7 or len(np.unique(wanted, axis=0)) > 5


def load(path):
    spec = importlib.util.spec_from_file_location("lava_reference", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("delay", [2, 5])
def test_a_longer_delay_is_the_same_learning_later(delay):
    rng = np.random.default_rng(1)
    steps, weights = 60, rng.integers(-100, 100, (3, 4))
    pre, post = ((rng.random((steps, n)) < 0.2).astype(int) for n in (4, 3))
    post[0] = 0  # nothing can be taught in the first step
    later = np.zeros_like(post)
    later[delay - 1 :] = post[: steps - delay + 1]
    rule = nc.LoihiRule("x1*y0 - 2^-1*y1*x0", x1_impulse=16, x1_tau=0, y1_impulse=16, y1_tau=0)  # nothing at random
    near, far = (
        nc.compile(net, "cpu").run(inputs, steps, record=["p.w"])["p.w"]
        for net, inputs in (taught(pre, post, rule, weights, steps), taught(pre, later, rule, weights, steps, delay))
    )
    assert np.array_equal(near[: steps - delay + 1], far[delay - 1 :])
    assert not np.array_equal(near[0], near[-1])


def test_weights_act_in_the_step_after_the_one_that_changed_them():
    pre, post = np.zeros((8, 1), int), np.zeros((8, 1), int)
    pre[[1, 2, 3]], post[2] = 1, 1  # arrivals at 2, 3, 4; the target's spike of step 2 meets the arrival of step 3
    rule = nc.LoihiRule("x1*y0", x1_impulse=10, x1_tau=0)
    net, inputs = taught(pre, post, rule, [[20]], 8)
    recording = nc.compile(net, "reference").run(inputs, 8, record=["y.u", "p.w"])
    assert recording["p.w"].ravel().tolist() == [20, 20, 20, 30, 30, 30, 30, 30]
    assert recording["y.u"].ravel().tolist()[3:6] == [20 * 64, 30 * 64, 0]


def learner(rule, steps=90, size=40):
    """A recurrent network whose threads all own targets."""
    rng = np.random.default_rng(3)
    net = nc.Network("learner", dt=1e-3)
    net.input("x", 9)
    net.population("y", nc.LoihiLIF(du=4095, dv=2000, vth=300), size)
    net.connect("x", "y", nc.Dense(rng.integers(0, 255, (size, 9))), name="p", plasticity=rule)
    net.connect("y", "y", nc.Sparse(np.diag(rng.integers(-90, -10, size))), delay=2, name="q", plasticity=rule)
    return net, (rng.random((steps, 9)) < 0.2).astype(int)


RICH = nc.LoihiRule("2^-3*x1*y0 - 2^-3*y1*x0 - 2^-4*u2*t", "2^-2*y0*x1 - 2^-2*u2*t", **TRACES, t_epoch=3, rng_seed=4)


@pytest.mark.parametrize("target", BACKENDS)
@pytest.mark.parametrize("cuts", [(1,), (40,), (5, 6, 7, 50), range(1, 90)])
def test_a_run_in_pieces_is_the_whole_run(target, cuts):
    net, raster = learner(RICH)
    program = nc.compile(net, target)
    whole = program.run({"x": raster}, record=["y", "p.w", "q.w"])
    parts = []
    for begin, end in zip((0, *cuts), (*cuts, 90), strict=True):
        parts.append(program.run({"x": raster[begin:end]}, record=["y", "p.w", "q.w"], resume=begin > 0))
    for key in ("p.w", "q.w"):
        assert np.array_equal(np.concatenate([x[key] for x in parts]), whole[key])
        assert len(np.unique(whole[key], axis=0)) > 10
    assert np.array_equal(np.concatenate([x["y"].raster() for x in parts]), whole["y"].raster())


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_learn_the_same(threads):
    net, raster = learner(RICH)
    first, second = (nc.compile(net, "cpu", threads=n).run({"x": raster}, record=["p.w", "q.w"]) for n in (1, threads))
    assert all(np.array_equal(first[key], second[key]) for key in ("p.w", "q.w"))


@pytest.mark.parametrize("target", BACKENDS)
def test_weights_are_recorded_at_a_stride_and_a_run_starts_afresh(target):
    net, raster = learner(RICH)
    program = nc.compile(net, target)
    all_rows, some = (program.run({"x": raster}, record=["p.w"], every=every)["p.w"] for every in (1, 7))
    assert np.array_equal(some, all_rows[6::7])
    assert np.array_equal(program.weights("p"), all_rows[-1])
    program.reset()
    assert np.array_equal(program.weights("p"), all_rows[0])


def test_what_was_learned_is_kept_in_a_file(tmp_path):
    net, raster = learner(RICH)
    net = net.with_changes(projections={"p": with_mode(net.projections["p"], "excitatory")})
    program = nc.compile(net, "cpu")
    program.run({"x": raster})
    again = nc.load(nc.save(program.learned(), tmp_path / "learned"))
    assert again.projections["p"].plasticity == RICH
    assert np.array_equal(nc.compile(again, "cpu").weights("p"), program.weights("p"))
    assert not np.array_equal(program.weights("p"), net.projections["p"].connectivity.weights)


def with_mode(projection, mode):
    from dataclasses import replace

    return replace(projection, loihi=nc.LoihiSynapse(sign_mode=mode))


def test_weights_start_as_lava_stores_them():
    net, _ = taught(np.zeros((5, 3), int), np.zeros((5, 1), int), nc.LoihiRule(PAIR, **TRACES), [[25, -25, 300]], 5)
    program = nc.compile(net, "reference")
    assert program.weights("p").tolist() == [[24, -26, 254]]
    assert "3 of 3 weights -> clipped or truncated (8 bits, sign mode mixed)" in program.explain()


def test_random_numbers_do_not_depend_on_how_many_are_drawn_at_once():
    one, many = Draws(RICH), Draws(RICH)
    rows = np.concatenate([one.take(n) for n in (1, 1, 0, 5, 13)])
    assert np.array_equal(rows, many.take(20))
    fresh = np.random.default_rng(RICH.rng_seed + 1)
    wanted = [fresh.integers(0, 128, size=1, dtype=int)[0] for _ in range(41)]
    assert rows[:, Draws.COLUMNS.index("pre_impulse")].tolist() == wanted[2::2]


def test_decays_are_numpys_to_the_last_bits():
    """Lava multiplies by NumPy's exp, whose last bit depends on the machine; whole parts must not."""
    taus = [*range(1, 200), 255, 1000, 4095]
    for tau in taus:
        whole, fraction = nc.LoihiRule("x1*y0", x1_impulse=1, x1_tau=tau).decays(("x1",))
        later = np.exp(-1 / np.array([[tau]])) * np.arange(128)
        assert np.array_equal(whole, np.floor(later))
        assert np.abs(fraction - later % 1).max() < 1e-13


# ------------------------------------------------------------------------------------------------------------- refusals


def test_each_arithmetic_has_its_rules():
    net = nc.Network("wrong", dt=1e-3)
    net.input("x", 2)
    net.population("real", nc.LIF(tau=1e-2), 2)
    net.connect("x", "real", nc.Dense(np.ones((2, 2))), plasticity=nc.LoihiRule(PAIR, **TRACES))
    with pytest.raises(VerificationError, match=r"LoihiRule learns in Loihi's arithmetic, but 'real' \(LIF\).*LoihiLIF"):
        nc.compile(net, "cpu")
    net = nc.Network("wrong", dt=1e-3)
    net.input("x", 2)
    net.population("whole", nc.LoihiLIF(du=0, dv=0, vth=1), 2)
    net.connect("x", "whole", nc.Dense(np.ones((2, 2))), plasticity=nc.STDP())
    with pytest.raises(VerificationError, match=r"float arithmetic, but 'whole' \(LoihiLIF\).*LoihiRule"):
        nc.compile(net, "cpu")


def test_graded_spikes_and_shared_weights_are_refused():
    net = nc.Network("wrong", dt=1e-3)
    net.input("x", 2, max_payload=3)
    net.population("y", nc.LoihiLIF(du=0, dv=0, vth=1), 2)
    net.connect("x", "y", nc.Dense(np.ones((2, 2))), plasticity=nc.LoihiRule(PAIR, **TRACES))
    with pytest.raises(VerificationError, match="'x' sends graded spikes"):
        nc.compile(net, "reference")


def test_a_current_that_learning_could_make_wrap_is_refused():
    net = nc.Network("flood", dt=1e-3)
    net.input("x", 60)
    net.population("y", nc.LoihiLIF(du=100, dv=100, vth=1000), 1)
    net.connect("x", "y", nc.Dense(np.ones((1, 60))), plasticity=nc.LoihiRule(PAIR, **TRACES))
    with pytest.raises(nc.errors.CompileError, match="beyond the 24 bits"):
        nc.compile(net, "cpu")
    nc.compile(net, "cpu", accept_wrap=True)


def test_lava_says_which_process_learns(lava):
    net, _ = learner(RICH)
    explained = nc.compile(net, "lava", accept_wrap=True).explain()
    assert "p: LearningDense, maps to Loihi" in explained
    assert "q: learns in a generated process: in a LearningDense every pair of neurons has one synapse" in explained


def test_lava_does_not_go_on(lava):
    net, raster = learner(RICH)
    program = nc.compile(net, "lava", accept_wrap=True)
    with pytest.raises(UnsupportedError, match="closed loops"):
        program.run({"x": raster}, resume=True)
