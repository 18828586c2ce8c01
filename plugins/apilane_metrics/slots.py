"""Files of numbers that workers share: each worker writes the numbers of one file, a reader sums all files.

A worker maps its file into memory and adds to its numbers without a lock. A killed worker leaves its numbers, and its
successor continues with them, so counters stay exact. The first worker of a server deletes the files of the last run.
Measured on Python 3.11: 0.3 us for a request (one histogram, one counter) instead of 2.9 us with the multiprocess mode
of prometheus_client.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, flock
from itertools import count
from pathlib import Path
from typing import NamedTuple

from apilane_metrics.families import FAMILIES

__all__ = ["OTHER", "Slot", "Stored", "read_slots"]

MAGIC = b"apimetr1"
HEAD = struct.Struct("@8sQ")
"""Layout, and the end of the written records."""
RECORD = struct.Struct("@QQ")
"""Bytes of the key, and the number of values that follow it."""
BYTES_PER_SERIES = 512
ROOM_BYTES = 65_536
LABEL_MAX = 100
OTHER = "_other"
"""The value of every label of a series for which there was no room."""


class Stored(NamedTuple):
    """A series of one file. ``live``: its worker lives."""

    family: str
    labels: tuple[str, ...]
    values: Sequence[float]
    live: bool


class Slot:
    """The file of this worker: ``folder/N`` with the first N that no process holds.

    ``series_max``: further series share one series per metric, whose labels are ``OTHER``. Raises OSError, also when
    the disk is full: the whole file is allocated here, because a later write without room would kill the process.
    """

    def __init__(self, folder: Path, series_max: int) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(folder / "lock"):
            _forget_last_run(folder)
            self._file = _free_file(folder)
            self._is_held = True
            size = ROOM_BYTES + series_max * BYTES_PER_SERIES
            try:
                if os.fstat(self._file).st_size != size:
                    os.ftruncate(self._file, 0)
                    os.posix_fallocate(self._file, 0, size)
                    os.pwrite(self._file, HEAD.pack(MAGIC, HEAD.size), 0)
            except OSError:
                os.close(self._file)
                raise
        self._memory = mmap.mmap(self._file, size)
        self.values = memoryview(self._memory).cast("d")
        """All numbers of the file; ``place`` gives the index of a series."""
        self._series_max = series_max
        self._places: dict[tuple[str, tuple[str, ...]], int] = {}
        for family, labels, at, _ in _records(self._memory):
            self._places[family, labels] = at // 8
        self._end: int = HEAD.unpack_from(self._memory)[1]

    def place(self, family: str, labels: tuple[str, ...]) -> int:
        """The index of the first number of a series, which is added if there is room."""
        labels = tuple(label[:LABEL_MAX] for label in labels)
        known = self._places.get((family, labels))
        if known is not None:
            return known
        is_other = set(labels) <= {OTHER}
        if len(self._places) >= self._series_max and not is_other:
            return self.place(family, (OTHER,) * len(labels))
        key = json.dumps([family, *labels]).encode()
        key += b" " * (-len(key) % 8)
        width = FAMILIES[family].width
        at = self._end + RECORD.size + len(key)
        end = at + width * 8
        # Half of ROOM_BYTES is kept for the series named OTHER and those without labels.
        if end > len(self._memory) - (0 if is_other else ROOM_BYTES // 2):
            return self.place(family, (OTHER,) * len(labels))
        RECORD.pack_into(self._memory, self._end, len(key), width)
        self._memory[at - len(key) : at] = key
        HEAD.pack_into(self._memory, 0, MAGIC, end)  # last, so that a killed process leaves no half record
        self._end = end
        self._places[family, labels] = at // 8
        return at // 8

    def close(self) -> None:
        """Give the file up; its numbers stay for the next worker. Numbers may still be added until the process ends."""
        if self._is_held:
            self._is_held = False
            flock(self._file, LOCK_UN)


def read_slots(folder: Path) -> Iterator[Stored]:
    """The series of all files. Any process may read them at any time."""
    for path in _slots(folder):
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            live = not _lock(file, LOCK_SH)
            content = os.pread(file, os.fstat(file).st_size, 0)
        finally:
            os.close(file)
        if len(content) < HEAD.size:
            continue
        for family, labels, at, width in _records(content):
            yield Stored(family, labels, struct.unpack_from(f"@{width}d", content, at), live)


def _records(content: bytes | mmap.mmap) -> Iterator[tuple[str, tuple[str, ...], int, int]]:
    magic, end = HEAD.unpack_from(content)
    at = HEAD.size
    while magic == MAGIC and at < end:
        length, width = RECORD.unpack_from(content, at)
        at += RECORD.size
        family, *labels = json.loads(content[at : at + length])
        at += length
        if family in FAMILIES and FAMILIES[family].width == width:
            yield family, tuple(labels), at, width
        at += width * 8


def _slots(folder: Path) -> list[Path]:
    return sorted((path for path in folder.glob("*") if path.name.isdigit()), key=lambda path: int(path.name))


def _forget_last_run(folder: Path) -> None:
    """Delete all files if no process holds one."""
    paths = _slots(folder)
    for path in paths:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        is_free = _lock(file, LOCK_EX)
        os.close(file)
        if not is_free:
            return
    for path in paths:
        path.unlink()


def _free_file(folder: Path) -> int:
    for number in count():
        file = os.open(folder / str(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if _lock(file, LOCK_EX):
            return file
        os.close(file)
    raise AssertionError  # the numbers do not end


class _locked:  # noqa: N801  used like a function
    """Holds the lock of a file against other workers that start."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def __enter__(self) -> None:
        flock(self._file, LOCK_EX)

    def __exit__(self, *_error: object) -> None:
        os.close(self._file)


def _lock(file: int, kind: int) -> bool:
    with suppress(BlockingIOError):
        flock(file, kind | LOCK_NB)
        return True
    return False
