"""What was read from a database about a credential and is believed for a moment.

One second: what is revoked anywhere is refused everywhere within it (B-S9). Nothing is remembered of what is unknown.
"""

from __future__ import annotations

from collections.abc import Hashable
from time import monotonic
from typing import Generic, TypeVar

__all__ = ["TRUSTED_S", "Trusted"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

TRUSTED_S = 1.0


class Trusted(Generic[K, V]):
    """At most ``kept`` values by key, the oldest replaced first."""

    __slots__ = ("_generation", "_kept", "_known")

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._known: dict[K, tuple[V, float]] = {}
        self._generation = 0

    def get(self, key: K) -> V | None:
        """The value while it is trusted."""
        known = self._known.get(key)
        return known[0] if known is not None and monotonic() < known[1] else None

    def begin(self, key: K) -> tuple[int, float]:
        """To be called before a value is read, for ``keep``."""
        self._known.pop(key, None)
        return self._generation, monotonic()

    def keep(self, key: K, value: V, begun: tuple[int, float], left_s: float) -> None:
        """Trust a value from when its reading began, ``left_s`` at the most; not if all was forgotten meanwhile."""
        generation, read_at = begun
        if generation != self._generation:
            return
        if len(self._known) >= self._kept:
            del self._known[next(iter(self._known))]
        self._known[key] = value, read_at + min(TRUSTED_S, left_s)

    def forget(self) -> None:
        """Trust nothing that was read before."""
        self._generation += 1
        self._known.clear()
