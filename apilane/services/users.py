"""Side effects of writes to ``Users``: hashed passwords, case-folded names, revoked tokens.

Source: ``docs/reference/protocol/security.md`` B-S5, ``docs/reference/protocol/data-model.md`` B-D3 and B-D8.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping

from apilane.model.text import fold
from apilane.runtime.application import ApplicationRuntime, EntityRuntime
from apilane.security.passwords import Passwords
from apilane.services.history import snapshot, snapshot_columns
from apilane.sql.statement import Statement, Value
from apilane.sql.write import delete_where, select_by_ids, select_where, update_where
from apilane.storage.protocol import Result, Step

__all__ = [
    "FOLDS",
    "all_columns",
    "complete_user_values",
    "encode_user_value",
    "is_users",
    "revoke_mail_tokens",
    "revoke_tokens",
    "run_single",
    "update_user",
]

FOLDS = {"Email": "H_Email_Fold", "Username": "H_Username_Fold"}


def is_users(entity: EntityRuntime) -> bool:
    """Whether this is the system entity of accounts."""
    return entity is entity.application.users


async def complete_user_values(values: dict[str, Value], passwords: Passwords) -> None:
    """Convert checked values of a user row to their stored form, in place.

    A password is replaced by its hash (computed off the event loop). E-mail and user name get a case-folded column.
    """
    for name, column in FOLDS.items():
        if name in values:
            value = values[name]
            values[column] = fold(value) if isinstance(value, str) else None
    password = values.get("Password")
    if isinstance(password, str):
        values["Password"] = await passwords.hash(password)


def encode_user_value(users: EntityRuntime, name: str, value: Value) -> Value:
    """A completed value of a user row as it is stored. Hashes and case-folded names are stored unchanged."""
    if name == "Password" or name in FOLDS.values():
        return value
    return users.encode(users.properties[name.lower()], value)


def revoke_mail_tokens(application: ApplicationRuntime, user_id: Value) -> Generator[Step, Result, None]:
    """Within a unit: delete the user's confirmation and reset tokens."""
    for name in ("H_Auth_Email_Confirmation_Tokens", "H_Auth_Password_Reset_Tokens"):
        yield Step(application.helpers[name].statement(delete_where, (("Owner", "owner"),)), (user_id,))


def revoke_tokens(
    application: ApplicationRuntime, user_id: Value, *, keep: int | None = None
) -> Generator[Step, Result, int]:
    """Within a unit: delete a user's tokens except the one with ID ``keep``, and return the number of deleted ones."""
    tokens = application.auth_tokens
    select = tokens.statement(select_where, ("ID",), (("Owner", "owner"),))
    rows = (yield Step(select, (user_id,))).rows
    delete = tokens.statement(delete_where, (("ID", "id"),))
    gone = 0
    for (token_id,) in rows:
        if token_id != keep:
            gone += (yield Step(delete, (token_id,))).matched
    return gone


def update_user(
    application: ApplicationRuntime, user_id: int, values: Mapping[str, Value], *, tracked: bool
) -> Generator[Step, Result, int]:
    """Within a unit: set columns of one user. ``tracked``: take a snapshot first if the entity tracks changes."""
    users = application.users
    if tracked and users.entity.change_tracking:
        columns = snapshot_columns(users)
        select = users.statement(select_by_ids, columns, 1, ())
        rows = (yield Step(select, (user_id,))).rows
        if not rows:
            return 0
        yield from snapshot(users, columns, rows[0], user_id)
    update = users.statement(update_where, tuple(values), (("ID", "id"),))
    bound = {**{f"new_{name}": value for name, value in values.items()}, "id": user_id}
    return (yield Step(update, update.parameters(bound))).matched


async def run_single(application: ApplicationRuntime, statement: Statement, values: Mapping[str, Value]) -> int:
    """Run one writing statement in a separate unit, and return the number of rows it matched."""

    def unit() -> Generator[Step, Result, int]:
        return (yield Step(statement, statement.parameters(values))).matched

    return await application.session.run(unit, single=True)


def all_columns(application: ApplicationRuntime) -> tuple[str, ...]:
    """Every visible column of ``Users``."""
    return tuple(p.name for p in application.users.entity.properties)
