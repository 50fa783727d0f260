"""Build of the compiled kernels. Everything else about the package is in pyproject.toml.

The folders ir/, backends/ and kernels/ ship as neurocomp.ir, neurocomp.backends and neurocomp.kernels. The state updates of
the built-in neurons are generated here from their equations: kernels/updates.pyx is written by backends/cpu/codegen.py.
"""

from __future__ import annotations

import os
import shutil
import sys
import types
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, find_packages, setup

ROOT = Path(__file__).resolve().parent
ROOMS = ("ir", "backends", "kernels")


def generate_updates() -> None:
    """Write kernels/updates.pyx and rules.pyx from the built-in models and rules, with only the text half of the compiler."""
    for name, folder in (
        ("neurocomp", ROOT),
        ("neurocomp.ir", ROOT / "ir"),
        ("neurocomp.backends", ROOT / "backends"),
        ("neurocomp.backends.cpu", ROOT / "backends" / "cpu"),
    ):
        module = types.ModuleType(name)
        module.__path__ = [str(folder)]
        sys.modules[name] = module
    from neurocomp.backends.cpu.codegen import builtin_module
    from neurocomp.backends.cpu.rulegen import builtin_rules_module

    for name, text in (("updates.pyx", builtin_module()), ("rules.pyx", builtin_rules_module())):
        target = ROOT / "kernels" / name
        if not target.exists() or target.read_text() != text:
            target.write_text(text)


def extensions() -> list[Extension]:
    """One extension per .pyx in kernels/. NC_DEBUG=1 turns bounds checks on, NC_SANITIZE=1 the sanitizers (`make sanitize`)."""
    from neurocomp.backends.cpu.codegen import EXACT, FAST

    debug, sanitize = (os.environ.get(name) == "1" for name in ("NC_DEBUG", "NC_SANITIZE"))
    checks = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"] if sanitize else []
    flags = [*(("-O1", "-g") if debug or sanitize else FAST), *EXACT, "-pthread", *checks]
    modules = [
        Extension(
            f"neurocomp.kernels.{source.stem}",
            [f"kernels/{source.name}"],
            include_dirs=["kernels", numpy.get_include()],
            depends=[f"kernels/{header.name}" for header in sorted((ROOT / "kernels").glob("*.h"))],
            extra_compile_args=flags,
            extra_link_args=["-pthread", *checks],
        )
        for source in sorted((ROOT / "kernels").glob("*.pyx"))
    ]
    # Cython maps dotted names to paths and knows nothing of package_dir: give it the .pxd files where it looks for them.
    headers = ROOT / "build" / "pxd"
    (headers / "neurocomp" / "kernels").mkdir(parents=True, exist_ok=True)
    for package in ("neurocomp", "neurocomp/kernels"):
        (headers / package / "__init__.pxd").touch()
    for source in (ROOT / "kernels").glob("*.pxd"):
        shutil.copy(source, headers / "neurocomp" / "kernels")
    directives = {"language_level": 3, "boundscheck": debug, "wraparound": False, "cdivision": True}
    options = {
        "include_path": [str(headers)],
        "compiler_directives": directives,
        "build_dir": "build/sanitize/cython" if sanitize else "build/cython",
    }
    return list(cythonize(modules, **options))  # type: ignore[no-untyped-call]


generate_updates()
exclude = [pattern for room in ROOMS for pattern in (room, f"{room}.*")]
inside = ["neurocomp", *(f"neurocomp.{name}" for name in find_packages("neurocomp", exclude=exclude))]
rooms = [f"neurocomp.{name}" for name in find_packages(".", include=exclude)]
setup(
    packages=inside + rooms,
    package_dir={"neurocomp": "neurocomp", **{f"neurocomp.{room}": room for room in ROOMS}},
    package_data={
        "neurocomp": ["py.typed"],
        "neurocomp.energy": ["page.css", "page.html", "profiles/*.toml"],
        "neurocomp.kernels": ["*.pyi", "*.h"],
        "neurocomp.ir.chips": ["*.toml"],
    },
    ext_modules=extensions(),
)
