"""`arithmetic="float32"`: what it means, the same bits everywhere, and errors that say what to do. The shared suite and random
networks run in it, too."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

import neurocomp as nc
from neurocomp.cli import main
from neurocomp.ir.expressions import parse_statements
from neurocomp.ir.passes import Discretise, Fold, Narrow
from neurocomp.ir.printers.numpy import numpy_step
from neurocomp.ir.program import TIDY_STEPS, TINY, Moment, StepForm

single = np.float32
RASTER = (np.random.default_rng(1).random((150, 6)) < 0.3).astype(int)
RASTER[70:] = 0


def network(neuron=None, weight=3.0, **extra):
    net = nc.Network("small", dt=1e-3, seed=4)
    net.input("x", 6)
    net.population("y", nc.LIF(tau=12e-3, v_threshold=1.0) if neuron is None else neuron, 6, **extra)
    net.connect("x", "y", nc.Dense(weight * np.random.default_rng(0).normal(1, 0.5, (6, 6))))
    return net


def run(net, target, steps=150, record=("y", "y.v"), **options):
    return nc.compile(net, target, arithmetic="float32", **options).run({"x": RASTER[:steps]}, steps=steps, record=record)


# ---------------------------------------------------------------------------------------------------------- what it means


def test_every_operation_rounds_to_float32():
    """Against a loop by hand: the sum of inputs is exact and rounded once, as are the coefficients."""
    program = nc.compile(network(), "reference", arithmetic="float32")
    lowered = program.lowered
    weights = next(iter(lowered.projections.values())).connectivity.weights  # on the grid, with the gain folded in
    decay, threshold = (lowered.populations["y"].program.constants[x] for x in ("v_decay", "v_threshold"))
    assert decay.dtype == threshold.dtype == single
    scale = lowered.populations["y"].program.scale.get("v", np.float64(1))
    v, rows, spikes = np.zeros(6, single), [], []
    for t in range(150):
        v = v * decay + single(weights @ RASTER[t])
        fired = v > threshold
        v = np.where(fired, single(0), v)
        if t % TIDY_STEPS == TIDY_STEPS - 1:
            v = np.where(np.abs(v) < TINY, single(0), v)
        rows.append(v)
        spikes.append(fired)
    recording = program.run({"x": RASTER}, record=["y", "y.v"])
    assert recording["y.v"].dtype == single
    assert np.array_equal(recording["y.v"], (np.array(rows) / scale).astype(single))
    assert np.array_equal(recording["y"].raster(), np.array(spikes))
    assert 0 < len(recording["y"]) < 900


def test_float32_is_close_to_float64_and_not_the_same():
    double = nc.compile(network(), "reference").run({"x": RASTER[:5]}, record=["y.v"])["y.v"]
    narrow = run(network(), "reference", steps=5)["y.v"]
    assert double.dtype == np.float64
    assert np.abs(double - narrow).max() < 1e-6
    assert not np.array_equal(double, narrow.astype(np.float64))


def test_the_pass_says_what_it_did_and_leaves_loihi_alone():
    net = nc.Network("both", dt=1e-3)
    net.population("f", nc.CubaLIF(tau_syn=5e-3, tau_mem=10e-3), 3)
    net.population("l", nc.LoihiLIF(du=100, dv=100, vth=10), 3)
    narrow = Narrow()(Fold()(Discretise()(net)))
    kinds = {name: x.program.form.arithmetic for name, x in narrow.populations.items()}
    assert kinds == {"f": "float32", "l": "loihi"}
    assert [(x.subject, x.after) for x in narrow.changes if x.by == "narrow"] == [("f", "float32 states")]
    assert "float32" in nc.compile(network(), "cpu", arithmetic="float32").explain()
    assert "\n    float32\n" in nc.text(nc.compile(network(), "reference", arithmetic="float32").lowered)


def test_states_that_fade_become_zero_before_they_are_subnormal():
    """Silent from step 70 on, with time constants that would make subnormal numbers of all states within 300 steps."""
    net = network(nc.CubaLIF(tau_syn=2e-3, tau_mem=3e-3, v_threshold=9.0))
    raster = np.concatenate([RASTER, np.zeros((450, 6), int)])
    runs = {}
    for target, options in (("reference", {}), ("cpu", {}), ("cpu", {"threads": 2}), ("cpu", {"jit": "off"})):
        recording = nc.compile(net, target, arithmetic="float32", **options).run({"x": raster}, record=["y.i", "y.v"])
        runs[target, *options] = recording["y.i"].tobytes() + recording["y.v"].tobytes()
    assert len(set(runs.values())) == 1
    for name in ("y.i", "y.v"):
        values = np.abs(recording[name])
        assert (values[:70] > 0).any()
        assert not values[-1].any()
        assert not ((values > 0) & (values < np.finfo(single).tiny)).any()
        assert ((values > 0) & (values < TINY)).any()  # between two tidyings


def test_a_uniform_number_stays_below_one():
    form = StepForm("float32", ("v",), parse_statements("v = rand()"))
    step = numpy_step(form, {"rand": lambda *_: np.array([1 - 2.0**-53, 2.0**-30, 0.75])})
    state = {"v": np.zeros(3, single)}
    step({"a": np.zeros(3)}, state, {}, Moment(0, 0.0, 1, np.arange(3)))
    assert state["v"].dtype == single
    assert state["v"].tolist() == [1 - 2.0**-24, 0.0, 0.75]


# ------------------------------------------------------------------------------------------------------- the same everywhere


@pytest.mark.parametrize("options", [{}, {"threads": 3}, {"jit": "off"}], ids=str)
def test_parts_of_a_run_and_saved_states_give_the_same(options, tmp_path):
    net = network(nc.LIF(tau=12e-3, t_ref=4e-3), bias=0.2)
    whole = run(net, "reference")
    program = nc.compile(net, "cpu", arithmetic="float32", **options)
    first = program.run({"x": RASTER[:77]}, record=["y", "y.v"])
    program.save_state(tmp_path / "state.npz")
    other = nc.compile(net, "reference", arithmetic="float32")
    other.load_state(tmp_path / "state.npz")
    second = other.run({"x": RASTER[77:]}, record=["y", "y.v"], resume=True)
    assert np.concatenate([first["y.v"], second["y.v"]]).tobytes() == whole["y.v"].tobytes()
    assert np.concatenate([first["y"].raster(), second["y"].raster()]).tobytes() == whole["y"].raster().tobytes()
    with pytest.raises(nc.errors.NeurocompError, match="with the same options"):
        nc.compile(net, "cpu").load_state(tmp_path / "state.npz")


def test_the_command_line_has_it(tmp_path):
    nc.save(network(), tmp_path / "small.neurocomp")
    command = ["conform", str(tmp_path / "small.neurocomp"), "--targets", "reference,cpu", "--random", "0.3", "--steps", "80"]
    done = CliRunner().invoke(main, [*command, "--arithmetic", "float32", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["identical"]
    shown = CliRunner().invoke(main, ["show", command[1], "--arithmetic", "float32", "--after", "narrow", "--explain"])
    assert "[narrow] y: float64 states -> float32 states" in shown.output
    assert "\n    float32\n" in shown.output
    refused = CliRunner().invoke(main, ["show", command[1], "--after", "narrow"])
    assert refused.exit_code == 2
    assert "'narrow' only runs with --arithmetic float32" in refused.output
    done = CliRunner().invoke(main, [*command, "--arithmetic", "float16"])
    assert done.exit_code == 2
    assert "'float32'" in done.output


# -------------------------------------------------------------------------------------------------------------------- errors


def test_numbers_beyond_float32_are_refused_by_name():
    with pytest.raises(nc.errors.CompileError, match=r"v_threshold is 1e\+39, beyond float32's 3\.4e38; use larger units"):
        run(network(nc.LIF(tau=12e-3, v_threshold=1e39)), "reference")
    with pytest.raises(nc.errors.CompileError, match=r"initial value of v is 1e\+40"):
        run(network(nc.LIF(tau=12e-3, initial={"v": 1e40})), "reference")
    with pytest.raises(nc.errors.CompileError, match=r"'?y'?.*beyond float32's range of 2\^127; use smaller weights, or arith"):
        run(network(weight=1e39), "reference")


def test_weights_below_float32_are_reported_as_lost():
    with pytest.warns(nc.errors.PrecisionWarning, match="below the normal numbers of float32; use smaller units"):
        run(network(weight=1e-42), "reference")


def test_constants_below_float32_are_warned_of():
    tiny = nc.NeuronModel("Tiny", {"c": ""}, step="v = v + a + c", spike="v > 1.0", resets={"rule": "v = 0.0"})
    with pytest.warns(
        nc.errors.PrecisionWarning, match=r"'y': its constant c is 1e-46, below float32's normal numbers of 1\.2e-38"
    ):
        run(network(tiny(c=1e-46)), "reference")


def test_initial_values_drawn_beyond_float32_are_refused():
    model = nc.NeuronModel(
        "Drawn", {"k": ""}, step="v = v + a", spike="v > 1.0", resets={"r": "v = 0.0"}, initial={"v": "k * (2.0 + rand())"}
    )
    with pytest.raises(nc.errors.CompileError, match=r"y: its initial value of v is .*e\+38, beyond float32's"):
        run(network(model(k=3e38)), "cpu")


def test_arithmetics_that_do_not_exist_or_fit_are_refused():
    with pytest.raises(nc.errors.CompileError, match="'float', 'float32', 'loihi' or None, not 'float16'"):
        nc.compile(network(), "cpu", arithmetic="float16")
    with pytest.raises(nc.errors.CompileError, match="quantise= is for arithmetic='loihi'"):
        nc.compile(network(), "cpu", arithmetic="float32", quantise="max")
    loihi = nc.Network("l", dt=1e-3)
    loihi.population("l", nc.LoihiLIF(du=100, dv=100, vth=10), 3)
    with pytest.raises(nc.errors.CompileError, match="l: LoihiLIF is loihi arithmetic, but the program is to be float32"):
        nc.compile(loihi, "cpu", arithmetic="float32")
