"""A memory-mapped file of slots that expire, shared by the processes of one machine.

Knows names, slots, locks and room; what a slot holds is the business of its user (``counter_file``). Nothing is ever
deleted: a slot whose time is over is free. Not portable between machines, and not needed after the longest expiry: a
file of another size or layout is replaced by an empty one.

One lock at a time: a name belongs to one of ``PARTS`` parts of the file, and all its slots lie in that part. The lock
is a byte-range lock of the process, so it goes with a killed process. It does not exclude threads of one process: calls
come from one thread, that of the event loop. A forked child may go on with what it inherited, as the mapping is shared
and the locks are not inherited.
"""

from __future__ import annotations

import mmap
import os
import struct
import weakref
from fcntl import LOCK_EX, LOCK_UN, lockf
from functools import lru_cache, partial
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

__all__ = ["BODY_BYTES", "HORIZON_MS", "Name", "NoRoom", "SlotFile"]

PARTS = 64
"""With four busy processes about one use in a hundred meets another one in its part."""
WAYS = 64
NAME_BYTES = 16
NAMES_BYTES = WAYS * NAME_BYTES
SLOT_BYTES = 112
BODY_BYTES = SLOT_BYTES - 8
"""What a slot has room for beside its expiry."""
BUCKET_BYTES = NAMES_BYTES + WAYS * SLOT_BYTES
"""8192: first the names together, which makes finding one a search in memory, then the slots."""
NAMES_KEPT = 4096
HORIZON_MS = 24 * 60 * 60 * 1000
"""The longest time ahead a slot may expire. What lies beyond was written under a clock that was wrong, and is free."""

MAGIC = b"apilane2"
HEADER = struct.Struct("@8sQ16s")
"""Layout, size of the file, key of the names."""
HEADER_BYTES = 4096
OPENING = PARTS
"""Lock byte of those who open the file; the bytes below are those of the parts."""

# Native byte order and alignment: eight bytes are stored at once, so that a process killed meanwhile tears no number.
EXPIRY = struct.Struct("@q")
EXPIRIES = struct.Struct("@" + f"q{BODY_BYTES}x" * WAYS)
_NOTHING = bytes(SLOT_BYTES)
_REST = 1 << (8 * (NAME_BYTES - 1))
_STEP = 0x3779B97F4A7C15F39CC0605CEDC835
"""Odd, so that the names derived from one are spread over all buckets of its part."""


class NoRoom(Exception):
    """Every slot a name may have is in use; the first one is free after ``wait_ms``."""

    def __init__(self, wait_ms: int) -> None:
        super().__init__(wait_ms)
        self.wait_ms = wait_ms


class Name(NamedTuple):
    """The name of a key: its keyed hash, which nobody outside can aim at a place in the file; and where it belongs."""

    digest: bytes
    part: int
    """The first byte of the digest says which."""
    bucket: int
    """Its offset in the file; the next eight bytes say which of the part."""


class SlotFile:
    """The file at ``path``, opened or made: ``size_mib`` MiB of slots of 128 bytes.

    A slot is given by the offset of its expiry (unix ms) in ``memory``; its body follows. Raises OSError, also when the
    disk has no room: all of it is taken at once, as a page that cannot be written later would kill the process.
    """

    def __init__(self, path: Path, size_mib: int) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._buckets = size_mib * 2**20 // BUCKET_BYTES // PARTS
        size = HEADER_BYTES + self._buckets * PARTS * BUCKET_BYTES
        self._file, secret = _opened(path, size)
        self.close = weakref.finalize(self, os.close, self._file)
        self.memory = mmap.mmap(self._file, size)
        self.lock = partial(lockf, self._file, LOCK_EX, 1)
        """``lock(part)`` keeps the other processes out of a part. Waits until they have left it."""
        self.unlock = partial(lockf, self._file, LOCK_UN, 1)
        """Let the others in again."""
        digest = blake2b(digest_size=NAME_BYTES, key=secret)
        self.new_name = partial(_name, digest, self._buckets)
        """The ``Name`` of a key that is used once."""
        self.name = lru_cache(NAMES_KEPT)(self.new_name)
        """That of a key that comes back: it takes 0.1 us then, and 1.5 us the first time."""

    def derived(self, name: Name, number: int) -> Name:
        """The name of slot ``number`` beside the one of ``name``, in the same part."""
        rest = (int.from_bytes(name.digest[1:], "little") + (number + 1) * _STEP) % _REST
        return _placed(name.digest[:1] + rest.to_bytes(NAME_BYTES - 1, "little"), self._buckets)

    def find(self, name: Name) -> int | None:
        """The slot of a name, expired or not; None when it has none."""
        digest, _, bucket = name
        found = self.memory.find(digest, bucket, bucket + NAMES_BYTES)
        return None if found < 0 else bucket + NAMES_BYTES + (found - bucket) // NAME_BYTES * SLOT_BYTES

    def claim(self, name: Name, now_ms: int) -> int:
        """A free slot for a name that has none, empty and expired until its user sets the expiry. Raises NoRoom."""
        bucket = name.bucket
        expiries = EXPIRIES.unpack_from(self.memory, bucket + NAMES_BYTES)
        way = _free(expiries, now_ms)
        slot = bucket + NAMES_BYTES + way * SLOT_BYTES
        # Expired before it is renamed: whoever is killed in between leaves a free slot.
        self.memory[slot : slot + SLOT_BYTES] = _NOTHING
        at = bucket + way * NAME_BYTES
        self.memory[at : at + NAME_BYTES] = name.digest
        return slot


def _name(keyed: blake2b, buckets: int, key: bytes) -> Name:
    digest = keyed.copy()
    digest.update(key)
    return _placed(digest.digest(), buckets)


def _placed(digest: bytes, buckets: int) -> Name:
    part = digest[0] % PARTS
    bucket = part * buckets + int.from_bytes(digest[1:9], "little") % buckets
    return Name(digest, part, HEADER_BYTES + bucket * BUCKET_BYTES)


def _free(expiries: tuple[int, ...], now_ms: int) -> int:
    least = min(expiries)
    if least <= now_ms:
        return expiries.index(least)
    most = max(expiries)
    if most > now_ms + HORIZON_MS:
        return expiries.index(most)
    raise NoRoom(least - now_ms)


def _opened(path: Path, size: int) -> tuple[int, bytes]:
    """The descriptor of a file of exactly this form, and the key of its names."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            lockf(file, LOCK_EX, 1, OPENING)
            secret = _secret(file, path, size)
        except BaseException:
            os.close(file)
            raise
        if secret is not None:
            lockf(file, LOCK_UN, 1, OPENING)
            return file, secret
        os.close(file)


def _secret(file: int, path: Path, size: int) -> bytes | None:
    """The key in the header, written first if the file is new; None when another file must be opened."""
    state = os.fstat(file)
    try:
        if not os.path.samestat(state, path.stat()):
            return None  # replaced while we waited for the lock
    except FileNotFoundError:
        return None
    if state.st_size == 0:
        os.posix_fallocate(file, 0, size)
        secret = os.urandom(16)
        os.pwrite(file, HEADER.pack(MAGIC, size, secret), 0)
        return secret
    header = os.pread(file, HEADER.size, 0)
    if state.st_size == size and len(header) == HEADER.size:
        magic, written, secret = HEADER.unpack(header)
        if magic == MAGIC and written == size:
            return bytes(secret)
    path.unlink()  # processes that still use it keep it until they end
    return None
