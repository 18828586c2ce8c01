"""Where an application's files lie under the data folder, and the lock by which one process at a time changes it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["application_folder", "change_lock", "make_application_folder"]


def application_folder(data_dir: Path, token: str) -> Path:
    """``{data_dir}/apps/{token}``: ``data.db`` of an embedded provider, and ``files/``."""
    return data_dir / "apps" / token


def make_application_folder(data_dir: Path, token: str) -> bool:
    """Make the folders of a new application, open to their owner only; False when they were there already."""
    folder = application_folder(data_dir, token)
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        (folder / "files").mkdir(mode=0o700, exist_ok=True)
        return False
    (folder / "files").mkdir(mode=0o700)
    return True


@contextmanager
def change_lock(data_dir: Path, token: str) -> Iterator[bool]:
    """Hold the application's lock among the processes of this machine; gives False when another one holds it.

    The lock goes with its process, so a killed one never blocks the next.
    """
    apps = data_dir / "apps"
    apps.mkdir(mode=0o700, exist_ok=True)
    # Beside the folder, not in it: locking must not make the folder of an application whose files were lost.
    descriptor = os.open(apps / f"{token}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
