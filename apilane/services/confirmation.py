"""Confirmation of e-mail addresses by a token sent in a mail (docs/reference/protocol/wire-api.md section 3.5). A
plugin sends the mail.
"""

from __future__ import annotations

from collections.abc import Generator

from apilane.runtime.application import ApplicationRuntime
from apilane.runtime.identities import now_ms
from apilane.security.tokens import new_token, token_hash
from apilane.services.housekeeping import MAIL_TOKENS_KEPT_MS, delete_older
from apilane.services.users import update_user
from apilane.sql.write import insert_row, select_where
from apilane.storage.protocol import Result, Step

__all__ = ["CONFIRMATIONS", "TOKEN_LIFE_MS", "confirm_email", "create_mail_token"]

TOKEN_LIFE_MS = 3_600_000
CONFIRMATIONS = "H_Auth_Email_Confirmation_Tokens"


async def create_mail_token(application: ApplicationRuntime, table: str, user_id: int) -> str:
    """Create a token that a mail carries, valid for an hour and stored as a hash; delete those older than a day.

    ``table``: the helper table of this kind of tokens.
    """
    helper = application.helpers[table]
    token = new_token()
    values = {"Owner": user_id, "Token": token_hash(application.token_key, token), "Created": now_ms()}
    insert = helper.statement(insert_row, tuple(values))
    purge = helper.statement(delete_older)

    def unit() -> Generator[Step, Result, None]:
        yield Step(purge, (now_ms() - MAIL_TOKENS_KEPT_MS,))
        yield Step(insert, insert.parameters(values))

    await application.session.run(unit)
    return token


async def confirm_email(application: ApplicationRuntime, token: str | None) -> bool:
    """Mark the address of the token's user as confirmed; False when the token is unknown or older than an hour."""
    if not token:
        return False
    helper = application.helpers[CONFIRMATIONS]
    select = helper.statement(select_where, ("Owner", "Created"), (("Token", "hash"),))
    rows = await application.session.fetch(select, (token_hash(application.token_key, token),))
    if not rows or now_ms() - rows[0][1] > TOKEN_LIFE_MS:
        return False
    confirmed = {"EmailConfirmed": application.dialect.encode_boolean(True)}
    user_id = rows[0][0]
    await application.session.run(lambda: update_user(application, user_id, confirmed, tracked=False), single=True)
    return True
