"""`grid`: exact sums. Snapping, the proven bound, accumulator widths, and independence of order."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neurocomp.ir.connectivity import Dense, Sparse
from neurocomp.ir.distributions import Uniform
from neurocomp.ir.errors import CompileError, PrecisionWarning
from neurocomp.ir.network import Grid, Network
from neurocomp.ir.neurons import IF, LIF, LoihiLIF
from neurocomp.ir.passes import Discretise, Retime, SnapToGrid
from neurocomp.ir.patterns import FixedProbability
from neurocomp.program import compile as compile_network

DT = 1e-3
SETTINGS = settings(deadline=None, max_examples=60)


def network(weights, bias=0.0, payload=1, second=None):
    net = Network("n", dt=DT)
    weights = np.atleast_2d(np.asarray(weights, float))
    net.input("x", weights.shape[1], max_payload=payload)
    net.population("p", IF(), weights.shape[0], bias=bias)
    net.connect("x", "p", Dense(weights), delay=1)
    if second is not None:
        net.connect("x", "p", Dense(second), delay=2)
    return Retime()(Discretise()(net))


def snapped(weights, bits=24, **how):
    net = SnapToGrid(bits)(network(weights, **how))
    return net.projections["x->p"].connectivity.weights, net.populations["p"]


def floats(low=1e-300, high=1e300):
    size = st.floats(low, high, allow_nan=False, allow_infinity=False)
    return st.one_of(st.just(0.0), size, size.map(lambda x: -x))


MATRICES = hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=6), elements=floats())


@SETTINGS
@given(MATRICES, st.integers(2, 31))
def test_values_land_on_the_nearest_multiple(weights, bits):
    got, population = snapped(weights, bits)
    unit, largest = population.grid.exponent, np.abs(weights).max()
    mantissas = np.ldexp(got, -unit)
    assert np.array_equal(mantissas, np.rint(mantissas))
    assert np.abs(mantissas).max() <= 2 ** (bits - 1)
    assert np.all(np.abs(got - weights) <= np.ldexp(0.5, unit))
    if largest > 1e-250:  # the exponent is as fine as the bits allow
        assert np.abs(mantissas).max() >= 2 ** (bits - 2)


def test_by_hand():
    """Largest 5 = 0.625 * 2^3; 4 bits: units of 2^(3 - 3) = 1. Ties go to even: 2.5 -> 2, 3.5 -> 4, -1.5 -> -2."""
    got, population = snapped([[5.0, 2.5, 3.5, -1.5, 0.4, 0.6]], bits=4)
    assert population.grid.exponent == 0
    assert got.tolist() == [[5.0, 2.0, 4.0, -2.0, 0.0, 1.0]]
    assert population.grid.bound == 14


@pytest.mark.parametrize(
    ("bits", "third"), [(2, 0.0), (3, 0.5), (8, 21 / 2**6), (16, 5461 / 2**14), (24, 1398101 / 2**22), (31, 178956971 / 2**29)]
)
def test_one_third_beside_one(bits, third):
    """Largest 1 = 0.5 * 2^1, so units of 2^(2 - bits)."""
    got, population = snapped([[1.0, 1 / 3]], bits)
    assert population.grid.exponent == 2 - bits
    assert got.tolist() == [[1.0, third]]


@pytest.mark.parametrize("bits", [-3, 0, 1, 32, 100])
def test_bits_outside_the_range_are_refused(bits):
    with pytest.raises(CompileError, match=f"mantissa_bits = {bits} is outside 2..31"):
        SnapToGrid(bits)(network([[1.0]]))


def test_one_grid_for_all_inputs_and_the_bias_of_a_population():
    net = SnapToGrid(8)(network([[1.0, 0.01]], bias=100.0, second=[[3.0, -3.2]]))
    assert net.populations["p"].grid.exponent == 0  # 100 = 0.78 * 2^7
    assert net.projections["x->p"].connectivity.weights.tolist() == [[1.0, 0.0]]
    assert net.projections["x->p#2"].connectivity.weights.tolist() == [[3.0, -3.0]]
    assert net.populations["p"].bias_vector().tolist() == [100.0]
    assert net.populations["p"].grid.bound == 100 + 1 + 3 + 3


def test_populations_have_their_own_grids_and_loihi_has_none():
    net = Network("n", dt=DT)
    net.input("x", 1)
    for name, weight in (("small", 1e-6), ("large", 1e6)):
        net.population(name, LIF(tau=1e-2), 1)
        net.connect("x", name, Dense([[weight]]), delay=1)
    net.population("chip", LoihiLIF(du=0, dv=0, vth=1), 1)
    net.connect("x", "chip", Dense([[3.7]]), delay=1)
    got = SnapToGrid()(Discretise()(net))
    assert got.populations["small"].grid.exponent == -42  # 1e-6 = 0.524 * 2^-19
    assert got.populations["large"].grid.exponent == -3  # 1e6 = 0.954 * 2^20
    assert got.populations["chip"].grid is None
    assert got.projections["x->chip"].connectivity.weights.tolist() == [[3.7]]


def test_nothing_but_zeros():
    got, population = snapped(np.zeros((2, 3)))
    assert not got.any()
    assert (population.grid.exponent, population.grid.bound) == (0, 0)


# ----------------------------------------------------------------------------------------------------------- the bound


@SETTINGS
@given(
    hnp.arrays(np.float64, (3, 4), elements=st.floats(-50, 50)),
    hnp.arrays(np.float64, (3, 4), elements=st.floats(-50, 50)),
    hnp.arrays(np.float64, (3,), elements=st.floats(-50, 50)),
    st.integers(1, 1000),
    st.integers(2, 31),
    st.randoms(use_true_random=False),
)
def test_the_bound_holds_for_any_spikes_and_is_reached_by_the_worst(first, second, bias, payload, bits, random):
    net = SnapToGrid(bits)(network(first, bias=bias, payload=payload, second=second))
    population = net.populations["p"]
    unit, bound = population.grid.exponent, population.grid.bound
    one, two = (np.ldexp(net.projections[x].connectivity.weights, -unit) for x in ("x->p", "x->p#2"))
    b = np.ldexp(population.bias_vector(), -unit)
    for _ in range(5):
        spikes = np.array([random.randint(-payload, payload) for _ in range(8)])
        assert np.abs(one @ spikes[:4] + two @ spikes[4:] + b).max() <= bound
    sums = []
    for n in range(3):  # the spikes that are worst for neuron n
        sign = 1.0 if b[n] >= 0 else -1.0
        sums.append(abs(payload * sign * (np.sign(one[n]) @ one[n] + np.sign(two[n]) @ two[n]) + b[n]))
    assert max(sums) == bound


def test_plain_spikes_of_positive_weights_reach_the_bound():
    _, population = snapped([[1.0, 2.0, 3.0], [3.0, 3.0, 1.0]], bits=8)
    assert np.ldexp(population.grid.bound, population.grid.exponent) == 7.0


def test_accumulator_width_at_the_boundary():
    assert (Grid(0, 2**31 - 1).bits, Grid(0, 2**31).bits) == (32, 64)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize(("last", "bits"), [(1.0, 32), (2.0, 64)])
def test_sums_at_the_boundary_do_not_wrap(last, bits, sign):
    """2^30 - 1 twice, and 1 or 2: 2^31 - 1 fits 32 bits, 2^31 does not (as the bound is symmetric)."""
    net = Network("n", dt=DT)
    net.input("x", 3)
    net.population("p", IF(r=1000.0, v_threshold=1e30, v_reset=0.0), 1)
    net.connect("x", "p", Dense([[sign * (2.0**30 - 1), sign * (2.0**30 - 1), sign * last]]), delay=1)
    for target in ("reference", "cpu"):
        program = compile_network(net, target, mantissa_bits=31)
        grid = program.lowered.populations["p"].grid
        assert (grid.exponent, grid.bound, grid.bits) == (0, 2**31 - 2 + int(last), bits)
        rec = program.run({"x": np.ones((2, 3), int)}, record=["p.v"])
        assert rec["p.v"].ravel().tolist() == [0.0, sign * (2**31 - 2 + last)]


def test_sums_beyond_2_to_the_53_are_refused():
    largest = 2.0**30 - 1
    _, population = snapped(np.full((1, 2), largest), bits=31, payload=2**22)
    assert population.grid.bound == 2 * (2**30 - 1) * 2**22 < 2**53
    weights = np.zeros((4, 3))
    weights[2] = largest
    with pytest.raises(CompileError) as caught:
        snapped(weights, bits=31, payload=2**22)
    for part in ("p:", "neuron 2", str(3 * (2**30 - 1) * 2**22), "2^53", "mantissa_bits", "max_payload"):
        assert part in str(caught.value)


# ---------------------------------------------------------------------------------------------------------------- order


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**32), st.booleans())
def test_the_order_of_synapses_never_matters(seed, threads):
    rng = np.random.default_rng(seed)
    count, steps = 60, 12
    post, pre = rng.integers(0, 5, count), rng.integers(0, 9, count)
    weights, delays = rng.normal(0, 1, count) * 10.0 ** rng.integers(-6, 4, count), rng.integers(0, 4, count)
    raster = rng.random((steps, 9)) < 0.6
    traces = set()
    for attempt in range(3):
        order = rng.permutation(count) if attempt else np.arange(count)
        net = Network("n", dt=DT)
        net.input("x", 9)
        net.population("p", LIF(tau=1e-2), 5)
        net.connect("x", "p", Sparse((weights[order], (post[order], pre[order])), (5, 9)), delay=delays[order])
        for target, options in (("reference", {}), ("cpu", {"threads": 2} if threads else {})):
            traces.add(compile_network(net, target, **options).run({"x": raster}, record=["p.v"])["p.v"].tobytes())
    assert len(traces) == 1


@pytest.mark.parametrize("size", [1e-300, 1e-200, 1.0, 1e200, 1e300])
def test_tiny_and_huge_weights(size):
    net = Network("n", dt=DT)
    net.input("x", 2)
    net.population("p", IF(r=1000.0, v_threshold=1e305, v_reset=0.0), 1)
    net.connect("x", "p", Dense([[size, 0.25 * size]]), delay=1)
    seen = []
    for target in ("reference", "cpu"):
        program = compile_network(net, target)
        unit = 2.0 ** program.lowered.populations["p"].grid.exponent
        v = program.run({"x": [[1, 1], [1, 0], [0, 0]]}, record=["p.v"])["p.v"].ravel()
        assert abs(v[1] - 1.25 * size) <= unit
        assert abs(v[2] - 2.25 * size) <= 2 * unit
        assert unit <= max(size * 2.0**-22, 2.0**-1000)
        seen.append(v.tobytes())
    assert seen[0] == seen[1]


# ------------------------------------------------------------------------------------------------------ what is said of it


def lost(weights, **how):
    """The record and the warning of the weights that became 0."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        net = SnapToGrid(8)(network(weights, **how))
    changes = [x for x in net.changes if x.by == "grid" and x.after == "0"]
    return [(x.subject, x.before, x.why) for x in changes], [str(x.message) for x in caught]


def test_lost_weights_of_both_signs_are_counted():
    """8 bits beside 1: half a unit is 2^-7 / 2, and of the four weights that are not 0 two lie below."""
    records, said = lost([[1.0, -1e-4, 1e-4, 0.0, -0.5]])
    why = "they are below half a unit of the grid, which 8 bits put at 1/2^7 of the largest weight or bias"
    assert records == [("x->p", "2 of 4 non-zero weights", why)]
    assert len(said) == 1
    assert said[0].startswith(f"projection 'x->p': 2 of 4 non-zero weights became 0: {why}; raise mantissa_bits (up to 31)")


def test_only_weights_that_some_bits_would_keep_are_warned_of():
    assert len(lost([[1.0, -1e-4]])[1]) == 1
    for tiny in (3e-10, -3e-10):  # below 2^-31 = 4.7e-10
        records, said = lost([[1.0, tiny]])
        assert [x[1] for x in records] == ["1 of 2 non-zero weights"]
        assert said == []


def test_drawn_weights_are_snapped_beside_listed_ones():
    net = Network("n", dt=DT)
    net.input("x", 40)
    net.population("p", IF(), 30)
    net.connect("x", "p", FixedProbability(0.5, weights=Uniform(0.1, 0.9)), delay=1)
    net.connect("x", "p", Dense(np.full((30, 40), 1 / 3)), delay=1)
    got = SnapToGrid(8)(Discretise()(net))
    exponent = got.populations["p"].grid.exponent
    assert exponent == -7  # 0.9 = 0.9 * 2^0
    for projection in got.projections.values():
        mantissas = np.ldexp(projection.connectivity.expand().weights, -exponent)
        assert mantissas.any()
        assert np.array_equal(mantissas, np.rint(mantissas))
    (said,) = [x.after for x in got.changes if x.by == "grid"]
    assert said == f"multiples of 2^-7, moved by at most {2.0**-8:.3g}"


def test_lost_drawn_weights_are_told_by_their_first_piece():
    net = Network("n", dt=DT)
    net.input("x", 40)
    net.population("p", IF(), 30, bias=1e3)
    net.connect("x", "p", FixedProbability(0.5, weights=Uniform(0.1, 0.9)), delay=1)
    with pytest.warns(PrecisionWarning, match=r"x->p': (\d+) of the first \1 non-zero weights became 0"):
        SnapToGrid(8)(Discretise()(net))
