"""The house rules, checked on the source: who may import whom, what is compiled, how long files get."""

import ast
import os
from pathlib import Path

import pytest

from neurocomp.backends.cpu.codegen import digest
from neurocomp.ir.errors import EquationError
from neurocomp.ir.folding import fold_form
from neurocomp.ir.integrators import INTEGRATORS, scheme
from neurocomp.ir.neurons import BUILTIN

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("ir", "backends", "kernels")
ALLOWED = {  # room -> prefixes of our own modules it may import
    "ir": ("neurocomp.ir",),
    "kernels": ("neurocomp.kernels",),
    "backends": ("neurocomp.ir", "neurocomp.kernels", "neurocomp.backends"),
    "neurocomp": ("neurocomp",),
}
MAX_LINES = 400


def sources(room, *suffixes):
    for folder, inner, names in os.walk(ROOT / room):  # does not follow the links inside neurocomp/
        inner[:] = [name for name in inner if name != "__pycache__"]
        for name in sorted(names):
            if name.endswith(suffixes or (".py", ".pyi")):
                yield Path(folder) / name


def relative(path):
    return path.relative_to(ROOT).as_posix()


def imports(path):
    """(line, absolute module name) of every import, also those inside functions."""
    package = relative(path).split("/")[:-1]
    package = package if package[0] == "neurocomp" else ["neurocomp", *package]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            yield node.lineno, module
            if module == "neurocomp":  # `from neurocomp import ir` names a room too
                for alias in node.names:
                    if alias.name in ROOMS:
                        yield node.lineno, f"neurocomp.{alias.name}"


def within(module, prefixes):
    return any(module == prefix or module.startswith(prefix + ".") for prefix in prefixes)


@pytest.mark.parametrize("room", ALLOWED)
def test_imports_go_in_one_direction(room):
    wrong = [
        f"{relative(path)}:{line} imports {module}"
        for path in sources(room)
        for line, module in imports(path)
        if within(module, ["neurocomp"]) and not within(module, ALLOWED[room])
    ]
    assert not wrong, "\n".join(wrong)


def test_the_compiled_kernels_import_nothing_of_ours():
    wrong = []
    for path in sources("kernels", ".pyx", ".pxd"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            words = line.split()
            if words[:1] in (["import"], ["cimport"], ["from"]) and len(words) > 1:
                module = words[1]
                if module.startswith(".") or (within(module, ["neurocomp"]) and not within(module, ["neurocomp.kernels"])):
                    wrong.append(f"{relative(path)}:{number} {line.strip()}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("room", [*ALLOWED, "tests", "examples", "benchmarks", "docs"])
def test_nobody_imports_a_room_by_its_bare_name(room):
    """A bare `import ir` makes a second copy of every class, and squats on other people's names."""
    wrong = [
        f"{relative(path)}:{line} imports {module}"
        for path in sources(room, ".py", ".pyi")
        for line, module in imports(path)
        if module.split(".")[0] in ROOMS
    ]
    assert not wrong, "\n".join(wrong)


def test_the_import_scanner_sees_every_kind_of_import(tmp_path, monkeypatch):
    (tmp_path / "ir" / "passes").mkdir(parents=True)
    path = tmp_path / "ir" / "passes" / "bad.py"
    path.write_text(
        "import neurocomp.kernels.engine as e\n"
        "from neurocomp import backends\n"
        "from ..model import Neuron\n"
        "def f():\n    from neurocomp.backends.base import Record\n    import ir\n"
    )
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert sorted(imports(path)) == [
        (1, "neurocomp.kernels.engine"),
        (2, "neurocomp"),
        (2, "neurocomp.backends"),
        (3, "neurocomp.ir.model"),
        (5, "neurocomp.backends.base"),
        (6, "ir"),
    ]
    with pytest.raises(AssertionError, match="kernels"):
        test_imports_go_in_one_direction("ir")


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_are_linked_relatively(room):
    link = ROOT / "neurocomp" / room
    assert link.is_symlink()
    assert os.readlink(link) == f"../{room}"
    assert (link / "__init__.py").is_file()


def forms():
    """Every step form a built-in neuron can reach: model x integrator x reset x (as discretised, folded)."""
    for model in BUILTIN:
        for integrator in INTEGRATORS:
            for reset in model.resets or [None]:
                try:
                    form = scheme(model, integrator, reset).form
                except EquationError:
                    continue
                yield f"{model.name}-{integrator}-{reset}", form
                yield f"{model.name}-{integrator}-{reset}-folded", fold_form(form).form


def test_every_builtin_update_is_compiled():
    table = pytest.importorskip("neurocomp.kernels.updates").TABLE
    missing = [name for name, form in forms() if digest(form) not in table]
    assert not missing, "rebuild the kernels: " + ", ".join(missing)


def test_every_builtin_linear_model_has_every_integrator():
    names = {name for name, _ in forms()}
    for model in ("IF", "LIF", "CubaLIF"):
        for integrator in ("euler", "exponential", "exact"):
            for reset in ("value", "subtract"):
                assert {f"{model}-{integrator}-{reset}", f"{model}-{integrator}-{reset}-folded"} <= names


def code_lines(path):
    return sum(1 for line in path.read_text().splitlines() if line.strip() and not line.strip().startswith("#"))


def test_files_stay_short():
    """At most 400 lines of code each; what is generated does not count."""
    long = []
    for room in ALLOWED:
        for path in sources(room, ".py", ".pyx", ".pxd", ".h"):
            name = relative(path)
            if name in ("kernels/updates.pyx", "kernels/rules.pyx") or os.path.islink(path):
                continue
            lines = code_lines(path)
            if lines > MAX_LINES:
                long.append(f"{name}: {lines}")
    assert not long, "\n".join(long)
