"""Whether the files that this process opened are still in their places.

A process that has a file open can use it after it was deleted or moved, so writes would be confirmed and lost. Only
embedded providers have such files; the drivers of servers notice a lost database themselves.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

from apilane.storage.protocol import Driver

__all__ = ["FileMark", "file_mark", "why_not_writable"]

PROBE_BYTES: Final = 64 * 1024
"""A write of a SQLite database needs a few pages of 4 KiB in the file and in its log."""

FileMark = tuple[int, int] | None
"""Device and inode of a file; None when there is none."""


def file_mark(driver: Driver, address: str) -> FileMark:
    """The mark of an embedded database's file. It is always the same for a database on a server."""
    if not driver.features.embedded:
        return (0, 0)
    try:
        found = os.stat(address)  # noqa: PTH116  3 us less than Path.stat, and it is called for every open database
    except OSError:
        return None
    return found.st_dev, found.st_ino


def why_not_writable(folder: Path) -> str | None:
    """Why nothing can be stored in ``folder`` now (full, read-only, missing); None when it can. It blocks."""
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as probe:
            probe.write(b"\0" * PROBE_BYTES)
    except OSError as error:
        return error.strerror or str(error)
    return None
