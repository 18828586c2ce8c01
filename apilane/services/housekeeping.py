"""Deletes expired user tokens, mail tokens and idempotency keys (``docs/reference/protocol/security.md`` B-S9), and
snapshots that are older than the application keeps them.

It runs in the background, for the applications that this process serves. An expired row that is not deleted yet does no
harm: every use of a token or key checks its age.
"""

from __future__ import annotations

from collections.abc import Generator

import sqlalchemy as sa

from apilane.runtime.application import ApplicationRuntime
from apilane.runtime.identities import now_ms
from apilane.services import idempotency
from apilane.services.history_removal import delete_old_history
from apilane.sql.dialect import Dialect
from apilane.sql.statement import Statement, compile_statement
from apilane.storage.protocol import Result, Step

__all__ = ["MAIL_TOKENS_KEPT_MS", "delete_older", "sweep"]

MAIL_TOKENS_KEPT_MS = 24 * 3_600_000


def delete_older(table: sa.Table, *, dialect: Dialect) -> Statement:
    """Delete the rows created up to the parameter ``until``."""
    delete = sa.delete(table).where(table.c["Created"] <= sa.bindparam("until"))
    return compile_statement(delete, dialect.sqlalchemy)


def first_older(table: sa.Table, *, dialect: Dialect) -> Statement:
    """One row: the smallest ``ID`` of the rows created up to the parameter ``until``, or null."""
    select = sa.select(sa.func.min(table.c["ID"])).where(table.c["Created"] <= sa.bindparam("until"))
    return compile_statement(select, dialect.sqlalchemy)


async def sweep(application: ApplicationRuntime) -> int:
    """Delete the expired rows of one application and return their number. Raises StorageError."""
    return await _delete_expired_tokens(application) + await delete_old_history(application)


async def _delete_expired_tokens(application: ApplicationRuntime) -> int:
    now = now_ms()
    tokens_until = now - application.definition.auth_token_expire_minutes * 60_000
    mail_until = now - MAIL_TOKENS_KEPT_MS
    helpers = application.helpers
    ages = [
        (application.auth_tokens, tokens_until),
        (helpers["H_Auth_Email_Confirmation_Tokens"], mail_until),
        (helpers["H_Auth_Password_Reset_Tokens"], mail_until),
        (helpers[idempotency.TABLE], now - idempotency.KEPT_MS),
    ]
    # Most sweeps find nothing, and a write costs an fsync.
    steps = [
        Step(entity.statement(delete_older), (until,))
        for entity, until in ages
        if (await application.session.fetch(entity.statement(first_older), (until,)))[0][0] is not None
    ]
    if not steps:
        return 0

    def unit() -> Generator[Step, Result, int]:
        gone = 0
        for step in steps:
            gone += (yield step).matched
        return gone

    return await application.session.run(unit)
