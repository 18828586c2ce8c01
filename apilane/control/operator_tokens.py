"""Sign-ins of operators to the API: one token each, stored as a keyed hash (``docs/reference/protocol/security.md``
B-S12).

A token expires after 12 hours without use, or at its own expiry time. This module does not decide what an operator may
do.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Generator

from msgspec import Struct

from apilane.control.secrets import SecretsBox
from apilane.control.statements import ControlStatements
from apilane.security.tokens import new_token
from apilane.sql.statement import Statement, Value
from apilane.storage.errors import StorageError
from apilane.storage.protocol import Result, Session, Step

__all__ = ["IDLE_MS", "OperatorTokens", "SignedIn"]

IDLE_MS = 12 * 60 * 60 * 1000
USE_NOTED_MS = 60_000
"""A use is stored if the last stored use is older, so that a busy operator causes one write a minute."""

log = logging.getLogger("apilane.control")


class SignedIn(Struct, frozen=True, kw_only=True):
    """The operator of a valid token. ``left_ms``: time until it expires if it is not used again."""

    email: str
    is_admin: bool
    left_ms: int


class OperatorTokens:
    """The table of operator tokens, ``ControlStore.operator_tokens``. Tokens are GUIDs in canonical form."""

    def __init__(self, session: Session, statements: ControlStatements, box: SecretsBox) -> None:
        self._session = session
        self._statements = statements
        self._box = box

    async def create(self, user_id: int, life_ms: int | None = None) -> str:
        """A new token of an operator; only this call returns it. ``life_ms`` None: it expires only without use."""
        token, now = new_token(), _now_ms()
        row: dict[str, Value] = {
            "tokenhash": self._box.operator_token_hash(token),
            "userid": user_id,
            "created": now,
            "lastused": now,
            "expires": None if life_ms is None else now + life_ms,
        }
        insert, purge = self._statements.insert_operator_token, self._statements.delete_dead_operator_tokens

        def unit() -> Generator[Step, Result, None]:
            yield Step(purge, purge.parameters({"idle": now - IDLE_MS, "now": now}))
            yield Step(insert, insert.parameters(row))

        await self._session.run(unit)
        return token

    async def find(self, token: str) -> SignedIn | None:
        """The operator of the token; the use is stored. None when the token is unknown, revoked or expired."""
        rows = await self._session.fetch(self._statements.operator_token, (self._box.operator_token_hash(token),))
        if not rows:
            return None
        token_id, last_used, expires, email, is_admin = rows[0]
        now = _now_ms()
        ends = last_used + IDLE_MS if expires is None else min(last_used + IDLE_MS, expires)
        if now >= ends:
            return None
        if now - last_used > USE_NOTED_MS:
            await self._note_use(token_id, now)
        return SignedIn(email=email, is_admin=bool(is_admin), left_ms=ends - now)

    async def revoke(self, token: str) -> bool:
        """End a sign-in, in every process within a second; False when there is none."""
        revoke = self._statements.delete_owner_token
        return bool(await self._run(revoke, {"hash": self._box.operator_token_hash(token)}))

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


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
