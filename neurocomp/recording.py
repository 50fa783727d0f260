"""`Recording`: what a run gives back to the user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.backends.base import Counters, Result
from neurocomp.ir.events import Events
from neurocomp.ir.files import whole_file


@dataclass(frozen=True)
class Recording:
    """The result of a run.

    spikes: node name -> `Events` (times in steps, ids, `raster()`, `counts()`). states: "population.state" -> float64 array
    (int64 on Loihi arithmetic, else float32 where compiled so) (rows, *shape), the state after update and reset of every
    `every`-th step since the last reset; `times` has when. start: steps since the reset at which the run began; times of
    spikes are counted from there. counters: exact event counts. dt: seconds per step. seconds: wall time of the run.
    """

    spikes: Mapping[str, Events]
    states: Mapping[str, NDArray[Any]]
    counters: Counters
    steps: int
    dt: float
    seconds: float
    every: int = 1
    start: int = 0

    @property
    def times(self) -> NDArray[np.float64]:
        """Seconds since the last reset at which the rows of `states` were taken: after every `every`-th step."""
        first = (self.start // self.every + 1) * self.every
        return np.asarray(np.arange(first, self.start + self.steps + 1, self.every) * self.dt, np.float64)

    def __getitem__(self, key: str) -> Any:
        """`recording["h"]`: spikes of h; `recording["h.v"]`: the trace of v."""
        if key in self.states:
            return self.states[key]
        if key in self.spikes:
            return self.spikes[key]
        known = ", ".join([*self.spikes, *self.states]) or "nothing"
        raise KeyError(f"'{key}' was not recorded (recorded: {known}); ask for it with record=[...]")

    def save(self, path: str | Path) -> Path:
        """Write spikes, states and counters to an `.npz` of plain arrays (no pickle), whole or not at all."""
        numbers = {"steps": self.steps, "every": self.every, "start": self.start}
        arrays: dict[str, Any] = {"dt": np.float64(self.dt)} | {name: np.int64(x) for name, x in numbers.items()}
        for name, events in self.spikes.items():
            arrays[f"spikes/{name}/times"], arrays[f"spikes/{name}/ids"] = events.times, events.ids
            arrays[f"spikes/{name}/shape"] = np.array(events.shape)
            if events.payload is not None:
                arrays[f"spikes/{name}/payload"] = events.payload
        for name, trace in self.states.items():
            arrays[f"states/{name}"] = trace
        for what in ("spikes", "updates", "events"):
            for name, count in getattr(self.counters, what).items():
                arrays[f"counters/{what}/{name}"] = np.int64(count)
        target = Path(path)
        target = target if target.suffix else target.with_suffix(".npz")
        with whole_file(target) as stream:
            np.savez(stream, **arrays)
        return target

    def summary(self) -> str:
        """Counts per node and projection, as text."""
        lines = [f"{self.steps} steps of {self.dt:g} s in {self.seconds:.3g} s"]
        for name, count in self.counters.spikes.items():
            lines.append(f"  {name}: {count} spikes")
        for name, count in self.counters.events.items():
            lines.append(f"  {name}: {count} synaptic events")
        return "\n".join(lines)


def from_result(result: Result, steps: int, dt: float, every: int = 1, start: int = 0) -> Recording:
    """A backend's result as a recording."""
    states = {f"{name}.{state}": trace for (name, state), trace in result.states.items()}
    return Recording(result.spikes, states, result.counters, steps, dt, result.seconds, every, start)
