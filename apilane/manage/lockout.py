"""Failed sign-ins to the Portal: after some failures an address and an account wait.

The counts are in memory: one process of a machine serves the Portal.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from time import monotonic
from typing import Final

from apilane.errors import RateLimitedError
from apilane.model.text import fold
from apilane.security.networks import network_of

__all__ = ["Lockout"]

WINDOW_S: Final = 15 * 60.0
ACCOUNT_FAILURES: Final = 5
ADDRESS_FAILURES: Final = 30
KEYS_KEPT: Final = 10_000


class Lockout:
    """Counts failures by address, and by account and address: a foreign address cannot lock the user out."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def check(self, email: str, address: str) -> None:
        """Raise RATE_LIMIT_EXCEEDED while the account, from this address, or the address is locked."""
        now = monotonic()
        for key, limit in self._keys(email, address):
            failures = self._failures.get(key)
            while failures and failures[0] <= now - WINDOW_S:
                failures.popleft()
            if failures and len(failures) >= limit:
                raise RateLimitedError(failures[0] + WINDOW_S - now)

    def failed(self, email: str, address: str) -> None:
        """Count a failure."""
        for key, limit in self._keys(email, address):
            self._failures.setdefault(key, deque(maxlen=limit)).append(monotonic())
            self._failures.move_to_end(key)
        while len(self._failures) > KEYS_KEPT:
            self._failures.popitem(last=False)

    def succeeded(self, email: str, address: str) -> None:
        """Forget the failures of an account from an address."""
        self._failures.pop(self._keys(email, address)[0][0], None)

    @staticmethod
    def _keys(email: str, address: str) -> tuple[tuple[str, int], tuple[str, int]]:
        network = network_of(address)
        return (f"{network} {fold(email)[:100]}", ACCOUNT_FAILURES), (network, ADDRESS_FAILURES)
