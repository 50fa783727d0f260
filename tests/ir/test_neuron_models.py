"""Neuron models: what a definition may say, what an instance must be given, and how it prints."""

import pytest

from neurocomp.ir.errors import EquationError, ModelError
from neurocomp.ir.model import NeuronModel
from neurocomp.ir.neurons import BUILTIN, IF, LI, LIF, CubaLIF, LoihiLIF

GOOD = {
    "name": "M",
    "parameters": {"tau": "s", "th": ""},
    "equations": "dv/dt = (a - v) / tau",
    "spike": "v > th",
    "resets": {"value": "v = 0"},
}

BAD = {
    "an unknown name in an equation": ({"equations": "dv/dt = (a - v) / tua"}, ["M, v", "'tua'", "tau, th"]),
    "an unknown name in the spike condition": ({"spike": "v > thr"}, ["spike", "'thr'"]),
    "an unknown name in a reset": ({"resets": {"value": "v = v_reset"}}, ["reset 'value'", "'v_reset'"]),
    "an unknown name in a constraint": ({"constraints": ("tauu > 0",)}, ["tauu > 0", "'tauu'"]),
    "a state in a constraint": ({"constraints": ("v > 0",)}, ["v > 0", "'v'"]),
    "a malformed constraint": ({"constraints": ("tau >",)}, ["cannot parse"]),
    "a reset of a parameter": ({"resets": {"value": "th = 0"}}, ["reset 'value'", "'th'", "not a state"]),
    "a default for no parameter": ({"defaults": {"theta": 1.0}}, ["default", "'theta'"]),
    "the input's name as a parameter": ({"parameters": {"tau": "s", "th": "", "a": ""}}, ["'a'", "reserved"]),
    "dt as a parameter": ({"parameters": {"tau": "s", "th": "", "dt": "s"}}, ["'dt'", "reserved"]),
    "a function's name as a parameter": ({"parameters": {"tau": "s", "th": "", "sqrt": ""}}, ["'sqrt'", "reserved"]),
    "a dunder parameter": ({"parameters": {"tau": "s", "th": "", "__class__": ""}}, ["'__class__'"]),
    "a model name with blanks": ({"name": "My model"}, ["'My model'"]),
    "a state that is a parameter": ({"parameters": {"tau": "s", "th": "", "v": "V"}}, ["'v'", "parameter"]),
    "a state named as the input": ({"equations": "da/dt = v\ndv/dt = 1"}, ["'a'", "reserved"]),
    "equations and a step": ({"step": "v = v + a"}, ["either equations or step"]),
    "neither equations nor a step": ({"equations": ""}, ["either equations or step"]),
    "a spike without resets": ({"resets": {}}, ["spike and resets come together"]),
    "resets without a spike": ({"spike": None}, ["spike and resets come together"]),
    "a step that assigns a parameter": ({"equations": "", "step": "th = 1; v = v + a"}, ["'th'", "assigned"]),
    "a step that assigns the input": ({"equations": "", "step": "v = v + 1; a = 2"}, ["'a'", "assigned"]),
    "the same equation twice": ({"equations": "dv/dt = a\ndv/dt = -a"}, ["dv/dt is given twice"]),
    "a number as the spike condition": ({"spike": "v"}, ["spike"]),
    "a condition as a state": ({"equations": "", "step": "v = v + a > th"}, ["v"]),
    "a number as a constraint": ({"constraints": ("tau",)}, ["tau"]),
}


def test_the_good_definition_is_good():
    assert NeuronModel(**GOOD).state == ("v",)


@pytest.mark.parametrize(("change", "expected"), BAD.values(), ids=BAD.keys())
def test_definition_errors_name_the_culprit(change, expected):
    with pytest.raises(EquationError) as caught:
        NeuronModel(**{**GOOD, **change})
    for part in expected:
        assert part in str(caught.value)


@pytest.mark.parametrize("name", ["reset", "integrator", "initial"])
def test_a_parameter_may_not_be_named_as_an_argument_of_the_call(name):
    """Otherwise it could never be given: M(reset=...) chooses a rule."""
    with pytest.raises(EquationError, match=name):
        NeuronModel(**{**GOOD, "parameters": {**GOOD["parameters"], name: ""}})


def test_missing_parameters_are_listed_with_their_units():
    with pytest.raises(ModelError, match=r"CubaLIF needs tau_syn \(s\), tau_mem \(s\)"):
        CubaLIF(v_threshold=2.0)
    with pytest.raises(ModelError, match=r"LoihiLIF needs du \(no unit\), vth \(no unit\)"):
        LoihiLIF(dv=3)


def test_unknown_names_are_answered_with_the_known_ones():
    with pytest.raises(ModelError, match=r"LIF has no parameter 'tau_mem'; it has tau, r, v_leak, v_threshold, v_reset"):
        LIF(tau_mem=1e-2)
    with pytest.raises(ModelError, match=r"IF has no reset 'zero'; it has 'value', 'subtract'"):
        IF(reset="zero")
    with pytest.raises(ModelError, match=r"LI has no reset 'value'; it has none, as it does not spike"):
        LI(tau=1e-2, reset="value")
    with pytest.raises(ModelError, match=r"CubaLIF has no state 'u'; it has i, v"):
        CubaLIF(tau_syn=1e-3, tau_mem=1e-3, initial={"u": 1.0})


def test_defaults_fill_in_and_parameters_keep_the_models_order():
    neuron = LIF(v_threshold=2.0, tau=1e-2)
    assert dict(neuron.parameters) == {"tau": 1e-2, "r": 1.0, "v_leak": 0.0, "v_threshold": 2.0, "v_reset": 0.0}
    assert list(neuron.parameters) == list(LIF.parameters)
    assert (neuron.reset, neuron.integrator, dict(neuron.initial)) == ("value", None, {})
    assert LIF(tau=1e-2, reset="subtract").reset == "subtract"
    assert LI(tau=1e-2).reset is None


def test_state_comes_in_the_order_of_the_equations():
    assert CubaLIF.state == ("i", "v")
    assert LoihiLIF.state == ("u", "v")
    assert NeuronModel("M", {}, equations="dw/dt = v\ndb/dt = w\ndv/dt = b").state == ("w", "b", "v")


def test_the_state_of_a_step_is_what_lives_on():
    """Read before it is assigned, or set by a reset; the rest is temporary."""
    model = NeuronModel(
        "M", {"k": ""}, step="x = a * k; u = u + x; s = x + u; v = s + 1", spike="s > 1", resets={"value": "v = 0"}
    )
    assert model.state == ("u", "v")


def test_a_blank_step_beside_equations_is_no_step():
    from neurocomp.ir.integrators import scheme
    from neurocomp.ir.printers.text import form_text

    model = NeuronModel("M", {"tau": "s"}, equations="dv/dt = a / tau", step="\n   \n")
    assert form_text(scheme(model, "euler", None).form) == "v = v + a * v_a"


def test_repr_shows_equations_spike_resets_units_and_defaults():
    assert repr(LIF) == (
        "NeuronModel LIF: leaky integrate and fire\n"
        "    dv/dt = (v_leak - v + r * a) / tau\n"
        "    spike: v > v_threshold\n"
        "    reset 'value': v = v_reset\n"
        "    reset 'subtract': v = v - v_threshold\n"
        "    parameters: tau [s], r [ohm] = 1.0, v_leak [V] = 0.0, v_threshold [V] = 1.0, v_reset [V] = 0.0\n"
        "    states: v [V]; input: a [A]"
    )
    assert repr(NeuronModel("Bare", {"k": ""}, step="v = v + k")) == "NeuronModel Bare\n    v = v + k\n    parameters: k"


def test_builtin_names_are_unique_and_every_default_is_a_parameter():
    assert len({model.name for model in BUILTIN}) == len(BUILTIN)
    for model in BUILTIN:
        assert set(model.defaults) <= set(model.parameters)
