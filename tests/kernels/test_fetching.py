"""Synapses are asked for before they are needed. A kernel that forgets to gives the same spikes, half as fast."""

from __future__ import annotations

import platform
import shutil
import subprocess

import pytest

from neurocomp.kernels import delivery, listed

FETCHES = {"x86_64": "prefetch", "AMD64": "prefetch", "aarch64": "prfm", "arm64": "prfm"}  # by machine, the instruction


@pytest.mark.skipif(shutil.which("objdump") is None, reason="objdump is not installed")
@pytest.mark.skipif(platform.machine() not in FETCHES, reason=f"no name is known for such instructions of {platform.machine()}")
@pytest.mark.parametrize("module", [delivery, listed], ids=["synapses", "rows of the calendar"])
def test_the_compiled_kernel_fetches_ahead(module):
    """GCC once left out every call of a function that only fetched, as one without effect."""
    code = subprocess.run(["objdump", "-d", module.__file__], capture_output=True, text=True, check=True).stdout
    assert f"\t{FETCHES[platform.machine()]}" in code
