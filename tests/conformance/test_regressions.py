"""Networks on which backends once differed or failed, as `neurocomp fuzz --save` keeps them; a new file here is a new test."""

from pathlib import Path

import pytest

from neurocomp.conformance import load_case
from neurocomp.conformance.fuzzing import differing, in_chunks
from neurocomp.conformance.runs import Target, baseline, run_on

KEPT = sorted((Path(__file__).parent / "regressions").glob("*.json"))


@pytest.mark.parametrize("path", KEPT, ids=lambda x: x.stem)
@pytest.mark.parametrize("threads", [1, 3])
def test_cpu_equals_reference(path, threads):
    base, target = baseline(load_case(path)), Target("cpu", {"threads": threads})
    (result,) = run_on(target, [base])
    assert differing(base, target, result) == ""
    for chunk in (1, 7):
        assert in_chunks(base, target, chunk) == ""


@pytest.mark.xdist_group("lava")
def test_lava_equals_reference(lava):
    bases = [baseline(load_case(path)) for path in KEPT]
    results = run_on(Target("lava"), bases)
    found = {base.case.name: differing(base, Target("lava"), x) for base, x in zip(bases, results, strict=True)}
    assert found == dict.fromkeys((path.stem for path in KEPT), "")


def test_there_are_some():
    assert KEPT
