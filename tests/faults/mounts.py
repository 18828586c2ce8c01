"""Small and read-only file systems, for who may mount; others are told to skip the test."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["ballast", "read_only", "small_disk"]

CHUNK = bytes(4096)


def _mount(*arguments: object) -> None:
    """``mount`` as root; skips the test where that is not allowed."""
    try:
        subprocess.run(["mount", *map(str, arguments)], check=True, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", None) or str(error)
        pytest.skip(f"mounting is not allowed here: {reason.strip()}")


def _unmount(path: Path) -> None:
    """At once, though files may be open."""
    subprocess.run(["umount", "--lazy", str(path)], check=True, capture_output=True, timeout=20)


@contextmanager
def small_disk(path: Path, size_mib: int) -> Iterator[Path]:
    """A file system in memory at ``path``, which is made; gone with everything on it afterwards."""
    path.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs", path)
    try:
        yield path
    finally:
        _unmount(path)


@contextmanager
def read_only(path: Path) -> Iterator[None]:
    """The folder is read-only for everything opened meanwhile; what was open before goes on being written."""
    _mount("--bind", path, path)
    try:
        _mount("-o", "remount,bind,ro", path)
        yield
    finally:
        _unmount(path)


@contextmanager
def ballast(folder: Path) -> Iterator[None]:
    """No room is left on the file system of ``folder``."""
    path = folder / "ballast"
    try:
        with path.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(CHUNK)
            except OSError:
                pass
        yield
    finally:
        path.unlink(missing_ok=True)
