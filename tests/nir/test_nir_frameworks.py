"""Random nets built, exported and run by other frameworks in their own environments: our spikes are theirs, cell by cell.

    python3 -m venv .venv-snntorch && .venv-snntorch/bin/pip install torch snntorch nir nirtorch
    python3 -m venv .venv-sinabs && .venv-sinabs/bin/pip install torch sinabs nir nirtorch

NEUROCOMP_SNNTORCH_PYTHON and NEUROCOMP_SINABS_PYTHON name other interpreters.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import neurocomp as nc
from neurocomp.importers.nir import from_nir

pytest.importorskip("h5py")
HERE = Path(__file__).resolve().parent
NETS = 24
TARGETS = ("reference", "cpu")


def stored_nets(framework, folder):
    python = Path(
        os.environ.get(f"NEUROCOMP_{framework.upper()}_PYTHON", HERE.parents[1] / f".venv-{framework}" / "bin" / "python")
    )
    if not python.exists():
        pytest.skip(f"no {framework} environment at {python}; the module's docstring says how to make one")
    script = HERE / f"framework_{framework}.py"
    done = subprocess.run([python, script, folder, str(NETS)], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return [np.load(folder / f"{k}.npz") for k in range(NETS)]


@pytest.mark.parametrize("framework", ["snntorch", "sinabs"])
def test_the_frameworks_spikes_cell_by_cell(framework, tmp_path):
    nets = stored_nets(framework, tmp_path)
    cells = spikes = 0
    for k, stored in enumerate(nets):
        dialect = str(stored["dialect"])
        net = from_nir(tmp_path / f"{k}.nir", dt=float(stored["dt"]) if "dt" in stored else None, dialect=dialect)
        expected = {key.removeprefix("spikes/"): stored[key] for key in stored if key.startswith("spikes/")}
        assert expected.keys() == net.populations.keys()
        for target in TARGETS:
            recording = nc.compile(net, target).run({"input": stored["input"]})
            for name, raster in expected.items():
                mine = recording[name].raster().reshape(raster.shape)
                differ = int((mine != raster.astype(bool)).sum())
                assert differ == 0, f"net {k} ({dialect}) on {target}: {name} differs in {differ} of {raster.size} cells"
                cells, spikes = cells + raster.size, spikes + int(raster.sum())
    assert spikes > 10_000


def test_the_comparison_can_fail(tmp_path):
    """Under a neighbouring dialect most of the same nets differ."""
    nets = stored_nets("snntorch", tmp_path)
    differ = 0
    for k, stored in enumerate(nets):
        if str(stored["dialect"]) == "snntorch-subtract":
            net = from_nir(tmp_path / f"{k}.nir", dialect="snntorch")
            recording = nc.compile(net, "cpu").run({"input": stored["input"]})
            names = [key.removeprefix("spikes/") for key in stored if key.startswith("spikes/")]
            differ += any(
                (recording[n].raster().reshape(stored[f"spikes/{n}"].shape) != stored[f"spikes/{n}"]).any() for n in names
            )
    assert differ >= 4
