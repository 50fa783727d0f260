"""Loihi's weights and neuron in its own integers: literal values from runs of Lava's bit-accurate models."""

import numpy as np
import pytest

from neurocomp.ir.connectivity import Dense
from neurocomp.ir.errors import CompileError
from neurocomp.ir.integrators import scheme
from neurocomp.ir.network import LoihiSynapse, Network
from neurocomp.ir.neurons import LoihiLIF
from neurocomp.ir.passes import Discretise, LoihiWeights, Retime
from neurocomp.ir.passes.loihi import sign_mode, stored_weights
from neurocomp.ir.printers.numpy import numpy_step
from neurocomp.program import compile as compile_network


def stored(weights, **synapse):
    return stored_weights(np.asarray(weights, float), LoihiSynapse(**synapse)).astype(int).tolist()


# -------------------------------------------------------------------------------------------------------------- weights


def test_six_mixed_bits_as_lava_stores_them():
    assert stored([3, -5, 300, -300], num_weight_bits=6, sign_mode="mixed") == [0, -8, 248, -256]


def test_eight_mixed_bits_are_even():
    assert stored([1, 2, 3, -1, -2, -3, 255, 256, -255, -256, -257], sign_mode="mixed") == [
        0, 2, 2, -2, -2, -4, 254, 254, -256, -256, -256,
    ]  # fmt: skip
    every = stored(np.arange(-300, 301), sign_mode="mixed")
    assert all(w % 2 == 0 for w in every)
    assert (min(every), max(every)) == (-256, 254)


def test_excitatory_keeps_every_bit_and_clips():
    assert stored([0, 1, 3, 255, 256, 999], sign_mode="excitatory") == [0, 1, 3, 255, 255, 255]
    assert stored([-7, 5], sign_mode="excitatory") == [0, 5]
    assert stored([7, 8, 255], num_weight_bits=5, sign_mode="excitatory") == [0, 8, 248]


def test_inhibitory_is_mirrored():
    assert stored([0, -1, -3, -255, -256, -999, 7], sign_mode="inhibitory") == [0, -1, -3, -255, -255, -255, 0]
    assert stored([-7, -9], num_weight_bits=5, sign_mode="inhibitory") == [0, -8]  # toward zero, unlike mixed
    assert stored([-7, -9], num_weight_bits=6, sign_mode="mixed") == [-8, -16]


def test_one_mixed_bit_is_all_or_nothing():
    assert stored([-256, -1, 0, 128, 255], num_weight_bits=1, sign_mode="mixed") == [-256, -256, 0, 0, 0]
    assert stored([0, 127, 128, 255], num_weight_bits=1, sign_mode="excitatory") == [0, 0, 128, 128]


def test_fractions_are_cut_toward_zero_before_anything_else():
    assert stored([2.9, 0.9, 7.99], sign_mode="excitatory") == [2, 0, 7]
    assert stored([-2.9, -0.9], sign_mode="mixed") == [-2, 0]


def test_the_sign_mode_follows_the_signs_as_in_lava():
    assert sign_mode(np.array([0.0, 3]), LoihiSynapse()) == "excitatory"
    assert sign_mode(np.array([0.0, -3]), LoihiSynapse()) == "inhibitory"
    assert sign_mode(np.array([3.0, -3]), LoihiSynapse()) == "mixed"
    assert sign_mode(np.array([0.0, 0]), LoihiSynapse()) == "excitatory"
    assert sign_mode(np.zeros(0), LoihiSynapse()) == "excitatory"
    assert sign_mode(np.array([3.0]), LoihiSynapse(sign_mode="mixed")) == "mixed"


def test_one_positive_weight_changes_all_the_others():
    assert stored([[-7, -9], [-3, -1]]) == [[-7, -9], [-3, -1]]
    assert stored([[-7, -9], [-3, 1]]) == [[-8, -10], [-4, 0]]


def test_a_fraction_that_is_cut_to_zero_has_no_sign():
    """Lava decides the mode after the cast to int32: 0.5 becomes 0, so the matrix stays inhibitory."""
    assert stored([-7, 0.5]) == [-7, 0]


# ----------------------------------------------------------------------------------------------------------------- pass


def lowered(weights, delay=1, payload=1, **synapse):
    net = Network("n", dt=1e-3)
    weights = np.atleast_2d(np.asarray(weights, float))
    net.input("x", weights.shape[1], max_payload=payload)
    net.population("p", LoihiLIF(du=0, dv=0, vth=1), weights.shape[0])
    net.connect("x", "p", Dense(weights), delay=delay, loihi=LoihiSynapse(**synapse) if synapse else None)
    return LoihiWeights()(Retime()(Discretise()(net)))


def test_a_positive_exponent_moves_into_the_weights_a_negative_one_stays_a_shift():
    net = lowered([[3, 5]], weight_exp=2)
    assert net.projections["x->p"].connectivity.weights.tolist() == [[12.0, 20.0]]
    assert net.projections["x->p"].shift == 0
    assert net.populations["p"].grid.bound == 32
    net = lowered([[3, 5]], weight_exp=-2)
    assert net.projections["x->p"].connectivity.weights.tolist() == [[3.0, 5.0]]
    assert net.projections["x->p"].shift == 2


def test_the_bound_counts_payloads():
    assert lowered([[3, -6], [100, 0]], payload=7).populations["p"].grid.bound == 700


def test_changes_say_how_many_weights_and_why():
    (change,) = [c for c in lowered([[3, -5, 4, 300]], num_weight_bits=6).changes if c.subject == "x->p"]
    assert (change.by, change.subject) == ("loihi", "x->p")
    assert change.before == "4 of 4 weights"
    assert "6 bits" in change.why
    assert "mixed" in change.why
    assert not [c for c in lowered([[3, 4]]).changes if c.subject == "x->p"]


def test_the_delay_limit():
    """62 steps and the hop's own."""
    lowered([[3]], delay=63)
    lowered([[3, 3]], delay=np.array([[1, 63]]))
    for delay in (64, np.array([[64]])):
        with pytest.raises(CompileError) as caught:
            lowered([[3]], delay=delay)
        assert str(caught.value) == (
            "x->p: a delay of 64 steps exceeds the 63 that a synapse of Loihi can hold; shorten it, relay the spikes through a "
            "population that takes part of it, or use a larger dt"
        )


def test_delays_are_checked_as_they_are_after_retime():
    """p hears x over three populations within the step, so its other delay grows by 4 - 1."""
    net = Network("n", dt=1e-3)
    net.input("x", 1)
    before = "x"
    for name in "abcp":
        net.population(name, LoihiLIF(du=4095, dv=0, vth=1), 1)
        net.connect(before, name, Dense([[3.0]]))
        before = name
    late = net.connect("x", "p", Dense([[3.0]]), delay=59)
    assert compile_network(net, "reference").lowered.projections[late.name].max_delay == 63
    net.connect("x", "p", Dense([[3.0]]), delay=60, name="later")
    with pytest.raises(CompileError, match=r"later: a delay of 64 steps \(60 as written and 4 by retime\) exceeds the 63"):
        compile_network(net, "reference")


def test_inputs_that_do_not_fit_are_refused_with_the_numbers():
    """8 synapses of 255 << 7 sum to 261 120 < 2^18 = 262 144, so that 64 times them is below 2^24; 9 of them do not fit."""
    assert lowered(np.full((1, 8), 255), weight_exp=7).populations["p"].grid.bound == 261120
    assert lowered(np.full((1, 9000), 255), weight_exp=-5).populations["p"].grid.bound == 9000 * 255
    with pytest.raises(CompileError) as caught:
        lowered(np.full((1, 9), 255), weight_exp=7)
    for part in ("p:", str(9 * 255 * 128), str(2**18 - 1)):
        assert part in str(caught.value)


def test_an_input_bias_does_not_exist():
    net = Network("n", dt=1e-3)
    net.population("p", LoihiLIF(du=0, dv=0, vth=1), 2, bias=1)
    with pytest.raises(CompileError, match=r"p: a bias .*bias_mant"):
        LoihiWeights()(Discretise()(net))


# --------------------------------------------------------------------------------------------------------------- neuron


def step(a, u=0, v=0, **parameters):
    form = scheme(LoihiLIF, "euler", "value").form
    values = {"du": 0, "dv": 0, "vth": 131071, "bias_mant": 0, "bias_exp": 0, **parameters}
    state = {"u": np.array([u], np.int64), "v": np.array([v], np.int64)}
    constants = {k: np.asarray(x, np.int64) for k, x in values.items()}
    spikes = numpy_step(form)({"a": np.array([a], np.int64)}, state, constants)
    return int(state["u"][0]), int(state["v"][0]), bool(spikes[0])


def test_input_is_aligned_by_six_bits():
    assert step(3, du=4095, dv=4095) == (192, 192, False)


def test_du_zero_still_decays_and_du_4095_clears():
    assert step(0, u=4096, dv=4095)[0] == 4095
    assert step(0, u=1, dv=4095)[0] == 0
    assert step(0, u=8388607, du=4095, dv=4095)[0] == 0
    assert step(2, u=8388607, du=4095, dv=4095)[0] == 128


def test_dv_zero_does_not_decay():
    assert step(0, v=5)[1] == 5
    assert step(0, v=-5)[1] == -5


def test_decay_truncates_toward_zero_on_both_sides():
    assert step(0, u=5, du=2047, dv=4095)[0] == 2  # 5 * 2048 / 4096 = 2.5
    assert step(0, u=-5, du=2047, dv=4095)[0] == -2
    assert step(0, v=-5, dv=2048)[1] == -2
    assert step(0, v=5, dv=2048)[1] == 2


def test_the_current_wraps_once_at_2_to_the_23():
    assert step(2**17, du=4095, dv=0)[0] == 2**23  # +2^23 itself stays
    assert step(2**17 + 1, du=4095)[0] == 2**23 + 64 - 2**24
    assert step(-(2**17), du=4095)[0] == 2**23  # -2^23 wraps
    assert step(-(2**17) + 1, du=4095)[0] == -(2**23) + 64


def test_the_voltage_saturates():
    """At the upper end every threshold has been passed, so the lower end shows it."""
    low = -(2**17) + 1  # u = -2^23 + 64
    assert step(low, du=4095, v=-62)[1] == -8388606
    assert step(low, du=4095, v=-63)[1] == -8388607
    assert step(low, du=4095, v=-64)[1] == -8388607
    assert step(low, du=4095, v=-8388607)[1] == -8388607
    assert step(2**17, du=4095, v=8388544) == (2**23, 0, True)


def test_the_threshold_is_strict_and_aligned():
    assert step(0, v=64 * 100, vth=100) == (0, 6400, False)
    assert step(0, v=64 * 100 + 1, vth=100) == (0, 0, True)
    assert step(0, v=1, vth=0) == (0, 0, True)
    assert step(0, v=0, vth=0) == (0, 0, False)


def test_reset_clears_the_voltage_and_keeps_the_current():
    assert step(10, u=4096, vth=1, dv=0) == (4735, 0, True)


def test_bias_exponents_of_both_signs():
    assert step(0, bias_mant=5, bias_exp=3)[1] == 40
    assert step(0, bias_mant=-5, bias_exp=3)[1] == -40
    assert step(0, bias_mant=5, bias_exp=-1)[1] == 2
    assert step(0, bias_mant=-5, bias_exp=-1)[1] == -3  # an arithmetic shift rounds down
    assert step(0, bias_mant=-1, bias_exp=-7)[1] == -1
    assert step(0, bias_mant=127, bias_exp=-7)[1] == 0


@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_the_sum_of_a_step_is_shifted_not_each_weight(target):
    """Three weights of 1 shifted right by one give floor(3/2) = 1, and -3 gives -2: u = 64 and -128."""
    net = Network("n", dt=1e-3)
    net.input("x", 3)
    net.population("p", LoihiLIF(du=4095, dv=4095, vth=131071), 2)
    synapse = LoihiSynapse(weight_exp=-1, sign_mode="mixed", num_weight_bits=8)
    net.connect("x", "p", Dense([[2, 2, 2], [-2, -4, -256]]), delay=1, loihi=synapse)
    net.connect("x", "p", Dense([[1, 1, 1], [0, 0, 0]]), delay=1, loihi=LoihiSynapse(weight_exp=-1))
    rec = compile_network(net, target).run({"x": [[1, 1, 1], [1, 0, 0], [0, 0, 0]]}, record=["p.u"])
    assert rec["p.u"].tolist() == [[0, 0], [64 * (3 + 1), 64 * -131], [64 * (1 + 0), -64]]


@pytest.mark.parametrize("target", ["reference", "cpu"])
def test_negative_sums_round_down(target):
    net = Network("n", dt=1e-3)
    net.input("x", 3)
    net.population("p", LoihiLIF(du=4095, dv=4095, vth=131071), 1)
    net.connect("x", "p", Dense([[-1, -1, -1]]), delay=1, loihi=LoihiSynapse(weight_exp=-1))
    rec = compile_network(net, target).run({"x": [[1, 1, 1], [1, 0, 0], [0, 0, 0]]}, record=["p.u"])
    assert rec["p.u"].ravel().tolist() == [0, -128, -64]
