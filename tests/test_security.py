"""What the package never does with files and machines, checked on its source; attacks on its readers are in their own tests."""

import ast
import json
import os
from pathlib import Path

import numpy as np
import pytest

import neurocomp as nc

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("neurocomp", "ir", "backends", "kernels")
MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "marshal", "shelve", "joblib", "jsonpickle", "yaml"}
CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "pickle.load", "pickle.loads"}
ALLOWED = {  # (file, call): why it is safe
    ("ir/printers/numpy.py", "exec"): "text printed from a checked expression tree; no word of a user's text is copied into it",
    ("ir/printers/numpy.py", "compile"): "the same text",
    ("ir/printers/numpy.py", "eval"): "one such expression",
}


def trees():
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if not any(parent.is_symlink() for parent in path.parents):
                yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


def name_of(node):
    """`os.system` of the call `os.system(...)`."""
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def findings(tree):
    """(line, what) of everything dangerous."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            yield from ((node.lineno, name) for name in names if name.split(".")[0] in MODULES)
        if isinstance(node, ast.Call):
            name = name_of(node.func)
            if name in CALLS or (name == "compile" and node.func):
                yield node.lineno, name
            for word in node.keywords:
                true = isinstance(word.value, ast.Constant) and word.value.value is True
                if word.arg in ("shell", "allow_pickle") and true:
                    yield node.lineno, f"{word.arg}=True"


def test_no_pickle_no_eval_no_shell():
    found = [(name, line, what) for name, tree in trees() for line, what in findings(tree)]
    wrong = [f"{name}:{line} {what}" for name, line, what in found if (name, what) not in ALLOWED]
    assert not wrong, "\n".join(wrong)
    assert {(name, what) for name, _, what in found} >= {key for key in ALLOWED if key[1] == "exec"}


@pytest.mark.parametrize(
    "code",
    [
        "import pickle", "from pickle import loads", "import yaml.loader", "eval('1')", "exec(x)", "os.system('ls')",
        "__import__('os')", "subprocess.run('ls', shell=True)", "np.load(x, allow_pickle=True)", "compile(t, 'f', 'exec')",
    ],
)  # fmt: skip
def test_the_scan_sees_each_kind(code):
    assert list(findings(ast.parse(code)))


@pytest.mark.parametrize(
    "code", ["re.compile('x')", "np.load(x, allow_pickle=False)", "nc.compile(net)", "subprocess.run(['ls'])"]
)
def test_the_scan_lets_the_harmless_pass(code):
    assert not list(findings(ast.parse(code)))


def test_every_numpy_file_is_read_without_pickle():
    for name, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and name_of(node.func) == "np.load":
                words = {x.arg: getattr(x.value, "value", None) for x in node.keywords}
                assert words.get("allow_pickle") is False, f"{name}:{node.lineno}"


EVIL = "x if 0 else __import__('os').system('touch PWNED')"
FORGED = {
    "a name": ("Name", "id", EVIL),
    "a target": ("Assign", "target", "v = 0; import os #"),
    "an operator": ("Binary", "op", "if 1 else"),
    "a comparison": ("Compare", "op", "in"),
    "a function": ("Call", "function", "__import__"),
    "a function of other arguments": ("Call", "function", "where"),
    "a site": ("Call", "site", EVIL),
    "a sign": ("Unary", "op", "~"),
    "a number": ("Number", "value", EVIL),
    "a state": ("StepForm", "state", {"tuple": ["v'] or __import__('os') or ['"]}),
    "an input": ("StepForm", "inputs", {"tuple": ["a b"]}),
    "what is no expression": ("Binary", "left", EVIL),
    "a trace": ("RuleForm", "pre", {"tuple": ["x; y"]}),
    "a connective": ("Logic", "op", "xor"),
}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A compiled network's file: it holds programs as trees."""
    model = nc.NeuronModel(
        "Own",
        {"b": ""},
        step="v = v + a * (-b) + sin(v) + rand() * max(b, 1.0)",
        spike="v > 1.0 and b > 0.5",
        resets={"value": "v = 0.0"},
    )
    net = nc.Network("n", dt=1e-3)
    net.input("x", 2)
    net.population("p", model(b=1.0), 2)
    net.connect("x", "p", nc.Dense(np.ones((2, 2))), plasticity=nc.STDP())
    return nc.save(nc.compile(net, "reference").lowered, tmp_path_factory.mktemp("net") / "compiled")


@pytest.mark.parametrize("name", FORGED)
def test_programs_in_files_stay_inside_the_grammar(name, compiled, tmp_path, monkeypatch):
    """Backends print programs as code: a file must not bring in what no equation could say."""
    monkeypatch.chdir(tmp_path)
    kind, field, value = FORGED[name]
    with np.load(compiled, allow_pickle=False) as archive:
        arrays = dict(archive)
    body, changed = json.loads(arrays["network"].tobytes()), []

    def forge(item):
        if isinstance(item, dict):
            if item.get("type") == kind and not changed:
                item["fields"][field] = value
                changed.append(True)
            for inner in item.values():
                forge(inner)
        elif isinstance(item, list):
            for inner in item:
                forge(inner)

    forge(body)
    assert changed
    arrays["network"] = np.frombuffer(json.dumps(body).encode(), np.uint8)
    with open("forged.neurocomp", "wb") as stream:
        np.savez(stream, **arrays)
    for check in (True, False):
        with pytest.raises(nc.errors.FileFormatError, match=r"forged\.neurocomp: its description is damaged"):
            nc.load("forged.neurocomp", check=check)
    assert not os.path.exists("PWNED")
    assert nc.load(compiled, check=False).populations["p"].program is not None
