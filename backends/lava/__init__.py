"""The `lava` backend: a compiled network as Lava processes, run in a child process that leaves nothing behind.

`match` and `wires` decide (pure data), `build` makes the processes, `child` runs them, `jobs` starts and ends the child,
`replicate` and `results` serve batches. Lava is imported in the child only.
"""

from neurocomp.backends.base import Job
from neurocomp.backends.lava.executable import LavaBackend, LavaExecutable
from neurocomp.backends.lava.jobs import run_jobs, try_jobs

__all__ = ["Job", "LavaBackend", "LavaExecutable", "run_jobs", "try_jobs"]
