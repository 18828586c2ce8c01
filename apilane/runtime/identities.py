"""The user tokens of one application, and who they stand for right now.

An identity read from the database is trusted for one second; in the process that changes a user or a token it is
dropped at once. The database knows tokens by a keyed hash only; hashing costs 1 us, so it is paid when the row is read.
Source: ``spec/security.md`` section 6.1 (B-S9).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from apilane.runtime.trust import Trusted
from apilane.security.identity import Actor, Signer
from apilane.security.tokens import token_hash
from apilane.sql.statement import Statement, Value, compile_statement
from apilane.sql.write import delete_where
from apilane.storage.errors import StorageError
from apilane.storage.protocol import Result, Step

if TYPE_CHECKING:
    from apilane.runtime.application import ApplicationRuntime

__all__ = ["Identities", "now_ms", "split_roles"]

IDENTITIES_KEPT = 10_000
SLIDE_AFTER = 0.1
"""Part of a token's life after which a use renews it."""

log = logging.getLogger("apilane.identities")


def now_ms() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


def split_roles(text: str | None) -> frozenset[str]:
    """``Users.Roles`` as a set: split at commas, trimmed, empty names ignored (B-S1)."""
    return frozenset(name for part in (text or "").split(",") if (name := part.strip()))


class Identities:
    """``TokenDirectory`` of an application."""

    def __init__(self, application: ApplicationRuntime) -> None:
        self._application = application
        self._by_token: Trusted[str, Signer] = Trusted(IDENTITIES_KEPT)
        self._by_id: Trusted[int, Signer] = Trusted(IDENTITIES_KEPT)
        self._life_ms = application.definition.auth_token_expire_minutes * 60_000
        dialect, tokens = application.dialect, application.auth_tokens.table
        self._select_by_hash = self._select("H_Token_Hash")
        self._select_by_id = self._select("ID")
        self._delete = delete_where(tokens, (("ID", "id"),), dialect)
        slide = (
            sa.update(tokens)
            .values({"Created": sa.bindparam("now")})
            .where(tokens.c["ID"] == sa.bindparam("id"), tokens.c["Created"] < sa.bindparam("now"))
        )
        self._slide = compile_statement(slide, dialect.sqlalchemy, writes=True)

    def _select(self, column: str) -> Statement:
        """A token with its user by one unique column."""
        tokens, users = self._application.auth_tokens.table, self._application.users.table
        columns: list[sa.ColumnElement[Any]] = [
            *(tokens.c[name] for name in ("ID", "Created", "Token")),
            *(users.c[name] for name in ("ID", "Roles")),
        ]
        if tenant := self._application.definition.differentiation_entity:
            columns.append(users.c[f"{tenant}_ID"])
        joined = tokens.join(users, users.c["ID"] == tokens.c["Owner"])
        select = sa.select(*columns).select_from(joined).where(tokens.c[column] == sa.bindparam("wanted"))
        return compile_statement(select, self._application.dialect.sqlalchemy)

    async def find(self, token: str) -> Actor | None:
        """The user a canonical token stands for; None when unknown or expired."""
        known = self._by_token.get(token)
        if known is not None:
            return known.actor
        hashed = token_hash(self._application.token_key, token)
        signer = await self._read(self._select_by_hash, hashed, self._by_token, token)
        return signer.actor if signer else None

    async def find_signer(self, key_id: int) -> Signer | None:
        """The holder of the token with that ID; None when there is none or it has expired."""
        known = self._by_id.get(key_id)
        if known is not None:
            return known
        return await self._read(self._select_by_id, key_id, self._by_id, key_id)

    async def _read(self, select: Statement, wanted: Value, cache: Trusted[Any, Signer], key: Any) -> Signer | None:
        begun = cache.begin(key)
        rows = await self._application.session.fetch(select, (wanted,))
        if not rows:
            return None
        token_id, created, stored, user_id, roles, *tenant = rows[0]
        now = now_ms()
        if now - created >= self._life_ms:
            await self._write(self._delete, {"id": token_id})
            return None
        if now - created > self._life_ms * SLIDE_AFTER:
            await self._write(self._slide, {"id": token_id, "now": now})
            created = now
        actor = Actor(
            user_id=user_id,
            roles=split_roles(roles),
            tenant=tenant[0] if tenant else None,
            credential_id=token_id,
        )
        token = key if cache is self._by_token else self._application.cipher.decrypt(stored)
        if token is None:
            return None  # encrypted under a key that is no longer there: nobody can sign with it
        signer = Signer(actor, token)
        cache.keep(key, signer, begun, (created + self._life_ms - now) / 1000)
        return signer

    async def _write(self, statement: Statement, values: dict[str, int]) -> None:
        """Housekeeping on the way of a read: its failure must not fail the request."""

        def unit() -> Generator[Step, Result, None]:
            yield Step(statement, statement.parameters(values))

        try:
            await self._application.session.run(unit, single=True)
        except StorageError:
            log.warning("token housekeeping failed in application %s", self._application.token, exc_info=True)

    def forget(self) -> None:
        """Drop what is known, after any change of users or tokens made in this process."""
        self._by_token.forget()
        self._by_id.forget()
