"""From the text of a module to a shared library: Cython in this process, then the C compiler, without a shell."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import threading
from dataclasses import dataclass
from pathlib import Path

from neurocomp.backends.cpu.codegen import EXACT, FAST
from neurocomp.kernels import __path__ as kernel_folders

TIME_LIMIT = 120.0  # seconds for one C compilation
INSTALL = "apt install gcc (Debian, Ubuntu), dnf install gcc (Fedora) or xcode-select --install (macOS)"
_CYTHON = threading.Lock()  # its compiler keeps global state


class CannotCompileError(Exception):
    """This machine makes no compiled update. The message says why, and what to install."""


@dataclass(frozen=True)
class Compiler:
    """A C compiler. command: its words. identity: changes when it or Cython does."""

    command: tuple[str, ...]
    identity: str

    @property
    def name(self) -> str:
        """The command as the user knows it."""
        return " ".join((Path(self.command[0]).name, *self.command[1:]))


def headers() -> Path:
    """The folder of the headers that generated C includes."""
    return Path(next(iter(kernel_folders)))


def fingerprint(source: str) -> str:
    """What decides the compiled code, but for the compiler: text, headers, flags, Python's binary interface, C library."""
    parts = [source, *FAST, *EXACT, sysconfig.get_config_var("EXT_SUFFIX") or "", *platform.libc_ver()]
    digest = hashlib.sha256(repr(parts).encode())
    for header in sorted(headers().glob("*.h")):
        digest.update(f"\n{header.name}\n".encode() + header.read_bytes())
    return digest.hexdigest()[:32]


def find_compiler() -> Compiler:
    """The compiler named by the environment variable CC, else the one Python was built with, else any."""
    given = os.environ.get("CC")
    wanted = [given] if given else [sysconfig.get_config_var("CC") or "cc", "cc", "gcc", "clang"]
    if importlib.util.find_spec("Cython") is None:
        raise CannotCompileError("Cython is not installed: pip install Cython")
    for words in map(_words, wanted):
        program = shutil.which(words[0]) if words else None
        if program:
            return Compiler((program, *words[1:]), _identity(program, words))
    where = f"CC={given} names none" if given else f"looked for {', '.join(dict.fromkeys(wanted))}"
    raise CannotCompileError(f"there is no C compiler ({where}): {INSTALL}")


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # an open quote
        return []


def _identity(program: str, words: list[str]) -> str:
    """Known without running the compiler: an update of it changes its file."""
    from Cython.Shadow import __version__

    about = os.stat(program)
    parts = [words, os.path.realpath(program), about.st_size, about.st_mtime_ns, __version__]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def build(compiler: Compiler, source: str, module: str, folder: Path) -> Path:
    """Compile the .pyx text as extension module `module`, with all files in `folder`; returns the shared library.

    Raises `CannotCompileError` with the compiler's first error.
    """
    (folder / "update.pyx").write_text(source)
    _translate(folder / "update.pyx", folder / "update.c", module)
    paths = sysconfig.get_paths()
    if not Path(paths["include"], "Python.h").exists():
        raise CannotCompileError("Python's C headers are missing: apt install python3-dev, or dnf install python3-devel")
    linking = ["-bundle", "-undefined", "dynamic_lookup"] if sys.platform == "darwin" else ["-shared"]
    include = dict.fromkeys((str(headers()), paths["include"], paths["platinclude"]))
    command = [*compiler.command, *FAST, *EXACT, "-fPIC", *linking, *(f"-I{x}" for x in include), "update.c", "-o", "update.so"]
    _call(compiler, command, folder)
    if not (folder / "update.so").exists():
        raise CannotCompileError(f"{compiler.name} ended without an error and without a result; set CC to a C compiler")
    return folder / "update.so"


def _translate(pyx: Path, c: Path, module: str) -> None:
    from Cython.Compiler.Main import compile as cython

    with _CYTHON:
        result = cython(str(pyx), full_module_name=module, output_file=str(c), language_level=3)  # type: ignore[no-untyped-call]
    if result.num_errors:
        raise CannotCompileError("Cython refused the generated module: pip install -U Cython")


def _call(compiler: Compiler, command: list[str], folder: Path) -> None:
    environment = {**os.environ, "LC_ALL": "C", "TMPDIR": str(folder)}
    try:
        done = subprocess.run(  # noqa: S603 - words of our own, no shell
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIME_LIMIT,
        )
    except subprocess.TimeoutExpired:
        raise CannotCompileError(f"{compiler.name} took longer than {TIME_LIMIT:g} s") from None
    except OSError as error:
        raise CannotCompileError(f"{compiler.name} cannot be started ({error.strerror}): {INSTALL}") from None
    if done.returncode:
        lines = [x.strip() for x in done.stderr.splitlines() if x.strip()] or [f"exit status {done.returncode}"]
        raise CannotCompileError(f"{compiler.name} failed: {next((x for x in lines if 'error' in x.lower()), lines[0])}")
