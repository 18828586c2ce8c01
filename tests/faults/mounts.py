"""Small and read-only file systems, for users who may mount; otherwise the test is skipped."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["ballast", "read_only", "small_disk"]

CHUNK = bytes(4096)


def _mount(*arguments: object) -> None:
    """``mount`` as root; skips the test if mounting is not allowed."""
    try:
        subprocess.run(["mount", *map(str, arguments)], check=True, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", None) or str(error)
        pytest.skip(f"mounting is not allowed here: {reason.strip()}")


def _unmount(path: Path) -> None:
    """Unmount at once, even if files are open."""
    subprocess.run(["umount", "--lazy", str(path)], check=True, capture_output=True, timeout=20)


@contextmanager
def small_disk(path: Path, size_mib: int) -> Iterator[Path]:
    """A new file system in memory at ``path``; it is removed with its content afterwards."""
    path.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs", path)
    try:
        yield path
    finally:
        _unmount(path)


@contextmanager
def read_only(path: Path) -> Iterator[None]:
    """The folder is read-only for files opened meanwhile; files that were open before stay writable."""
    _mount("--bind", path, path)
    try:
        _mount("-o", "remount,bind,ro", path)
        yield
    finally:
        _unmount(path)


@contextmanager
def ballast(folder: Path) -> Iterator[None]:
    """Fill the file system of ``folder`` completely."""
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
