"""The counters of one machine in a memory-mapped file: sliding logs that all its processes share.

A log numbers the uses of a key. One more use is admitted when the ``limit``-th newest one is outside the window. So
each call reads one entry and writes one, for any length of the log, and no entries are deleted. The newest ``RING``
entries are in the slot of the key. In longer logs each full ring is copied to a separate slot (a page), which expires
with its newest entry. An expired page has no entry within the window.

Limits above ``ENTRIES_MAX`` are kept in groups: several uses share the entry of the newest of them. So the room for
every limit is bounded (10,000 entries are 116 KB), and no limit is exceeded. In such a log the oldest uses leave the
window in groups of up to a ten-thousandth of the limit. When the grouping changes with the limit, the log starts empty.

A process that is killed during an update leaves the log with or without that one use. Calls come from the thread of the
event loop (see ``slot_file``) and wait at most for the update of another process.
"""

from __future__ import annotations

import struct
from pathlib import Path

from apilane.plugin.storage import Unavailable
from apilane_counter_file.slot_file import EXPIRY, HORIZON_MS, Name, NoRoom, SlotFile

__all__ = ["CounterFile"]

ENTRIES_MAX = 10_000
RING = 11
USES_MAX = 2**35
"""A log with this many uses, or with a damaged number, starts empty. Page numbers have 32 bits."""
AHEAD_MS = 1000
"""How far the newest entry may be ahead of the caller's clock, which was read before the lock was acquired."""

HEAD = struct.Struct("@qQII")
"""Expiry; number of uses so far; pages written so far; uses per entry."""
TIME = struct.Struct("@q")
RING_AT = HEAD.size
RING_TIMES = struct.Struct(f"@{RING}q")
RING_BYTES = RING_TIMES.size

LOG, MEMORY = b"l", b"m"
"""Prefixes of keys, so that a log and a remembered key have different slots."""


class CounterFile:
    """``Counters`` in the file at ``path``, created on first use, with ``size_mib`` MiB of slots.

    A slot takes 128 bytes and holds a key with up to 11 uses; about three quarters of the slots can be in use before
    the first new key is refused. Windows and remembered keys last less than 24 hours. All uses of one key must have the
    same window. All slots of a key are in one of 64 parts of the file, so the longest logs need a file of 10 MiB. A
    limit may change. When the clock is set back, no caller waits for more than one window.
    """

    def __init__(self, path: Path, *, size_mib: int = 64) -> None:
        self._path = path
        self._size_mib = size_mib
        self._slots: SlotFile | None = None

    def _open(self) -> SlotFile:
        try:
            self._slots = SlotFile(self._path, self._size_mib)
        except OSError as error:
            raise Unavailable(
                f"The counters file {self._path} of {self._size_mib} MiB cannot be used: {error.strerror}. The setting "
                "size_mib in [plugins.counter_file] says how large it is."
            ) from error
        return self._slots

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        if self._slots is not None:
            self._slots.close()
            self._slots = None

    async def hit(self, key: bytes, *, limit: int, window_ms: int, now_ms: int) -> int | None:
        """Record one use and return None, or return the ms to wait when the window has ``limit`` uses already.

        The use is refused too when there is no room for a new key or for a longer log.
        """
        if limit < 1:
            return window_ms
        if window_ms >= HORIZON_MS:
            raise _too_long(window_ms)
        slots = self._slots or self._open()
        name = slots.name(LOG + key)
        slots.lock(name.part)
        try:
            return _hit(slots, name, limit, window_ms, now_ms)
        except NoRoom as full:
            return full.wait_ms
        finally:
            slots.unlock(name.part)

    async def hit_many(
        self, key: bytes, *, uses: int, limit: int, window_ms: int, now_ms: int
    ) -> tuple[int, int | None]:
        """Record up to ``uses`` uses under one lock, as ``hit`` does. See ``Counters``."""
        if limit < 1:
            return 0, window_ms
        if window_ms >= HORIZON_MS:
            raise _too_long(window_ms)
        slots = self._slots or self._open()
        name = slots.name(LOG + key)
        slots.lock(name.part)
        recorded = 0
        try:
            while recorded < uses:
                wait_ms = _hit(slots, name, limit, window_ms, now_ms)
                if wait_ms is not None:
                    return recorded, wait_ms
                recorded += 1
        except NoRoom as full:
            return recorded, full.wait_ms
        else:
            return recorded, None
        finally:
            slots.unlock(name.part)

    async def take_back(self, key: bytes, *, now_ms: int, uses: int = 1) -> None:
        """Remove the newest entries of a key, as far as there are so many."""
        slots = self._slots or self._open()
        name = slots.name(LOG + key)
        slots.lock(name.part)
        try:
            for _ in range(uses):
                _take_back(slots, name, now_ms)
        finally:
            slots.unlock(name.part)

    async def remember(self, key: bytes, *, until_ms: int, now_ms: int) -> bool:
        """Keep ``key`` until ``until_ms``. False: it is kept already, or the file is full."""
        if until_ms - now_ms >= HORIZON_MS:
            raise _too_long(until_ms - now_ms)
        slots = self._slots or self._open()
        name = slots.new_name(MEMORY + key)
        slots.lock(name.part)
        try:
            slot = slots.find(name)
            if slot is None:
                slot = slots.claim(name, now_ms)
            elif now_ms < EXPIRY.unpack_from(slots.memory, slot)[0] <= now_ms + HORIZON_MS:
                return False
            EXPIRY.pack_into(slots.memory, slot, until_ms)
        except NoRoom:
            return False
        else:
            return True
        finally:
            slots.unlock(name.part)


def _too_long(span_ms: int) -> ValueError:
    return ValueError(f"{span_ms} ms are too long; counters keep entries for less than {HORIZON_MS} ms")


# The functions below work on the log of one key, under the lock of its part. An object for each use would cost 0.5 us.


def _hit(slots: SlotFile, name: Name, limit: int, window_ms: int, now_ms: int) -> int | None:
    memory = slots.memory
    group = 1 if limit <= ENTRIES_MAX else -(-limit // ENTRIES_MAX)
    uses = pages = 0
    at_ms = now_ms
    slot = slots.find(name)
    if slot is None:
        slot = slots.claim(name, now_ms)
    else:
        expiry, known_uses, known_pages, known_group = HEAD.unpack_from(memory, slot)
        if expiry > now_ms and known_group == group and known_pages * RING * group <= known_uses < USES_MAX:
            uses, pages = known_uses, known_pages
            newest_ms = expiry - window_ms - 1
            if newest_ms > now_ms + AHEAD_MS:
                _rewind(slots, name, slot, window_ms, now_ms)
            elif newest_ms > now_ms:
                at_ms = newest_ms  # the times of a log never decrease
    if uses >= limit:
        oldest, newest = (uses - limit) // group, (uses - 1) // group
        made_ms = _time(slots, name, slot, oldest, pages if oldest <= newest - RING else None)
        until_ms = min(made_ms, at_ms) + window_ms + 1
        if until_ms > at_ms:
            return until_ms - now_ms
    entry, rest = divmod(uses, group)
    if rest == 0 and entry % RING == 0 and entry > pages * RING:
        try:
            _write_page(slots, name, slot, entry // RING - 1, now_ms)
        except NoRoom:
            if limit > RING:
                raise
        pages = entry // RING
    # The head is written before the time: a process killed in between has counted a use outside the window. pack_into
    # is not used, because it clears the bytes before it writes.
    memory[slot : slot + RING_AT] = HEAD.pack(at_ms + window_ms + 1, uses + 1, pages, group)
    TIME.pack_into(memory, slot + RING_AT + entry % RING * TIME.size, at_ms)
    return None


def _take_back(slots: SlotFile, name: Name, now_ms: int) -> None:
    slot = slots.find(name)
    if slot is None:
        return
    expiry, uses, pages, group = HEAD.unpack_from(slots.memory, slot)
    if expiry <= now_ms or uses == 0 or group == 0:
        return
    entry, rest = divmod(uses - 1, group)
    page, place = divmod(entry, RING)
    if page < pages:  # the entry is on a page already, which is copied back into the ring
        pages = page
        written = slots.find(slots.derived(name, page))
        if written is not None:
            _copy_ring(slots, written, slot)
    slots.memory[slot : slot + RING_AT] = HEAD.pack(expiry, uses - 1, pages, group)
    if rest == 0:  # the entry that it replaced was outside the window, or is on a page
        TIME.pack_into(slots.memory, slot + RING_AT + place * TIME.size, 0)


def _time(slots: SlotFile, name: Name, slot: int, entry: int, pages: int | None) -> int:
    """The time of an entry, in ms; 0 when its page has expired. ``pages`` None: the entry is in the ring."""
    page, place = divmod(entry, RING)
    if pages is not None:
        found = slots.find(slots.derived(name, page)) if page < pages else None
        if found is None:
            return 0
        slot = found
    time_ms: int = TIME.unpack_from(slots.memory, slot + RING_AT + place * TIME.size)[0]
    return time_ms


def _copy_ring(slots: SlotFile, source: int, target: int) -> None:
    memory = slots.memory
    memory[target + RING_AT : target + RING_AT + RING_BYTES] = memory[source + RING_AT : source + RING_AT + RING_BYTES]


def _write_page(slots: SlotFile, name: Name, slot: int, page: int, now_ms: int) -> None:
    """Copy the full ring to its page. Raises NoRoom."""
    page_name = slots.derived(name, page)
    target = slots.find(page_name)
    if target is None:
        target = slots.claim(page_name, now_ms)
    _copy_ring(slots, slot, target)
    EXPIRY.pack_into(slots.memory, target, EXPIRY.unpack_from(slots.memory, slot)[0])


def _rewind(slots: SlotFile, name: Name, slot: int, window_ms: int, now_ms: int) -> None:
    """Change times in the future to now, after the clock was set back."""
    pages = HEAD.unpack_from(slots.memory, slot)[2]
    places = [slot]
    for page in range(pages - 1, -1, -1):
        found = slots.find(slots.derived(name, page))
        if found is None:
            break
        places.append(found)
    for place in places:
        times = RING_TIMES.unpack_from(slots.memory, place + RING_AT)
        RING_TIMES.pack_into(slots.memory, place + RING_AT, *(min(time_ms, now_ms) for time_ms in times))
        EXPIRY.pack_into(slots.memory, place, now_ms + window_ms + 1)
