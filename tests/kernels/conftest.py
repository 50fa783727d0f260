"""A C compiler, where the machine has one: the headers must give the same bits however they are compiled."""

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import pytest

KERNELS = Path(__file__).resolve().parents[2] / "kernels"
LEVELS = {"x86-64-v3": ("avx2", "fma", "bmi2"), "x86-64-v4": ("avx512f", "avx512dq", "avx512vl", "avx512bw")}
FLAGS = ["-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror"]


@pytest.fixture(scope="session")
def compile_c(tmp_path_factory):
    """compile_c(source, *flags) -> the library, compiled with these flags beside FLAGS; skips where that is impossible."""
    compiler = os.environ.get("CC", "cc")
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no C compiler {compiler}")

    def build(source, *flags):
        for flag in flags:
            missing = set(LEVELS.get(flag.removeprefix("-march="), ())) - _cpu_flags()
            if missing:
                pytest.skip(f"this processor has no {', '.join(sorted(missing))}")
        folder = tmp_path_factory.mktemp("c")
        (folder / "test.c").write_text(source)
        command = [compiler, *FLAGS, *flags, f"-I{KERNELS}", "-o", "test.so", "test.c"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return ctypes.CDLL(str(folder / "test.so"))

    return build


def _cpu_flags():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return next((set(line.split(":")[1].split()) for line in lines if line.startswith("flags")), set())
