"""Counters in memory; to be replaced by the shared file."""

from __future__ import annotations

from pathlib import Path


class CounterFile:
    """Counters of this process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._logs: dict[bytes, list[int]] = {}

    async def hit(self, key: bytes, *, limit: int, window_ms: int, now_ms: int) -> int | None:
        log = [t for t in self._logs.get(key, []) if now_ms - t <= window_ms]
        self._logs[key] = log
        if len(log) < limit:
            log.append(now_ms)
            return None
        return window_ms - (now_ms - log[-limit]) if limit else window_ms

    async def take_back(self, key: bytes, *, now_ms: int) -> None:
        if self._logs.get(key):
            self._logs[key].pop()

    async def remember(self, key: bytes, *, until_ms: int, now_ms: int) -> bool:
        known = self._logs.get(key)
        if known and known[0] > now_ms:
            return False
        self._logs[key] = [until_ms]
        return True

    def close(self) -> None:
        self._logs.clear()
