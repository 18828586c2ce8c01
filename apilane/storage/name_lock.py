"""Named locks for the processes of this machine: one file each, in the folder of the database."""

from __future__ import annotations

import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["name_lock"]


@asynccontextmanager
async def name_lock(folder: str, name: str) -> AsyncIterator[bool]:
    """Hold the lock ``name``; gives False when another process, or another task of this one, holds it."""
    os.makedirs(folder, mode=0o700, exist_ok=True)  # noqa: PTH103  # microseconds, like opening the file
    descriptor = os.open(f"{folder}/{name}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
