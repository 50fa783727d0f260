"""Projections that learn, in the compiled kernel: their arrays, their rule, and their weights back in the user's order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.backends.cpu import layout
from neurocomp.backends.cpu.compiled import Update, rule_for
from neurocomp.backends.cpu.toolchain import CannotCompileError
from neurocomp.backends.snapshot import traces_of
from neurocomp.ir.connectivity import Dense
from neurocomp.ir.errors import UnsupportedError
from neurocomp.ir.network import LoihiSynapse, Projection
from neurocomp.ir.plasticity import LearningProgram, LoihiRule, Plasticity
from neurocomp.ir.plasticity.products import TRACES, VARIABLES, WIDTHS

Floats = NDArray[np.float64]
VALUES = (*TRACES, *VARIABLES)  # what factors are of, in the kernel's order


class PlasticArrays:
    """The synapses of one plastic projection, by thread, as `Engine.add_plastic` takes them.

    bounds: the ranges of targets that threads own. All-to-all synapses of one delay share one array (n_post, n_pre),
    its rows a little longer where their starts would fall on the same places of the cache.
    """

    def __init__(self, projection: Projection, bounds: Sequence[int]) -> None:
        connectivity = projection.connectivity
        self.shape = connectivity.weights.shape
        self.dense = isinstance(connectivity, Dense) and not np.ndim(projection.delay)
        self.bounds = tuple(bounds)
        self.blocks: list[dict[str, NDArray[Any]]] = []
        if self.dense:
            weights = np.zeros((connectivity.n_post, _padded(connectivity.n_pre)))
            weights[:, : connectivity.n_pre] = connectivity.weights
            self.blocks = [{"weights": weights} for _ in bounds[1:]]
        else:
            self._listed(projection, bounds)
        self.start = [block["weights"].copy() for block in self.blocks]

    def _listed(self, projection: Projection, bounds: Sequence[int]) -> None:
        connectivity, delays = projection.connectivity, layout.delays_of(projection)
        pre, post = connectivity.synapses()
        values = connectivity.values()
        slot = np.searchsorted(delays, np.broadcast_to(np.ravel(projection.delay), values.shape))
        row = pre * len(delays) + slot
        order = np.lexsort((post, row))
        self.order: list[NDArray[np.int64]] = []
        for low, high in pairwise(bounds):
            mine = order[(post[order] >= low) & (post[order] < high)]
            self.order.append(mine)
            self.blocks.append(_block(values[mine], row[mine], post[mine], connectivity.n_pre * len(delays), low, high))

    def reset(self) -> None:
        """Back to the weights the network was given."""
        for block, start in zip(self.blocks, self.start, strict=True):
            block["weights"][:] = start

    def put(self, weights: Floats) -> None:
        """Be at these weights, one a synapse in the connectivity's order."""
        for k, block in enumerate(self.blocks):
            self.fill(block["weights"], k, weights)

    def fill(self, array: NDArray[Any], k: int, values: NDArray[Any]) -> None:
        """Write values, one a synapse in the connectivity's order, into an array laid out as the weights of thread k."""
        if self.dense:
            array[:, : self.shape[1]] = values.reshape(self.shape)
        else:
            array[:] = values[self.order[k]]

    def weights(self) -> Floats:
        """The current weights, shaped as the connectivity's."""
        return np.asarray(self.restored([block["weights"][None] for block in self.blocks])[0])

    def recorders(self, rows: int) -> list[Floats]:
        """Arrays for `Engine.run` to record the weights in."""
        blocks = self.blocks[:1] if self.dense else self.blocks
        return [np.empty((rows, *block["weights"].shape)) for block in blocks]

    def restored(self, recorded: Sequence[Floats]) -> Floats:
        """(rows, *shape of the connectivity's weights) of what was recorded."""
        if self.dense:
            return np.asarray(recorded[0][:, :, : self.shape[1]])
        result = np.empty((len(recorded[0]), int(np.prod(self.shape))))
        for order, values in zip(self.order, recorded, strict=True):
            result[:, order] = values
        return np.asarray(result.reshape(len(result), *self.shape))


class Memory:
    """What a plastic projection remembers, between the kernel's arrays (`Engine.memory_of`, by thread) and a snapshot's."""

    def __init__(self, projection: Projection, arrays: PlasticArrays, memory: list[dict[str, Any]]) -> None:
        self.projection, self.arrays, self.memory = projection, arrays, memory
        connectivity = projection.connectivity
        mine, given = layout.delays_of(projection), np.ravel(projection.delay)
        delays = np.unique(np.broadcast_to(given, (len(connectivity.values()),)))
        slots, pre = np.searchsorted(mine, delays), np.arange(connectivity.n_pre)
        self.rows = (slots[:, None] + pre * len(mine)).ravel()  # of the snapshot's, in the kernel's order
        self.n_rows = connectivity.n_pre * len(mine)

    def taken(self) -> dict[str, NDArray[Any]]:
        """As arrays of a snapshot."""
        result: dict[str, NDArray[Any]] = {"weights": self.arrays.weights().ravel().copy()}
        first = self.memory[0]
        if isinstance(self.projection.learning, LoihiRule):
            pre, _, pre_last, *_ = first["engine"]
            return result | {
                "tags": self._synapses(0).astype(np.int64),
                "x": pre[0][:, self.rows].astype(np.int64),
                "x_last": pre_last[self.rows].astype(np.int64),
                "y": np.concatenate([x["engine"][1][0] for x in self.memory], axis=1).astype(np.int64),
                "y_last": np.concatenate([x["engine"][3] for x in self.memory]).astype(np.int64),
            }
        for side, names in traces_of(self.projection).items():
            rows = {"pre": lambda n: first["pre"][n][self.rows], "post": lambda n: first["post"][n], "synapse": self._synapses}
            *values, since = (rows[side](n) for n in range(len(names) + 1))
            result |= {side: np.array(values), f"{side}_since": since.astype(np.int64)}
        return result

    def recall(self, taken: Mapping[str, NDArray[Any]], time: int) -> None:
        """Be as `taken` was. time: steps that Loihi's learning engine has made."""
        self.arrays.put(taken["weights"])
        for k, its in enumerate(self.memory):
            if isinstance(self.projection.learning, LoihiRule):
                pre, post, pre_last, post_last, now = its["engine"]
                low, high = self.arrays.bounds[k : k + 2]
                pre[0][:, self.rows], pre_last[self.rows] = taken["x"], taken["x_last"]
                post[0][:], post_last[:], now[:] = taken["y"][:, low:high], taken["y_last"][low:high], time
                self._put_synapses(k, 0, taken["tags"])
                continue
            for side in traces_of(self.projection):
                for n, values in enumerate((*taken[side], taken[f"{side}_since"])):
                    if side == "synapse":
                        self._put_synapses(k, n, values)
                    else:
                        its[side][n][self.rows if side == "pre" else slice(None)] = values

    def _synapses(self, n: int) -> NDArray[Any]:
        """Variable n of all synapses, in the connectivity's order."""
        shape = [block["weights"].shape for block in self.arrays.blocks]
        stored = [x["synapse"][n].reshape(1, *each) for x, each in zip(self.memory, shape, strict=True)]
        return np.asarray(self.arrays.restored(stored)[0]).ravel()

    def _put_synapses(self, k: int, n: int, values: NDArray[Any]) -> None:
        self.arrays.fill(self.memory[k]["synapse"][n].reshape(self.arrays.blocks[k]["weights"].shape), k, values)


def _padded(length: int) -> int:
    """The length in whole cache lines, and not in whole pages."""
    lines = -(-length // 8)
    return 8 * (lines + 1 if lines % 8 == 0 else lines)


def _block(values: Floats, row: Any, post: Any, rows: int, low: int, high: int) -> dict[str, NDArray[Any]]:
    """Synapses sorted by row, and where those of each target are."""
    segments, columns = np.zeros(rows + 1, np.int64), np.zeros(high - low + 1, np.int64)
    np.cumsum(np.bincount(row, minlength=rows), out=segments[1:])
    np.cumsum(np.bincount(post - low, minlength=high - low), out=columns[1:])
    positions = np.argsort(post, kind="stable").astype(np.int32)
    return {
        "weights": np.array(values, np.float64),
        "segments": segments,
        "targets": post.astype(np.int32),
        "columns": columns,
        "positions": positions,
        "rows": np.ascontiguousarray(row[positions], np.int32),
    }


def engine_of(projection: Projection, rule: LoihiRule) -> dict[str, Any]:
    """A projection's Loihi learning engine, as `fill_engine` of kernels/loihi.pyx takes it."""
    products: list[tuple[int, ...]] = []
    factors: list[tuple[int, ...]] = []
    for number, target in enumerate(("dw", "dt")):
        for product in rule.products.get(target, ()):
            begin = len(factors)
            factors += [(VALUES.index(x.name), x.constant, int(x.sign), 2 ** WIDTHS[x.name]) for x in product.factors]
            when = ("x0", "y0", "u").index(product.dependency)
            products.append((number, when, product.mantissa, product.right, product.left, begin, len(factors)))
    whole, fraction = rule.decays(TRACES)
    impulse, chance = rule.impulses(TRACES)
    low, high = (projection.loihi or LoihiSynapse()).learned_range
    return {
        "epoch": rule.t_epoch,
        "period": 0 if rule.k is None else 2**rule.k,
        "low": low,
        "high": high,
        "products": np.array(products, np.int32),
        "factors": np.array(factors, np.int32).reshape(-1, 4),
        "whole": whole,
        "fraction": fraction,
        "impulse": impulse,
        "chance": chance,
    }


def rule_of(projection: Projection) -> Update:
    """The compiled rule of a projection."""
    if not isinstance(projection.learning, LearningProgram) or not isinstance(projection.plasticity, Plasticity):
        raise TypeError(f"projection '{projection.name}' learns by an engine, not by a compiled rule")
    try:
        return rule_for(projection.learning.form)
    except CannotCompileError as error:
        reason = f"projection '{projection.name}': {projection.plasticity.rule.name} {error}; or run it with target='reference'"
        raise UnsupportedError("cpu", [reason]) from None


def constants_of(projection: Projection) -> Floats:
    """The constants of a projection's rule, in the order of its form."""
    assert isinstance(projection.learning, LearningProgram)
    return np.array([projection.learning.constants[name] for name in projection.learning.form.constants])
