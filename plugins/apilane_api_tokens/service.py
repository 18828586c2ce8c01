"""The management of API tokens of one application: the same for commands, calls, pages and other plugins.

``ApiTokens(application)`` needs nothing else. Every method raises ``ApilaneError`` for a wrong value, with its name in
``property``, and ``StorageError``. ``user_id`` limits a method to the tokens of one user: others are unknown then.
Changes are seen at once by this process, and within one second by all others.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from time import time_ns
from typing import NamedTuple

from msgspec import UNSET, Struct, UnsetType

from apilane.plugin import ApilaneError, ApplicationView, Code
from apilane.plugin.storage import Result, Step, Value
from apilane_api_tokens.authenticator import KEY
from apilane_api_tokens.checks import Checks
from apilane_api_tokens.form import Kind, new_token, secret_hash, shown
from apilane_api_tokens.options import ApiTokenSection
from apilane_api_tokens.statements import CHANGED, PAGE, statements_of, step
from apilane_api_tokens.tokens import DAY_MS, TokenRow

__all__ = ["ApiTokens", "Changes", "DayCount", "Draft", "Issued", "LoggedUse"]


class Draft(Struct, frozen=True, kw_only=True):
    """A token to be created. With ``user_id`` it is of that user, else of the application itself.

    ``roles`` and ``tenant`` are for tokens of the application. ``expires_days``: days from now; None: 90, or the
    longest time that the application allows.
    """

    name: str
    scopes: Sequence[str]
    description: str | None = None
    user_id: int | None = None
    roles: Sequence[str] = ()
    tenant: int | None = None
    expires_days: float | None = None
    networks: Sequence[str] = ()
    """Addresses and CIDR ranges; empty: any address."""
    rate_limit: str | None = None
    """Such as ``100/minute``; units are second, minute and hour."""
    day_quota: int | None = None
    month_quota: int | None = None
    """Uses per day and per month, in UTC."""


class Changes(Struct, frozen=True, kw_only=True):
    """Changes of a token; UNSET keeps a value. The secret, the user, the roles and the tenant never change."""

    name: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    scopes: Sequence[str] | UnsetType = UNSET
    expires_days: float | UnsetType = UNSET
    networks: Sequence[str] | UnsetType = UNSET
    rate_limit: str | UnsetType | None = UNSET
    day_quota: int | UnsetType | None = UNSET
    month_quota: int | UnsetType | None = UNSET


class Issued(NamedTuple):
    """A token whose secret was made just now. ``secret`` is not stored and cannot be read again."""

    secret: str
    row: TokenRow

    def __repr__(self) -> str:
        return f"Issued({self.row.shown})"


class DayCount(NamedTuple):
    """The uses of one call on one day (days since 1970-01-01, UTC); ``failed``: those with a status of 400 or more."""

    day: int
    call: str
    uses: int
    failed: int


class LoggedUse(NamedTuple):
    """Equal uses within a second or so: unix milliseconds, address, call, HTTP status and number."""

    time: int
    address: str
    call: str
    status: int
    uses: int


class ApiTokens:
    """The API tokens of an application."""

    def __init__(self, application: ApplicationView) -> None:
        self._application = application
        self._statements = statements_of(application)
        self._checks = Checks(application)

    async def create(self, draft: Draft, by: str) -> Issued:
        """Create a token. ``by``: who creates it, for its list."""
        application, now_ms = self._application, _now_ms()
        kind: Kind = "app" if draft.user_id is None else "usr"
        if draft.user_id is not None:
            await self._check_user(draft)
        secret = new_token(kind)
        checks = self._checks
        values: dict[str, Value] = {
            "Kind": kind,
            "Name": checks.name(draft.name),
            "Description": checks.description(draft.description),
            "UserID": draft.user_id,
            "Roles": checks.roles(draft.roles),
            "Tenant": draft.tenant,
            "TenantEntity": application.definition.differentiation_entity if kind == "app" else None,
            "Scopes": checks.scopes(draft.scopes, is_of_user=kind == "usr"),
            "Networks": checks.networks(draft.networks),
            "RateLimit": checks.rate_limit(draft.rate_limit),
            "DayQuota": checks.quota("DayQuota", draft.day_quota),
            "MonthQuota": checks.quota("MonthQuota", draft.month_quota),
            "Hash": secret_hash(application.key(KEY), secret),
            "Shown": shown(secret),
            "Created": now_ms,
            "CreatedBy": by[:100],
            "Expires": checks.expiry(draft.expires_days, now_ms),
        }
        empty = dict.fromkeys(("OldHash", "OldUntil", "Suspended", "Revoked", "LastUsed", "LastAddress"))
        if draft.tenant is not None:
            await checks.tenant(draft.tenant)
        insert = self._statements.insert

        def unit() -> Generator[Step, Result, int]:
            return (yield step(insert, {**values, **empty})).new_id

        token_id = await application.session.run(unit)
        return Issued(secret, await self.known(token_id))

    async def _check_user(self, draft: Draft) -> None:
        if draft.roles or draft.tenant is not None:
            raise _wrong("Roles", "a token of a user has the roles and the tenant of the user")
        if await self._application.tokens.find_user(id=draft.user_id) is None:
            raise _wrong("UserID", f"there is no user {draft.user_id}")

    async def check_room(self, user_id: int) -> None:
        """Raise VALIDATION when a user has as many tokens as users may create."""
        count, application = self._statements.count_of_user, self._application
        values = {"user": user_id, "now": _now_ms()}
        ((used,),) = await application.session.fetch(count, count.parameters(values))
        most = application.options(ApiTokenSection).tokens_per_user
        if used >= most:
            raise ApilaneError(Code.VALIDATION, f"There are {used} tokens; at most {most} are allowed. Revoke one.")

    async def get(self, token_id: int, *, user_id: int | None = None) -> TokenRow | None:
        """The token with that ID; None when there is none."""
        select = self._statements.by_id
        rows = await self._application.session.fetch(select, select.parameters({"id": token_id}))
        row = TokenRow(*rows[0]) if rows else None
        return None if row is None or (user_id is not None and row.user_id != user_id) else row

    async def find(self, secret: str) -> tuple[TokenRow, int] | None:
        """The token with that secret, and when the secret ends (unix ms); None for an unknown one.

        The token may be suspended, revoked or expired.
        """
        select = self._statements.by_hash
        values = {"hash": secret_hash(self._application.key(KEY), secret)}
        rows = await self._application.session.fetch(select, select.parameters(values))
        if not rows:
            return None
        *columns, is_current = rows[0]
        row = TokenRow(*columns)
        return row, row.expires if is_current else min(row.expires, row.old_until or 0)

    async def page(self, *, user_id: int | None = None, after: int = 0) -> list[TokenRow]:
        """The next tokens by ID, at most ``PAGE``; ``after``: the last ID of the page before."""
        select = self._statements.after if user_id is None else self._statements.after_of_user
        values = {"after": after, "limit": PAGE, "offset": 0, "user": user_id}
        rows = await self._application.session.fetch(select, select.parameters(values))
        return [TokenRow(*row) for row in rows]

    async def every(self, *, user_id: int | None = None) -> list[TokenRow]:
        """Every token by ID."""
        found: list[TokenRow] = []
        while page := await self.page(user_id=user_id, after=found[-1].id if found else 0):
            found += page
            if len(page) < PAGE:
                break
        return found

    async def change(self, token_id: int, changes: Changes, *, user_id: int | None = None) -> TokenRow:
        """Change a token that has not ended, without a new secret. Raises NOT_FOUND and VALIDATION."""
        row = await self._living(token_id, user_id)
        checks, values = self._checks, _kept(row)
        if not isinstance(changes.name, UnsetType):
            values["Name"] = checks.name(changes.name)
        if not isinstance(changes.description, UnsetType):
            values["Description"] = checks.description(changes.description)
        if not isinstance(changes.scopes, UnsetType):
            values["Scopes"] = checks.scopes(changes.scopes, is_of_user=row.user_id is not None)
        if not isinstance(changes.expires_days, UnsetType):
            values["Expires"] = checks.expiry(changes.expires_days, _now_ms())
        if not isinstance(changes.networks, UnsetType):
            values["Networks"] = checks.networks(changes.networks)
        if not isinstance(changes.rate_limit, UnsetType):
            values["RateLimit"] = checks.rate_limit(changes.rate_limit)
        if not isinstance(changes.day_quota, UnsetType):
            values["DayQuota"] = checks.quota("DayQuota", changes.day_quota)
        if not isinstance(changes.month_quota, UnsetType):
            values["MonthQuota"] = checks.quota("MonthQuota", changes.month_quota)
        return await self._change(row, values)

    async def suspend(self, token_id: int, *, user_id: int | None = None) -> TokenRow:
        """Refuse the token until ``resume``."""
        row = await self._living(token_id, user_id)
        return await self._change(row, {**_kept(row), "Suspended": row.suspended or _now_ms()})

    async def resume(self, token_id: int, *, user_id: int | None = None) -> TokenRow:
        """Accept a suspended token again."""
        row = await self._living(token_id, user_id)
        return await self._change(row, {**_kept(row), "Suspended": None})

    async def revoke(self, token_id: int, *, user_id: int | None = None) -> TokenRow:
        """Refuse the token for ever. Revoking it again changes nothing."""
        row = await self.known(token_id, user_id)
        return await self._change(row, {**_kept(row), "Revoked": row.revoked or _now_ms()})

    async def rotate(
        self, token_id: int, *, overlap_s: float = 0, expires_days: float | None = None, user_id: int | None = None
    ) -> Issued:
        """Give a token a new secret. The old one is accepted for ``overlap_s`` more seconds, at most 30 days.

        Scopes and limits stay. ``expires_days`` None keeps the expiry.
        """
        row, now_ms = await self._living(token_id, user_id), _now_ms()
        if not 0 <= overlap_s <= 30 * DAY_MS / 1000:
            raise _wrong("Overlap", f"{overlap_s:g} seconds; expected 0 to {30 * DAY_MS // 1000} (30 days)")
        secret = new_token("app" if row.user_id is None else "usr")
        values: dict[str, Value] = {
            "id": row.id,
            "hash": secret_hash(self._application.key(KEY), secret),
            "shown": shown(secret),
            "old_until": now_ms + int(overlap_s * 1000),
            "expires": row.expires if expires_days is None else self._checks.expiry(expires_days, now_ms),
        }
        statements = self._statements

        def unit() -> Generator[Step, Result, None]:
            ((old_hash,),) = (yield step(statements.hash_of, values)).rows
            yield step(statements.rotate, {**values, "old_hash": old_hash})

        await self._application.session.run(unit)
        self._application.records_changed()
        return Issued(secret, await self.known(row.id))

    async def usage(self, token_id: int, *, days: int = 30, user_id: int | None = None) -> Sequence[DayCount]:
        """The counts of the last ``days`` days, today included, by day and call."""
        row, select = await self.known(token_id, user_id), self._statements.days
        since = _now_ms() // DAY_MS - days + 1
        rows = await self._application.session.fetch(select, select.parameters({"Token": row.id, "since": since}))
        return [DayCount(*each) for each in rows]

    async def log(self, token_id: int, *, limit: int = 100, user_id: int | None = None) -> Sequence[LoggedUse]:
        """The last uses, the newest first."""
        row, select = await self.known(token_id, user_id), self._statements.calls
        rows = await self._application.session.fetch(
            select, select.parameters({"Token": row.id, "limit": limit, "offset": 0})
        )
        return [LoggedUse(*each) for each in rows]

    async def known(self, token_id: int, user_id: int | None = None) -> TokenRow:
        """The token with that ID. Raises NOT_FOUND."""
        row = await self.get(token_id, user_id=user_id)
        if row is None:
            raise ApilaneError(Code.NOT_FOUND, f"There is no token {token_id}")
        return row

    async def _living(self, token_id: int, user_id: int | None) -> TokenRow:
        row = await self.known(token_id, user_id)
        status = row.status(_now_ms())
        if status in {"revoked", "expired"}:
            raise ApilaneError(Code.VALIDATION, f"The token {token_id} is {status}; create another one.")
        return row

    async def _change(self, row: TokenRow, values: dict[str, Value]) -> TokenRow:
        named = {f"new_{name}": value for name, value in values.items()}
        await self._write(step(self._statements.change, {**named, "id": row.id}))
        return await self.known(row.id)

    async def _write(self, only: Step) -> None:
        def unit() -> Generator[Step, Result, None]:
            yield only

        await self._application.session.run(unit, single=True)
        self._application.records_changed()


def _now_ms() -> int:
    return time_ns() // 1_000_000


def _wrong(property: str, what: str) -> ApilaneError:
    return ApilaneError(Code.VALIDATION, f"Validation error: {what}", property=property)


def _kept(row: TokenRow) -> dict[str, Value]:
    """The stored values of the columns that can change."""
    stored = (
        *(row.name, row.description, row.scopes, row.networks, row.rate_limit, row.day_quota, row.month_quota),
        *(row.expires, row.suspended, row.revoked),
    )
    return dict(zip(CHANGED, stored, strict=True))
