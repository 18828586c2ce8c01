"""The user tokens of one application, and the users they identify.

An identity read from the database is trusted for one second. A process that changes a user or a token drops its cached
identities immediately. The database stores tokens only as keyed hashes; hashing costs 1 us, and only when a row is
read. Source: ``docs/reference/protocol/security.md`` section 6.1 (B-S9).
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Generator
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from apilane.model.system import system_entities
from apilane.model.text import fold, trim
from apilane.plugin.identity import Actor, Signer
from apilane.runtime.trust import TRUSTED_S, Trusted
from apilane.security.signatures import signing_key
from apilane.security.tokens import token_hash
from apilane.sql.dialect import Dialect
from apilane.sql.statement import Statement, Value, compile_statement
from apilane.sql.tables import table_of
from apilane.sql.write import delete_where
from apilane.storage.errors import StorageError
from apilane.storage.protocol import Result, Step

if TYPE_CHECKING:
    from apilane.runtime.application import ApplicationRuntime

__all__ = ["Identities", "now_ms", "split_roles"]

IDENTITIES_KEPT = 10_000
_IDS = range(1, 2**63)
SLIDE_AFTER = 0.1
"""Fraction of a token's life after which a use renews it."""

log = logging.getLogger("apilane.identities")


def now_ms() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


def split_roles(text: str | None) -> frozenset[str]:
    """``Users.Roles`` as a set: split at commas, trimmed, empty names ignored (B-S1)."""
    return frozenset(name for part in (text or "").split(",") if (name := part.strip()))


class _Statements(NamedTuple):
    by_hash: Statement
    by_id: Statement
    delete: Statement
    slide: Statement
    user_by_id: Statement
    user_by_email: Statement
    user_by_name: Statement


@lru_cache(64)  # every application has the same tables; compiling took 3 of the 10 ms of loading one
def _statements(dialect: Dialect, tenant: str | None) -> _Statements:
    """``tenant``: the differentiation entity."""
    entities = {entity.name: entity for entity in system_entities(tenant)}
    tokens, users = table_of(entities["AuthTokens"], dialect), table_of(entities["Users"], dialect)
    found = [*(tokens.c[name] for name in ("ID", "Created", "Token")), *(users.c[name] for name in ("ID", "Roles"))]
    if tenant:
        found.append(users.c[f"{tenant}_ID"])
    select = sa.select(*found).select_from(tokens.join(users, users.c["ID"] == tokens.c["Owner"]))
    slide = (
        sa.update(tokens)
        .values({"Created": sa.bindparam("now")})
        .where(tokens.c["ID"] == sa.bindparam("id"), tokens.c["Created"] < sa.bindparam("now"))
    )
    by_hash, by_id = (
        compile_statement(select.where(tokens.c[column] == sa.bindparam("wanted")), dialect.sqlalchemy)
        for column in ("H_Token_Hash", "ID")
    )
    delete = delete_where(tokens, (("ID", "id"),), dialect)
    of_user = [users.c[name] for name in ("ID", "Roles", "EmailConfirmed")]
    of_user += [users.c[f"{tenant}_ID"]] if tenant else []
    by_user = (
        compile_statement(sa.select(*of_user).where(users.c[column] == sa.bindparam("wanted")), dialect.sqlalchemy)
        for column in ("ID", "H_Email_Fold", "H_Username_Fold")
    )
    return _Statements(by_hash, by_id, delete, compile_statement(slide, dialect.sqlalchemy), *by_user)


class _Found(NamedTuple):
    actor: Actor
    stored: str
    """The token, encrypted."""
    left_s: float


class Identities:
    """The ``TokenDirectory`` of an application."""

    def __init__(self, application: ApplicationRuntime) -> None:
        self._application = application
        self._by_token: Trusted[str, Actor] = Trusted(IDENTITIES_KEPT)
        self._by_id: Trusted[int, Signer] = Trusted(IDENTITIES_KEPT)
        self._by_user: Trusted[tuple[str, Value], Actor] = Trusted(IDENTITIES_KEPT)
        self.trusted: defaultdict[str, Trusted[str, Any]] = defaultdict(partial(Trusted, IDENTITIES_KEPT))
        """Credentials of plugins, by purpose."""
        self._life_ms = application.definition.auth_token_expire_minutes * 60_000
        self._statements = _statements(application.dialect, application.definition.differentiation_entity)

    async def find(self, token: str) -> Actor | None:
        """The user that a canonical token identifies; None when the token is unknown or expired."""
        known = self._by_token.get(token)
        if known is not None:
            return known
        begun = self._by_token.begin(token)
        found = await self._read(self._statements.by_hash, token_hash(self._application.token_key, token))
        if found is None:
            return None
        self._by_token.keep(token, found.actor, begun, found.left_s)
        return found.actor

    async def find_signer(self, key_id: int) -> Signer | None:
        """The holder of the token with that ID; None when the token does not exist or has expired."""
        known = self._by_id.get(key_id)
        if known is not None:
            return known
        begun = self._by_id.begin(key_id)
        found = await self._read(self._statements.by_id, key_id)
        token = self._application.cipher.decrypt(found.stored) if found is not None else None
        if found is None or token is None:
            return None  # a token that does not decrypt was encrypted with another key, so it cannot verify signatures
        signer = Signer(found.actor, signing_key(token))
        self._by_id.keep(key_id, signer, begun, found.left_s)
        return signer

    async def find_user(
        self, *, id: int | None = None, email: str | None = None, name: str | None = None
    ) -> Actor | None:
        """See ``TokenDirectory``. Raises ValueError unless exactly one argument is given."""
        given = [(kind, value) for kind, value in (("id", id), ("email", email), ("name", name)) if value is not None]
        if len(given) != 1:
            raise ValueError("find_user needs exactly one of id, email and name")
        kind, value = given[0]
        if isinstance(value, int):
            wanted: Value = value if value in _IDS else 0
        else:
            wanted = fold(trim(value)) if value.isprintable() else ""
        if not wanted:
            return None
        known = self._by_user.get((kind, wanted))
        if known is not None:
            return known
        begun = self._by_user.begin((kind, wanted))
        statements = self._statements
        select = {"id": statements.user_by_id, "email": statements.user_by_email, "name": statements.user_by_name}[kind]
        rows = await self._application.session.fetch(select, (wanted,))
        if not rows:
            return None
        user_id, roles, is_confirmed, *tenant = rows[0]
        if kind == "email" and not is_confirmed and not self._application.definition.allow_login_unconfirmed_email:
            return None
        actor = Actor(
            kind="user",
            user_id=user_id,
            roles=split_roles(roles),
            tenant=tenant[0] if tenant else None,
            credential=f"user {user_id}",
        )
        self._by_user.keep((kind, wanted), actor, begun, TRUSTED_S)
        return actor

    async def _read(self, select: Statement, wanted: Value) -> _Found | None:
        self._application.misses.identities += 1
        rows = await self._application.session.fetch(select, (wanted,))
        if not rows:
            return None
        token_id, created, stored, user_id, roles, *tenant = rows[0]
        now = now_ms()
        if now - created >= self._life_ms:
            await self._write(self._statements.delete, {"id": token_id})
            return None
        if now - created > self._life_ms * SLIDE_AFTER:
            await self._write(self._statements.slide, {"id": token_id, "now": now})
            created = now
        actor = Actor(
            kind="user",
            user_id=user_id,
            roles=split_roles(roles),
            tenant=tenant[0] if tenant else None,
            session_id=token_id,
            credential=f"session {token_id}",
        )
        return _Found(actor, stored, (created + self._life_ms - now) / 1000)

    async def _write(self, statement: Statement, values: dict[str, int]) -> None:
        """Delete or renew a token during a read. A failure is logged and must not fail the request."""

        def unit() -> Generator[Step, Result, None]:
            yield Step(statement, statement.parameters(values))

        try:
            await self._application.session.run(unit, single=True)
        except StorageError:
            log.warning("token housekeeping failed in application %s", self._application.token, exc_info=True)

    def forget(self) -> None:
        """Drop all cached identities, after a change of users or tokens in this process."""
        self._by_token.forget()
        self._by_id.forget()
        self._by_user.forget()
        for credentials in self.trusted.values():
            credentials.forget()
