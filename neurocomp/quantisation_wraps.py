"""Where an accepted wrap-around comes true: the reference backend with an eye on the currents that no proof covers."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from neurocomp.backends import base
from neurocomp.backends.reference import Array, ReferenceExecutable
from neurocomp.ir.errors import PrecisionWarning, callers_level
from neurocomp.ir.events import Events
from neurocomp.ir.network import Network, Population
from neurocomp.ir.quantisation.simulate import OPEN, Place, watched, wraps

BEFORE = f"u{OPEN}"  # the current before it wraps


def watching(executable: base.Executable, risks: Collection[str]) -> base.Executable:
    """The executable; the reference's warns where the current of one of these populations first wraps around.

    Other executables stay as they are: they compute the same, without looking.
    """
    if risks and type(executable) is ReferenceExecutable:
        return WatchedReference(executable.net, risks)
    return executable


class WatchedReference(ReferenceExecutable):
    """The reference backend, which warns (`PrecisionWarning`) of each population's first wrap since its initial state.

    risks: LoihiLIF populations to look at; the others cost nothing.
    """

    def __init__(self, net: Network, risks: Collection[str]) -> None:
        self.risks = frozenset(risks)
        super().__init__(net.with_changes({name: _watched(net.populations[name]) for name in risks}))

    def reset(self) -> None:
        """Back to the initial state and step 0."""
        super().reset()
        self.wrapped: dict[str, Place] = {}

    def snapshot(self) -> dict[str, Array]:
        """As the reference's, without what is only there to be looked at."""
        return {key: values for key, values in super().snapshot().items() if not key.endswith(OPEN)}

    def run(self, inputs: Mapping[str, Events], steps: int, record: base.Record) -> base.Result:
        """As the reference; then warn of the populations whose current wrapped for the first time."""
        known = set(self.wrapped)
        result = super().run(inputs, steps, record)
        _warn({name: at for name, at in self.wrapped.items() if name not in known}, batch=False)
        return result

    def run_batch(self, samples: Sequence[Mapping[str, Events]], steps: int, record: base.Record) -> list[base.Result]:
        """One sample after the other; a population's first wrap is named with its sample, those of later samples are not."""
        results, found = [], dict[str, Place]()
        for number, inputs in enumerate(samples):
            self.reset()
            results.append(super().run(inputs, steps, record))
            found = {name: replace(at, sample=number) for name, at in self.wrapped.items()} | found
        _warn(found, batch=True)
        return results

    def _update(self, name: str, step: int, log: Any) -> Array:
        spikes = super()._update(name, step, log)
        if name in self.risks and name not in self.wrapped:
            current = self.state[name][BEFORE]
            out = np.flatnonzero(wraps(current))
            if len(out):
                neuron = int(out[0])
                self.wrapped[name] = Place(0, step - self.net.nodes[name].lag, neuron, int(current[neuron]))
        return spikes


def _watched(population: Population) -> Population:
    """The population with a program that also keeps every state as it was before its limits."""
    program = population.program
    assert program is not None
    initial = {name + OPEN: value for name, value in program.initial.items()}
    kept = replace(program, form=watched(program.form), initial={**program.initial, **initial})
    return replace(population, program=kept)


def _warn(found: Mapping[str, Place], batch: bool) -> None:
    for name, at in found.items():
        sample = f"sample {at.sample}, " if batch else ""
        warnings.warn(
            f"population '{name}': the current u of neuron {at.neuron} wrapped around at {sample}step {at.step}: it came to "
            f"{at.value}, beyond the 24 bits (+-2^23), and goes on from the other end",
            PrecisionWarning,
            stacklevel=callers_level(),
        )
