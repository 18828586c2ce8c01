"""Identifies programs by their API tokens.

A request with a token is either the token's or refused. Every bad token that has the right checksum costs one look-up
and gets the same answer, so that answer and timing do not tell why it was refused.
"""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address
from time import time_ns
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from apilane.plugin import (
    Actor,
    Answered,
    ApilaneError,
    ApplicationView,
    Code,
    Counters,
    RateLimitedError,
    RequestView,
    parse_range,
    read_scopes,
    unauthorized,
)
from apilane_api_tokens.form import find_tokens, secret_hash, sent_in
from apilane_api_tokens.statements import credential_statement, statements_of
from apilane_api_tokens.tokens import DAY_MS, Limit, TokenRow, names_in, read_limit
from apilane_api_tokens.usage import Usage

__all__ = ["INTROSPECT", "KEY", "PURPOSE", "QueryRefuser", "TokenAuthenticator"]

KEY: Final = "api tokens"
"""The purpose of the key of the stored hashes."""
PURPOSE: Final = "api tokens"
"""The purpose of the cache of credentials."""
INTROSPECT: Final = "introspect"
"""The scope for ``ApiTokens/Introspect`` and ``ApiTokens/Revocation``."""
HINT: Final = (
    "Unauthorized: an API token in the address of a request is not accepted, because addresses are kept in logs and "
    "histories. Send it in the header Authorization: Bearer. Revoke this token: it may be known to others."
)


class StoredUser(NamedTuple):
    """The part of a user that decides what a program of the user may do."""

    roles: str | None
    tenant: int | None


def roles_in(text: str | None) -> frozenset[str]:
    """``Users.Roles`` as a set, read as for a session: split at commas, trimmed, empty names ignored."""
    return frozenset(name for part in (text or "").split(",") if (name := part.strip()))


class Credential:
    """A token that was read and found good, for one second at most."""

    __slots__ = ("actor", "answered", "is_limited", "limit", "networks", "quotas", "row", "used")

    def __init__(self, row: TokenRow, user: StoredUser | None, answered: Answered) -> None:
        self.row = row
        self.answered = answered
        names = names_in(row.scopes)
        scopes = read_scopes(name for name in names if name != INTROSPECT)
        self.actor = Actor(
            kind="program",
            user_id=row.user_id,
            roles=frozenset(names_in(row.roles)) if user is None else roles_in(user.roles),
            tenant=row.tenant if user is None else user.tenant,
            credential=f"token {row.id}",
            scopes=scopes | ({INTROSPECT} & set(names)),
        )
        self.networks = None if row.networks is None else [*map(parse_range, names_in(row.networks))]
        self.limit: Limit | None = read_limit(row.rate_limit) if row.rate_limit else None
        self.quotas: tuple[int | None, int | None] | None = None
        """Uses that are left today and this month; None without quotas."""
        self.used = 0
        self.is_limited = (row.rate_limit or row.day_quota or row.month_quota) is not None

    def admits(self, address: str) -> bool:
        """Whether the token may be used from an address. A range that cannot be read admits none."""
        if self.networks is None:
            return True
        try:
            client = ip_address(address)
        except ValueError:  # a connection without an address
            return False
        return any(each is not None and client.version == each.version and client in each for each in self.networks)


class TokenAuthenticator:
    """The bearer tokens that begin with ``apl_``."""

    scheme = "bearer"

    def __init__(self, counters: Counters, usage: Usage) -> None:
        self._counters = counters
        self._usage = usage

    async def authenticate(self, request: RequestView, application: ApplicationView) -> Actor | None:
        """The program of the token; None for a header without one. Raises UNAUTHORIZED and RATE_LIMIT_EXCEEDED."""
        sent = sent_in(request.headers.get(b"authorization", b""))
        if sent is None:
            return None
        token, is_well_formed = sent
        if not is_well_formed:
            raise unauthorized()
        known: Credential | None = application.trusted(PURPOSE).get(token)
        if known is None or (known.networks is not None and not known.admits(request.client_address)):
            known = await self._read(token, request, application)
        if known.is_limited and not request.is_second_try:
            await self._count(known, application)
        request.answered = known.answered
        return known.actor

    async def _read(self, token: str, request: RequestView, application: ApplicationView) -> Credential:
        """Read a token and its user with one look-up. Raises UNAUTHORIZED for every bad one."""
        cache, tenant_entity = application.trusted(PURPOSE), application.definition.differentiation_entity
        begun = cache.begin(token)
        select = credential_statement(application)
        wanted = {"hash": secret_hash(application.key(KEY), token)}
        rows = await application.session.fetch(select, select.parameters(wanted))
        now_ms = time_ns() // 1_000_000
        if not rows:
            raise unauthorized()
        *columns, is_current, user_id, roles, tenant = rows[0]
        row = TokenRow(*columns)
        until_ms = row.expires if is_current else min(row.expires, row.old_until or 0)
        is_good = row.status(now_ms) == "active" and now_ms < until_ms
        if row.user_id is None:
            is_good = is_good and row.kind == "app" and row.tenant_entity == tenant_entity
        else:
            is_good = is_good and row.kind == "usr" and user_id == row.user_id
        user = None if row.user_id is None else StoredUser(roles, tenant)
        known = Credential(row, user, self._usage.counter(application, row.id))
        if not is_good or not known.admits(request.client_address):
            raise unauthorized()
        if row.day_quota is not None or row.month_quota is not None:
            known.quotas = await self._quotas(row, application, now_ms)
        cache.keep(token, known, begun, (until_ms - now_ms) / 1000)
        return known

    async def _quotas(self, row: TokenRow, application: ApplicationView, now_ms: int) -> tuple[int | None, int | None]:
        """The uses that are left today and this month."""
        today, month = now_ms // DAY_MS, _first_day(now_ms)
        select = statements_of(application).sum_since
        waiting = self._usage.waiting(application, row.id)
        values = {"Token": row.id, "since": month, "today": today}
        ((of_month, of_day),) = await application.session.fetch(select, select.parameters(values))
        return (
            None if row.day_quota is None else row.day_quota - int(of_day) - waiting,
            None if row.month_quota is None else row.month_quota - int(of_month) - waiting,
        )

    async def _count(self, known: Credential, application: ApplicationView) -> None:
        """Count one use against the token's own limit and quotas. Raises RATE_LIMIT_EXCEEDED."""
        now_ms = time_ns() // 1_000_000
        if known.quotas is not None:
            for left, ends_ms in zip(known.quotas, (_next_day(now_ms), _next_month(now_ms)), strict=True):
                if left is not None and known.used >= left:
                    raise RateLimitedError((ends_ms - now_ms) / 1000)
        if known.limit is not None:
            uses, window_ms = known.limit
            key = b"api token\0%s\0%d" % (application.token.encode(), known.row.id)
            wait_ms = await self._counters.hit(key, limit=uses, window_ms=window_ms, now_ms=now_ms)
            if wait_ms is not None:
                raise RateLimitedError(wait_ms / 1000)
        known.used += 1


class QueryRefuser:
    """Refuses API tokens in the address of a request, with a hint."""

    scheme = "query"

    async def authenticate(self, request: RequestView, _application: ApplicationView) -> None:
        """Return None, or raise UNAUTHORIZED when the query has a token with the right checksum."""
        target = request.raw_target
        if b"apl_" in target or b"apl%5" in target:
            for _ in find_tokens(unquote_to_bytes(target.replace(b"+", b" ")).decode("latin-1")):
                raise ApilaneError(Code.UNAUTHORIZED, HINT)


def _date(now_ms: int) -> datetime:
    return datetime.fromtimestamp(now_ms / 1000, UTC)


def _first_day(now_ms: int) -> int:
    """The first day of the month, as days since 1970."""
    return now_ms // DAY_MS - _date(now_ms).day + 1


def _next_day(now_ms: int) -> int:
    return (now_ms // DAY_MS + 1) * DAY_MS


def _next_month(now_ms: int) -> int:
    date = _date(now_ms)
    following = date.replace(year=date.year + date.month // 12, month=date.month % 12 + 1, day=1)
    return int(datetime(following.year, following.month, 1, tzinfo=UTC).timestamp() * 1000)
