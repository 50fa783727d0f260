"""Small cases by construction: models x resets x integrators x connectivity x delays x topology x shapes x arithmetics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from neurocomp.conformance.case import Case, graded, spikes
from neurocomp.conformance.catalogue import catalogue_cases
from neurocomp.conformance.loihi_rules import loihi_rule_cases
from neurocomp.conformance.pattern_cases import pattern_cases
from neurocomp.conformance.plastic_cases import plastic_cases
from neurocomp.ir.connectivity import Connectivity, Dense, OneToOne, Sparse
from neurocomp.ir.convolution import AvgPool2d, Conv1d, Conv2d, SumPool2d
from neurocomp.ir.model import Neuron, NeuronModel
from neurocomp.ir.network import LoihiSynapse, Network
from neurocomp.ir.neurons import (
    IF,
    LI,
    LIF,
    CubaLI,
    CubaLIF,
    GradedRelu,
    I,
    LoihiGradedRelu,
    LoihiLIF,
    Readout,
    SinabsIF,
    SinabsLIF,
    SnnTorchCubaLIF,
    SnnTorchDelayedCubaLIF,
    SnnTorchDelayedLIF,
    SnnTorchDelayedZeroCubaLIF,
    SnnTorchDelayedZeroLIF,
    SnnTorchLIF,
    Threshold,
)

DT = 1e-3
STEPS = 40
Generator = np.random.Generator


def _rng(name: str) -> Generator:
    return np.random.default_rng([ord(c) for c in name])


def weights(rng: Generator, n_post: int, n_pre: int, scale: float) -> Any:
    """Random weights of both signs with a positive mean, so that networks are active."""
    return rng.normal(0.4, 1.0, (n_post, n_pre)) * scale


def neuron(model: NeuronModel, rng: Generator, size: int, **extra: Any) -> Neuron:
    """The model with heterogeneous time constants (seconds) for `size` neurons."""
    taus = {name: rng.uniform(3e-3, 20e-3, size) for name in model.parameters if name.startswith("tau")}
    return model(**{**taus, **extra})


def _scale(model: NeuronModel, fan_in: int) -> float:
    kind = model.name.removeprefix("Sinabs").removeprefix("SnnTorch").removeprefix("Delayed").removeprefix("Zero")
    if model in (SinabsIF, Threshold, Readout):
        return 1.2e-3 / DT / float(np.sqrt(fan_in))
    gain = {"IF": 1.0, "I": 1.0, "LIF": 8e-3, "LI": 8e-3, "CubaLIF": 2e-2, "CubaLI": 2e-2}[kind]
    return 1.2 * gain / DT / float(np.sqrt(fan_in))


def _two_layers(
    name: str, model: NeuronModel, *, size: int = 7, integrator: str = "exponential", bias: bool = False, **extra: Any
) -> Case:
    """X -> h (the model) -> y (LIF), all in the same step."""
    rng = _rng(name)
    net = Network(name, dt=DT, integrator=integrator)
    x, h = net.input("x", 5), net.population("h", neuron(model, rng, size, **extra), size)
    net.connect(x, h, Dense(weights(rng, size, 5, _scale(model, 5)), bias=rng.normal(0, 0.1, size) if bias else None))
    if model.spike is not None:
        y = net.population("y", neuron(LIF, rng, 4), 4)
        net.connect(h, y, Dense(weights(rng, 4, size, _scale(LIF, size))))
    return Case(name, net, {"x": spikes(rng, STEPS, (5,), 0.3)}, STEPS)


def _models() -> Iterator[Case]:
    for integrator in ("euler", "exponential", "exact"):
        for model in (IF, LIF, CubaLIF):
            for reset in ("value", "subtract"):
                yield _two_layers(f"{model.name}-{reset}-{integrator}", model, integrator=integrator, reset=reset)
        for model in (I, LI, CubaLI):
            yield _two_layers(f"{model.name}-{integrator}", model, integrator=integrator)
    for model in (LIF, CubaLIF, SnnTorchLIF, SnnTorchCubaLIF):
        yield _two_layers(f"{model.name}-decay", model, integrator="decay")
    for model in (SnnTorchLIF, SnnTorchCubaLIF):
        yield _two_layers(f"{model.name}-euler", model, integrator="euler", v_threshold=0.4)
    for model in (SnnTorchDelayedLIF, SnnTorchDelayedCubaLIF, SnnTorchDelayedZeroLIF, SnnTorchDelayedZeroCubaLIF):
        yield _two_layers(f"{model.name}-euler", model, integrator="euler", v_threshold=0.6)
    yield _two_layers("SinabsLIF-decay", SinabsLIF, integrator="decay")
    for reset in ("value", "subtract"):
        yield _two_layers(f"SinabsIF-{reset}", SinabsIF, reset=reset, r=1.0 / DT)
    yield _two_layers("Threshold", Threshold, threshold=0.7)
    yield _two_layers("Readout", Readout)


def _parameters() -> Iterator[Case]:
    rng = _rng("parameters")
    yield _two_layers("v_reset", LIF, v_reset=rng.uniform(-0.5, 0.5, 7))
    yield _two_layers("v_reset-cuba", CubaLIF, v_reset=-0.25)
    yield _two_layers("v_leak", LIF, v_leak=rng.uniform(0.5, 1.5, 7))
    yield _two_layers("v_leak-cuba", CubaLIF, v_leak=0.75)
    yield _two_layers("v_threshold", IF, v_threshold=rng.uniform(0.5, 2.0, 7))
    yield _two_layers("r-and-w_in", CubaLIF, r=rng.uniform(0.5, 2.0, 7), w_in=rng.uniform(-1.0, 3.0, 7))
    yield _two_layers("r-zero", CubaLIF, r=0.0, v_leak=1.5)
    yield _two_layers("initial-state", CubaLIF, initial={"i": rng.normal(0, 1, 7), "v": rng.uniform(0, 0.9, 7)})
    yield _two_layers("initial-state-if", IF, initial={"v": rng.uniform(0, 0.9, 7)})
    yield _two_layers("initial-above-threshold", LIF, initial={"v": 3.0})
    for model in (IF, LIF, CubaLIF, CubaLI):
        yield _two_layers(f"bias-{model.name}", model, bias=True)
    yield _two_layers("bias-subtract", LIF, bias=True, reset="subtract")


def _connectivity(kind: str, rng: Generator, size: int, scale: float) -> Connectivity:
    if kind == "Dense":
        return Dense(weights(rng, size, size, scale / np.sqrt(size)))
    if kind == "OneToOne":
        return OneToOne(rng.uniform(0.5, 2.0, size) * scale)
    count = 3 * size
    return Sparse(
        (rng.normal(0.5, 1.0, count) * scale, (rng.integers(0, size, count), rng.integers(0, size, count))), (size, size)
    )


def _delays() -> Iterator[Case]:
    for kind in ("Dense", "Sparse", "OneToOne"):
        for delay in (0, 1, 4, "each"):
            name = f"{kind}-delay-{delay}"
            rng = _rng(name)
            net = Network(name, dt=DT)
            x, h = net.input("x", 6), net.population("h", neuron(LIF, rng, 6), 6)
            synapses = _connectivity(kind, rng, 6, 8.0)
            steps = rng.integers(0, 6, synapses.weights.shape) if delay == "each" else delay
            net.connect(x, h, synapses, delay=steps)
            yield Case(name, net, {"x": spikes(rng, STEPS, (6,), 0.2)}, STEPS)


def _layers(name: str, count: int, size: int = 6) -> tuple[Network, Generator]:
    """X -> p1 -> ... -> p<count>, with no delays."""
    rng = _rng(name)
    net = Network(name, dt=DT)
    before = net.input("x", size).name
    for k in range(1, count + 1):
        model = (LIF, CubaLIF, IF)[k % 3]
        layer = net.population(f"p{k}", neuron(model, rng, size), size)
        net.connect(before, layer, Dense(weights(rng, size, size, _scale(model, size))))
        before = layer.name
    return net, rng


def _joined(net: Network, rng: Generator, pre: str, post: str, delay: Any = 0, kind: str = "Dense") -> None:
    net.connect(pre, post, _connectivity(kind, rng, 6, 4.0), delay=delay)


def _topologies() -> Iterator[Case]:
    edges: dict[str, list[tuple[str, str, Any]]] = {
        "chain": [],
        "skip-input": [("x", "p4", 0)],
        "skip-layer": [("p1", "p3", 0), ("p1", "p4", 2)],
        "skip-and-recurrence": [("x", "p3", 0), ("p3", "p2", 2), ("p2", "p4", 0)],
        "self-loop": [("p2", "p2", 1)],
        "self-loop-late": [("p2", "p2", 5)],
        "mutual": [("p3", "p2", 2)],
        "long-cycle": [("p4", "p1", 4)],
        "cycle-with-spare-delay": [("p4", "p1", 9)],
        "two-cycles": [("p2", "p1", 2), ("p4", "p3", 2), ("p4", "p1", 4)],
        "parallel-edges": [("p1", "p2", 0), ("p1", "p2", 3)],
    }
    for name, extra in edges.items():
        net, rng = _layers(name, 4)
        for pre, post, delay in extra:
            _joined(net, rng, pre, post, delay)
        yield Case(name, net, {"x": spikes(rng, STEPS, (6,), 0.3)}, STEPS)


def _shapes() -> Iterator[Case]:
    for shape in ((1,), (2, 3), (3, 4, 2), (17,), (1100,)):
        name = f"shape-{'x'.join(map(str, shape))}"
        rng, size = _rng(name), int(np.prod(shape))
        net = Network(name, dt=DT)
        x, h = net.input("x", shape), net.population("h", neuron(CubaLIF, rng, size), shape)
        net.connect(x, h, OneToOne(rng.uniform(20, 60, size)))
        net.connect(h, h, _connectivity("Sparse", rng, size, 5.0), delay=rng.integers(1, 4, 3 * size))
        yield Case(name, net, {"x": spikes(rng, STEPS, shape, 0.2)}, STEPS)


def _specials() -> Iterator[Case]:
    yield from _graded_and_bits()
    rng = _rng("specials")
    net, _ = _layers("silent", 2)
    yield Case("silent", net, {}, STEPS)
    net, _ = _layers("every-step", 2)
    yield Case("every-step", net, {"x": np.ones((STEPS, 6), np.int64)}, STEPS)
    net, _ = _layers("zero-weights", 1)
    net.connect("p1", "p1", Dense(np.zeros((6, 6))), delay=1)
    yield Case("zero-weights", net, {"x": spikes(rng, STEPS, (6,), 0.5)}, STEPS)
    net = Network("no-input", dt=DT)
    net.population("a", neuron(LIF, rng, 5, v_leak=1.5), 5)
    net.population("b", neuron(CubaLIF, rng, 5), 5, bias=rng.uniform(0.5, 2.0, 5))
    net.connect("a", "b", _connectivity("Dense", rng, 5, 10.0))
    yield Case("no-input", net, {}, STEPS)
    net, _ = _layers("unconnected-parts", 2)
    net.input("unused", 3)
    net.population("alone", neuron(IF, rng, 4), 4, bias=200.0)
    net.population("idle", neuron(LIF, rng, 4), 4)
    yield Case("unconnected-parts", net, {"x": spikes(rng, STEPS, (6,), 0.3), "unused": spikes(rng, STEPS, (3,), 0.3)}, STEPS)
    net = Network("multapses", dt=DT)
    net.input("x", 4)
    net.population("h", neuron(CubaLIF, rng, 4), 4)
    post, pre = np.array([0, 0, 0, 1, 1, 3]), np.array([2, 2, 2, 0, 0, 1])
    delays = np.array([0, 2, 2, 1, 1, 0])
    net.connect("x", "h", Sparse((rng.uniform(10, 40, 6), (post, pre)), (4, 4)), delay=delays)
    yield Case("multapses", net, {"x": spikes(rng, STEPS, (4,), 0.3)}, STEPS)
    inner, _ = _layers("inner", 2)
    net = Network("inserted", dt=DT, integrator="euler")
    first, second = net.insert(inner, "one"), net.insert(inner, "two")
    net.connect(first["p2"], second["p1"], _connectivity("Dense", rng, 6, 5.0))
    net.connect(second["p2"], first["p1"], _connectivity("Sparse", rng, 6, 5.0), delay=4)
    yield Case("inserted", net, {"one.x": spikes(rng, STEPS, (6,), 0.3), "two.x": spikes(rng, STEPS, (6,), 0.3)}, STEPS)
    net, _ = _layers("empty-link", 1)
    net.population("apart", neuron(LIF, rng, 2, v_leak=1.5), 2)
    net.connect("p1", "apart", Sparse((np.zeros(0), (np.zeros(0, int), np.zeros(0, int))), (2, 6)))
    yield Case("empty-link", net, {"x": spikes(rng, STEPS, (6,), 0.3)}, STEPS)
    net, _ = _layers("empty-projection", 2)
    net.connect("p2", "p1", Sparse((np.zeros(0), (np.zeros(0, int), np.zeros(0, int))), (6, 6)))
    yield Case("empty-projection", net, {"x": spikes(rng, STEPS, (6,), 0.3)}, STEPS)


def _graded_and_bits() -> Iterator[Case]:
    for kind in ("Dense", "Sparse", "OneToOne"):
        name = f"graded-{kind}"
        rng = _rng(name)
        net = Network(name, dt=DT)
        net.input("x", 6, max_payload=20)
        net.population("h", neuron(CubaLIF, rng, 6, reset="subtract"), 6)
        net.connect("x", "h", _connectivity(kind, rng, 6, 2.0), delay=1)
        net.connect("x", "h", _connectivity(kind, rng, 6, 1.0), delay=3)
        yield Case(name, net, {"x": graded(rng, STEPS, (6,), 0.4, 20)}, STEPS)
    for kind in ("Dense", "Sparse", "OneToOne"):
        yield _graded_chain(f"graded-population-{kind}", kind)
    for bits in (4, 8, 16, 31):
        net, rng = _layers(f"mantissa-{bits}", 3)
        yield Case(f"mantissa-{bits}", net, {"x": spikes(rng, STEPS, (6,), 0.4)}, STEPS, {"mantissa_bits": bits})
    net, rng = _layers("wide-accumulator", 1)
    _joined(net, rng, "p1", "p1", 1)
    net.connect("x", "p1", Dense(np.full((6, 6), 1e-3)))
    net.connect("x", "p1", Dense(rng.choice([-3e5, 3e5], (6, 6))), delay=3)
    options = {"mantissa_bits": 31}
    yield Case("wide-accumulator", net, {"x": spikes(rng, STEPS, (6,), 0.2)}, STEPS, options)


def _graded_chain(name: str, kind: str) -> Case:
    """Graded spikes end to end: a graded input, two graded populations (one saturates), a loop, and a spiking one."""
    rng = _rng(name)
    net = Network(name, dt=DT)
    net.input("x", 6, max_payload=9)
    net.population("g", GradedRelu(threshold=0.5, gain=rng.uniform(0.5, 3.0, 6)), 6)
    net.population("s", GradedRelu(gain=-2.0), 6, max_payload=7)
    net.population("h", neuron(CubaLIF, rng, 6), 6)
    net.connect("x", "g", _connectivity(kind, rng, 6, 1.0))
    net.connect(
        "g", "s", _connectivity(kind, rng, 6, 0.5), delay=rng.integers(0, 4, _connectivity(kind, rng, 6, 1.0).weights.shape)
    )
    net.connect("s", "g", _connectivity(kind, rng, 6, 0.3), delay=4)
    net.connect("g", "h", _connectivity(kind, rng, 6, 1.0))
    net.connect("s", "h", _connectivity(kind, rng, 6, 1.0), delay=1)
    return Case(name, net, {"x": graded(rng, STEPS, (6,), 0.4, 9)}, STEPS)


# ----------------------------------------------------------------------------------------------------------- convolutions


def _conv_cases() -> Iterator[Case]:
    options: dict[str, tuple[tuple[int, int, int], tuple[int, ...], dict[str, Any]]] = {  # in shape, kernel shape, the rest
        "plain": ((2, 6, 5), (3, 2, 3, 3), {}),
        "stride": ((2, 7, 8), (4, 2, 3, 3), {"stride": 2, "padding": 1}),
        "same": ((2, 5, 6), (3, 2, 4, 3), {"padding": "same"}),
        "dilation": ((1, 9, 7), (2, 1, 3, 2), {"dilation": (2, 3), "padding": (2, 0)}),
        "groups": ((4, 5, 5), (6, 2, 3, 3), {"groups": 2, "padding": 1}),
        "not-square": ((3, 4, 9), (2, 3, 2, 5), {"stride": (1, 3), "padding": (1, 2)}),
        "kernel-of-one": ((3, 4, 4), (5, 3, 1, 1), {}),
        "bias": ((2, 5, 5), (3, 2, 3, 3), {"bias": np.array([3.0, -2.0, 8.0])}),
    }
    for name, (shape, kernel, extra) in options.items():
        rng = _rng(f"conv-{name}")
        yield _conv_case(f"conv-{name}", shape, Conv2d(_kernel(rng, kernel), shape[1:], **extra), rng)
    rng = _rng("conv")
    yield _conv_case("conv-1d", (2, 1, 12), Conv1d(_kernel(rng, (3, 2, 4)), 12, stride=2, padding=1), rng)
    yield _conv_case("sum-pool", (2, 6, 6), SumPool2d(2, (6, 6), 2), rng)
    yield _conv_case("avg-pool", (2, 7, 7), AvgPool2d(2, (7, 7), 3, stride=2, padding=1), rng)
    columns = np.where(np.arange(24) % 5 == 4, -1, np.arange(24) // 4)
    yield _conv_case("dense-columns", (1, 4, 6), Dense(_kernel(rng, (7, 6)), columns=columns), rng)
    yield _conv_case(
        "conv-gain-per-neuron", (2, 5, 5), Conv2d(_kernel(rng, (2, 2, 3, 3)), 5), rng, tau=rng.uniform(3e-3, 9e-3, 18)
    )


def _kernel(rng: Generator, shape: tuple[int, ...]) -> Any:
    return rng.normal(0.4, 1.0, shape) * 8.0


def _conv_case(name: str, shape: tuple[int, int, int], layer: Connectivity, rng: Generator, tau: Any = 8e-3) -> Case:
    """The layer from x to h, twice (the second time late, and graded), then back by a list of synapses."""
    net = Network(name, dt=DT)
    net.input("x", shape)
    net.input("g", shape, max_payload=5)
    target = layer.output_shape if isinstance(layer, Conv2d) else (layer.n_post,)
    h = net.population("h", LIF(tau=tau, r=4.0), target)
    net.connect("x", "h", layer)
    net.connect("g", "h", layer, delay=3)
    net.connect("h", "h", _connectivity("Sparse", rng, h.size, 2.0), delay=2)
    return Case(name, net, {"x": spikes(rng, STEPS, shape, 0.1), "g": graded(rng, STEPS, shape, 0.1, 5)}, STEPS)


# ------------------------------------------------------------------------------------------------------------------ Loihi

Build = Callable[[Network, Generator], None]


def integers(rng: Generator, shape: Any, low: int = -80, high: int = 160) -> Any:
    """Random integer weights."""
    return rng.integers(low, high, shape).astype(np.float64)


def _loihi(name: str, build: Build, steps: int = STEPS, rate: float = 0.3, payload: int = 1, accept_wrap: bool = False) -> Case:
    rng = _rng(name)
    net = Network(name, dt=DT)
    net.input("x", 6, max_payload=payload)
    build(net, rng)
    raster = spikes(rng, steps, (6,), rate) if payload == 1 else graded(rng, steps, (6,), rate, payload)
    return Case(name, net, {"x": raster}, steps, {"accept_wrap": True} if accept_wrap else {})


def _one(
    name: str,
    synapse: LoihiSynapse | None = None,
    matrix: Any = None,
    delay: Any = 1,
    steps: int = STEPS,
    accept_wrap: bool = False,
    **parameters: Any,
) -> Case:
    """X -> h -> h: the parameters and the synapse under test in both projections."""

    def build(net: Network, rng: Generator) -> None:
        values = {"du": 2048, "dv": 512, "vth": 200, **parameters}
        net.population("h", LoihiLIF(**values), 6)
        given = integers(rng, (6, 6)) if matrix is None else matrix
        net.connect("x", "h", Dense(given), delay=delay, loihi=synapse)
        net.connect("h", "h", Sparse(_sparse(integers(rng, (6, 6)))), delay=1, loihi=synapse)

    return _loihi(name, build, steps, accept_wrap=accept_wrap)


def _sparse(matrix: Any) -> Any:
    import scipy.sparse as sp

    return sp.csr_array(np.where(np.abs(matrix) > 60, matrix, 0))


def _loihi_cases() -> Iterator[Case]:
    for du in (0, 1, 2048, 4095):
        for dv in (0, 1000, 4095):
            yield _one(f"loihi-du{du}-dv{dv}", du=du, dv=dv, accept_wrap=du <= 1)
    rng = _rng("loihi")
    yield _one("loihi-heterogeneous", du=rng.integers(0, 4096, 6), dv=rng.integers(0, 4096, 6), vth=rng.integers(50, 400, 6))
    yield _one("loihi-initial", initial={"u": rng.integers(-9000, 9000, 6), "v": rng.integers(-9000, 9000, 6)})
    for exponent in (-2, 0, 3):
        mantissa = rng.integers(-40, 60, 6)
        yield _one(f"loihi-bias-exp{exponent}", bias_mant=mantissa, bias_exp=exponent)
    yield _one("loihi-bias-lag", delay=0, bias_mant=300, bias_exp=2)
    for exponent in (-7, -3, -1, 2):
        yield _one(f"loihi-weight-exp{exponent}", LoihiSynapse(weight_exp=exponent), vth=max(int(60 * 2.0**exponent), 1))
    for bits in (2, 4, 6):
        yield _one(f"loihi-bits{bits}", LoihiSynapse(num_weight_bits=bits), integers(rng, (6, 6), -300, 300))
    for mode in ("mixed", "excitatory", "inhibitory"):
        sign = -1 if mode == "inhibitory" else 1
        matrix = sign * integers(rng, (6, 6), 0, 256)
        yield _one(f"loihi-{mode}", LoihiSynapse(sign_mode=mode), matrix, vth=400, bias_mant=1000, bias_exp=5)
    yield _one("loihi-clipped", None, integers(rng, (6, 6), -900, 900))
    yield _one("loihi-delay-each", LoihiSynapse(weight_exp=-2), delay=rng.integers(0, 9, (6, 6)), vth=60)
    yield _one("loihi-delay-63", delay=63, steps=90)
    yield _loihi("loihi-wrap", _wrap, rate=0.9, accept_wrap=True)
    yield _loihi("loihi-graded", _graded, payload=50)
    yield _loihi("loihi-graded-population", _graded_population, payload=20)
    yield _loihi("loihi-layers", _loihi_layers)
    for exponent in (-2, 0, 1):
        yield _loihi_conv(f"loihi-conv-exp{exponent}", exponent)


def _loihi_conv(name: str, exponent: int) -> Case:
    rng = _rng(name)
    net = Network(name, dt=DT)
    net.input("x", (2, 5, 6))
    layer = Conv2d(integers(rng, (3, 2, 3, 2)), (5, 6), stride=(1, 2), padding=1)
    net.population("h", LoihiLIF(du=2000, dv=300, vth=int(200 * 2.0**exponent)), layer.output_shape)
    net.connect("x", "h", layer, loihi=LoihiSynapse(weight_exp=exponent))
    return Case(name, net, {"x": spikes(rng, STEPS, (2, 5, 6), 0.2)}, STEPS)


def _wrap(net: Network, rng: Generator) -> None:
    """Currents beyond 2**23 wrap around, voltages saturate."""
    net.population("h", LoihiLIF(du=0, dv=100, vth=131071), 6)
    net.connect("x", "h", Dense(integers(rng, (6, 6), 150, 256)), delay=1, loihi=LoihiSynapse(weight_exp=6))


def _graded(net: Network, rng: Generator) -> None:
    net.population("h", LoihiLIF(du=1000, dv=500, vth=4000), 6)
    net.connect("x", "h", Dense(integers(rng, (6, 6))), delay=1, loihi=LoihiSynapse(weight_exp=-1))
    net.connect("x", "h", OneToOne(integers(rng, 6)), delay=2)


def _graded_population(net: Network, rng: Generator) -> None:
    """Graded spikes between populations, over a negative exponent and over a delay per synapse."""
    net.population("g", LoihiGradedRelu(vth=50, exp=5), 6, max_payload=60)
    net.population("h", LoihiLIF(du=1000, dv=500, vth=3000), 6)
    net.connect("x", "g", Dense(integers(rng, (6, 6))), delay=1)
    net.connect("g", "g", Sparse(_sparse(integers(rng, (6, 6)))), delay=2, loihi=LoihiSynapse(weight_exp=-5))
    net.connect("g", "h", Dense(integers(rng, (6, 6))), delay=rng.integers(1, 5, (6, 6)), loihi=LoihiSynapse(weight_exp=-2))


def _loihi_layers(net: Network, rng: Generator) -> None:
    """Same-step layers, a skip path and a recurrence."""
    before = "x"
    for k in (1, 2, 3):
        net.population(f"p{k}", LoihiLIF(du=3000, dv=400, vth=150), 6)
        net.connect(before, f"p{k}", Dense(integers(rng, (6, 6))))
        before = f"p{k}"
    net.connect("x", "p3", Dense(integers(rng, (6, 6), -100, 50)))
    net.connect("p3", "p1", Sparse(_sparse(integers(rng, (6, 6)))), delay=3, loihi=LoihiSynapse(weight_exp=-1))


def _all() -> Iterator[Case]:
    for family in (_models, _parameters, _delays, _topologies, _shapes, _specials, _conv_cases, _loihi_cases):
        yield from family()
    yield from catalogue_cases()
    yield from plastic_cases()
    yield from loihi_rule_cases()
    yield from pattern_cases()


IN_FLOAT32 = (
    *("LIF-subtract-exponential", "CubaLIF-value-exact", "initial-state", "Dense-delay-each", "skip-and-recurrence"),
    *("shape-1100", "wide-accumulator", "conv-same", "CubaLIF-refractory", "ExpLIF-refractory", "CobaLIF-value"),
    *("HodgkinHuxley-none", "AdEx-value", "StochasticLIF-value", "sources", "distributions", "functions"),
    *("plastic-soft-Dense-each", "plastic-receptors", "pattern-receptors"),
)


def _with_float32(cases: Iterable[Case]) -> Iterator[Case]:
    """All cases, and some of them in float32, too."""
    for case in cases:
        yield case
        if case.name in IN_FLOAT32:
            yield replace(case, name=f"{case.name}-float32", options={**case.options, "arithmetic": "float32"})


CASES: dict[str, Case] = {case.name: case for case in _with_float32(_all())}
