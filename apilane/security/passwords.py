"""Passwords as Argon2id hashes, computed outside the event loop with a limit on concurrent hashes.

One hash takes tens of milliseconds and ``memory_kib`` of memory, so ``concurrency`` limits both; more callers wait in a
queue. This module does not decide which passwords are acceptable.
"""

from __future__ import annotations

import asyncio
import secrets
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

__all__ = ["Passwords", "Verdict"]

_SALT_BYTES = 16
_HASH_BYTES = 32


class Verdict(NamedTuple):
    """``rehash``: the password is right, but its hash has outdated parameters and should be replaced."""

    ok: bool
    rehash: bool


class Passwords:
    """Hashes and verifies. Threads start with the first call; ``close`` ends them."""

    def __init__(self, time_cost: int = 2, memory_kib: int = 19456, parallelism: int = 1, concurrency: int = 2) -> None:
        self._hasher = PasswordHasher(
            time_cost=time_cost,
            memory_cost=memory_kib,
            parallelism=parallelism,
            hash_len=_HASH_BYTES,
            salt_len=_SALT_BYTES,
            type=Type.ID,
        )
        # A hash that no password matches. Verifying against it takes as long as verifying against a real hash.
        self._unmatchable = (
            f"$argon2id$v=19$m={memory_kib},t={time_cost},p={parallelism}"
            f"${_unpadded(secrets.token_bytes(_SALT_BYTES))}${_unpadded(secrets.token_bytes(_HASH_BYTES))}"
        )
        # The pool is the limit. A waiting call is a queue entry, which is removed when its caller is cancelled.
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="apilane-passwords")

    async def hash(self, text: str) -> str:
        """The Argon2id hash of ``text`` in its standard text form, salt and parameters included."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._hasher.hash, _octets(text))

    async def verify(self, stored: str | None, text: str) -> Verdict:
        """Whether ``text`` is the password of ``stored``. None (no such user) is never right and takes as long."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._verify, stored, text)

    def close(self) -> None:
        """Drop waiting calls and end the threads; running hashes are finished first."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _verify(self, stored: str | None, text: str) -> Verdict:
        try:
            self._hasher.verify(self._unmatchable if stored is None else stored, _octets(text))
        except (VerificationError, InvalidHashError):
            return Verdict(ok=False, rehash=False)
        # Without a stored hash the answer is always false, even if the hash above matches by chance.
        return Verdict(ok=stored is not None, rehash=stored is not None and self._hasher.check_needs_rehash(stored))


def _unpadded(octets: bytes) -> str:
    return b64encode(octets).decode().rstrip("=")


def _octets(text: str) -> bytes:
    # A lone surrogate (from an environment variable that is not UTF-8) is a bad password, not a crash.
    return text.encode("utf-8", "surrogatepass")
