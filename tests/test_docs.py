"""Every example in README and docs/ is executed: python blocks of a page in one namespace, console blocks as commands."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_run(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = page.read_text()
    namespace: dict[str, object] = {"__name__": f"docs_{page.stem}"}
    for match in BLOCK.finditer(text):
        language, code = match.groups()
        line = text[: match.start()].count("\n") + 2
        if language == "python":
            exec(compile("\n" * (line - 1) + code, str(page), "exec"), namespace)
        else:
            _run_console(code, page, line)


def _run_console(code: str, page: Path, line: int) -> None:
    """`$ neurocomp ...` runs and must exit 0 (or as `# exit 1` says); other commands are for the reader's shell."""
    for command in (x[2:] for x in code.splitlines() if x.startswith("$ neurocomp ")):
        words, _, wanted = command.partition("# exit ")
        argv = [sys.executable, "-m", "neurocomp", *shlex.split(words)[1:]]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=300)
        assert done.returncode == int(wanted or 0), f"{page.name}:{line}: {command}\n{done.stdout}\n{done.stderr}"


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name} links to {target}, which does not exist"
