"""The usual step: which forms have one, and that with its three corrections it is the whole step."""

import numpy as np
import pytest

import neurocomp as nc
from neurocomp.ir.errors import EquationError
from neurocomp.ir.integrators import INTEGRATORS, scheme
from neurocomp.ir.model import refractory
from neurocomp.ir.neurons import BUILTIN
from neurocomp.ir.printers.text import to_text
from neurocomp.ir.usual import usual


def form_of(model, integrator="exact"):
    return scheme(model, integrator, next(iter(model.resets), None)).form


def own(**parts):
    given = {"step": "v = v + a", "spike": "v > 1.0", "resets": {"rule": "v = 0.0"}, **parts}
    return form_of(nc.NeuronModel("Own", {"k": ""}, **given), "euler")


def test_the_refractory_period_is_found_and_its_counter_left_out():
    split = usual(form_of(refractory(nc.LIF)))
    assert (split.wait, split.held, split.changed) == ("refractory", ("v",), ("v",))
    assert [to_text(x.value) for x in split.form.reset if x.target == "refractory"] == [split.start]
    assert to_text(split.form.spike) == "v > v_threshold"
    assert {x.target for x in split.form.updates} == {"v"}


@pytest.mark.parametrize("model", [x for x in BUILTIN if x.refractory and x.name != "StochasticLIF"], ids=lambda x: x.name)
def test_every_builtin_with_a_refractory_period_has_a_usual_step(model):
    """All but the one whose spikes are drawn."""
    found = []
    for integrator in INTEGRATORS:
        try:
            form = form_of(refractory(model), integrator)
        except EquationError:
            continue
        found.append(usual(form))
    for split in found:
        assert split is not None
        assert split.wait == "refractory"
        assert {*split.held} <= {*model.refractory}


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ({"spike": "v > 1.0 and a > 0.0"}, "the spike needs the input"),
        ({"step": "old = v\nv = v + a", "spike": "v > 1.0 and old <= 1.0"}, "the spike needs what is forgotten"),
        ({"resets": {"rule": "v = a"}}, "the reset needs the input"),
        ({"resets": {"rule": "v = rand()"}}, "the reset draws"),
        ({"spike": "v > rand()"}, "the spike draws"),
        ({"payload": "v"}, "spikes carry numbers"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_forms_without_a_usual_step(parts, why):
    assert usual(own(**parts)) is None


@pytest.mark.parametrize(
    ("step", "found"),
    [
        ("w = r\nr = where(w > 0.0, r - 1.0, r)\nv = where(w > 0.0, v, v + a)", True),
        ("w = r\nr = where(w > 0.0, r - 1.0, r)\nv = where(not (w <= 0.0), v, v + a)", True),
        ("w = r\nr = where(w > 0.0, r - 0.5, r)\nv = where(w > 0.0, v, v + a)", False),  # counts by other than 1
        ("w = r\nr = where(w > 0.0, r - 1.0, r)\nv = where(w > 0.0, v, v + a + w)", False),  # others read the count
        ("w = r\nr = where(w > 0.0, r - 1.0, r)\nv = where(w > 0.0, v * 0.5, v + a)", False),  # a third kind of step
        ("w = r\nr = where(w > 0.0, r - k, r)\nv = where(w > 0.0, v, v + a)", False),  # counts by a parameter
        ("w = r\nr = where(w > 0.0, r / r - 1.0, r)\nv = where(w > 0.0, v, v + a)", False),  # may be no number
        ("w = r\nr = r - 1.0\nv = where(w > 0.0, v, v + a)", False),  # counts on when nobody waits
        ("w = r\nr = where(w > 0.0, r - 1.0, r)\nv = where(w > 0.0, v + k, v + a)", False),  # drifts
    ],
)
def test_waiting_is_recognised_by_what_it_does(step, found):
    form = own(step=step, spike="w <= 0.0 and v > 1.0", resets={"rule": "v = 0.0; r = k"})
    split = usual(form)
    assert (split is not None) == found
    if found:
        assert (split.wait, split.held, split.start) == ("r", ("v",), "k")


@pytest.mark.parametrize("start", ["5.0", "k * v", "v"])
def test_waiting_must_begin_from_a_constant(start):
    """Else the engine could not say before a run who ends first."""
    step = "w = r\nr = where(w > 0.0, r - 1.0, r)\nv = where(w > 0.0, v, v + a)"
    assert usual(own(step=step, spike="w <= 0.0 and v > 1.0", resets={"rule": f"v = 0.0; r = {start}"})) is None


def test_a_neuron_that_waits_must_be_silent():
    step = "w = r\nr = where(w > 0.0, r - 1.0, r)\nv = where(w > 0.0, v, v + a)"
    assert usual(own(step=step, spike="w <= 1.0 and v > 1.0", resets={"rule": "v = 0.0; r = k"})) is None


# ------------------------------------------------------------------------------------------------------------ as it is run


def busy(t_ref, size=1300, **options):
    """A population of more than two parts whose neurons wait for about `t_ref` after every few steps."""
    net = nc.Network("busy", dt=1e-3, seed=3)
    net.population("drive", nc.Poisson(rate=200.0), 200)
    net.population("cells", nc.LIF(tau=10e-3, t_ref=t_ref, **options), size)
    net.connect("drive", "cells", nc.FixedProbability(0.2, 0.3), delay=1e-3)
    net.connect("cells", "cells", nc.FixedProbability(0.02, -0.05), delay=nc.Uniform(1e-3, 4e-3))
    return net


def traces(program, steps, resume=False, every=1):
    record = ["cells", "cells.v", "cells.refractory"]
    recording = program.run(steps=steps, record=record, resume=resume, every=every)
    return recording["cells"].raster().tobytes(), recording["cells.v"].tobytes(), recording["cells.refractory"].tobytes()


@pytest.mark.parametrize("bits", [15, 24])  # narrow and wide sums
@pytest.mark.parametrize("reset", ["value", "subtract"])
@pytest.mark.parametrize("t_ref", [1e-3, 7e-3, 10e-3, 0.2])  # some neurons begin with up to 9 steps to wait
def test_waiting_neurons_are_those_of_the_reference(bits, reset, t_ref):
    net = busy(t_ref, reset=reset, initial={"refractory": nc.Uniform(-3.0, 9.0), "v": nc.Uniform(-1.0, 3.0)})
    wanted = traces(nc.compile(net, "reference", mantissa_bits=bits), 60)
    assert any(wanted[0])
    for threads in (1, 3):
        program = nc.compile(net, "cpu", threads=threads, mantissa_bits=bits)
        assert traces(program, 60) == wanted


@pytest.mark.parametrize("arithmetic", ["float", "float32"])
def test_what_is_left_to_wait_is_right_whenever_it_is_read(arithmetic):
    """It is counted down only then: recorded now and then, at the end of a run, and over 64 steps, when float32 tidies up."""
    net = busy(12e-3, initial={"refractory": nc.Uniform(-3.0, 12.0)})
    wanted = traces(nc.compile(net, "reference", arithmetic=arithmetic), 200, every=7)
    program = nc.compile(net, "cpu", threads=2, arithmetic=arithmetic)
    assert traces(program, 200, every=7) == wanted
    program.reset()
    parts = [traces(program, steps, resume=k > 0, every=7) for k, steps in enumerate((3, 20, 177))]
    assert b"".join(x[2] for x in parts) == wanted[2]
    spikes = [
        nc.compile(net, target, arithmetic=arithmetic).run(steps=200, record=["cells"]) for target in ("reference", "cpu")
    ]
    assert spikes[0]["cells"].same_as(spikes[1]["cells"])


def test_waiting_that_float32_would_tidy_away():
    """A neuron that spikes in a step after which float32 tidies up has nothing left to wait for, if that is below 2^-100."""
    step = "w = r\nr = where(w > 0.0, r - 1.0, r)\nv = where(w > 0.0, v, v + a)"
    tiny = nc.NeuronModel("Brief", {"k": ""}, step=step, spike="w <= 0.0 and v > 1.0", resets={"rule": "v = 0.0; r = k"})
    net = nc.Network("brief", dt=1e-3)
    net.input("x", 4)
    for k, count in enumerate((1e-35, 2.0**-100, -3.0, -1e30)):
        net.population(f"p{k}", tiny(k=count), 4)
        net.connect("x", f"p{k}", nc.OneToOne(1.5))
    raster = np.ones((70, 4))
    raster[0] = 0.0  # so that one spikes in step 31
    for arithmetic in ("float", "float32"):
        runs = [nc.compile(net, x, arithmetic=arithmetic).run({"x": raster}) for x in ("reference", "cpu")]
        assert all(runs[0][f"p{k}"].same_as(runs[1][f"p{k}"]) for k in range(4))
        assert len(runs[0]["p0"]) > 100


def test_waiting_for_longer_than_the_list_is_made_for():
    step = "w = r\nr = where(w > 0.0, r - 1.0, r)\nv = where(w > 0.0, v, v + a)"
    long = nc.NeuronModel("Long", {"k": ""}, step=step, spike="w <= 0.0 and v > 1.0", resets={"rule": "v = 0.0; r = k"})
    net = nc.Network("long", dt=1e-3)
    net.input("x", 4)
    for k, count in enumerate((2.0**24 - 1, 2.0**24, 2.0**60, 1e300)):
        net.population(f"p{k}", long(k=count), 4)
        net.connect("x", f"p{k}", nc.OneToOne(0.75))
    record = [*(f"p{k}" for k in range(4)), *(f"p{k}.r" for k in range(4))]
    runs = [nc.compile(net, x).run({"x": np.ones((12, 4))}, record=record) for x in ("reference", "cpu")]
    for k in range(4):
        assert len(runs[0][f"p{k}"]) == 4
        assert runs[0][f"p{k}"].same_as(runs[1][f"p{k}"])
        assert runs[0][f"p{k}.r"].tobytes() == runs[1][f"p{k}.r"].tobytes()


def test_who_waits_is_seen_again_after_every_run_and_when_a_state_is_loaded(tmp_path):
    net = busy(9e-3)
    whole = traces(nc.compile(net, "reference"), 50)
    program = nc.compile(net, "cpu")
    parts = [traces(program, steps, resume=k > 0) for k, steps in enumerate((1, 1, 8, 15))]
    program.save_state(tmp_path / "state.npz")
    other = nc.compile(net, "cpu", threads=2)
    other.load_state(tmp_path / "state.npz")
    parts.append(traces(other, 25, resume=True))
    assert tuple(b"".join(x) for x in zip(*parts, strict=True)) == whole


@pytest.mark.parametrize("r", ["k / k", "k * v - k * v + k / k"])
def test_a_count_that_is_no_number_neither_waits_nor_spikes(r):
    step = "w = r\nr = where(w > 0.0, r - 1.0, r)\nv = where(w > 0.0, v, v + a)"
    odd = nc.NeuronModel("Odd", {"k": ""}, step=step, spike="w <= 0.0 and v > 1.0", resets={"rule": f"v = 0.0; r = {r}"})
    net = nc.Network("odd", dt=1e-3)
    net.input("x", 4)
    net.population("cells", odd(k=0.0), 4)
    net.connect("x", "cells", nc.OneToOne(0.75))
    raster = np.ones((12, 4))
    runs = [nc.compile(net, target).run({"x": raster}, record=["cells", "cells.v"]) for target in ("reference", "cpu")]
    assert len(runs[0]["cells"]) == 4
    assert runs[0]["cells"].times.tolist() == runs[1]["cells"].times.tolist()
    assert runs[0]["cells.v"].tobytes() == runs[1]["cells.v"].tobytes()
