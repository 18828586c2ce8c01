"""A cache of data about credentials, trusted for one second after it was read.

Therefore a credential revoked in one process is refused by all processes within one second (B-S9). Unknown credentials
are not cached.
"""

from __future__ import annotations

from collections.abc import Hashable
from time import monotonic
from typing import Generic, TypeVar

__all__ = ["TRUSTED_S", "Misses", "Trusted"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

TRUSTED_S = 1.0


class Misses:
    """How often this process read an application or an identity, because its cache had none."""

    __slots__ = ("applications", "identities")

    def __init__(self) -> None:
        self.applications = self.identities = 0


class Trusted(Generic[K, V]):
    """At most ``kept`` values by key, the oldest replaced first."""

    __slots__ = ("_generation", "_kept", "_known")

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._known: dict[K, tuple[V, float]] = {}
        self._generation = 0

    def get(self, key: K) -> V | None:
        """The value, if it is still trusted."""
        known = self._known.get(key)
        return known[0] if known is not None and monotonic() < known[1] else None

    def begin(self, key: K) -> tuple[int, float]:
        """Call this before reading a value; ``keep`` needs its result."""
        self._known.pop(key, None)
        return self._generation, monotonic()

    def keep(self, key: K, value: V, begun: tuple[int, float], left_s: float) -> None:
        """Trust a value, for at most ``left_s``, from the start of its read; no effect if ``forget`` was called after
        that.
        """
        generation, read_at = begun
        if generation != self._generation:
            return
        if len(self._known) >= self._kept:
            del self._known[next(iter(self._known))]
        self._known[key] = value, read_at + min(TRUSTED_S, left_s)

    def forget(self) -> None:
        """Drop all values that were read before."""
        self._generation += 1
        self._known.clear()
