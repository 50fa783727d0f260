"""The shape of what enters and leaves every node, worked out along the edges.

The shapes that files store for convolutions, pools and Flatten are often missing and sometimes wrong (nir 1.0.8 infers wrong
ones for non-square kernels, for 'same' with stride, and for groups), so they are only used where nothing better is known.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from math import prod

from neurocomp.importers.nir.raw import IDENTITY, RawGraph
from neurocomp.importers.nir.schema import PRIMITIVES, Checked, check_size

Shape = tuple[int, ...]
PARAMETER_SHAPED = {"Scale", "Delay", "Threshold", "I", "LI", "CubaLI", "IF", "LIF", "CubaLIF"}


class Shapes:
    """`into[name]` and `out[name]`: shapes of a node's input and output, without batch and time."""

    def __init__(self, graph: RawGraph, checked: Mapping[str, Checked]) -> None:
        self.graph, self.checked = graph, checked
        self.into: dict[str, Shape] = {}
        self.out: dict[str, Shape] = {}
        self.notes: dict[str, tuple[str, str, str]] = {}
        self.successors = graph.successors()
        self.fed = {post for _, post in graph.edges}
        self._resolve()
        self._check_edges()
        for name, note in self.notes.items():
            graph.note(name, *note)

    def _resolve(self) -> None:
        """Propagate forward: from the inputs, then from nodes that know their shape, then from those that only stored one."""
        inputs = [name for name, node in self.graph.nodes.items() if node.type == "Input"]
        for trusted, names in ((True, inputs), (True, list(self.graph.nodes)), (False, list(self.graph.nodes))):
            queue = deque[str]()
            for name in names:
                if name not in self.into and (shape := self._own(name, trusted)) is not None:
                    self._set(name, shape, queue)
                    self._drain(queue)
        for name in self.graph.nodes:
            if name not in self.into:
                raise self.graph.error(
                    "its shape is unknown: it stores none, and nothing with a known shape leads to it; give the Input node a "
                    "shape (or the Conv an input_shape)",
                    name,
                )

    def _drain(self, queue: deque[str]) -> None:
        while queue:
            name = queue.popleft()
            for after in self.successors[name]:
                if after not in self.into:
                    self._set(after, self._accepted(after, self.out[name], name), queue)

    def _set(self, name: str, shape: Shape, queue: deque[str]) -> None:
        self.into[name] = check_size(self.graph, name, shape)
        self.out[name] = check_size(self.graph, name, self._transfer(name, shape))
        queue.append(name)

    def _own(self, name: str, trusted: bool) -> Shape | None:
        """The input shape a node fixes by itself. trusted: by what it computes, not by a stored shape that may be wrong."""
        kind, values = self.graph.nodes[name].type, self.checked[name]
        stored: Shape | None
        if kind == "Input":
            stored = values["shape"]
            return stored or (None if trusted else self._from_target(name))
        if kind in ("Linear", "Affine"):
            weight: Shape = values["weight"].shape
            return (*weight[:-2], weight[-1]) if len(weight) > 2 or name not in self.fed or not trusted else None
        if kind in PARAMETER_SHAPED:
            return self._parameter_shape(name, trusted)
        if trusted:
            return None
        if kind in ("Output", IDENTITY, "Flatten"):
            stored = values["input_type" if kind == "Flatten" else "shape"]
            return stored
        if kind in ("Conv1d", "Conv2d") and values["input_shape"] is not None:
            return (values["weight"].shape[1] * values["groups"], *values["input_shape"])
        return None

    def _from_target(self, name: str) -> Shape | None:
        """An Input without a shape takes that of the first node it leads to."""
        for after in self.successors[name]:
            shape = self._own(after, trusted=False) if self.graph.nodes[after].type != "Input" else None
            if shape is not None:
                self.notes[name] = ("no shape", f"shape {shape}", f"as '{after}' needs it")
                return shape
        return None

    def _parameter_shape(self, name: str, trusted: bool) -> Shape | None:
        """The largest shape of the parameters; parameters of one element say nothing, unless nothing else is known."""
        needed = PRIMITIVES[self.graph.nodes[name].type].required
        shapes: list[Shape] = [self.checked[name][key].shape for key in needed]
        largest = max(shapes, key=lambda shape: (prod(shape), len(shape)))
        if prod(largest) == 0:
            raise self.graph.error(f"{', '.join(needed)}: empty parameters", name)
        if prod(largest) > 1:
            return largest
        return (largest or (1,)) if not trusted else None

    # ---------------------------------------------------------------------------------------------------------- edges

    def _accepted(self, name: str, shape: Shape, source: str) -> Shape:
        """The input shape of a node when `shape` comes in from `source`; raises where it cannot be."""
        kind, values = self.graph.nodes[name].type, self.checked[name]
        if kind in ("Linear", "Affine"):
            return self._into_matrix(name, shape, source)
        if kind in ("Conv1d", "Conv2d"):
            return self._into_conv(name, shape, source)
        if kind in ("SumPool2d", "AvgPool2d"):
            if len(shape) == 2:
                return (1, *shape)
            if len(shape) != 3:
                raise self.graph.error(f"pools images (channels, height, width), but '{source}' gives {shape}", name)
            return shape
        stored = values.get("shape") or values.get("input_type")
        if stored is not None and prod(stored) != prod(shape):
            self.notes[name] = (f"stored shape {stored}", f"shape {shape}", f"that is what '{source}' gives")
        return shape

    def _into_matrix(self, name: str, shape: Shape, source: str) -> Shape:
        weight = self.checked[name]["weight"].shape
        wanted = (*weight[:-2], weight[-1])
        if len(weight) == 2 and shape[-1] == weight[-1]:
            return shape
        if prod(shape) == prod(wanted):
            if shape != wanted and prod(shape) != max(shape):
                self.notes[name] = (f"input of shape {shape}", f"flattened to {wanted}", "the matrix has that many inputs")
            return wanted
        raise self.graph.error(f"its weight {weight} takes {wanted}, but '{source}' gives {shape}", name)

    def _into_conv(self, name: str, shape: Shape, source: str) -> Shape:
        values = self.checked[name]
        channels, axes = values["weight"].shape[1] * values["groups"], values["weight"].ndim - 2
        stored = values["input_shape"]
        if len(shape) == axes and channels == 1:
            shape = (1, *shape)
        if len(shape) == 1 and stored is not None and prod(shape) == channels * prod(stored):
            return (channels, *stored)
        if len(shape) != axes + 1 or shape[0] != channels:
            wanted = f"{channels} channels and {axes} more ax{'e' if axes > 1 else 'i'}s"
            raise self.graph.error(f"takes {wanted}, but '{source}' gives {shape}", name)
        if stored is not None and stored != shape[1:]:
            self.notes[name] = (f"input_shape {stored}", f"input_shape {shape[1:]}", f"that is what '{source}' gives")
        return shape

    def _check_edges(self) -> None:
        """Sizes must agree on every edge, also those that were not needed to find the shapes."""
        for pre, post in self.graph.edges:
            kind = self.graph.nodes[post].type
            if prod(self.out[pre]) == prod(self.into[post]):
                continue
            if kind in ("Linear", "Affine", "Conv1d", "Conv2d"):
                self._accepted(post, self.out[pre], pre)
            raise self.graph.error(f"takes {self.into[post]}, but '{pre}' gives {self.out[pre]}", post)

    # ---------------------------------------------------------------------------------------------------------- nodes

    def _transfer(self, name: str, shape: Shape) -> Shape:
        kind, values = self.graph.nodes[name].type, self.checked[name]
        if kind in ("Linear", "Affine"):
            weight = values["weight"].shape
            return (*shape[:-1], weight[-2])
        if kind in ("Conv1d", "Conv2d"):
            return (values["weight"].shape[0], *self._windows(name, shape, list(values["weight"].shape[2:])))
        if kind in ("SumPool2d", "AvgPool2d"):
            return (shape[0], *self._windows(name, shape, values["kernel_size"]))
        if kind == "Flatten":
            return self._flattened(name, shape)
        if kind in PARAMETER_SHAPED:
            own = self._parameter_shape(name, trusted=True)
            if own is not None and not _fits(own, shape):
                raise self.graph.error(f"its parameters have shape {own}, but {shape} comes in", name)
        return shape

    def _windows(self, name: str, shape: Shape, kernel: list[int]) -> list[int]:
        values = self.checked[name]
        dilation, padding, result = values.get("dilation") or [1] * len(kernel), values["padding"], []
        for axis, size in enumerate(shape[1:]):
            if padding == "same":
                if values["stride"][axis] != 1:
                    message = f"padding 'same' with stride {values['stride']} has no agreed meaning (PyTorch refuses it)"
                    raise self.graph.error(message, name)
                result.append(size)
                continue
            pad = 0 if padding == "valid" else padding[axis]
            free = size + 2 * pad - dilation[axis] * (kernel[axis] - 1) - 1
            if free < 0:
                raise self.graph.error(f"a kernel of {kernel} does not fit an input of {shape} with padding {padding}", name)
            result.append(free // values["stride"][axis] + 1)
        return result

    def _flattened(self, name: str, shape: Shape) -> Shape:
        start, end = self.checked[name]["start_dim"], self.checked[name]["end_dim"]
        rank = len(shape)
        start, end = start + rank * (start < 0), end + rank * (end < 0)
        if start == rank and rank == 1:  # a leading batch axis that NIR does not have
            start = 0
        if not 0 <= start <= max(end, 0) < rank + 1 or end >= rank:
            raise self.graph.error(f"start_dim and end_dim {start}..{end} do not fit an input of shape {shape}", name)
        return (*shape[:start], prod(shape[start : end + 1]), *shape[end + 1 :])


def _fits(own: Shape, shape: Shape) -> bool:
    """Whether parameters can be those of neurons of this shape: equal but for axes of 1, one of both flat, or broadcast."""
    if prod(own) == prod(shape):
        bare = [tuple(x for x in each if x != 1) for each in (own, shape)]
        return bare[0] == bare[1] or min(len(bare[0]), len(bare[1])) <= 1
    return len(own) == len(shape) and all(mine in (1, size) for mine, size in zip(own, shape, strict=True))
