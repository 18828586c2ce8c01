"""Sessions of application users: sign in, renew, sign out (docs/reference/protocol/wire-api.md sections 3.1 and 3.4).

A token is a row of ``AuthTokens``. Its text is encrypted, and it is found by a keyed hash (B-D4). This service creates
and deletes tokens; a plugin identifies the caller of a request by its token.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from apilane.errors import ApilaneError, Code, unauthorized
from apilane.model.email_addresses import is_email
from apilane.model.text import fold, trim
from apilane.plugin.identity import Actor
from apilane.plugin.sign_in import SigningIn
from apilane.runtime.application import ApplicationRuntime
from apilane.runtime.identities import now_ms
from apilane.security.passwords import Passwords
from apilane.security.tokens import new_token, token_hash
from apilane.services.attempts import Attempts
from apilane.services.sign_in_steps import OVER, check_answer, next_step, open_challenge, password_mark
from apilane.services.users import FOLDS, all_columns, revoke_tokens, run_single
from apilane.sql.statement import Value
from apilane.sql.write import delete_where, insert_row, select_by_ids, select_where, update_where
from apilane.storage.protocol import Result, Step

__all__ = ["Credentials", "SignIn", "answer_step", "log_in", "log_out", "renew"]

TOKENS_AT_ONCE = 1000
"""The most tokens that one call removes."""


class Credentials(Struct, frozen=True, kw_only=True):
    """The body of Login. Blank means absent."""

    email: str = ""
    username: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"Credentials(email={self.email!r}, username={self.username!r})"


class SignIn(Struct, frozen=True):
    """A new session: the user as before the sign-in, and the token, whose text is not shown again."""

    user: Struct
    token: str
    token_id: int

    def __repr__(self) -> str:
        return f"SignIn(token_id={self.token_id})"


def _insert_token(application: ApplicationRuntime, token: str, user_id: int) -> Generator[Step, Result, int]:
    values = {
        "Token": application.cipher.encrypt(token),
        "Owner": user_id,
        "Created": now_ms(),
        "H_Token_Hash": token_hash(application.token_key, token),
    }
    statement = application.auth_tokens.statement(insert_row, tuple(values))
    result = yield Step(statement, statement.parameters(values))
    return result.new_id


def _clear_tokens(application: ApplicationRuntime, user_id: int) -> Generator[Step, Result, None]:
    """Before a new token: delete the user's expired tokens, or all of them where a user may have only one session."""
    tokens = application.auth_tokens
    select = tokens.statement(select_where, ("ID", "Created"), (("Owner", "owner"),))
    delete = tokens.statement(delete_where, (("ID", "id"),))
    dead_before = now_ms() - application.definition.auth_token_expire_minutes * 60_000
    rows = (yield Step(select, (user_id,))).rows
    for token_id, created in rows[:TOKENS_AT_ONCE]:
        if application.definition.force_single_login or created <= dead_before:
            yield Step(delete, (token_id,))


async def log_in(
    application: ApplicationRuntime, credentials: Credentials, passwords: Passwords, attempts: Attempts
) -> SignIn:
    """Check credentials and start a session.

    Raises REQUIRED, VALIDATION, RATE_LIMIT_EXCEEDED, UNCONFIRMED_EMAIL, and ERROR ``Invalid login attempt``, which does
    not say what was wrong. An attempt counts as failed before the password is checked, so parallel guesses are limited
    like sequential ones.
    """
    password = trim(credentials.password)
    if not password:
        raise ApilaneError(Code.REQUIRED, property="password")
    if trim(credentials.email):
        if not is_email(credentials.email):
            raise ApilaneError(Code.VALIDATION, "Email is not valid", property="email")
        column, text = FOLDS["Email"], credentials.email
    elif trim(credentials.username):
        column, text = FOLDS["Username"], credentials.username
    else:
        raise ApilaneError(Code.REQUIRED, "User name or email is required to login", property="email")

    users = application.users
    columns = all_columns(application)
    statement = users.statement(select_where, columns, ((column, "wanted"),))
    wanted = fold(text) if text.isprintable() else ""
    rows = await application.session.fetch(statement, (wanted,))
    row = dict(zip(columns, rows[0], strict=True)) if rows else None
    # E-mail and user name of an account share one counter. Attempts at an account that does not exist are counted too.
    account = f"user {row['ID']}" if row else fold(text)
    await attempts.begin("login", account)
    verdict = await passwords.verify(row["Password"] if row else None, password)
    if row is None or not verdict.ok:
        raise ApilaneError(Code.ERROR, "Invalid login attempt")
    await attempts.succeeded("login", account)
    if not application.definition.allow_login_unconfirmed_email and not row["EmailConfirmed"]:
        raise ApilaneError(Code.UNCONFIRMED_EMAIL)

    if application.sign_in_steps:
        await next_step(application.sign_in_steps, _signing_in(application, row), application, row["Password"], ())
    return await _begin_session(application, columns, rows, await passwords.hash(password) if verdict.rehash else None)


async def answer_step(application: ApplicationRuntime, text: str, answer: object, attempts: Attempts) -> SignIn:
    """Answer the pending step of a sign-in and start the session, unless another step applies.

    Raises SignInStepRequired with the next step, RATE_LIMIT_EXCEEDED, UNCONFIRMED_EMAIL, and ERROR. A challenge is
    worthless once the user is deleted or has another password.
    """
    challenge = open_challenge(application, text)
    account = f"user {challenge.user_id}"
    await attempts.begin("step", account)
    columns = all_columns(application)
    statement = application.users.statement(select_where, columns, (("ID", "id"),))
    rows = await application.session.fetch(statement, (challenge.user_id,))
    row = dict(zip(columns, rows[0], strict=True)) if rows else {}
    if not rows or password_mark(row["Password"]) != challenge.password or application.counters is None:
        raise ApilaneError(Code.ERROR, OVER)
    user, steps = _signing_in(application, row), application.sign_in_steps
    done = await check_answer(steps, application.counters, challenge, user, answer)
    await attempts.succeeded("step", account)
    if not application.definition.allow_login_unconfirmed_email and not row["EmailConfirmed"]:
        raise ApilaneError(Code.UNCONFIRMED_EMAIL)
    await next_step(steps, user, application, row["Password"], done)
    return await _begin_session(application, columns, rows, None)


def _signing_in(application: ApplicationRuntime, row: Mapping[str, Any]) -> SigningIn:
    return SigningIn(
        user_id=row["ID"],
        email=row["Email"],
        username=row["Username"],
        roles=row["Roles"],
        application=application,
    )


async def _begin_session(
    application: ApplicationRuntime, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]], rehashed: str | None
) -> SignIn:
    """Store a new token of the user in ``rows``, unless the password was changed since they were read."""
    users = application.users
    row = dict(zip(columns, rows[0], strict=True))
    user_id = row["ID"]
    token = new_token()
    fresh: dict[str, Value] = {"new_LastLogin": now_ms()}
    if rehashed is not None:
        fresh["new_Password"] = rehashed
    update = users.statement(update_where, tuple(name[4:] for name in fresh), (("ID", "id"),))

    current = users.statement(select_by_ids, ("Password",), 1, ())

    def unit() -> Generator[Step, Result, int]:
        # The password was changed while the old one was being verified: the old one must not open a session.
        found = (yield Step(current, (user_id,))).rows
        if not found or found[0][0] != row["Password"]:
            raise ApilaneError(Code.ERROR, "Invalid login attempt")
        yield from _clear_tokens(application, user_id)
        token_id = yield from _insert_token(application, token, user_id)
        yield Step(update, update.parameters({**fresh, "id": user_id}))
        return token_id

    token_id = await application.session.run(unit)
    if application.definition.force_single_login:
        application.tokens.forget()
    return SignIn(users.maker(columns)(rows[:1])[0], token, token_id)


async def renew(application: ApplicationRuntime, actor: Actor) -> tuple[str, int]:
    """Replace the caller's token and return the new token and its ID. Raises UNAUTHORIZED without a user."""
    if actor.session_id is None or actor.user_id is None:
        raise unauthorized()
    user_id, old = actor.user_id, actor.session_id
    token = new_token()
    delete = application.auth_tokens.statement(delete_where, (("ID", "id"),))

    def unit() -> Generator[Step, Result, int]:
        gone = (yield Step(delete, (old,))).matched
        if not gone:
            raise unauthorized()  # another call renewed or revoked it meanwhile: one token must not become two
        return (yield from _insert_token(application, token, user_id))

    token_id = await application.session.run(unit)
    application.tokens.forget()
    return token, token_id


async def log_out(application: ApplicationRuntime, actor: Actor, *, everywhere: bool) -> int:
    """End the caller's session and return 1, even if there is none; or end all sessions of the user and return how
    many."""
    if not everywhere:
        if actor.session_id is not None:
            delete = application.auth_tokens.statement(delete_where, (("ID", "id"),))
            await run_single(application, delete, {"id": actor.session_id})
            application.tokens.forget()
        return 1
    if actor.kind != "user" or actor.user_id is None:
        raise unauthorized()
    user_id = actor.user_id
    gone = await application.session.run(lambda: revoke_tokens(application, user_id))
    application.tokens.forget()
    return gone
