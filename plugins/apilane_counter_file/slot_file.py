"""A memory-mapped file of slots that expire, shared by the processes of one machine.

This module handles names, slots, locks and room; ``counter_file`` defines the content of slots. Nothing is deleted: an
expired slot is free. The file is not portable between machines. A file of another size or layout is replaced by an
empty one.

A call needs one lock: a name belongs to one of ``PARTS`` parts of the file, and all its slots are in that part. The
lock is a byte-range lock of the process, so it ends with a killed process. It does not exclude threads of one process:
all calls come from one thread, that of the event loop. A forked child can use an inherited object, because the mapping
is shared and locks are not inherited.
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
"""With four busy processes about one use in a hundred waits for another one in the same part."""
WAYS = 64
NAME_BYTES = 16
NAMES_BYTES = WAYS * NAME_BYTES
SLOT_BYTES = 112
BODY_BYTES = SLOT_BYTES - 8
"""The room of a slot for data besides its expiry."""
BUCKET_BYTES = NAMES_BYTES + WAYS * SLOT_BYTES
"""8192: first all names, so that one is found by a search in memory, then the slots."""
NAMES_KEPT = 4096
HORIZON_MS = 24 * 60 * 60 * 1000
"""The longest time until a slot expires. A later expiry was written with a wrong clock; such a slot is free."""

MAGIC = b"apilane2"
HEADER = struct.Struct("@8sQ16s")
"""Layout, size of the file, key of the names."""
HEADER_BYTES = 4096
OPENING = PARTS
"""The lock byte for opening the file; the bytes below are those of the parts."""

# Native byte order and alignment: eight bytes are stored in one step, so a killed process leaves no partly
# written number.
EXPIRY = struct.Struct("@q")
EXPIRIES = struct.Struct("@" + f"q{BODY_BYTES}x" * WAYS)
_NOTHING = bytes(SLOT_BYTES)
_REST = 1 << (8 * (NAME_BYTES - 1))
_STEP = 0x3779B97F4A7C15F39CC0605CEDC835
"""Odd, so that derived names are spread over all buckets of their part."""


class NoRoom(Exception):
    """Every slot that a name can use is taken; the first one is free after ``wait_ms``."""

    def __init__(self, wait_ms: int) -> None:
        super().__init__(wait_ms)
        self.wait_ms = wait_ms


class Name(NamedTuple):
    """The name of a key: its hash, and the part and bucket of its slot. The hash is keyed, so callers cannot choose
    it."""

    digest: bytes
    part: int
    """Computed from the first byte of the digest."""
    bucket: int
    """Its offset in the file, computed from the next eight bytes of the digest."""


class SlotFile:
    """The file at ``path``, opened or created: ``size_mib`` MiB of slots of 128 bytes.

    A slot is identified by the offset of its expiry (unix ms) in ``memory``; its body follows. Raises OSError, also
    when the disk is full: the whole file is allocated here, because a later write without room would kill the
    process.
    """

    def __init__(self, path: Path, size_mib: int) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._buckets = size_mib * 2**20 // BUCKET_BYTES // PARTS
        size = HEADER_BYTES + self._buckets * PARTS * BUCKET_BYTES
        self._file, secret = _opened(path, size)
        self.close = weakref.finalize(self, os.close, self._file)
        self.memory = mmap.mmap(self._file, size)
        self.lock = partial(lockf, self._file, LOCK_EX, 1)
        """``lock(part)`` locks a part against other processes, and waits while another one holds the lock."""
        self.unlock = partial(lockf, self._file, LOCK_UN, 1)
        """``unlock(part)`` releases the lock."""
        digest = blake2b(digest_size=NAME_BYTES, key=secret)
        self.new_name = partial(_name, digest, self._buckets)
        """Returns the ``Name`` of a key that is used once."""
        self.name = lru_cache(NAMES_KEPT)(self.new_name)
        """Returns the ``Name`` of a key that is used again: 1.5 us the first time, 0.1 us afterwards."""

    def derived(self, name: Name, number: int) -> Name:
        """The name of the additional slot ``number`` of ``name``, in the same part."""
        rest = (int.from_bytes(name.digest[1:], "little") + (number + 1) * _STEP) % _REST
        return _placed(name.digest[:1] + rest.to_bytes(NAME_BYTES - 1, "little"), self._buckets)

    def find(self, name: Name) -> int | None:
        """The slot of a name, expired or not; None when it has none."""
        digest, _, bucket = name
        found = self.memory.find(digest, bucket, bucket + NAMES_BYTES)
        return None if found < 0 else bucket + NAMES_BYTES + (found - bucket) // NAME_BYTES * SLOT_BYTES

    def claim(self, name: Name, now_ms: int) -> int:
        """Take a free slot for a name that has none. It stays expired until the caller sets the expiry. Raises
        NoRoom."""
        bucket = name.bucket
        expiries = EXPIRIES.unpack_from(self.memory, bucket + NAMES_BYTES)
        way = _free(expiries, now_ms)
        slot = bucket + NAMES_BYTES + way * SLOT_BYTES
        # The slot is cleared before it gets the name: a process killed in between leaves a free slot.
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
    """The descriptor of a file with this size and layout, and the key of its names."""
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
            return None  # replaced during the wait for the lock
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
