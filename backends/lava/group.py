"""A child process as leader of its own session, of which nothing remains afterwards: no process and no shared memory.

SIGTERM goes first: Python's resource tracker survives it and removes the shared memory of the dead. What is still there after
`GRACE` seconds gets SIGKILL; what shared memory the tracker could not remove is removed here.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

GRACE = 5.0
_PROC = Path("/proc")
_SEGMENT = re.compile(r"/dev/shm/psm_\w+")  # noqa: S108 - where Python's shared memory is seen on Linux


@contextlib.contextmanager
def process_group(
    command: Sequence[str], cwd: Path, env: Mapping[str, str], output: BinaryIO
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a session of its own, all of which ends when the block is left, in whatever way."""
    process = subprocess.Popen(  # noqa: S603 - our own command, no shell
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and everything in its session."""
    group = process.pid
    segments = _segments(group)
    _signal(group, signal.SIGTERM)
    if not _gone(process, group, GRACE):
        segments |= _segments(group)
        _signal(group, signal.SIGKILL)
        _gone(process, group, GRACE)
    for segment in segments:
        segment.unlink(missing_ok=True)


def members(group: int) -> list[int]:
    """Process ids of a group that still run (Linux; elsewhere the leader only counts while it can be signalled)."""
    if not _PROC.is_dir():
        try:
            os.killpg(group, 0)
        except (ProcessLookupError, PermissionError):
            return []
        return [group]
    found = []
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                state, _, its_group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
                if int(its_group) == group and state not in "ZX":
                    found.append(int(entry.name))
    return found


def _gone(process: subprocess.Popen[bytes], group: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        if process.poll() is not None and not members(group):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _segments(group: int) -> set[Path]:
    found: set[Path] = set()
    for member in members(group):
        with contextlib.suppress(OSError):
            found |= {Path(x) for x in _SEGMENT.findall((_PROC / str(member) / "maps").read_text())}
    return found
