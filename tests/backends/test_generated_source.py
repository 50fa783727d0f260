"""What of a user's model reaches the C compiler: the checked equations, with marked names, and nothing else."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

import neurocomp as nc
from neurocomp.backends.cpu.codegen import builtin_forms, module_source
from neurocomp.ir.expressions import FUNCTIONS, Assign, Binary, Call, Compare, Name, Number, Unary
from neurocomp.ir.integrators import scheme
from neurocomp.ir.printers.c_step import c_function
from neurocomp.ir.program import DTYPES, StepForm

HOSTILE = ['v"; int x = 1; //', "v; system('ls')", "__import__", "_v", "v\nw", "v\\", "\uff56", "v\0", "1v", "v w", "v)"]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("place", ["name", "parameter", "receptor", "state", "used", "called"])
def test_hostile_names_are_refused_by_the_model(name, place):
    given = {"name": "M", "parameters": {"k": ""}, "step": "v = v + k", "spike": "v > 1.0", "resets": {"value": "v = 0.0"}}
    if place == "name":
        given["name"] = name
    elif place == "parameter":
        given["parameters"] = {name: ""}
    elif place == "receptor":
        given["receptors"] = (name,)
    else:
        given["step"] = {"state": f"{name} = 1.0", "used": f"v = v + {name}", "called": f"v = {name}(k)"}[place]
    with pytest.raises(nc.errors.EquationError):
        nc.NeuronModel(**given)


def by_hand(value, state="v", **change):
    """A step form built by hand: v = value."""
    parts = {"arithmetic": "float", "state": (state,), "updates": (Assign(state, value),), "inputs": ("a",), **change}
    return StepForm(**parts)


BY_HAND = {
    "a name": by_hand(Name("k; exit(1)")),
    "a state": by_hand(Name("k"), state="v_[0] = 1; v"),
    "a target": by_hand(Name("k"), updates=(Assign("w; v", Name("k")),)),
    "a target of a reset": by_hand(
        Name("k"), spike=Compare(">", Name("v"), Number(1.0)), reset=(Assign("v\n#include", Number(1.0)),)
    ),
    "an input": by_hand(Name("k"), inputs=('a"',)),
    "an operator": by_hand(Binary("+ exit(1) +", Name("k"), Name("k"))),
    "a sign": by_hand(Unary("*(int*)", Name("k"))),
    "a comparison": by_hand(Call("where", (Compare(", abort(),", Name("k"), Name("k")), Name("k"), Name("k")))),
    "a function": by_hand(Call("exit", (Name("k"),))),
    "too many arguments": by_hand(Call("exp", (Name("k"), Name("k")))),
    "a site": by_hand(Call("rand", (), "0), exit(1")),
    "a text as number": by_hand(Number("1; exit(1)")),
    "a truth value": by_hand(Number(True)),
    "infinity": by_hand(Number(float("inf"))),
    "a text as expression": by_hand("exit(1)"),
    "a hidden one": by_hand(Binary("+", Name("k"), Call("abs", (Call("exit", (Name("k"),)),)))),
    "an arithmetic": by_hand(Call("min", (Name("k"), Name("k"))), arithmetic="x(), exit"),
}


@pytest.mark.parametrize("one", BY_HAND.values(), ids=BY_HAND.keys())
def test_forms_built_by_hand_are_checked_before_they_are_printed(one):
    with pytest.raises((nc.errors.EquationError, TypeError)):
        module_source([one])


def own_forms():
    definitions = (
        {"step": "v = tanh(a) + sigmoid(v) * exp(-abs(v)) + log1p(max(a, 0.0)) ** 1.5 + randn() * sin(t)", "payload": "v"},
        {
            "receptors": ("plus", "minus"),
            "step": "int = plus - 0.5 * minus\nv = where(int >= v and not (v > 9.0), v + int, min(v, j))",
        },
        {
            "step": "v = wrap24(decay12(v, j) + (a << 3)) - shift(clip24(a), -2) >> 1",
            "arithmetic": "loihi",
            "spike": "v > 4 << 6",
        },
    )
    for definition in definitions:
        spiking = {"spike": "v > 1.0", "resets": {"rule": "v = j"}}
        yield scheme(nc.NeuronModel("Own", {"j": ""}, **{**spiking, **definition}), "euler", "rule").form


KNOWN = {
    *(
        "NC_CLONES",
        "NC_ELEMENTWISE",
        "NC_ALIGNED",
        "NC_PART",
        "static",
        "void",
        "for",
        "const",
        "restrict",
        "INT64_C",
        "__builtin_fabs",
        "__builtin_sqrt",
    ),
    *("unsigned", "char", "int", "double", "ptrdiff_t", "int32_t", "int64_t", "nc_now", "now", "key", "step", "first", "t"),
    *("n", "inputs", "state", "constants", "fired", "payload", "j", "spike", "sent", "nc_abs_loihi"),
    *("carried", "count", "ids", "nc_compact", "NULL", "sums", "bias", "unit", "who", "waiting", "waited", "left", "q"),
    *("NC_GROUP", "any", "at", "end", "continue", "found", "until", "held", "gone", "nc_list", "uint16_t"),
    *(f"nc_{name}_{arithmetic}" for name in ("steps", "waited") for arithmetic in DTYPES),
    *("float", "nc_cut", "nc_min_float32", "nc_max_float32", "__builtin_fabsf", "__builtin_sqrtf", "__builtin_inff"),
    *(
        "int16_t",
        "some",
        "spiked",
        "return",
        "here",
        "counts",
        "if",
        "else",
        "alike",
    ),
    *(
        "nc_min_float",
        "nc_max_float",
        "nc_min_loihi",
        "nc_max_loihi",
        *(f"nc_{name}" for name in FUNCTIONS),
        "nc_poisson_fill",
        "nc_rand_fill",
        "nc_randn_fill",
        "nc_poisson_same",
    ),
}


def test_all_words_in_generated_c_are_known_or_marked_as_names():
    """A user's `x` is `x_`, and its array has a number: nothing of C or its headers ends in _."""
    forms = [*own_forms(), *builtin_forms()]
    for one in (*forms, *(replace(x, arithmetic="float32") for x in forms if x.arithmetic == "float")):
        text = c_function(one, "update")
        given = {*one.inputs, *one.state, *one.constants, *one.temporaries, "t"}
        arrays = ("i", "s", "c", "m", "p", "a", "b", "h")
        marked = {f"{x}_" for x in given} | {f"{kind}{k}" for kind in arrays for k in range(len(given))}
        words = set(re.findall(r"[A-Za-z_]\w*", re.sub(r"\b0x[0-9a-f.]+p[+-]\d+f?", "", text)))
        assert words - KNOWN - marked == {"update"}
        assert set(re.sub(r"\w", "", text)) <= set(" \n()[]{}<>=!+-*/?:;,&|.")


def test_the_text_of_a_module_has_nothing_else_of_the_user():
    secret = nc.NeuronModel("Secret", {"hidden": ""}, step="v = v * hidden + a", spike="v > 1.0", resets={"rule": "v = 0.0"})
    net = nc.Network("concealed", dt=1e-3)
    net.population("private", secret(hidden=0.123456789), 3)
    text = module_source([nc.compile(net, "reference").lowered.populations["private"].program.form])
    assert set(re.findall(r"\w*hidden\w*", text)) == {"hidden_"}
    for word in ("Secret", "rule", "private", "concealed", "1234"):
        assert word not in text
