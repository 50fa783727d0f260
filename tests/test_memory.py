"""What would not fit into memory is refused with the numbers and the cure, before anything of it is allocated."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest

import neurocomp as nc
from neurocomp.backends import memory
from neurocomp.conformance import CASES
from neurocomp.ir.errors import MemoryNeedError, NeurocompError, size_text


def population(size=1000):
    net = nc.Network("n", dt=1e-3)
    net.population("p", nc.LIF(tau=1e-2), size, bias=2.0)
    return net


@pytest.mark.parametrize("target", ["cpu", "reference", "lava"])
def test_a_network_beyond_any_machine_is_refused_at_once(target):
    net = nc.Network("huge", dt=1e-3)
    for name in "ab":
        net.population(name, nc.LIF(tau=1e-2), 10_000_000)
    net.connect("a", "b", nc.FixedProbability(0.1, weights=1.0))  # 10^13 synapses: listing them alone would take hours
    with pytest.raises(MemoryNeedError) as caught:
        nc.compile(net, target)
    text = str(caught.value)
    assert f"network 'huge' on target '{target}' would take " in text
    assert "GiB of memory are available; projection 'a->b' takes " in text
    assert "use fewer synapses" in text
    assert caught.value.needed > 1e13
    assert isinstance(caught.value, MemoryError)
    assert isinstance(caught.value, NeurocompError)


def test_recordings_that_cannot_be_kept_are_refused_before_the_run():
    program = nc.compile(population(), "cpu")
    program.run({}, 5)
    words = r"recording p\.v over 1000000000 steps would take 7,450\.6 GiB, but .* record fewer states, every n-th step only"
    with pytest.raises(MemoryNeedError, match=words):
        program.run({}, 10**9, ["p.v"], resume=True)
    assert program._now == 5
    with pytest.raises(MemoryNeedError, match=r"over 1000000 steps in 1000 runs would take 7,450\.6 GiB"):
        program.run_batch([{}] * 1000, 10**6, ["p.v"])
    assert len(program.run({}, 10**4, ["p.v"], every=1000)["p.v"]) == 10


def test_traces_to_compare_are_refused_before_the_first_target_runs(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 10**9)
    words = r"recording p\.v over 100000 steps in 2 runs would take 1\.5 GiB, but .*; compare spikes only \(states=False\)"
    with pytest.raises(MemoryNeedError, match=words):
        nc.conform(population(), {}, 100_000, ["reference", "cpu"])
    assert nc.conform(population(), {}, 100, ["reference", "cpu"]).identical


def test_the_dense_rasters_of_the_reference():
    program = nc.compile(population(), "reference")
    with pytest.raises(MemoryNeedError, match=r"1000000000 steps with dense rasters of spikes .* use target='cpu'"):
        program.run({}, 10**9)


def learning_net():
    net = nc.Network("n", dt=1e-3)
    net.input("x", 40)
    net.population("y", nc.LIF(tau=1e-2), 50)
    net.connect("x", "y", nc.Dense(np.ones((50, 40))), plasticity=nc.STDP())
    net.connect("x", "y", nc.FixedProbability(0.5, weights=0.1), plasticity=nc.STDP())
    return net


def test_what_learns_counts_with_all_it_remembers(monkeypatch):
    monkeypatch.setattr(memory, "SMALL", 0)
    monkeypatch.setattr(memory, "available", lambda: 1000)
    with pytest.raises(MemoryNeedError, match=r"projection 'x->y' takes 46\.9 KiB of it"):
        nc.compile(learning_net(), "cpu")
    monkeypatch.setattr(memory, "available", lambda: 10**6)
    program = nc.compile(learning_net(), "cpu")
    monkeypatch.setattr(memory, "available", lambda: 10)
    with pytest.raises(MemoryNeedError, match=r"recording x->y\.w over 3 steps would take 46\.9 KiB, but 10 bytes"):
        program.run({}, 3, ["x->y.w"])


def test_estimates_are_no_more_than_what_the_kernel_holds():
    """A refusal must never be wrong, so the estimate stays below; and it is of use, so not by much."""
    some, options = {name: case.network for name, case in CASES.items()}, {name: case.options for name, case in CASES.items()}
    for weights in (1.0, nc.Normal(1.0, 0.1)):
        net = some[f"pattern {weights}"] = population(2000)
        net.connect("p", "p", nc.FixedProbability(0.1, weights=weights), delay=1)
    compared = 0
    for name, net in some.items():
        estimate = sum(memory._of_projection(x, "cpu") for x in net.projections.values())
        if estimate < 10_000:
            continue
        compared += 1
        held = nc.compile(net, "cpu", **options.get(name, {}))._executable.synapse_bytes()
        assert 0.95 * estimate <= held <= 20 * estimate, name  # the size of a pattern is a matter of chance
    assert compared > 3


# ---------------------------------------------------------------------------------------------------- what is available


def files(folder, monkeypatch, **content):
    for name, text in content.items():
        (folder / name.replace("_", ".")).write_text(text)
    monkeypatch.setattr(memory, "MEMINFO", folder / "meminfo")
    monkeypatch.setattr(memory, "CGROUPS", ((folder / "memory.max", folder / "memory.current"),))


def test_the_systems_answer(tmp_path, monkeypatch):
    files(tmp_path, monkeypatch, meminfo="MemTotal: 100 kB\nMemAvailable:   50 kB\n")
    assert memory.available() == 50 * 1024


def test_a_containers_limit(tmp_path, monkeypatch):
    files(tmp_path, monkeypatch, meminfo="MemAvailable: 50 kB\n", memory_max="30000\n", memory_current="29000\n")
    (tmp_path / "memory.stat").write_text("anon 20000\ninactive_file 4000\nactive_file 1000\n")
    assert memory.available() == 6000


def test_a_container_without_limit(tmp_path, monkeypatch):
    files(tmp_path, monkeypatch, meminfo="MemAvailable: 50 kB\n", memory_max="max\n", memory_current="29000\n")
    assert memory.available() == 50 * 1024


def test_systems_without_such_files(tmp_path, monkeypatch):
    files(tmp_path, monkeypatch)
    assert memory.available() > 2**20


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 bytes"), (1023, "1,023 bytes"), (1536, "1.5 KiB"), (3 * 2**20, "3.0 MiB"), (2**43, "8,192.0 GiB")]
)
def test_sizes_for_people(size, text):
    assert size_text(size) == text


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits and measures address space as Linux does")
def test_memory_that_ends_while_spikes_are_recorded():
    code = """
        import resource
        import neurocomp as nc

        net = nc.Network("n", dt=1e-3)
        net.population("y", nc.IF(v_threshold=1.0), 2000, bias=2000.0)
        program = nc.compile(net, "cpu")
        short = program.run(steps=50)
        assert short.counters.spikes["y"] > 90_000
        used = int(next(x for x in open("/proc/self/status") if x.startswith("VmSize")).split()[1]) * 1024
        resource.setrlimit(resource.RLIMIT_AS, (used + 200 * 2**20, resource.getrlimit(resource.RLIMIT_AS)[1]))
        try:
            program.run(steps=100_000)  # 2.4 GB of spikes
        except MemoryError as error:
            print(error)
        assert program.run(steps=50)["y"].same_as(short["y"])
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "no memory left for recorded spikes; record fewer populations or fewer steps"
