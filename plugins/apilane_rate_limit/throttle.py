"""The throttle limits five counts: failed sign-ins from one address to one account, failed sign-ins from one address
to any account, registrations from one address, requests for a mail to one e-mail address, and those from one address.

The counts of sign-ins are per address, so a caller at another address cannot lock a user out of an account. Accounts
that do not exist are counted by the name that was typed, so they are limited like existing ones.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct

from apilane.plugin import Counters, SignInEvent

__all__ = ["SignInLimits", "SignInThrottle"]

LOGIN_WINDOW_MS = 15 * 60_000
REGISTRATION_WINDOW_MS = 60 * 60_000
MAIL_WINDOW_MS = 60 * 60_000


class SignInLimits(Struct, frozen=True, kw_only=True):
    """The settings of the throttle."""

    login_account_failures: Annotated[
        int,
        Meta(ge=1, description="Failed sign-ins to one account from one address that are admitted in 15 minutes."),
    ] = 10
    login_address_failures: Annotated[
        int,
        Meta(
            ge=1,
            description="Failed sign-ins from one address that are admitted in 15 minutes; see trusted_proxies.",
        ),
    ] = 100
    registrations_per_hour: Annotated[
        int,
        Meta(ge=1, description="Registrations from one address that are admitted in an hour; see trusted_proxies."),
    ] = 60
    mail_interval_s: Annotated[
        float,
        Meta(gt=0, description="Seconds after which a mail of the same kind to the same address can be requested."),
    ] = 300.0
    mails_per_hour: Annotated[
        int,
        Meta(ge=1, description="Mails that one address may request in an hour; see trusted_proxies."),
    ] = 60


class _Count(NamedTuple):
    key: bytes
    limit: int
    window_ms: int


class SignInThrottle:
    """Admits the failures and registrations that the settings allow (B-A2), per application."""

    def __init__(self, counters: Counters, limits: SignInLimits) -> None:
        self._counters = counters
        self._limits = limits

    def _counts(self, event: SignInEvent, application: str, address: str, account: str | None) -> Iterator[_Count]:
        """The counts of an attempt, the most specific first."""

        def key(*parts: str) -> bytes:
            return "\0".join((event, application, address, *parts)).encode("utf-8", "surrogatepass")

        if event == "register":
            yield _Count(key(), self._limits.registrations_per_hour, REGISTRATION_WINDOW_MS)
            return
        if event == "mail":
            to_one = "\0".join((event, application, account or "")).encode("utf-8", "surrogatepass")
            yield _Count(to_one, 1, int(self._limits.mail_interval_s * 1000))
            yield _Count(key(), self._limits.mails_per_hour, MAIL_WINDOW_MS)
            return
        if account is not None:
            yield _Count(key(account), self._limits.login_account_failures, LOGIN_WINDOW_MS)
        yield _Count(key(), self._limits.login_address_failures, LOGIN_WINDOW_MS)

    async def admit(self, event: SignInEvent, application: str, address: str, account: str | None) -> float | None:
        """Count an attempt as failed and return None, or return the seconds to wait without counting it."""
        now_ms = time.time_ns() // 1_000_000
        counted: list[_Count] = []
        for count in self._counts(event, application, address, account):
            wait_ms = await self._counters.hit(count.key, limit=count.limit, window_ms=count.window_ms, now_ms=now_ms)
            if wait_ms is not None:
                for before in counted:
                    await self._counters.take_back(before.key, now_ms=now_ms)
                return wait_ms / 1000
            counted.append(count)
        return None

    async def succeeded(self, event: SignInEvent, application: str, address: str, account: str | None) -> None:
        """Take back a counted attempt."""
        now_ms = time.time_ns() // 1_000_000
        for count in self._counts(event, application, address, account):
            await self._counters.take_back(count.key, now_ms=now_ms)
