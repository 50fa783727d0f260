"""The compiled update of a step form: built in, from the user's cache, compiled now, or in NumPy where none of these can be."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import ExtensionFileLoader
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from neurocomp.backends.cpu.cache import Cache, CacheError, open_cache, untrusted
from neurocomp.backends.cpu.codegen import digest, module_source
from neurocomp.backends.cpu.rulegen import rule_digest, rules_source
from neurocomp.backends.cpu.toolchain import CannotCompileError, Compiler, build, find_compiler, fingerprint
from neurocomp.backends.steps import advance
from neurocomp.ir.plasticity import RuleForm
from neurocomp.ir.program import Moment, StepForm

JIT = ("auto", "require", "off")


@dataclass(frozen=True)
class Update:
    """What the engine calls for a step form.

    capsule, context: for `Engine.add_population`. how: where it comes from. story: the same in words, with the time it took,
    the folder, or why it is in NumPy. unkept: why the next process has to compile it again, "" where it need not.
    """

    capsule: object
    how: Literal["built in", "compiled", "cached", "numpy"]
    story: str
    unkept: str = ""
    context: object = None


def update_for(form: StepForm, jit: str = "auto") -> Update:
    """The update of a form. jit: "auto", "require" (fail where nothing can be compiled) or "off" (NumPy unless built in).

    Raises `CannotCompileError` where the form is too large for the kernel, and with "require".
    """
    from neurocomp.kernels.fallback import LIMITS
    from neurocomp.kernels.updates import TABLE

    key = digest(form)
    if key in TABLE:
        return Update(TABLE[key], "built in", "compiled with the package")
    for what, names, limit in zip(("inputs", "states", "constants"), _arrays(form), LIMITS, strict=True):
        if len(names) > limit:
            raise CannotCompileError(f"{len(names)} {what} exceed the kernel's {limit}; run it with target='reference'")
    if jit == "off":
        return _numpy(form, "jit='off'")
    try:
        return _own(_Module.of(form))
    except CannotCompileError as error:
        if jit == "require":
            raise
        return _numpy(form, str(error))


def rule_for(form: RuleForm) -> Update:
    """The compiled learning rule of a form. Raises `CannotCompileError`: rules have no NumPy form in the kernel."""
    from neurocomp.kernels.rules import TABLE

    key = rule_digest(form)
    if key in TABLE:
        return Update(TABLE[key], "built in", "compiled with the package")
    return _own(_Module.of_rule(form))


def _arrays(form: StepForm) -> tuple[Sequence[str], ...]:
    return form.inputs, form.state, form.constants


# ------------------------------------------------------------------------------------------------------------- compiled


@dataclass(frozen=True)
class _Module:
    """The extension module of one form. key: of the cache; digest: of the form in the module's table."""

    source: str
    key: str
    digest: str

    @staticmethod
    def of(form: StepForm) -> _Module:
        source = module_source([form])
        return _Module(source, fingerprint(source), digest(form))

    @staticmethod
    def of_rule(form: RuleForm) -> _Module:
        source = rules_source([form])
        return _Module(source, fingerprint(source), rule_digest(form))

    @property
    def name(self) -> str:
        return f"neurocomp_update_{self.key}"

    def load(self, library: Path) -> object:
        """The update in a library that was made from this source. Raises ImportError where it does not fit this machine."""
        loader = ExtensionFileLoader(self.name, str(library))
        spec = importlib.util.spec_from_file_location(self.name, library, loader=loader)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
        sys.modules[self.name] = module
        update: object = module.TABLE[self.digest]
        return update


def _own(module: _Module) -> Update:
    """The update from this process, the cache or the compiler."""
    loaded = sys.modules.get(module.name)
    if loaded is not None:
        return Update(loaded.TABLE[module.digest], "cached", "loaded before in this process")
    try:
        cache = open_cache()
    except CacheError as error:
        return _compile(module, find_compiler(), str(error))
    try:
        compiler = find_compiler()
        return _cached(module, cache, compiler.identity) or _compile_once(module, cache, compiler)
    except CannotCompileError:
        made_before = _cached(module, cache, "*")  # by a compiler that is no longer here
        if made_before is None:
            raise
        return made_before


def _cached(module: _Module, cache: Cache, compiler: str) -> Update | None:
    library = cache.find(module.key, compiler)
    try:
        return None if library is None else Update(module.load(library), "cached", f"loaded from {cache.path}")
    except ImportError:  # it was deleted just now, or made on a machine unlike this one
        return None


def _compile_once(module: _Module, cache: Cache, compiler: Compiler) -> Update:
    """Compile and keep it; of several processes that want the same, one does, and the others wait for it."""
    try:
        with cache.lock(module.key):
            return _cached(module, cache, compiler.identity) or _compile(module, compiler, cache)
    except CacheError as error:
        return _compile(module, compiler, str(error))


def _compile(module: _Module, compiler: Compiler, cache: Cache | str) -> Update:
    """Compile in a private folder and load. cache: to keep it in, or why there is none."""
    began = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory(prefix="neurocomp-", ignore_cleanup_errors=True) as name:
            folder = Path(name).resolve()
            problem = untrusted(folder)
            if problem:
                raise CannotCompileError(f"the folder for temporary files is not safe: {problem}")
            library = build(compiler, module.source, module.name, folder)
            capsule = module.load(library)
            unkept, kept = _keep(module, compiler, cache, library)
    except OSError as error:
        raise CannotCompileError(f"no place for temporary files ({error.strerror}): set TMPDIR to a folder with room") from None
    except ImportError as error:
        raise CannotCompileError(f"what {compiler.name} made cannot be loaded: {error}") from None
    return Update(capsule, "compiled", f"compiled in {time.perf_counter() - began:.1f} s{kept}", unkept)


def _keep(module: _Module, compiler: Compiler, cache: Cache | str, library: Path) -> tuple[str, str]:
    """(why it could not be kept, where it was)."""
    if isinstance(cache, str):
        return cache, ""
    try:
        cache.keep(module.key, compiler.identity, library)
    except CacheError as error:
        return str(error), ""
    return "", f", kept in {cache.path}"


# ---------------------------------------------------------------------------------------------------------------- NumPy


def _numpy(form: StepForm, why: str) -> Update:
    """The form in NumPy, called from the kernel."""
    from neurocomp.kernels.fallback import PythonUpdate

    counts = tuple(map(len, _arrays(form)))
    update = PythonUpdate(_step(form), *counts, dtype=form.dtype, graded=form.payload is not None)
    return Update(update.capsule, "numpy", f"in NumPy, as {why}", context=update)


Arrays = Sequence[NDArray[Any]]


def _step(form: StepForm) -> Any:
    """The form as the function that `PythonUpdate` takes: arrays in the form's order instead of by name."""
    program = advance(form)

    def step(inputs: Arrays, state: Arrays, constants: Arrays, now: tuple[int, float, int, int]) -> tuple[Arrays, Any]:
        number, t, key, first = now
        neurons = np.arange(first, first + len(inputs[0]), dtype=np.int64)
        values = dict(zip(form.state, state, strict=True))
        with np.errstate(all="ignore"):  # as compiled code
            sent = program(
                dict(zip(form.inputs, inputs, strict=True)),
                values,
                dict(zip(form.constants, constants, strict=True)),
                Moment(number, t, key, neurons),
            )
        return list(values.values()), sent

    return step
