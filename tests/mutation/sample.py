"""Mutation testing of the passes: python tests/mutation/sample.py --mutants 200 --seed 1.

A random sample of the mutants that cosmic-ray makes of `ir/passes/*.py` is run, one after the other, against the tests of its
pass; a mutant that none of them notices survives, and is printed. At most one mutant is taken of each place in the source, and
none that changes only annotations. The files are changed in place and put back, so this needs a clean checkout and the
extra `neurocomp[mutation]`. Results are kept in `build/mutation.json`; `--survivors` runs only those that survived last time.
"""

from __future__ import annotations

import argparse
import ast
import itertools
import json
import os
import random
import shlex
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast_from_path
from cosmic_ray.mutating import mutate_and_test, mutate_code
from cosmic_ray.plugins import get_operator, operator_names
from cosmic_ray.testing import run_tests
from cosmic_ray.work_item import MutationSpec, TestOutcome

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "build" / "mutation.json"
TIMEOUT = 300  # seconds for the tests of a mutant; without a mutant they take a tenth
TESTS = {  # of each pass
    "base": "test_pass_trace.py",
    "discretise": "ir/test_integrators.py ir/test_neuron_models.py test_pass_trace.py test_first_mistakes.py",
    "fold": "ir/test_fold_pass.py",
    "grid": "ir/test_grid_pass.py",
    "loihi": "ir/test_loihi_pass.py test_quantisation_wraps.py test_loihi_corner_cases.py",
    "place": "ir/test_place_limits.py test_place_cli.py ir/test_place_pass.py",
    "quantise": "ir/test_quantise_form.py ir/test_quantise_pass.py test_quantisation_wraps.py",
    "retime": "ir/test_retime_pass.py",
    "__init__": "test_pass_trace.py",
}
PYTEST = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0"]


class _Bare(ast.NodeTransformer):
    """What runs: a tree without annotations."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)


def runs_as(source: str) -> str | None:
    """The text of what runs, to compare; None where nothing does, as it is no Python."""
    try:
        return ast.dump(_Bare().visit(ast.parse(source)))
    except SyntaxError:
        return None


def places(path: Path) -> list[list[MutationSpec]]:
    """The mutants of a file, those of one place together."""
    tree = get_ast_from_path(path)
    found: dict[tuple[object, ...], list[MutationSpec]] = {}
    for name in sorted(operator_names()):
        if get_operator(name).arguments():
            continue  # of variables that one would have to name
        spans = [x for node in ast_nodes(tree) for x in get_operator(name)().mutation_positions(node)]
        for k, (start, end) in enumerate(spans):
            found.setdefault((start, end), []).append(MutationSpec(path.relative_to(ROOT), name, k, start, end))
    return list(found.values())


def runs(mutant: MutationSpec) -> bool:
    """Whether it is Python, and runs otherwise than the original."""
    source = (ROOT / mutant.module_path).read_text()
    text = mutate_code(source, get_operator(mutant.operator_name)(), mutant.occurrence)
    return text is not None and runs_as(text) not in (None, runs_as(source))


def sample(number: int, seed: int) -> list[MutationSpec]:
    """Mutants at random places, one for each, in the order of the files."""
    rng = random.Random(seed)
    everywhere = [x for path in sorted((ROOT / "ir" / "passes").glob("*.py")) for x in places(path)]
    rng.shuffle(everywhere)
    candidates = (next(filter(runs, rng.sample(variants, len(variants))), None) for variants in everywhere)
    return sorted(itertools.islice(filter(None, candidates), number), key=key)


def key(mutant: MutationSpec) -> str:
    """A name for a mutant that stays while its file does."""
    return f"{mutant.module_path}:{mutant.start_pos[0]:03d} {mutant.operator_name} {mutant.occurrence}"


def command(path: Path) -> str:
    """The tests of a pass, up to the first that fails."""
    return shlex.join([*PYTEST, *(f"tests/{x}" for x in TESTS[path.stem].split())])


def main() -> None:
    """Run the sample and print the survivors and the score."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--survivors", action="store_true", help="only those that survived last time")
    given = parser.parse_args()
    if subprocess.run(["git", "status", "--porcelain", "ir/passes"], cwd=ROOT, capture_output=True, check=True).stdout:
        sys.exit("ir/passes has changes of yours, which a mutant could be mixed up with: commit them first")
    os.chdir(ROOT)
    known = json.loads(KEPT.read_text()) if given.survivors else {}
    outcomes = {name: outcome for name, outcome in known.items() if outcome != "survived"}
    KEPT.parent.mkdir(exist_ok=True)
    chosen = sample(given.mutants, given.seed)
    for path in sorted({x.module_path for x in chosen}):
        if run_tests(command(path), TIMEOUT)[0] != TestOutcome.SURVIVED:
            sys.exit(f"the tests of {path} fail without any mutant, or take too long")
    for mutant in chosen:
        name = key(mutant)
        if name in outcomes:
            continue
        began = time.perf_counter()
        result = mutate_and_test([mutant], command(mutant.module_path), TIMEOUT)
        outcome = result.test_outcome or TestOutcome.INCOMPETENT
        outcomes[name] = outcome.value
        KEPT.write_text(json.dumps(outcomes, indent=1))
        print(f"{outcome.value:9} {time.perf_counter() - began:5.0f} s  {name}", flush=True)
        if outcome != TestOutcome.KILLED:
            print(result.diff or result.output, flush=True)
    counts = Counter(outcomes.values())
    print(f"{counts['killed']} of {counts.total()} killed, {counts['killed'] / counts.total():.1%}; {dict(counts)}")


if __name__ == "__main__":
    main()
