"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole_file(target: Path) -> Iterator[BinaryIO]:
    """A stream into a file beside `target`, which takes its place when the block ends without an exception, else goes.

    An `OSError` names `target`: what fails while a stream is written names no file at all. A link stays one; a device or a
    pipe, such as /dev/stdout, is written to, as there is nothing to be replaced.
    """
    named, target = target, Path(os.path.realpath(target))
    if target.exists() and not target.is_file() and not target.is_dir():
        with open(target, "wb") as stream:
            yield stream
        return
    partial = target.with_name(f"{target.name}.{os.getpid()}.{secrets.token_hex(4)}.part")
    try:
        with open(partial, "wb") as stream:
            yield stream
        os.replace(partial, target)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(named)) from error
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """A text as a file, UTF-8, whole or not at all. Returns where it is."""
    target = Path(path)
    with whole_file(target) as stream:
        stream.write(text.encode("utf-8"))
    return target
