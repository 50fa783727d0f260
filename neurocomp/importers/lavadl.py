"""lava-dl's `.net` files (HDF5) as networks in Loihi's arithmetic, through h5py alone; neither lava nor lava-dl is needed.

Read like lava-dl's netx does: du = iDecay - 1, dv = vDecay, vth = vThMant, bias_mant = bias with bias_exp = 6, integer weights,
one step per layer (as on the chip, and as slayer trains with delay_shift). refDelay and wgtExp are not used, as in netx.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.importers.nir.hdf5 import read_tree
from neurocomp.ir.connectivity import Connectivity, Dense, OneToOne
from neurocomp.ir.convolution import Conv2d
from neurocomp.ir.errors import FileFormatError, NeurocompError
from neurocomp.ir.model import Neuron
from neurocomp.ir.network import Change, LoihiSynapse, Network
from neurocomp.ir.neurons import LoihiLIF

BY = "from_lavadl"
BIAS_EXP = 6
INPUT_WEIGHT = 64  # netx's, where the file gives none
MAX_DELAY = 62  # lava-dl clamps longer ones
EXPONENTS = (0, 1, 2, 3, 4, 5, 6, 7, -1)
Layer = Mapping[str, Any]


def from_lavadl(path: str | os.PathLike[str], *, dt: float = 1e-3, max_payload: int = 1) -> Network:
    """A network that lava-dl exported with `export_hdf5`.

    Layers of type input, dense, dense_rec, conv and flatten are read; the populations are called layer0, layer1, ... after
    their place in the file, the input "input" and the last one is the output "output". dt: seconds per step, which the file
    does not say and no spike depends on. max_payload: largest graded input. Raises `FileFormatError` that names the layer for
    anything else.
    """
    source = str(path)
    tree = read_tree(path)
    layers = tree.get("layer")
    if not isinstance(layers, dict) or not layers:
        raise FileFormatError(source, "is HDF5, but not a lava-dl network: it has no group 'layer'")
    try:
        numbered = sorted((int(key), layer) for key, layer in layers.items())
    except ValueError:
        raise FileFormatError(source, f"layers are numbered 0, 1, ...; found {', '.join(list(layers)[:8])}") from None
    reader = _Reader(source, Network(os.path.splitext(os.path.basename(source))[0], dt=dt), max_payload)
    for number, layer in numbered:
        with reader.about(number):
            reader.add(number, layer)
    if reader.last is None or reader.last == "input":
        raise FileFormatError(source, "has no layer of neurons")
    reader.net.output("output", reader.last)
    reader.net.changes = tuple(reader.changes)
    return reader.net


@dataclass
class _Reader:
    """Builds the network layer by layer. last: the node the next layer reads from; shape: its (c, h, w) or flat shape."""

    source: str
    net: Network
    max_payload: int
    last: str | None = None
    shape: tuple[int, ...] = ()
    changes: list[Change] = field(default_factory=list)

    @contextmanager
    def about(self, number: int) -> Iterator[None]:
        """Errors name the file and the layer."""
        try:
            yield
        except FileFormatError:
            raise
        except (NeurocompError, KeyError, TypeError, ValueError, IndexError) as error:
            text = f"has no {error}" if isinstance(error, KeyError) else str(error)
            raise FileFormatError(self.source, f"layer {number}: {text}") from None

    def add(self, number: int, layer: Any) -> None:
        """One layer of the file."""
        if not isinstance(layer, dict):
            raise ValueError("is not a group")
        kind = _text(layer["type"])
        readers: Mapping[str, Callable[[str, Layer], None]] = {
            "input": self._input,
            "dense": self._dense,
            "dense_rec": self._dense,
            "conv": self._conv,
            "flatten": self._flatten,
        }
        if kind not in readers:
            raise ValueError(f"type '{kind}' is not supported; supported are {', '.join(readers)}")
        readers[kind](f"layer{number}", layer)

    # ---------------------------------------------------------------------------------------------------------- layers

    def _input(self, name: str, layer: Layer) -> None:
        if self.last is not None:
            raise ValueError("an input layer that is not the first one")
        self._open(tuple(_ints(layer["shape"])))
        if "neuron" not in layer:
            return
        weight = _number(layer, "weight", INPUT_WEIGHT)
        if _number(layer, "bias", 0) != 0:
            raise ValueError("a bias in the input's transform is not supported; add it to the data")
        self._population(name, self.shape, layer, bias=None)
        size = prod(self.shape)
        mantissa, synapse = _stored(np.full(size, weight))
        self.net.connect("input", name, OneToOne(mantissa, size), delay=0, loihi=synapse)
        self.last = name

    def _dense(self, name: str, layer: Layer) -> None:
        weight = _whole(layer, "weight")
        n_post = prod(_ints(layer["shape"]))
        weight = weight.reshape(n_post, -1)
        if self.last is None:
            self._open((weight.shape[1],))
        if weight.shape[1] != prod(self.shape):
            raise ValueError(f"weight {weight.shape} = (out, in) does not fit {prod(self.shape)} inputs of shape {self.shape}")
        before = self.last
        self._population(name, (n_post,), layer, _bias(layer, n_post, 1))
        delay = self._delay(name, layer, weight.shape)
        assert before is not None
        self._connect(before, name, weight, Dense, delay)
        if _text(layer["type"]) == "dense_rec":
            self._connect(name, name, _whole(layer, "weight_rec").reshape(n_post, n_post), Dense, 1)
        self.last, self.shape = name, (n_post,)

    def _conv(self, name: str, layer: Layer) -> None:
        weight = _whole(layer, "weight")
        if weight.ndim == 5 and weight.shape[-1] == 1:
            weight = weight[..., 0]
        groups = int(_number(layer, "groups", 1))
        if self.last is None:
            raise ValueError("a conv layer needs an input layer before it, which gives the size of the image")
        if len(self.shape) != 3:
            raise ValueError(f"takes images (channels, height, width), but gets {self.shape}")

        def conv(values: NDArray[np.float64]) -> Conv2d:
            sizes = (_pair(layer, "stride", 1), _pair(layer, "padding", 0), _pair(layer, "dilation", 1))
            return Conv2d(values, (self.shape[1], self.shape[2]), *sizes, groups)

        shape = conv(weight).output_shape
        if conv(weight).in_shape != self.shape:
            raise ValueError(f"weight {weight.shape} with {groups} groups takes {conv(weight).in_shape}, but gets {self.shape}")
        before = self.last
        self._population(name, shape, layer, _bias(layer, shape[0], prod(shape) // shape[0]))
        self._connect(before, name, weight, conv, self._delay(name, layer, None))
        self.last, self.shape = name, shape

    def _flatten(self, name: str, layer: Layer) -> None:
        """Channels, height, width in a row: the order that neurons have here anyway."""
        if self.last is None:
            raise ValueError("a flatten layer that is the first one")
        self.shape = (prod(self.shape),)

    # ----------------------------------------------------------------------------------------------------------- pieces

    def _open(self, shape: tuple[int, ...]) -> None:
        self.net.input("input", shape, max_payload=self.max_payload)
        self.last, self.shape = "input", shape

    def _population(self, name: str, shape: tuple[int, ...], layer: Layer, bias: Any) -> None:
        self.net.population(name, self._neuron(name, layer["neuron"], bias), shape)

    def _neuron(self, name: str, neuron: Layer, bias: Any) -> Neuron:
        kind = _text(neuron["type"]).upper()
        if not any(word in kind for word in ("LOIHI", "CUBA")):
            raise ValueError(f"neuron type '{kind}' is not supported; supported are LOIHI and CUBA")
        for key in ("refDelay", "wgtExp"):
            value = _number(neuron, key, 0)
            if value not in (0, 1) or (key == "wgtExp" and value):
                self.changes.append(Change(BY, name, f"{key} = {value:g}", "ignored", "lava-dl's netx does not use it"))
        values: dict[str, Any] = {
            "du": _number(neuron, "iDecay") - 1,
            "dv": _number(neuron, "vDecay"),
            "vth": _number(neuron, "vThMant"),
        }
        if bias is not None:
            values |= {"bias_mant": bias, "bias_exp": BIAS_EXP}
        return LoihiLIF(**values)

    def _connect(
        self, before: str, name: str, weight: NDArray[np.float64], build: Callable[[Any], Connectivity], delay: Any
    ) -> None:
        mantissa, synapse = _stored(weight)
        self.net.connect(before, name, build(mantissa), delay=delay, loihi=synapse)

    def _delay(self, name: str, layer: Layer, shape: tuple[int, int] | None) -> Any:
        """Steps: one for the hop, and the layer's own."""
        if "delay" not in layer:
            return 1
        given = _whole(layer, "delay").astype(np.int64)
        if (given > MAX_DELAY).any():
            self.changes.append(Change(BY, name, f"delay {given.max()}", f"delay {MAX_DELAY}", "lava-dl clamps longer delays"))
        steps = np.minimum(given, MAX_DELAY) + 1
        if steps.size == 1 or (steps == steps.flat[0]).all():
            return int(steps.flat[0])
        if shape is not None and steps.size == prod(shape):
            return steps.reshape(shape)
        if shape is not None and steps.size == shape[1]:
            return np.broadcast_to(steps.ravel()[None, :], shape).copy()
        raise ValueError(f"delay of shape {given.shape} fits neither the weights {shape} nor their inputs")


# --------------------------------------------------------------------------------------------------------------- values


def _stored(weight: NDArray[np.float64]) -> tuple[NDArray[np.float64], LoihiSynapse]:
    """(mantissas, how they are stored): mantissa * 2**weight_exp = weight in Loihi's 8 bits, exactly where that is possible."""
    mixed = weight.min(initial=0) < 0 < weight.max(initial=0)
    for exponent in EXPONENTS:
        mantissa = np.ldexp(weight, -exponent)
        whole = bool((mantissa == np.rint(mantissa)).all())
        fits = bool((mantissa >= -256).all() and (mantissa <= 255).all()) and (mixed or bool((mantissa > -256).all()))
        if whole and fits and not (mixed and (mantissa % 2 != 0).any()):
            return mantissa, LoihiSynapse(weight_exp=exponent)
    return weight, LoihiSynapse()  # cannot be exact: the loihi pass says what is clipped or truncated


def _whole(layer: Layer, key: str) -> NDArray[np.float64]:
    """An array of numbers, cut to integers as netx does."""
    array = np.asarray(layer[key])
    if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
        raise ValueError(f"{key} holds something else than finite numbers")
    return np.trunc(array.astype(np.float64))


def _number(layer: Layer, key: str, default: float | None = None) -> float:
    if key not in layer and default is not None:
        return default
    array = _whole(layer, key).ravel()
    if array.size != 1:
        raise ValueError(f"{key} must be one number, not {array.size}")
    return float(array[0])


def _ints(value: Any) -> list[int]:
    array = np.atleast_1d(np.asarray(value)).ravel()
    if array.dtype.kind not in "iuf" or not array.size or (array < 1).any() or array.astype(float).prod() > 2**27:
        raise ValueError(f"shape {array.tolist()[:8]} makes no sense")
    return [int(x) for x in array]


def _pair(layer: Layer, key: str, default: int) -> tuple[int, int]:
    if key not in layer:
        return default, default
    values = _whole(layer, key).ravel()
    values = np.repeat(values, 2) if values.size == 1 else values[:2]  # a third one is time
    return int(values[0]), int(values[1])


def _bias(layer: Layer, channels: int, repeat: int) -> NDArray[np.float64] | None:
    """(neurons,) bias mantissas."""
    if "bias" not in layer:
        return None
    bias = _whole(layer, "bias").ravel()
    if bias.size not in (1, channels, channels * repeat):
        raise ValueError(f"{bias.size} biases fit neither {channels} channels nor {channels * repeat} neurons")
    return np.repeat(bias, repeat) if bias.size == channels else np.broadcast_to(bias, (channels * repeat,)).copy()


def _text(value: Any) -> str:
    text = value[0] if isinstance(value, list) and len(value) == 1 else value
    if not isinstance(text, str):
        raise TypeError("type is not a text")
    return text
