"""The suite as a pytest plugin, in a process of its own and an empty folder: backends of other packages, skips, reports."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from neurocomp.conformance import CASES

LOOPBACK = Path(__file__).parent / "loopback"


@pytest.fixture
def run(tmp_path):
    """Pytest with the plugin and the package of backends, in an empty folder."""

    def call(*arguments, code=0, plugin=True):
        command = [sys.executable, "-m", "pytest", *(["-p", "neurocomp.conformance"] if plugin else []), *arguments]
        environment = {**os.environ, "PYTHONPATH": str(LOOPBACK), "PYTEST_ADDOPTS": "", "COLUMNS": "120"}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    return call


def test_another_packages_backend_passes(run):
    output = run("--backend=loopback", "-k", "delay or CobaLIF or plastic-soft-Dense-0", "-v", "-rs")
    assert "conformance: loopback (the reference by way of an entry point)" in output
    names = re.findall(r"loopback::(\S+) PASSED", output)
    assert {"Dense-delay-4", "CobaLIF-refractory", "plastic-soft-Dense-0"} <= set(names) <= set(CASES)
    assert len(names) == int(re.search(r"(\d+) passed", output).group(1)) > 12


def test_what_a_backend_lacks_is_skipped_with_its_reason(run):
    output = run("--backend=plain", "-k", "plastic-soft-Dense-0 or graded-Dense or chain", "-rs")
    assert "1 passed, 2 skipped" in output
    assert "this chip has no learning engine" in output
    assert "its packets carry no payload" in output


def test_a_lost_spike_is_reported_in_words(run):
    output = run("--backend=lossy", "-k", "LIF-value-euler and not Cuba", code=1)
    assert re.search(r"lossy and the reference differ on 'LIF-value-euler' \(40 steps\), first at", output)
    assert re.search(r"step \d+, '[hy]', neuron \d+: reference spikes, lossy does not spike", output)
    assert re.search(r"v on reference: \S+ -> \S+", output)
    assert "population h 7 LIF" in output
    assert "case = CASES['LIF-value-euler']" in output
    assert "print(nc.conform(case.network, case.inputs, case.steps, ['reference', 'lossy']))" in output
    assert "Traceback" not in output


def test_warnings_that_a_case_earns_are_no_errors(run):
    """Projects turn warnings into errors."""
    output = run("--backend=loopback", "-k", "mantissa or wide-accumulator", "-W", "error")
    assert "6 passed" in output
    assert "Warning" not in output


def test_random_networks_can_be_added(run):
    output = run("--backend=loopback", "--random=3", "--seed=70", "-k", "random-7", "-v")
    assert re.findall(r"loopback::(\S+) PASSED", output) == ["random-70", "random-71", "random-72"]


def test_backends_take_options_and_several_are_tested(run):
    output = run("--backend=cpu:threads=2", "--backend=loopback", "-k", "chain", "-v")
    assert "cpu:threads=2::chain PASSED" in output
    assert "loopback::chain PASSED" in output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--backend=tpu"], "there is no backend 'tpu'; there is reference, cpu, lava, absent, gone, loopback"),
        (["--backend=cpu:speed=9"], "cpu:speed=9: backend 'cpu' has no option 'speed'; it has threads, jit"),
        (["--backend=cpu:fast"], "cpu:fast: options are written as in cpu:threads=3"),
        (["--backend=cpu:threads=0"], "threads must be a whole number from 1 to 64, not 0"),
        (["--backend=numberless"], "float64 state, exact sums on a power-of-two grid: it does not declare this feature"),
        (["--backend=absent"], "no board is connected; plug one in"),
        (
            ["--backend=nothing"],
            "neurocomp_loopback:NoBackend of package 'neurocomp-loopback' is not a backend: it has no name",
        ),
        (["--backend=gone"], "neurocomp_loopback:Gone of package 'neurocomp-loopback' cannot be loaded"),
        (["--random=4"], "--random needs a backend to run the networks on: --backend=cpu"),
        (["--backend=cpu", "--random=-1"], "whole numbers of at least 0"),
    ],
)
def test_mistakes_are_usage_errors(run, arguments, words):
    output = run(*arguments, code=4)
    assert "ERROR: " in output
    assert words in output
    assert "Traceback" not in output


def test_an_entry_point_does_not_replace_a_backend_of_ours(run):
    assert "1 passed" in run("--backend=reference", "-k", "chain")


def test_a_run_without_backend_is_left_alone(run, tmp_path):
    """No item, no mark, nothing imported beyond the plugin: the cases are not even built."""
    (tmp_path / "test_mine.py").write_text(
        "import sys\n"
        "def test_mine():\n"
        "    assert 'neurocomp.conformance.plugin' in sys.modules\n"
        "    loaded = [x for x in sys.modules if x.startswith('neurocomp.conformance.')]\n"
        "    assert loaded == ['neurocomp.conformance.plugin']\n"
    )
    with_plugin, without = run("-v"), run("-v", "-k", "nothing", plugin=False, code=5)
    assert "1 passed" in with_plugin
    assert "conformance" not in re.sub(r"plugins:.*", "", with_plugin)
    assert "1 deselected" in without


def test_with_a_backend_only_named_files_are_collected_beside_it(run, tmp_path):
    (tmp_path / "test_mine.py").write_text("def test_mine_too(): pass\n")
    assert "1 passed" in run("--backend=loopback", "-k", "mine or chain")
    assert "2 passed" in run("--backend=loopback", "-k", "mine or chain", "test_mine.py")
