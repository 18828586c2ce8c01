"""Credentials of operators: tokens of scripts, sessions of the Portal and one-time links, one row each, stored as keyed
hashes (``docs/reference/protocol/security.md`` B-S12).

A session, and a token without a name, expires after 12 hours without use. Every credential can have its own expiry
time. This module does not decide what an
operator may do.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Generator
from typing import Any, Literal

from msgspec import Struct

from apilane.control.secrets import SecretsBox
from apilane.control.statements import ControlStatements
from apilane.model.portal_roles import Permission
from apilane.security.tokens import new_token
from apilane.sql.statement import Statement, Value
from apilane.storage.errors import StorageError
from apilane.storage.protocol import Result, Session, Step

__all__ = ["IDLE_MS", "Credential", "CredentialKind", "NewCredential", "OperatorTokens", "SignedIn"]

IDLE_MS = 12 * 60 * 60 * 1000
USE_NOTED_MS = 60_000
"""A use is stored if the last stored use is older, so that a busy operator causes one write a minute."""

CredentialKind = Literal["token", "session", "link"]
"""``link``: a one-time link to set a password; it starts no session."""

log = logging.getLogger("apilane.control")


class SignedIn(Struct, frozen=True, kw_only=True):
    """The operator of a valid token. ``left_ms``: time until it expires if it is not used again."""

    email: str
    is_admin: bool
    left_ms: int
    token_id: int = 0
    user_id: int = 0
    kind: CredentialKind = "token"
    application: str | None = None
    """The only application that the token may use."""
    permissions: frozenset[Permission] | None = None
    """The permissions that the token is limited to; None: all of the user."""

    @property
    def is_limited(self) -> bool:
        """Whether the token may do less than its user."""
        return self.application is not None or self.permissions is not None


class NewCredential(Struct, frozen=True, kw_only=True):
    """What a new credential is for. ``life_ms`` None: it expires only without use."""

    kind: CredentialKind = "token"
    life_ms: int | None = None
    name: str | None = None
    address: str | None = None
    application: str | None = None
    permissions: frozenset[Permission] | None = None


class Credential(Struct, frozen=True, kw_only=True):
    """A stored credential, without its secret. Times are Unix milliseconds."""

    id: int
    kind: CredentialKind
    name: str
    address: str
    created: int
    last_used: int
    expires: int
    """The time at which it ends if it is not used again."""
    application: str | None
    permissions: frozenset[Permission] | None


class OperatorTokens:
    """The table of operators' credentials, ``ControlStore.operator_tokens``. Tokens are GUIDs in canonical form."""

    def __init__(self, session: Session, statements: ControlStatements, box: SecretsBox) -> None:
        self._session = session
        self._statements = statements
        self._box = box

    async def create(self, user_id: int, life_ms: int | None = None, *, like: NewCredential | None = None) -> str:
        """A new token of an operator; only this call returns it. ``life_ms`` None: it expires only without use.

        ``like``: the kind of credential, with its own ``life_ms``.
        """
        new = like or NewCredential(life_ms=life_ms)
        token, now = new_token(), _now_ms()
        row: dict[str, Value] = {
            "tokenhash": self._box.operator_token_hash(token),
            "userid": user_id,
            "created": now,
            "lastused": now,
            "expires": None if new.life_ms is None else now + new.life_ms,
            "kind": new.kind,
            "name": None if new.name is None else new.name[:200],
            "address": new.address,
            "application": new.application,
            "permissions": None if new.permissions is None else ",".join(sorted(new.permissions)),
        }
        insert, purge = self._statements.insert_operator_token, self._statements.delete_dead_operator_tokens

        def unit() -> Generator[Step, Result, None]:
            yield Step(purge, purge.parameters({"idle": now - IDLE_MS, "now": now}))
            yield Step(insert, insert.parameters(row))

        await self._session.run(unit)
        return token

    async def find(self, token: str) -> SignedIn | None:
        """The operator of the token; the use is stored. None when the token is unknown, revoked or expired."""
        found = await self._find(token)
        if found is None or found.kind == "link":
            return None
        return found

    async def find_link(self, token: str) -> SignedIn | None:
        """The user of a one-time link; None when it is unknown, used or expired."""
        found = await self._find(token)
        return found if found is not None and found.kind == "link" else None

    async def _find(self, token: str) -> SignedIn | None:
        rows = await self._session.fetch(self._statements.operator_token, (self._box.operator_token_hash(token),))
        if not rows:
            return None
        token_id, last_used, expires, email, is_admin, user_id, kind, name, application, permissions = rows[0]
        now, ends = _now_ms(), _ends(last_used, expires, can_idle=name is None or kind == "session")
        if now >= ends:
            return None
        if now - last_used > USE_NOTED_MS:
            await self._note_use(token_id, now)
        return SignedIn(
            email=email,
            is_admin=bool(is_admin),
            left_ms=ends - now,
            token_id=token_id,
            user_id=user_id,
            kind=kind or "token",
            application=application,
            permissions=_permissions(permissions),
        )

    async def of(self, user_id: int) -> list[Credential]:
        """The valid credentials of a user, oldest first, without one-time links."""
        rows = await self._session.fetch(self._statements.operator_tokens_of, (user_id,))
        found = [_credential(row) for row in rows]
        return [each for each in found if each.kind != "link" and each.expires > _now_ms()]

    async def revoke(self, token: str) -> bool:
        """End a sign-in, in every process within a second; False when there is none."""
        revoke = self._statements.delete_owner_token
        return bool(await self._run(revoke, {"hash": self._box.operator_token_hash(token)}))

    async def revoke_one(self, user_id: int, id: int) -> bool:
        """End one credential of a user by its ID; False when the user has none with that ID."""
        return bool(await self._run(self._statements.delete_operator_token, {"id": id, "userid": user_id}))

    async def revoke_others(self, user_id: int, kept: int = 0) -> int:
        """End all credentials of a user except one; how many ended."""
        return await self._run(self._statements.delete_operator_tokens_of, {"userid": user_id, "kept": kept})

    async def _note_use(self, token_id: int, now: int) -> None:
        """Store the use of a token. A failure is logged and must not fail the request."""
        try:
            await self._run(self._statements.note_use_of_owner_token, {"id": token_id, "now": now})
        except StorageError:
            log.warning("the use of an operator token could not be stored", exc_info=True)

    async def _run(self, statement: Statement, values: dict[str, Value]) -> int:
        def unit() -> Generator[Step, Result, int]:
            return (yield Step(statement, statement.parameters(values))).matched

        return await self._session.run(unit, single=True)


def _credential(row: tuple[Any, ...]) -> Credential:
    id, kind, name, address, created, last_used, expires, application, permissions = row
    return Credential(
        id=id,
        kind=kind or "token",
        name=name or "",
        address=address or "",
        created=created,
        last_used=last_used,
        expires=_ends(last_used, expires, can_idle=not name or kind == "session"),
        application=application,
        permissions=_permissions(permissions),
    )


def _ends(last_used: int, expires: int | None, *, can_idle: bool) -> int:
    if expires is None:
        return last_used + IDLE_MS
    return min(last_used + IDLE_MS, expires) if can_idle else expires


def _permissions(text: str | None) -> frozenset[Permission] | None:
    return None if text is None else frozenset(Permission(each) for each in text.split(",") if each)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
