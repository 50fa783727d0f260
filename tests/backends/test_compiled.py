"""Models of the user's own on the cpu backend: compiled, cached, and in NumPy where nothing can be compiled."""

from __future__ import annotations

import ctypes
import itertools
import os
import shutil
import signal
import stat
import subprocess
import sys
import sysconfig
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import neurocomp as nc
from neurocomp.backends.cpu import cache as cache_module
from neurocomp.backends.cpu import compiled, toolchain
from neurocomp.backends.cpu.cache import open_cache
from neurocomp.backends.cpu.compiled import update_for
from neurocomp.ir.errors import CacheWarning, NumpyFallbackWarning, UnsupportedError

pytest.importorskip("neurocomp.kernels.fallback")

NUMBERS = itertools.count(1)
WORDS = {"value": "v = 0.0"}
needs_compiler = pytest.mark.skipif(
    shutil.which((os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]) is None,
    reason="there is no C compiler",
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache of the test's own, not created yet."""
    monkeypatch.setenv("NEUROCOMP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """The C compiler behind a script that notes each call: a function that says how many there were."""
    real = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()
    log, script = tmp_path / "calls", tmp_path / "cc"
    script.write_text(f'#!/bin/sh\necho call >> {log}\nexec {" ".join(real)} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("CC", str(script))
    return lambda: len(log.read_text().splitlines()) if log.exists() else 0


def model(number=None):
    """A model that no other test has, unless its number is given."""
    number = next(NUMBERS) if number is None else number
    return nc.NeuronModel("Mine", {"k": ""}, step=f"v = v * k + a * a - {number}e-9", spike="v > 1.0", resets=WORDS)


def network(*models, size=5):
    """Input x onto a population p0, p1, ... of each model."""
    net = nc.Network("own", dt=1e-3)
    net.input("x", size)
    for k, mine in enumerate(models):
        net.population(f"p{k}", mine(k=0.5), size)
        net.connect("x", f"p{k}", nc.OneToOne(0.75), delay=1)
    return net


def form(mine):
    return nc.compile(network(mine), "reference").lowered.populations["p0"].program.form


def story(program):
    return [line for line in program.explain().splitlines() if line.startswith("[cpu]")]


def same(net, program, inputs, steps=40, record=("spikes",), **options):
    """Whether a program gives the bits of the reference; there must be spikes."""
    expected = nc.compile(net, "reference", **options).run(inputs, steps, record)
    result = program.run(inputs, steps, record)
    assert sum(map(len, expected.spikes.values())) > 0
    return nc.compare(expected, result) == []


def works(program, net):
    return same(net, program, {"x": np.random.default_rng(0).random((40, 5)) < 0.5}, record=["spikes", "p0.v"])


def forget():
    """As a new process that has loaded nothing."""
    for name in [name for name in sys.modules if name.startswith("neurocomp_update_")]:
        del sys.modules[name]


# ----------------------------------------------------------------------------------------------------------- same numbers

OWN = {
    "states that swap": {"step": "w = v + u\nu = v\nv = a + 0.5 * w", "spike": "v > 2.0", "resets": {"r": "v = u; w = 0.0"}},
    "time and noise": {"step": "v = 0.5 * v + a + randn() * rand() + sin(t)", "spike": "v > 1.0", "resets": WORDS},
    "functions": {
        "step": "v = tanh(a) + sigmoid(v) * exp(-abs(v)) + log1p(max(a, 0.0)) ** 1.5",
        "spike": "v > 0.7 and not (v > 5.0)",
        "resets": WORDS,
    },
    "payloads": {"step": "v = v + 3.7 * a", "spike": "v > 1.0", "payload": "v", "resets": WORDS, "max_payload": 7},
    "two inputs": {"receptors": ("plus", "minus"), "step": "v = v + plus - 0.5 * minus", "spike": "v > 1.0", "resets": WORDS},
    "no spikes": {"step": "v = 0.875 * v + a * a"},
    "integers": {
        "step": "v = v + (a << 3) - shift(v, -2)",
        "spike": "v > 40",
        "resets": {"r": "v = v - 40"},
        "arithmetic": "loihi",
    },
    "names of C": {
        "parameters": dict.fromkeys(("int", "double", "NULL", "j", "n", "now", "fired", "inputs", "nc_exp", "EOF"), ""),
        "step": "struct = struct * 0.5 + a * (int + double + NULL + j)\n"
        "sent = n + now + fired + inputs + nc_exp + EOF\nv = sent + struct",
        "spike": "v > 5.0",
        "resets": WORDS,
    },
}


def own_network(definition, size=700):
    definition = {"parameters": {}, **definition}
    mine = nc.NeuronModel("Own", **definition)
    net = nc.Network("own", dt=1e-3)
    net.input("x", 30)
    net.population("y", mine(**dict.fromkeys(mine.parameters, 0.5)), size)
    net.population("z", nc.LoihiLIF(du=4095, dv=4095, vth=1) if mine.arithmetic == "loihi" else nc.LIF(tau=5e-3), 4)
    rng = np.random.default_rng(0)
    weights = rng.integers(-9, 9, (size, 30)) if mine.arithmetic == "loihi" else rng.normal(0.3, 0.5, (size, 30))
    for receptor in mine.inputs:
        net.connect("x", "y", nc.Dense(weights), delay=1, **({"receptor": receptor} if mine.receptors else {}))
    net.connect("x", "z", nc.Dense(np.full((4, 30), 100)))
    return net, [f"y.{state}" for state in mine.state]


@pytest.mark.parametrize("definition", OWN.values(), ids=OWN.keys())
@pytest.mark.parametrize("jit", [pytest.param("require", marks=needs_compiler), "off"])
def test_compiled_and_numpy_give_the_bits_of_the_reference(definition, jit, tmp_path, monkeypatch):
    net, states = own_network(definition)
    inputs = {"x": np.random.default_rng(1).random((40, 30)) < 0.2}
    for threads in (1, 2):
        program = nc.compile(net, "cpu", threads=threads, jit=jit)
        assert ("in NumPy" in story(program)[0]) == (jit == "off")
        assert same(net, program, inputs, record=["spikes", *states])


# --------------------------------------------------------------------------------------------------------------- cache

CHILD = """
import sys, neurocomp as nc
mine = nc.NeuronModel("Mine", {"k": ""}, step="v = v * k + a * a + 0.125", spike="v > 1.0", resets={"value": "v = 0.0"})
net = nc.Network("own", dt=1e-3)
net.input("x", 2)
net.population("p", mine(k=0.5), 2)
net.connect("x", "p", nc.OneToOne(0.75), delay=1)
program = nc.compile(net, "cpu")
print(len(program.run({"x": [[1, 0]] * 20})["p"]), [x for x in program.explain().splitlines() if x.startswith("[cpu]")][0])
"""


def child(before=None, **environment):
    """A process that compiles one model, after `before()`; variables that are None are unset."""
    return subprocess.Popen(
        [sys.executable, "-B", "-W", "always", "-c", CHILD],
        env={name: value for name, value in {**os.environ, **environment}.items() if value is not None},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=before,
    )


def said(process):
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    count, _, text = out.strip().partition(" ")
    return int(count), text, error


@needs_compiler
def test_the_second_process_compiles_nothing(cache, calls):
    count, text, error = said(child())
    assert "update of Mine compiled in" in text
    assert f"kept in {cache}" in text
    assert (calls(), error) == (1, "")
    for environment in ({}, {"PATH": "", "CC": ""}, {"CC": "/bin/false"}):  # even where the compiler is gone by now
        assert said(child(**environment)) == (count, f"[cpu] population 'p': update of Mine loaded from {cache}", "")
    assert calls() == 1
    (library,) = cache.iterdir()  # no lock, nothing half made
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    assert stat.S_IMODE(library.stat().st_mode) == 0o600


@needs_compiler
def test_eight_processes_at_once_compile_once(cache, calls):
    answers = [said(process) for process in [child() for _ in range(8)]]
    assert len({count for count, _, _ in answers}) == 1
    assert sum("compiled in" in text for _, text, _ in answers) == 1
    assert sum("loaded from" in text for _, text, _ in answers) == 7
    assert [error for _, _, error in answers] == [""] * 8
    assert calls() == 1
    assert len(list(cache.iterdir())) == 1


@needs_compiler
def test_threads_at_once_compile_each_model_once(calls):
    forms = [form(model()) for _ in range(2)] * 3
    barrier = threading.Barrier(len(forms))

    def get(one):
        barrier.wait(30)
        return update_for(one, "require").how

    with ThreadPoolExecutor(len(forms)) as pool:
        assert sorted(pool.map(get, forms)) == ["cached"] * 4 + ["compiled"] * 2
    assert calls() == 2


def no_library(path):
    """What its name says, but nothing that can be loaded."""
    content = b"not a library"
    path.unlink()
    name = f"{path.stem.rpartition('-')[0]}-{cache_module.hashlib.sha256(content).hexdigest()}.so"
    path.with_name(name).write_bytes(content)


def flipped(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def linked(path):
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


DAMAGE = {
    "truncated": lambda path: os.truncate(path, 5000),
    "empty": lambda path: os.truncate(path, 0),
    "one bit": flipped,
    "no library": no_library,
    "open to all": lambda path: path.chmod(0o666),
    "a link": linked,
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@needs_compiler
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damaged_files_are_not_loaded_but_replaced(damage, cache, monkeypatch, recwarn):
    mine = form(model())
    assert update_for(mine, "require").how == "compiled"
    (library,) = cache.glob("*.so")
    intact = library.read_bytes()
    damage(library)
    forget()
    again = update_for(mine, "require")
    assert again.how == "compiled"
    forget()
    if damage is DAMAGE["a folder"]:  # which nothing of ours makes, so nothing of ours removes it
        assert "takes no files" in again.unkept
        return
    assert again.unkept == ""
    assert update_for(mine, "require").how == "cached"
    (library,) = cache.glob("*.so")
    assert library.read_bytes()[:4] == intact[:4]
    assert not list(cache.glob("*.new")) + list(cache.glob("*.lock"))


@needs_compiler
def test_the_key_changes_with_what_decides_the_code(tmp_path, monkeypatch):
    source = compiled.module_source([form(model(0))])
    keys = {toolchain.fingerprint(source), toolchain.fingerprint(source + " ")}
    copied = tmp_path / "kernels"
    shutil.copytree(toolchain.headers(), copied, ignore=lambda _, names: [x for x in names if not x.endswith(".h")])
    monkeypatch.setattr(toolchain, "headers", lambda: copied)
    assert toolchain.fingerprint(source) in keys
    (copied / "maths.h").write_text((copied / "maths.h").read_text() + "\n")
    keys.add(toolchain.fingerprint(source))
    monkeypatch.setattr(toolchain, "EXACT", (*toolchain.EXACT, "-g"))
    keys.add(toolchain.fingerprint(source))
    assert len(keys) == 4


@needs_compiler
def test_another_compiler_compiles_again(calls, tmp_path):
    mine = form(model())
    assert update_for(mine).how == "compiled"
    forget()
    assert update_for(mine).how == "cached"
    forget()
    with (tmp_path / "cc").open("a") as script:  # an update of the compiler
        script.write("\n")
    assert update_for(mine).how == "compiled"
    assert calls() == 2


def test_where_the_cache_is(monkeypatch, tmp_path):
    assert cache_module.location() == tmp_path / "cache"
    monkeypatch.delenv("NEUROCOMP_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_module.location() == tmp_path / "xdg" / "neurocomp"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    assert cache_module.location() == tmp_path / ".cache" / "neurocomp"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache_module.location() == tmp_path / "Library" / "Caches" / "neurocomp"


def test_new_folders_are_private_whatever_the_umask(cache, monkeypatch):
    monkeypatch.setenv("NEUROCOMP_CACHE", str(cache / "deep" / "er"))
    before = os.umask(0)
    try:
        assert open_cache().path == cache / "deep" / "er"
    finally:
        os.umask(before)
    for folder in (cache, cache / "deep", cache / "deep" / "er"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


# -------------------------------------------------------------------------------------------------- caches not to be used


def open_to_all(path):
    path.mkdir()
    path.chmod(0o777)


def open_to_the_group(path):
    path.mkdir()
    path.chmod(0o770)


def below_an_open_folder(path):
    path.parent.chmod(0o777)


def linked_to_an_open_folder(path):
    open_to_all(path.with_name("open"))
    path.symlink_to("open")


def of_another_user(path):
    if os.geteuid() != 0:
        pytest.skip("only root can give folders away")
    path.mkdir()
    os.chown(path, 12345, 12345)


def in_a_place_without_files(path):
    if not Path("/proc/self").exists():
        pytest.skip("there is no /proc")
    os.environ["NEUROCOMP_CACHE"] = "/proc/neurocomp"


def links_in_a_circle(path):
    path.symlink_to(path.name)


UNUSABLE = {
    open_to_all: ["others can write", "cache (mode 0777)", "chmod go-w"],
    open_to_the_group: ["others can write", "(mode 0770)"],
    below_an_open_folder: ["others can write", "(mode 0777)"],
    linked_to_an_open_folder: ["others can write", "open (mode 0777)"],
    of_another_user: ["another user", "12345"],
    in_a_place_without_files: ["cannot be created", "/proc/neurocomp"],
    links_in_a_circle: ["cannot be created"],
    Path.touch: ["is not a folder"],
}


@needs_compiler
@pytest.mark.parametrize("prepare", UNUSABLE, ids=lambda prepare: prepare.__name__)
def test_a_cache_that_cannot_be_trusted_or_written_is_not_used_and_that_is_said(prepare, cache, tmp_path):
    prepare(cache)
    net = network(model())
    try:
        with pytest.warns(CacheWarning, match="for this process only") as warned:
            program = nc.compile(net, "cpu", jit="require")
        (warning,) = warned
        assert warning.filename == __file__
        for word in [*UNUSABLE[prepare], "population 'p0': update of Mine", "NEUROCOMP_CACHE"]:
            assert word in str(warning.message)
        assert works(program, net)
        assert not list(tmp_path.rglob("*.so"))
    finally:
        tmp_path.chmod(0o700)


def obey_permissions():
    """As root, give up writing where the owner may not."""
    if os.geteuid() == 0:
        ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE


@needs_compiler
@pytest.mark.skipif(sys.platform != "linux", reason="root keeps its powers elsewhere")
@pytest.mark.parametrize("made_before", [False, True])
def test_a_read_only_home(made_before, tmp_path):
    home = tmp_path / "home"
    (home / ".cache").mkdir(parents=True, mode=0o700)
    variables = {"HOME": str(home), "NEUROCOMP_CACHE": None, "XDG_CACHE_HOME": None}
    if made_before:
        said(child(**variables))
    for folder in (*home.rglob("neurocomp"), home / ".cache", home):
        folder.chmod(0o500)
    try:
        _, text, error = said(child(obey_permissions, **variables))
    finally:
        for folder in (home, home / ".cache"):
            folder.chmod(0o700)
    if made_before:  # reading is enough
        assert (f"loaded from {home}/.cache/neurocomp" in text, error) == (True, "")
    else:
        assert "compiled in" in text
        assert "CacheWarning: compiled for this process only" in error
        assert "Permission denied" in error


@needs_compiler
@pytest.mark.parametrize("call", ["mkstemp", "replace", "write"])
def test_a_full_disk_under_the_cache(call, cache, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    class Full:
        def __init__(self, number):
            self.number = number

        def __enter__(self):
            return self

        def __exit__(self, *error):
            os.close(self.number)

        write = full

    if call == "mkstemp":
        monkeypatch.setattr(cache_module.tempfile, "mkstemp", full)
    elif call == "replace":
        monkeypatch.setattr(cache_module.os, "replace", full)
    else:
        monkeypatch.setattr(cache_module.os, "fdopen", lambda number, mode: Full(number))
    update = update_for(form(model()), "require")
    assert update.how == "compiled"
    assert "takes no files (No space left on device)" in update.unkept
    assert list(cache.iterdir()) == []


@needs_compiler
def test_a_full_disk_under_everything(cache, tmp_path):
    """The largest file may have 20000 bytes: nothing can be compiled, and nothing stays behind."""
    resource = pytest.importorskip("resource")

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))

    (tmp_path / "tmp").mkdir(mode=0o700)
    count, text, error = said(child(limit, TMPDIR=str(tmp_path / "tmp")))
    assert "in NumPy, as" in text
    assert "NumpyFallbackWarning" in error
    assert count > 0
    assert list((tmp_path / "tmp").iterdir()) + list(cache.iterdir()) == []


@needs_compiler
def test_a_lock_that_is_never_released(cache, monkeypatch):
    mine = form(model())
    monkeypatch.setattr(cache_module, "LOCK_SECONDS", 0.3)
    with open_cache().lock(compiled._Module.of(mine).key):
        update = update_for(mine, "require")
    assert update.how == "compiled"
    assert "cannot be locked (held by another process" in update.unkept
    assert list(cache.iterdir()) == []


@needs_compiler
def test_a_lock_file_that_a_dead_process_left_stops_nobody(cache):
    mine = form(model())
    cache.mkdir(mode=0o700)
    (cache / f"{compiled._Module.of(mine).key}.lock").touch()
    assert update_for(mine, "require").unkept == ""
    assert not list(cache.glob("*.lock"))


def test_locks_exclude_each_other(cache):
    inside, most = [], []

    def work(_):
        with open_cache().lock("key"):
            inside.append(1)
            most.append(len(inside))
            inside.pop()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(40)))
    assert most == [1] * 40
    with pytest.raises(ZeroDivisionError), open_cache().lock("key"):
        1 / 0  # noqa: B018
    assert list(cache.iterdir()) == []


# ---------------------------------------------------------------------------------------------------- without a compiler


def compiler_script(monkeypatch, tmp_path, text):
    script = tmp_path / "broken-cc"
    script.write_text(f"#!/bin/sh\n{text}\n")
    script.chmod(0o755)
    monkeypatch.setenv("CC", str(script))


def no_path(monkeypatch, tmp_path):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", "")


def no_cython(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "Cython", None)


def no_python_headers(monkeypatch, tmp_path):
    monkeypatch.setattr(toolchain.sysconfig, "get_paths", lambda: {"include": str(tmp_path), "platinclude": str(tmp_path)})


def slow(monkeypatch, tmp_path):
    monkeypatch.setattr(toolchain, "TIME_LIMIT", 0.3)
    compiler_script(monkeypatch, tmp_path, "exec sleep 60")


def wrong(monkeypatch, tmp_path):
    compiler_script(monkeypatch, tmp_path, "echo 'In file x' >&2; echo 'update.c:7: error: no such thing' >&2; exit 1")


def makes_rubbish(monkeypatch, tmp_path):
    compiler_script(monkeypatch, tmp_path, "echo rubbish > update.so")


def not_a_program(monkeypatch, tmp_path):
    compiler_script(monkeypatch, tmp_path, "")
    (tmp_path / "broken-cc").write_bytes(b"\0\1\2")


def no_room(monkeypatch, tmp_path):
    monkeypatch.setattr(compiled.tempfile, "tempdir", str(tmp_path / "missing"))


def open_temporary_folder(monkeypatch, tmp_path):
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o777)
    monkeypatch.setattr(compiled.tempfile, "tempdir", str(tmp_path / "tmp"))


def command(text):
    def prepare(monkeypatch, tmp_path):
        monkeypatch.setenv("CC", text)

    prepare.__name__ = f"CC={text}"
    return prepare


NO_COMPILER = {
    no_path: ["there is no C compiler (looked for", "apt install gcc", "xcode-select --install"],
    no_cython: ["Cython is not installed: pip install Cython"],
    no_python_headers: ["Python's C headers are missing", "python3-dev"],
    slow: ["broken-cc took longer than 0.3 s"],
    wrong: ["broken-cc failed: update.c:7: error: no such thing"],
    makes_rubbish: ["what broken-cc made cannot be loaded"],
    not_a_program: ["broken-cc cannot be started"],
    no_room: ["no place for temporary files", "TMPDIR"],
    open_temporary_folder: ["not safe", "others can write"],
    command("/bin/false"): ["false failed: exit status 1"],
    command("/bin/true"): ["true ended without an error and without a result"],
    command("no-such-compiler -O2"): ["CC=no-such-compiler -O2 names none", "apt install gcc"],
    command("cc; touch was-here"): ["names none"],
    command("cc '"): ["names none"],
}


@pytest.mark.parametrize("prepare", NO_COMPILER, ids=lambda prepare: prepare.__name__)
def test_without_a_compiler_numpy_gives_the_same_bits_and_says_so(prepare, monkeypatch, tmp_path, cache):
    net = network(model(), model())
    monkeypatch.chdir(tmp_path)
    prepare(monkeypatch, tmp_path)
    with pytest.warns(NumpyFallbackWarning, match="not compiled") as warned:
        program = nc.compile(net, "cpu", threads=2)
    (warning,) = warned  # one, though two populations are concerned
    assert warning.filename == __file__
    for word in [*NO_COMPILER[prepare], "'p0'", "'p1'", "Mine", "jit='off'"]:
        assert word in str(warning.message)
    with pytest.raises(UnsupportedError, match=r"population 'p0' of Mine: ") as refused:
        nc.compile(net, "cpu", jit="require")
    for word in NO_COMPILER[prepare]:
        assert word in str(refused.value)
    assert all("in NumPy, as" in line for line in story(program))
    assert works(program, net)
    assert not cache.exists() or list(cache.iterdir()) == []
    assert not (tmp_path / "was-here").exists()


def test_jit_off_is_silent_and_compiles_nothing(calls, recwarn, cache):
    net = network(model())
    program = nc.compile(net, "cpu", jit="off")
    assert story(program) == ["[cpu] population 'p0': update of Mine in NumPy, as jit='off'"]
    assert works(program, net)
    assert (calls(), len(recwarn), cache.exists()) == (0, 0, False)


@pytest.mark.parametrize("jit", ["on", None, True])
def test_jit_is_one_of_three(jit):
    with pytest.raises(UnsupportedError, match=r"jit is one of 'auto', 'require', 'off', not"):
        nc.compile(network(model()), "cpu", jit=jit)


def test_built_in_models_need_none_of_this(cache, monkeypatch):
    monkeypatch.setenv("CC", "/bin/false")
    net = nc.Network("n", dt=1e-3)
    net.population("p", nc.LIF(tau=1e-2, v_leak=2.0), 5)
    program = nc.compile(net, "cpu", jit="require")
    assert story(program) == []
    assert not cache.exists()


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        ({"step": "\n".join(f"s{k} = s{k} + a" for k in range(17))}, "17 states exceed the kernel's 16"),
        ({"receptors": tuple(f"r{k}" for k in range(9)), "step": "v = v + r0"}, "9 inputs exceed the kernel's 8"),
        (
            {"parameters": {f"k{k}": "" for k in range(64)}, "step": f"v = v + {' + '.join(f'k{k}' for k in range(64))}"},
            "64 constants",
        ),
    ],
    ids=["states", "inputs", "constants"],
)
def test_models_too_large_for_the_kernel_are_refused(definition, words):
    mine = nc.NeuronModel("Large", **{"parameters": {}, **definition})
    net = nc.Network("n", dt=1e-3)
    net.population("p", mine(**dict.fromkeys(mine.parameters, 1.0)), 2)
    for jit in ("auto", "off"):
        with pytest.raises(UnsupportedError, match=f"'p' of Large: {words}.*target='reference'"):
            nc.compile(net, "cpu", jit=jit)


# ------------------------------------------------------------------------------------------------- exceptions in a step


def failing(monkeypatch, fail, at=3):
    """Programs in NumPy whose step number `at` does something else first."""
    original = compiled._step

    def broken(one):
        step = original(one)

        def instead(inputs, state, constants, now):
            if now[0] == at:
                fail()
            return step(inputs, state, constants, now)

        return instead

    monkeypatch.setattr(compiled, "_step", broken)


def bad():
    raise LookupError("lost")


def endless(threads):
    """A program that can run for ever, as nothing is recorded and nothing comes in; what it gives in three steps."""
    mine, net = model(), nc.Network("alone", dt=1e-3)
    net.population("p0", mine(k=0.5), 1200, bias=0.7)
    expected = nc.compile(net, "reference").run({}, 3, ["p0.v"])["p0.v"]
    return nc.compile(net, "cpu", jit="off", threads=threads), expected


@pytest.mark.parametrize("threads", [1, 2])
def test_an_exception_ends_the_run_and_is_raised(threads, monkeypatch):
    failing(monkeypatch, bad)
    program, expected = endless(threads)
    for _ in range(2):
        with pytest.raises(LookupError, match="lost"):
            program.run({}, steps=2**40, record=[])
        assert program.run({}, 3, ["p0.v"])["p0.v"].tobytes() == expected.tobytes()  # it fails at step 3 only


@pytest.mark.parametrize("threads", [1, 2])
def test_an_interrupt_in_a_step_is_raised(threads, monkeypatch):
    failing(monkeypatch, lambda: signal.raise_signal(signal.SIGINT))
    program, expected = endless(threads)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            program.run({}, steps=2**40, record=[])
    finally:
        signal.signal(signal.SIGINT, before)
    assert program.run({}, 3, ["p0.v"])["p0.v"].tobytes() == expected.tobytes()


def test_numerical_trouble_is_as_silent_as_in_compiled_code(recwarn):
    mine = nc.NeuronModel("M", {"k": ""}, step="v = (v + k) / (a - a) + sqrt(-k)", spike="v > 1.0", resets=WORDS)
    net = network(mine)
    for jit in ("off", "auto"):
        trace = nc.compile(net, "cpu", jit=jit).run({}, 3, ["p0.v"])["p0.v"]
        assert np.isnan(trace).all()
    assert not [x for x in recwarn if issubclass(x.category, RuntimeWarning)]
