"""The process in which Lava runs: `python -m neurocomp.backends.lava.child FOLDER`.

It works through the jobs of the folder in order and stops at the first that fails, because after an exception in one of its
processes Lava can neither run nor stop. Whatever remains is the parent's to kill.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from neurocomp.backends.lava.files import JobFiles, read_manifest

PR_SET_PDEATHSIG = 1
LOOK = 0.2  # seconds between looks at Lava's processes


def end_on_request(parent: int) -> None:
    """End at SIGTERM, between two steps of Python: a semaphore half made would leave its file in /dev/shm.

    On Linux the kernel sends SIGTERM also when the parent ends, to this process and to every process it forks.
    """
    prctl = ctypes.CDLL(None).prctl if sys.platform.startswith("linux") else None

    def die_with(parent: int) -> None:
        if prctl is not None:
            prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it ended before we could ask
            os._exit(1)

    def in_fork() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        die_with(own)

    own = os.getpid()  # Lava's processes do not fork any further
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(128 + number))
    die_with(parent)
    os.register_at_fork(after_in_child=in_fork)


@contextlib.contextmanager
def watched(fail: Callable[[str], None]) -> Iterator[None]:
    """Call `fail` with the reason when one of Lava's processes dies during the run: Lava itself may wait for ever."""
    children: list[Any] = multiprocessing.active_children()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(LOOK):
            if not all(map(_alive, children)) and not over.is_set():
                fail(_last_words(children))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    except Exception as error:
        fail(f"{error}\n{_last_words(children)}")
    finally:
        over.set()
        thread.join()


def _alive(child: Any) -> bool:
    try:
        return bool(child.is_alive())
    except ValueError:  # Lava has closed it after an error
        return False


def _last_words(children: list[Any]) -> str:
    """Tracebacks of the processes that raised, else how the dead ended."""
    raised = [x.exception for x in children if getattr(x, "exception", None)]
    if raised:
        return "\n".join(str(text).strip() for _, text in raised)
    dead = [x for x in children if not _alive(x)]
    return f"{len(dead)} of Lava's processes ended with status {', '.join(str(getattr(x, 'exitcode', None)) for x in dead)}"


def run_job(job: JobFiles, fail: Callable[[str], None]) -> None:
    """Build, run and stop one network; its recorders have written the results when this returns."""
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg

    from neurocomp.backends.lava.build import Builder, tag_of

    net, inputs, steps, states, every = job.read()
    builder = Builder(net, inputs, steps, job.folder, states, every)
    if builder.root is None:
        return
    builder.root.create_runtime(run_cfg=Loihi2SimCfg(select_tag=tag_of(net)))
    with watched(fail):
        builder.root.run(RunSteps(num_steps=builder.machine_steps))
    builder.root.stop()


def main(folder: Path) -> int:
    """Run all jobs of a folder. Returns the exit status."""
    parent, count = read_manifest(folder)
    end_on_request(parent)
    from neurocomp.backends.lava.shim import prepare_lava

    prepare_lava()
    for k in range(count):
        job = JobFiles(folder, k)

        def fail(reason: str, job: JobFiles = job) -> None:
            job.failed(reason)
            os._exit(1)

        began = time.perf_counter()
        try:
            run_job(job, fail)
        except BaseException:
            fail(traceback.format_exc())
        job.done(time.perf_counter() - began)
    return 0


if __name__ == "__main__":
    status = main(Path(sys.argv[1]))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # Lava's threads and processes would keep a normal exit waiting
