"""What parent and child tell each other: files in a private folder, never pickles, never pipes.

A pipe would be inherited by all of Lava's processes. `manifest.json` is for the child as a whole; each job has a folder of its
number with the network, the inputs, and afterwards the recorders' arrays and either `done` or `error`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurocomp.ir import storage
from neurocomp.ir.events import Events
from neurocomp.ir.network import Network


def write_manifest(folder: Path, jobs: int) -> None:
    """Tell the child who its parent is and how many jobs there are."""
    (folder / "manifest.json").write_text(json.dumps({"parent": os.getpid(), "jobs": jobs}))


def read_manifest(folder: Path) -> tuple[int, int]:
    """(process id of the parent, number of jobs)."""
    manifest = json.loads((folder / "manifest.json").read_text())
    return int(manifest["parent"]), int(manifest["jobs"])


class JobFiles:
    """The files of job number k."""

    def __init__(self, folder: Path, k: int) -> None:
        self.folder = folder / str(k)

    def write(
        self, net: Network, inputs: Mapping[str, Events], steps: int, states: Sequence[tuple[str, str]], every: int
    ) -> None:
        """Everything the child needs."""
        self.folder.mkdir()
        storage.save(net, self.folder / "network.neurocomp")
        arrays: dict[str, Any] = {}
        names = [name for name in inputs if name in net.inputs]
        for k, name in enumerate(names):
            events = inputs[name]
            arrays[f"times{k}"], arrays[f"ids{k}"] = events.times, events.ids
            if events.payload is not None:
                arrays[f"payload{k}"] = events.payload
        with open(self.folder / "inputs.npz", "wb") as stream:
            np.savez(stream, **arrays)
        (self.folder / "job.json").write_text(
            json.dumps({"steps": steps, "inputs": names, "states": list(states), "every": every})
        )

    def read(self) -> tuple[Network, dict[str, Events], int, list[tuple[str, str]], int]:
        """(network, inputs, steps, states to record, how often), in the child."""
        net = storage.load(self.folder / "network.neurocomp", check=False)
        job = json.loads((self.folder / "job.json").read_text())
        inputs = {}
        with np.load(self.folder / "inputs.npz", allow_pickle=False) as arrays:
            for k, name in enumerate(job["inputs"]):
                payload = arrays[f"payload{k}"] if f"payload{k}" in arrays.files else None
                inputs[name] = Events(arrays[f"times{k}"], arrays[f"ids{k}"], net.inputs[name].shape, job["steps"], payload)
        return net, inputs, int(job["steps"]), [(name, state) for name, state in job["states"]], job["every"]

    def done(self, seconds: float) -> None:
        """The child finished the job."""
        self._appear("done", str(seconds))

    def failed(self, reason: str) -> None:
        """The child could not."""
        self._appear("error", reason)

    @property
    def seconds(self) -> float | None:
        """How long the job took, once it is done."""
        path = self.folder / "done"
        return float(path.read_text()) if path.exists() else None

    @property
    def error(self) -> str | None:
        """Why the job failed, once it has."""
        path = self.folder / "error"
        return path.read_text() if path.exists() else None

    def spikes(self, k: int) -> NDArray[Any]:
        """(steps, size) spikes or payloads of the k-th population."""
        raster: NDArray[Any] = np.load(self.folder / f"spikes{k}.npy", mmap_mode="r", allow_pickle=False)
        return raster

    def state(self, k: int) -> NDArray[Any]:
        """The k-th recorded state as Lava holds it: (steps, size), or (steps, states, size) of a `StepNeuron`."""
        trace: NDArray[Any] = np.load(self.folder / f"state{k}.npy", allow_pickle=False)
        return trace

    def weights(self, k: int) -> NDArray[Any]:
        """The weights of the k-th projection at the end, where it learns."""
        weights: NDArray[Any] = np.load(self.folder / f"weights{k}.npy", allow_pickle=False)
        return weights

    def _appear(self, name: str, text: str) -> None:
        partial = self.folder / f"{name}.part"
        partial.write_text(text)
        os.replace(partial, self.folder / name)
