"""Fuzzing: what the generator reaches, that broken backends are found and made small, and the command around it."""

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from neurocomp.backends import registry
from neurocomp.backends.base import Support
from neurocomp.backends.reference import ReferenceBackend
from neurocomp.cli import main
from neurocomp.conformance import fuzzing, load_case, random_case, replay, save_case
from neurocomp.conformance.draws import Draws
from neurocomp.conformance.fuzzing import Tally, campaign, drawn, seeds_from
from neurocomp.conformance.runs import Target, baseline
from neurocomp.conformance.shrinking import shrink
from neurocomp.differences import compare
from neurocomp.ir import files
from neurocomp.ir.errors import InputError
from neurocomp.ir.neurons import BUILTIN
from neurocomp.ir.patterns import DrawnDelays
from neurocomp.ir.plasticity.rules import BUILTIN_RULES


class Hasty(ReferenceBackend):
    """Delivers all spikes of a projection with the shortest of its delays."""

    name = "hasty"

    def lower(self, net):
        late = {name: x for name, x in net.projections.items() if np.ndim(x.delay) and x.min_delay != x.max_delay}
        return super().lower(net.with_changes(projections={k: replace(x, delay=x.min_delay) for k, x in late.items()}))


class Forgetful(ReferenceBackend):
    """Starts each piece of a run from the initial state."""

    name = "forgetful"

    def lower(self, net):
        executable = super().lower(net)
        run = executable.run

        def run_afresh(*given):
            executable.reset()
            return run(*given)

        executable.run = run_afresh
        return executable


class Crashing(ReferenceBackend):
    """Cannot take a bias."""

    name = "crashing"

    def lower(self, net):
        if any(np.any(x.bias) for x in net.populations.values()):
            raise ZeroDivisionError("bias")
        return super().lower(net)


@pytest.fixture
def broken(request):
    """Register a backend for a test."""

    def register(backend):
        registry.register(backend.name, backend)
        request.addfinalizer(lambda: registry.unregister(backend.name))
        return backend.name

    return register


# ----------------------------------------------------------------------------------------------------------- generator


@pytest.fixture(scope="module")
def many():
    return [random_case(seed) for seed in range(600)]


def test_the_generator_reaches_everything_there_is(many):
    seen = Counter()
    for case in many:
        net = case.network
        seen.update(f"option {name}={value}" for name, value in case.options.items())
        seen[f"dt {net.dt}"] += 1
        seen["part"] += any("." in name for name in net.nodes)
        for x in net.inputs.values():
            own = x.name not in case.inputs
            seen[f"input {'own' if own and x.spikes else 'silent' if own else 'given'}"] += 1
        for x in net.populations.values():
            seen[f"neuron {x.neuron.model.name.removeprefix('Refractory')}"] += 1
            seen[f"reset {x.neuron.reset}"] += 1
            seen[f"integrator {x.neuron.integrator}"] += 1
            seen["refractory"] += "t_ref" in x.neuron.parameters
            seen["initial"] += bool(x.neuron.initial)
            seen["bias"] += bool(np.any(x.bias))
            seen["large"] += x.size > 512
        for x in net.projections.values():
            seen[f"connectivity {x.connectivity.kind}"] += 1
            seen["columns"] += getattr(x.connectivity, "columns", None) is not None
            seen["receptor"] += bool(x.receptor)
            seen["loihi synapse"] += x.loihi is not None
            kind = "drawn" if isinstance(x.delay, DrawnDelays) else "each" if np.ndim(x.delay) else "one"
            seen[f"delay {kind}"] += 1
            seen["delay none"] += x.max_delay == 0
            seen["delay long"] += x.max_delay > 40
            seen["loop"] += x.pre == x.post
            rule = getattr(x.plasticity, "rule", x.plasticity)
            seen[f"rule {getattr(rule, 'name', type(rule).__name__)}"] += 1
            seen["graded"] += net.node(x.pre).graded
    wanted = [f"neuron {model.name}" for model in BUILTIN] + ["neuron Functions"]
    kinds = ("Dense", "Sparse", "OneToOne", "Conv2d", "Conv1d", "SumPool2d", "AvgPool2d")
    kinds += ("FixedProbability", "FixedTotalNumber", "FixedInDegree", "FixedOutDegree")
    wanted += [f"connectivity {kind}" for kind in kinds]
    wanted += [f"rule {x}" for x in (*(rule.name for rule in BUILTIN_RULES), "Own", "LoihiRule")]
    wanted += ["refractory", "initial", "bias", "large", "columns", "receptor", "loihi synapse", "loop", "graded", "part"]
    wanted += [f"delay {x}" for x in ("drawn", "each", "one", "none", "long")]
    wanted += [f"input {x}" for x in ("own", "silent", "given")]
    wanted += ["option arithmetic=loihi", "option mantissa_bits=8", "option mantissa_bits=31", "dt 0.0001", "dt 0.001"]
    wanted += [f"integrator {x}" for x in ("euler", "exponential", "exact", "decay", "None")]
    assert {x for x in wanted if not seen[x]} == set()


def test_a_seed_is_a_network_and_its_draws_are_the_same_one():
    for seed in range(40):
        first, again = drawn(seed), drawn(seed)
        replayed = replay(first.taken, f"random-{seed}")
        for other in (again.case, replayed):
            assert str(other.network) == str(first.case.network)
            assert compare(baseline(first.case).recording, baseline(other).recording) == []


def test_draws_have_numpys_meaning():
    draws = Draws.seeded(0)
    values = [draws.integers(3, 6) for _ in range(200)]
    assert set(values) == {3, 4, 5}
    assert {draws.integers(2) for _ in range(50)} == {0, 1}
    fractions = np.array([draws.random() for _ in range(2000)])
    assert (fractions >= 0).all()
    assert (fractions < 1).all()
    assert abs(fractions.mean() - 0.5) < 0.03
    assert draws.uniform(-1.0, 1.0, (2, 3)).shape == (2, 3)
    arrays = np.concatenate([draws.uniform(2.0, 4.0, 50) for _ in range(40)])
    assert arrays.min() >= 2.0
    assert arrays.max() <= 4.0
    normal = np.concatenate([draws.normal(5.0, 2.0, 100) for _ in range(60)])
    assert abs(normal.mean() - 5.0) < 0.2
    assert abs(normal.std() - 2.0) < 0.2


def test_the_smallest_draws_are_the_simplest_network():
    net = replay([]).network
    assert len(net.nodes) == 2
    assert all(x.plasticity is None for x in net.projections.values())


# ----------------------------------------------------------------------------------------------------- finding, shrinking


def test_equal_backends_have_no_mismatch():
    tally = campaign(seeds_from(500, 30), [Target("cpu"), Target("cpu", {"threads": 2})], Tally())
    assert tally.mismatches == []
    assert tally.networks == 30
    assert tally.runs > 2 * 30  # and in chunks
    assert tally.spikes > 1000


def test_a_broken_backend_is_found_and_made_small(broken):
    target = Target(broken(Hasty))
    tally = campaign(seeds_from(2, 1), [target], Tally())
    (found,) = tally.mismatches
    original = random_case(2)
    assert found.original == "random-2"
    assert found.where == "hasty"
    assert "reference" in found.what
    assert len(found.case.network.nodes) < len(original.network.nodes)
    assert sum(map(len, (x.connectivity for x in found.case.network.projections.values()))) <= 12
    (late,) = [x for x in found.case.network.projections.values() if np.ndim(x.delay)]
    assert late.min_delay < late.max_delay
    assert fuzzing._fails(replay(found.taken), target, "hasty")


def test_only_pieces_differ(broken):
    tally = campaign(seeds_from(0, 4), [Target(broken(Forgetful))], Tally(), shrinking=False)
    assert tally.mismatches
    assert {x.where for x in tally.mismatches} == {"forgetful in chunks"}


def test_an_error_of_a_backend_is_a_mismatch(broken):
    tally = campaign(seeds_from(0, 12), [Target(broken(Crashing))], Tally(), shrinking=False)
    assert {x.what for x in tally.mismatches} == {"ZeroDivisionError: bias"}


class Terse(ReferenceBackend):
    """Declares no more than what it has."""

    name = "terse"
    features = {name: Support(True) for name in ("float", "loihi", "graded", "synapse_delays")}


def test_what_a_backend_does_not_declare_it_lacks(broken):
    tally = campaign(seeds_from(0, 4), [Target(broken(Terse))], Tally())
    assert tally.runs
    assert not tally.mismatches
    assert "it does not declare this feature" in tally.why


def size(case):
    net = case.network
    return len(net.nodes) + sum(1 + len(x.connectivity) for x in net.projections.values())


def test_shrinking_keeps_what_fails_and_drops_the_rest():
    def fails(case):
        return any(x.connectivity.kind == "FixedInDegree" for x in case.network.projections.values())

    first = next(x for x in map(drawn, range(100)) if fails(x.case) and len(x.case.network.projections) > 3)
    case, taken = shrink(first.taken, "small", None, fails)
    assert fails(case)
    assert case.steps == 1
    assert size(case) < size(first.case) / 2  # how far beyond that, is a matter of Hypothesis's budget and of chance
    assert str(replay(taken, "small").network) == str(case.network)


def test_what_does_not_fail_again_is_given_back():
    first = drawn(7)
    case, taken = shrink(first.taken, "same", None, lambda case: False)
    assert taken == first.taken
    assert str(case.network).replace('"same"', "") == str(first.case.network).replace('"random-7"', "")


# ------------------------------------------------------------------------------------------------------------ the files


def test_kept_cases_come_back_the_same(tmp_path):
    for seed in range(25):
        case = random_case(seed)
        path = save_case(case, tmp_path / "kept", "cpu: two lines\nof reasons")
        again = load_case(path)
        assert (again.name, again.steps, dict(again.options)) == (case.name, case.steps, dict(case.options))
        assert str(again.network) == str(case.network)
        assert compare(baseline(case).recording, baseline(again).recording) == []
    assert json.loads(path.read_text())["why"] == ["cpu: two lines", "of reasons"]


# ----------------------------------------------------------------------------------------------------------- the command


def fuzz(*arguments, code=0):
    result = CliRunner().invoke(main, ["fuzz", *map(str, arguments)], prog_name="neurocomp")
    assert result.exit_code == code, result.output + result.stderr
    assert "Traceback" not in result.output
    return result.output


def test_the_command_counts(tmp_path):
    output = fuzz("--networks", 8, "--threads", "1,2", "--seed", 40, "--save", tmp_path / "none")
    assert output.startswith("8 networks, ")
    assert ": 0 mismatches; " in output
    assert not (tmp_path / "none").exists()


def test_the_command_is_silent_about_what_random_numbers_lose(recwarn):
    warnings.simplefilter("always")
    fuzz("--networks", 6, "--seed", 500_000)
    assert not [str(x.message) for x in recwarn if issubclass(x.category, UserWarning)]


def test_the_command_prints_python_and_keeps_files(broken, tmp_path):
    name = broken(Hasty)
    output = fuzz("--networks", 2, "--seed", 2, "--targets", f"reference,{name}", "--no-shrink", "--save", tmp_path, code=1)
    assert "random-2, hasty" in output
    assert output.splitlines()[-1].startswith("2 networks, ")
    python = output[output.index("import neurocomp as nc") : output.index("kept as")]
    shown = []
    exec(python, {"print": shown.append})
    assert shown[0].identical is False
    case = load_case(tmp_path / "random-2.json")
    assert fuzzing._fails(case, Target(name), name)
    assert str(case.network) == str(random_case(2).network)


def test_mismatches_are_kept_as_soon_as_they_are_found(broken, tmp_path, monkeypatch):
    name, kept = broken(Hasty), []
    compare = fuzzing._compare

    def watched(*given):
        kept.append(sorted(x.name for x in tmp_path.iterdir()))
        compare(*given)

    monkeypatch.setattr(fuzzing, "_compare", watched)
    fuzz("--networks", 2, "--seed", 2, "--targets", name, "--no-shrink", "--save", tmp_path, code=1)
    assert kept == [[], ["random-2.json", "random-2.neurocomp", "random-2.npz"]]


def test_a_full_disk_loses_neither_the_mismatch_nor_the_summary(broken, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "open", lambda *_: open("/dev/full", "wb"), raising=False)  # noqa: SIM115
    output = fuzz("--networks", 1, "--seed", 2, "--targets", broken(Hasty), "--no-shrink", "--save", tmp_path, code=1)
    assert f"not kept in {tmp_path}: No space left on device" in output
    assert "case = replay([" in output
    assert output.splitlines()[-1].startswith("1 networks, ")
    assert not list(tmp_path.iterdir())


def test_ctrl_c_while_a_mismatch_is_made_small_keeps_it(broken, tmp_path, monkeypatch):
    def interrupted(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(fuzzing, "shrink", interrupted)
    output = fuzz("--networks", 2, "--seed", 2, "--targets", broken(Hasty), "--save", tmp_path, code=1)
    assert "1 mismatch; interrupted" in output.splitlines()[-1]
    assert (tmp_path / "random-2.json").exists()


def test_the_command_ends_in_time():
    began = time.monotonic()
    output = fuzz("--minutes", 0.05, "--no-shrink")
    assert 3 <= time.monotonic() - began < 60
    assert "0 mismatches" in output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--targets", "reference"], "names no backend besides the reference"),
        (["--targets", "tpu"], "there is no backend 'tpu'"),
        (["--threads", "0"], "nothing was compared; cpu:threads=0: threads must be a whole number from 1 to 64, not 0"),
        (["--minutes", "nan"], "nan is not a finite number"),
        (["--save", "/dev/null/kept"], "--save /dev/null/kept: /dev/null is not a folder that can be written to"),
        (["--threads", "two"], "--threads is a list of whole numbers such as 1,3, not 'two'"),
    ],
)
def test_mistakes_of_the_command(arguments, words):
    result = CliRunner().invoke(main, ["fuzz", "--networks", "1", *arguments], prog_name="neurocomp")
    assert result.exit_code == 2
    assert words in result.output + result.stderr


def test_without_hypothesis_the_cure_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    result = CliRunner().invoke(main, ["fuzz", "--networks", "1"], prog_name="neurocomp")
    assert result.exit_code == 2
    assert "pip install 'neurocomp[fuzz]'" in result.output + result.stderr
    assert "0 mismatches" in fuzz("--networks", 1, "--no-shrink")


def test_ctrl_c_ends_with_the_summary():
    """In a child that has Ctrl-C as it is in a terminal: background jobs of a shell ignore it."""
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from neurocomp.conformance import fuzzing\n"
        "compare = fuzzing._compare\n"
        "def told(*given):\n    compare(*given); print('one', flush=True)\n"
        "fuzzing._compare = told\n"
        "from neurocomp.cli import main\n"
        "main(['fuzz', '--minutes', '9'])\n"
    )
    child = subprocess.Popen([sys.executable, "-W", "ignore", "-c", code], stdout=subprocess.PIPE, text=True, env=os.environ)
    assert child.stdout.readline() == "one\n"
    child.send_signal(signal.SIGINT)
    output, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    assert "interrupted" in output.splitlines()[-1]
    assert "0 mismatches" in output.splitlines()[-1]


def test_targets_are_read():
    target = Target.parse("cpu:threads=3,jit=off")
    assert (target.name, dict(target.options), str(target)) == ("cpu", {"threads": 3, "jit": "off"}, "cpu:threads=3,jit=off")
    with pytest.raises(InputError, match="no backend 'none'"):
        Target.parse("none")
