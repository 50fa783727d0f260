"""Dialects: how each framework really steps a NIR file, as one table of data.

NIR writes differential equations and says nothing of time step, integrator, input gain and reset; no two importers agree. A row
of `DIALECTS` pins one reading. Where it was read or measured is in docs/nir.md.

All rows share the order of a step: the current first, then the voltage with the new current, then the comparison, then the
reset; recurrent spikes of step t - 1 enter at step t.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from neurocomp.importers.nir.raw import RawGraph
from neurocomp.importers.nir.schema import Checked
from neurocomp.ir import neurons
from neurocomp.ir.errors import ModelError
from neurocomp.ir.model import Neuron, NeuronModel

Gain = Literal["model", "unscaled"]
NEUTRAL: Mapping[str, float] = {"r": 1.0, "v_leak": 0.0, "v_reset": 0.0, "w_in": 1.0}
BASE: Mapping[str, NeuronModel] = {
    model.name: model
    for model in (neurons.I, neurons.LI, neurons.CubaLI, neurons.IF, neurons.LIF, neurons.CubaLIF, neurons.Threshold)
}
SPIKING = ("IF", "LIF", "CubaLIF")


@dataclass(frozen=True)
class Dialect:
    """One framework's reading of NIR.

    integrator: of all neurons. gain: NIR type -> "model" (the equation's own input factor under the integrator) or "unscaled"
    (the weighted sum enters with factor 1; r and w_in are replaced). resets: NIR type -> "value" (v_reset is honoured), "zero"
    or "subtract". ignores: NIR type -> parameters the framework does not look at. refuses: NIR type -> parameters that must be
    at rest (v_leak 0), because the framework does not load the file or does something else. models: NIR type -> the neuron
    model where it is not the plain one. self_loop_models: the same for neurons that feed themselves, where that differs.
    from_input, from_population: steps between a spike and its effect. dt: the time step that is hard-coded in the framework,
    None where the user gives one. steps_from: time constants of at least this many seconds are meant in steps. leaky_if: the
    decay per step that IF gets. leak_per_step: v_leak is added at every step. reads: neuron types its importer knows. quirks:
    what else to know. source: the version whose source was read.
    """

    name: str
    summary: str
    integrator: str
    gain: Mapping[str, Gain] = field(default_factory=dict)
    resets: Mapping[str, str] = field(default_factory=dict)
    ignores: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    refuses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    models: Mapping[str, NeuronModel] = field(default_factory=dict)
    self_loop_models: Mapping[str, NeuronModel] = field(default_factory=dict)
    from_input: int = 0
    from_population: int = 0
    dt: float | None = None
    steps_from: float | None = None
    leaky_if: float | None = None
    leak_per_step: bool = False
    reads: tuple[str, ...] = ("IF", "LIF", "CubaLIF")
    quirks: tuple[str, ...] = ()
    source: str = ""


def _each(value: Any, *types: str) -> dict[str, Any]:
    return dict.fromkeys(types, value)


_SNNTORCH: dict[str, Any] = {
    "integrator": "euler",
    "gain": {"IF": "unscaled"},
    "ignores": {"IF": ("r",)},
    "refuses": {"LIF": ("v_leak",), "CubaLIF": ("v_leak",)},
    "dt": 1e-4,
    "leaky_if": 0.9,
    "source": "snntorch 1.0.0",
}
_SUBTRACT = _each("subtract", *SPIKING)
_ZERO = _each("zero", *SPIKING)

DIALECTS: Mapping[str, Dialect] = {
    row.name: row
    for row in (
        Dialect(
            "nir",
            "the equations as written",
            "exponential",
            resets=_each("value", *SPIKING),
            reads=("I", "LI", "CubaLI", "IF", "LIF", "CubaLIF", "Threshold"),
            source="NIR 1.0.8",
        ),
        Dialect(
            "snntorch",
            "as snntorch.import_from_nir runs a file: reset_mechanism='zero', reset_delay=False",
            resets={"IF": "subtract", "LIF": "zero", "CubaLIF": "zero"},
            models={"IF": neurons.SnnTorchLIF},
            quirks=(
                "its voltages are ours times tau / (dt r), because it moves the gain into the threshold",
                "IF becomes a leaky neuron with beta = 0.9",
            ),
            **_SNNTORCH,
        ),
        Dialect(
            "snntorch-subtract",
            "a net built with reset_mechanism='subtract', reset_delay=False",
            resets=_SUBTRACT,
            models={"IF": neurons.SnnTorchLIF, "LIF": neurons.SnnTorchLIF, "CubaLIF": neurons.SnnTorchCubaLIF},
            **_SNNTORCH,
        ),
        Dialect(
            "snntorch-delayed",
            "a net built with snnTorch's defaults: reset_mechanism='subtract', reset_delay=True",
            resets=_SUBTRACT,
            models={
                "IF": neurons.SnnTorchDelayedLIF,
                "LIF": neurons.SnnTorchDelayedLIF,
                "CubaLIF": neurons.SnnTorchDelayedCubaLIF,
            },
            **_SNNTORCH,
        ),
        Dialect(
            "snntorch-delayed-zero",
            "a net built with reset_mechanism='zero', reset_delay=True",
            resets={"IF": "subtract", "LIF": "zero", "CubaLIF": "zero"},
            models={"IF": neurons.SnnTorchDelayedLIF, "CubaLIF": neurons.SnnTorchDelayedZeroCubaLIF},
            self_loop_models={"LIF": neurons.SnnTorchDelayedZeroLIF},
            quirks=("Leaky takes the input of the step after a spike, RLeaky, Synaptic and RSynaptic lose it",),
            **_SNNTORCH,
        ),
        Dialect(
            "norse",
            "as norse.torch.from_nir runs a file",
            "euler",
            gain={"IF": "unscaled"},
            resets=_ZERO,
            ignores={"LIF": ("r",), "IF": ("r",)},
            refuses={"CubaLIF": ("v_leak",)},
            quirks=("with v_leak != 0 it lets the synaptic current of a CubaLIF leak towards v_leak as well; refused here",),
            source="norse 1.1.0",
        ),
        Dialect(
            "sinabs",
            "Sinabs, whose files have time constants in steps; files in seconds as in the NIR paper's run",
            "decay",
            gain={"IF": "unscaled"},
            resets=_SUBTRACT,
            ignores={"IF": ("r",)},
            refuses={"LIF": ("v_leak",), "LI": ("v_leak",)},
            models={"IF": neurons.SinabsIF, "LIF": neurons.SinabsLIF},
            steps_from=1.0,
            reads=("LI", "IF", "LIF"),
            quirks=(
                "IF keeps its voltage at or above minus the threshold",
                "it spikes at v == v_threshold as well (>=), and so do the neurons used here",
                "its default spike_fn, MultiSpike, emits several spikes a step, which NIR cannot say: build with SingleSpike",
                "norm_input is not in the file; the importer runs norm_input=False",
            ),
            source="sinabs 3.1.3",
        ),
        Dialect(
            "rockpool",
            "as Rockpool's LIFTorch and LIFNeuronTorch",
            "decay",
            resets=_SUBTRACT,
            leak_per_step=True,
            reads=("LI", "LIF", "CubaLIF"),
            quirks=(
                "v_leak is added to the voltage at every step",
                "it guesses dt as min(tau / (1 + r)); give the one trained with",
            ),
            source="rockpool 3.1.0",
        ),
        Dialect(
            "spyx",
            "as spyx.from_nir runs a file",
            "euler",
            gain=_each("unscaled", *SPIKING),
            resets=_SUBTRACT,
            ignores={"IF": ("r",), "LIF": ("r", "v_leak"), "CubaLIF": ("r", "v_leak", "w_in")},
            models={"LIF": neurons.SnnTorchDelayedLIF},
            from_population=1,
            reads=("IF", "LIF", "CubaLIF", "LI"),
            quirks=("spikes are read from the voltage before the update: what it shows at step t is ours of step t - 1",),
            source="spyx 1.0.0",
        ),
        Dialect(
            "nengo",
            "exact integration, reset to zero",
            "exponential",
            resets=_ZERO,
            quirks=("its voltages are ours divided by v_threshold",),
        ),
        Dialect(
            "lava",
            "as the NIR paper's nir_to_lava script on Lava's floating-point LIF",
            "euler",
            resets=_ZERO,
            from_input=1,
            from_population=1,
            dt=1e-4,
            quirks=("every connection takes one step",),
            source="lava-nc 0.10.0",
        ),
        Dialect(
            "spinnaker2",
            "py-spinnaker2 with Euler steps",
            "euler",
            resets=_ZERO,
            quirks=(
                "its configuration chooses euler or exponential (integrator=...) and the reset",
                "its weights are scaled to int8, which is not done here: compile with mantissa_bits=8 for that precision",
            ),
        ),
    )
}


def dialect_of(dialect: str | Dialect) -> Dialect:
    """A row by name; a `Dialect` of the user's own passes through."""
    if isinstance(dialect, Dialect):
        return dialect
    if dialect not in DIALECTS:
        raise ModelError(f"there is no dialect '{dialect}'; there is {', '.join(DIALECTS)}")
    return DIALECTS[dialect]


def neuron_of(graph: RawGraph, name: str, values: Checked, dialect: Dialect, dt: float, self_loop: bool) -> Neuron:
    """The neuron that a NIR node is under a dialect. Notes on the graph say what was changed or ignored.

    values: the node's checked parameters. self_loop: whether its spikes come back to it without another neuron between.
    """
    kind = graph.nodes[name].type
    if kind == "Threshold":
        return neurons.Threshold(threshold=_collapsed(values["threshold"]))
    params = {key: _collapsed(value) for key, value in values.items()}
    if kind not in dialect.reads and dialect.reads:
        graph.note(name, kind, "stepped like the others", f"the importer of {dialect.name} does not read {kind}")
    _refuse(graph, name, params, dialect, kind)
    _ignore(graph, name, params, dialect, kind)
    reset = _reset(graph, name, params, dialect, kind)
    _gain(graph, name, params, dialect, kind, dt)
    model = (dialect.self_loop_models if self_loop else {}).get(kind) or dialect.models.get(kind) or BASE[kind]
    if kind == "IF" and dialect.leaky_if is not None:
        _leaky(graph, name, params, dialect, dt)
    if reset is not None and reset not in model.resets:
        reset = next(iter(model.resets))
    if model.name != kind:
        graph.note(name, kind, model.name, model.description.rpartition("; ")[2])
    return model(reset=reset, **{key: params[key] for key in model.parameters if key in params})


def _refuse(graph: RawGraph, name: str, params: Checked, dialect: Dialect, kind: str) -> None:
    for key in dialect.refuses.get(kind, ()):
        if np.any(np.asarray(params[key]) != NEUTRAL[key]):
            raise graph.error(
                f"{key} = {_span(params[key])}, which {dialect.name} does not run as written; use dialect='nir'",
                name,
            )


def _ignore(graph: RawGraph, name: str, params: Checked, dialect: Dialect, kind: str) -> None:
    replaced = ("r", "w_in") if dialect.gain.get(kind) == "unscaled" else ()  # by _gain
    for key in dialect.ignores.get(kind, ()):
        if key in params and key not in replaced:
            _set(graph, name, params, key, NEUTRAL[key], f"{dialect.name} ignores {key} of {kind}")


def _reset(graph: RawGraph, name: str, params: Checked, dialect: Dialect, kind: str) -> str | None:
    if kind not in SPIKING:
        return None
    rule = dialect.resets.get(kind, "value")
    if rule == "value":
        return rule
    _set(graph, name, params, "v_reset", 0.0, f"{dialect.name} ignores v_reset")
    if rule == "subtract":
        graph.note(name, "reset to v_reset", "reset by subtraction", f"{dialect.name} runs that, whatever the file says")
        return rule
    return "value"


def _gain(graph: RawGraph, name: str, params: Checked, dialect: Dialect, kind: str, dt: float) -> None:
    """Input factors and the leak, expressed in r, w_in and v_leak."""
    rule = dialect.gain.get(kind, "model")
    taus = [key for key in ("tau", "tau_mem", "tau_syn") if key in params]
    if dialect.steps_from is not None and taus and all(np.min(params[key]) >= dialect.steps_from for key in taus):
        rule = "unscaled"
        for key in taus:
            _set(graph, name, params, key, params[key] * dt, f"{dialect.name} writes time constants in steps")
    membrane: Any = params.get("tau", params.get("tau_mem", 1.0))
    if rule == "unscaled":
        why = f"{dialect.name} adds the weighted input as it is"
        _set(graph, name, params, "r", membrane / dt, why)
        if "w_in" in params:
            _set(graph, name, params, "w_in", params["tau_syn"] / dt, why)
    if dialect.leak_per_step and np.any(np.asarray(params.get("v_leak", 0.0)) != 0):
        _set(graph, name, params, "v_leak", params["v_leak"] * membrane / dt, f"{dialect.name} adds v_leak at every step")


def _leaky(graph: RawGraph, name: str, params: Checked, dialect: Dialect, dt: float) -> None:
    assert dialect.leaky_if is not None
    params["tau"] = dt / (1.0 - dialect.leaky_if)
    params["r"], params["v_leak"] = params["tau"] / dt, 0.0
    graph.note(name, "IF", f"decay {dialect.leaky_if} per step", f"the importer of {dialect.name} makes IF leaky")


def _set(graph: RawGraph, name: str, params: Checked, key: str, value: Any, why: str) -> None:
    if np.any(np.asarray(params[key]) != np.asarray(value)):
        graph.note(name, f"{key} = {_span(params[key])}", f"{key} = {_span(value)}", why)
    params[key] = value


def _collapsed(value: Any) -> Any:
    """A float where all elements are the same, else the array."""
    array = np.asarray(value, np.float64)
    flat = array.ravel()
    return float(flat[0]) if (flat == flat[0]).all() else array


def _span(value: Any) -> str:
    array = np.asarray(value)
    return f"{array.min():.6g}" if array.min() == array.max() else f"{array.min():.6g}..{array.max():.6g}"
