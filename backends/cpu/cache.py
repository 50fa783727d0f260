"""The user's cache of compiled updates: a private folder of shared libraries that are checked before they are loaded.

A file is called `key-compiler-sha256.so`: what it was made from, by which compiler, and the hash of its content, so that one
rename puts it there whole and a damaged file is recognised. Anything in the folder may be deleted at any time.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

CURE = "set NEUROCOMP_CACHE to a folder of your own"
LOCK_SECONDS = 180.0  # longer than any compilation may take; the system itself frees the locks of processes that died


class CacheError(Exception):
    """The cache cannot be used. The message says why, and what to do."""


def location() -> Path:
    """Where the cache is: $NEUROCOMP_CACHE, else the platform's place for caches."""
    given = os.environ.get("NEUROCOMP_CACHE")
    if given:
        return Path(given)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "neurocomp"
    given = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(given) if os.path.isabs(given) else Path.home() / ".cache") / "neurocomp"


def open_cache() -> Cache:
    """The cache, its folder created where it is missing. Raises `CacheError` where others could put code into it."""
    try:
        path = location().resolve()
        for folder in reversed([x for x in (path, *path.parents) if not x.exists()]):
            folder.mkdir(mode=0o700, exist_ok=True)
        problem = untrusted(path)
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home, or links lead in a circle
        raise CacheError(f"the cache cannot be created ({error}): {CURE}") from None
    if problem:
        raise CacheError(f"the cache is not used, as {problem}")
    return Cache(path)


def untrusted(path: Path) -> str:
    """Why others could replace what is in a folder of ours (no links in its path); "" where they cannot.

    Folders above may also belong to root, or be open to all with the sticky bit, as /tmp is: entries stay their owners'.
    """
    for place in (path, *path.parents):
        about = os.lstat(place)
        owners = {os.geteuid()} if place == path else {os.geteuid(), 0}
        shared = about.st_mode & 0o022 and (place == path or not about.st_mode & stat.S_ISVTX)
        if not stat.S_ISDIR(about.st_mode):
            return f"{place} is not a folder: {CURE}"
        if about.st_uid not in owners:
            return f"{place} belongs to another user (number {about.st_uid}): {CURE}"
        if shared:
            return f"others can write to {place} (mode {stat.S_IMODE(about.st_mode):04o}): chmod go-w {place}, or {CURE}"
    return ""


@dataclass(frozen=True)
class Cache:
    """A trusted folder."""

    path: Path

    def find(self, key: str, compiler: str = "*") -> Path | None:
        """An intact library of this key, by any compiler or by one."""
        found = sorted(self.path.glob(f"{key}-{compiler}-*.so"))
        return next((path for path in found if _intact(path)), None)

    def keep(self, key: str, compiler: str, library: Path) -> None:
        """Take in a copy of a library, in place of damaged ones. Raises `CacheError` where the folder takes no files."""
        content = library.read_bytes()
        target = self.path / f"{key}-{compiler}-{hashlib.sha256(content).hexdigest()}.so"
        try:
            self._write(target, content)
            for other in self.path.glob(f"{key}-{compiler}-*.so"):
                if other != target:
                    other.unlink(missing_ok=True)
        except OSError as error:
            raise CacheError(f"{self.path} takes no files ({error.strerror}): make room, or {CURE}") from None

    def _write(self, target: Path, content: bytes) -> None:
        """All or nothing."""
        descriptor, name = tempfile.mkstemp(dir=self.path, suffix=".new")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            os.replace(name, target)
        except BaseException:
            with suppress(OSError):
                os.unlink(name)
            raise

    @contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """One process or thread at a time per key. Raises `CacheError` where there are no locks, or none in time."""
        import fcntl  # POSIX only, like the kernels

        path = self.path / f"{key}.lock"
        try:
            descriptor = _locked(path)
        except OSError as error:
            raise CacheError(f"{path} cannot be locked ({error.strerror}): {CURE}") from None
        try:
            yield
        finally:
            with suppress(OSError):
                path.unlink()
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # a forked child may hold the descriptor, too
            os.close(descriptor)


def _intact(path: Path) -> bool:
    """Whether the file is ours alone and has the content its name says."""
    try:
        about = os.lstat(path)
        ours = stat.S_ISREG(about.st_mode) and about.st_uid == os.geteuid() and not about.st_mode & 0o022
        return ours and hashlib.sha256(path.read_bytes()).hexdigest() == path.stem.rpartition("-")[2]
    except OSError:
        return False


def _locked(path: Path) -> int:
    """An open descriptor of the file that holds its lock."""
    import fcntl

    deadline = time.monotonic() + LOCK_SECONDS
    while time.monotonic() < deadline:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):  # else its last owner has removed it meanwhile
                return descriptor
        except (BlockingIOError, FileNotFoundError):
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        time.sleep(0.05)
    raise OSError(errno.ETIMEDOUT, f"held by another process for {LOCK_SECONDS:g} s")
