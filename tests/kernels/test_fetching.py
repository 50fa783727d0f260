"""Synapses are asked for before they are needed. A kernel that forgets to gives the same spikes, in half as much time again."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess

import pytest

FETCHES = {"x86_64": "prefetch", "AMD64": "prefetch", "aarch64": "prfm", "arm64": "prfm"}  # by machine, the instruction


@pytest.mark.skipif(shutil.which("objdump") is None, reason="objdump is not installed")
@pytest.mark.skipif(platform.machine() not in FETCHES, reason=f"no name is known for such instructions of {platform.machine()}")
@pytest.mark.parametrize(("module", "function", "many"), [("delivery", "add_segments", 2), ("listed", "", 1)])
def test_the_compiled_kernel_fetches_ahead(module, function, many):
    """GCC once left out every call of a function that only fetched, as one without effect.

    many: functions of this name, one for each width of accumulators; each fetches before its loop and in it.
    """
    path = pytest.importorskip(f"neurocomp.kernels.{module}").__file__
    code = subprocess.run(["objdump", "-d", path], capture_output=True, text=True, check=True).stdout
    functions = re.split(r"^[0-9a-f]+ <", code, flags=re.MULTILINE)
    found = [x.count(f"\t{FETCHES[platform.machine()]}") for x in functions if function in x.partition(">:")[0]]
    assert sum(count >= 2 for count in found) >= many
