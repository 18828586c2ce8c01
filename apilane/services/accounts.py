"""Accounts of application users: registration, own data, passwords, roles
(docs/reference/protocol/wire-api.md sections 3.2 to 3.4).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping

from msgspec import Struct

from apilane.errors import ApilaneError, Code, continued, unauthorized
from apilane.model.defaults import default_maker
from apilane.model.definition import Rule
from apilane.model.email_addresses import is_email
from apilane.model.hints import unfit_keys
from apilane.model.scopes import rules_in_scope
from apilane.model.text import trim, utf16_length
from apilane.plugin.identity import Actor
from apilane.runtime.access import ANONYMOUS_ROLE, AUTHENTICATED_ROLE
from apilane.runtime.application import ApplicationRuntime
from apilane.runtime.identities import now_ms
from apilane.security.passwords import Passwords
from apilane.services.attempts import Attempts
from apilane.services.failures import named_violation
from apilane.services.record_handling import Handling, handled_value, plan_of, seen
from apilane.services.reference_guards import reference_guard
from apilane.services.unit_writes import UnitWrite
from apilane.services.users import (
    all_columns,
    complete_user_values,
    encode_user_value,
    revoke_tokens,
    update_user,
)
from apilane.sql.statement import Value
from apilane.sql.write import insert_row, select_where
from apilane.storage.errors import UniqueViolation
from apilane.storage.protocol import Result, Step

__all__ = ["change_password", "register", "rules_of", "set_roles", "update_own", "user_record"]

PASSWORD_MIN, PASSWORD_MAX = 8, 400


async def user_record(application: ApplicationRuntime, user_id: int) -> Struct:
    """The user as the wire shows it: every property, encrypted ones in clear, the password null."""
    users = application.users
    columns = all_columns(application)
    statement, make = users.by_id(columns, ())
    rows = await application.session.fetch(statement, statement.parameters({"id": user_id}))
    if not rows:
        raise unauthorized()
    return make(rows)[0]


async def register(
    application: ApplicationRuntime, body: Mapping[str, object], passwords: Passwords, attempts: Attempts, actor: Actor
) -> int:
    """Create a user from a body object and return the new user's ID. No security rule is checked.

    Every call that reaches the database counts as a registration, even if the name is taken, because the answer shows
    whether a name exists.
    """
    if not application.definition.allow_user_register:
        raise ApilaneError(Code.ERROR, "Register is not allowed")
    users = application.users
    given = {key.lower(): value for key, value in body.items()}
    values: dict[str, Value] = {"Created": now_ms(), "EmailConfirmed": False}
    for p in users.entity.properties:
        if p.is_system and p.name not in ("Email", "Username", "Password"):
            continue
        sent = given.get(p.name.lower())
        if p.name == "Email" and not (isinstance(sent, str) and is_email(sent)):
            raise ApilaneError(Code.VALIDATION, "Email is not valid", property="Email")
        if p.default is not None and p.name.lower() not in given:
            values[p.name] = default_maker(p, users.readers[p.name])()
        else:
            values[p.name] = users.readers[p.name](sent)
    await attempts.begin("register")
    handling = None
    if application.record_handlers is not None and (plan := plan_of(users, "create")) is not None:
        names = tuple(name for name in values if name not in ("Created", "EmailConfirmed"))
        sent_values = {
            name: handled_value(users, name, values[name])
            for name in names
            if name.lower() in given or users.properties[name.lower()].default is not None
        }
        handling = Handling(plan, users, actor, "create", [sent_values], names=names)
        await handling.before()
        values |= {name: users.readers[name](handling.sent[0].get(name)) for name in handling.names}
        if not is_email(str(values["Email"] or "")):
            raise ApilaneError(Code.VALIDATION, "Email is not valid", property="Email")
    await complete_user_values(values, passwords)
    row = {name: encode_user_value(users, name, value) for name, value in values.items()}
    statement = users.statement(insert_row, tuple(row))

    guard = reference_guard(users, actor, [row]) if users.guarded else None

    def unit() -> Generator[Step, Result, int]:
        if guard is not None:
            yield from guard.check([row])
        try:
            result = yield Step(statement, statement.parameters(row))
        except UniqueViolation as error:
            raise (yield from named_violation(users, row, error)) from error
        return result.new_id

    if handling is None:
        return await application.session.run(unit, single=guard is None)
    write = UnitWrite.of(application.session, unit, what=str, outcome=str)
    return await handling.around(write, lambda made: [(0, made)], single=guard is None).run()


async def update_own(application: ApplicationRuntime, user_id: int, body: Mapping[str, object], actor: Actor) -> Struct:
    """Write a user's own non-system properties and return the user as stored now. Other keys are ignored."""
    users = application.users
    given = {key.lower(): value for key, value in body.items()}
    values = {
        p.name: users.writers[p.name](given[p.name.lower()])
        for p in users.entity.properties
        if not p.is_system and p.name.lower() in given
    }
    if not values:
        possible = [p.name for p in users.entity.properties if not p.is_system]
        message = continued(Code.NO_PROPERTIES_PROVIDED, unfit_keys(body, possible))
        raise ApilaneError(Code.NO_PROPERTIES_PROVIDED, message, entity="Users")
    handling = None
    if application.record_handlers is not None and (plan := plan_of(users, "update")) is not None:
        names = tuple(values)
        sent = {p.name: given[p.name.lower()] for p in users.entity.properties if p.name in values}
        records = [{"ID": user_id, **seen(users, names, sent, None)}]
        handling = Handling(plan, users, actor, "update", records, names=names)
        await handling.before()
        (record,) = handling.sent
        values = {name: users.writers[name](record[name]) for name in handling.names if name in record}
        if not values:
            raise ApilaneError(Code.NO_PROPERTIES_PROVIDED, entity="Users")

    guard = reference_guard(users, actor, [values]) if users.guarded else None

    def unit() -> Generator[Step, Result, int]:
        if guard is not None:
            yield from guard.check([values])
        try:
            return (yield from update_user(application, user_id, values, tracked=True))
        except UniqueViolation as error:
            raise (yield from named_violation(users, values, error)) from error

    if handling is None:
        await application.session.run(unit)
    else:
        write = UnitWrite.of(application.session, unit, what=str, outcome=str)
        await handling.around(write, lambda matched: [(0, user_id)] if matched else []).run()
    return await user_record(application, user_id)


def rules_of(application: ApplicationRuntime, actor: Actor) -> list[Rule]:
    """The stored rules for ANONYMOUS, AUTHENTICATED and the roles of the caller within its scopes, in stored order."""
    held = {ANONYMOUS_ROLE, AUTHENTICATED_ROLE, *actor.roles}
    return [*rules_in_scope(actor.scopes, (rule for rule in application.definition.rules if rule.role in held))]


async def change_password(
    application: ApplicationRuntime,
    actor: Actor,
    *,
    current: str,
    new: str,
    passwords: Passwords,
    attempts: Attempts,
) -> None:
    """Set a new password and end the user's other sessions (B-A4). A wrong current one counts as a failed sign-in."""
    if actor.user_id is None:
        raise unauthorized()
    current, new = trim(current), trim(new)
    if not current:
        raise ApilaneError(Code.REQUIRED, property="currentPassword")
    user_id, session_id = actor.user_id, actor.session_id
    select = application.users.statement(select_where, ("Password",), (("ID", "id"),))
    account = f"user {user_id}"
    await attempts.begin("login", account)
    rows = await application.session.fetch(select, (user_id,))
    if not (await passwords.verify(rows[0][0] if rows else None, current)).ok:
        raise ApilaneError(Code.VALIDATION, "Invalid password", property="currentPassword")
    await attempts.succeeded("login", account)
    if not new:
        raise ApilaneError(Code.REQUIRED, property="newPassword")
    if utf16_length(new) < PASSWORD_MIN:
        raise ApilaneError(Code.VALIDATION, f"Minimum {PASSWORD_MIN} characters", property="newPassword")
    if utf16_length(new) > PASSWORD_MAX:
        raise ApilaneError(Code.VALIDATION, f"Maximum {PASSWORD_MAX} characters", property="newPassword")
    handling = None
    if application.record_handlers is not None and (plan := plan_of(application.users, "update")) is not None:
        handling = Handling(
            plan, application.users, actor, "update", [{"ID": user_id, "Password": new}], names=("Password",)
        )
        await handling.before(may_change=False)
    hashed = await passwords.hash(new)

    def unit() -> Generator[Step, Result, None]:
        yield from update_user(application, user_id, {"Password": hashed}, tracked=False)
        yield from revoke_tokens(application, user_id, keep=session_id)

    if handling is None:
        await application.session.run(unit)
    else:
        write = UnitWrite.of(application.session, unit, what=str, outcome=str)
        await handling.around(write, lambda _: [(0, user_id)]).run()
    application.tokens.forget()


async def set_roles(application: ApplicationRuntime, user_id: int, roles: str | None) -> bool:
    """Set a user's roles (separated by commas, or None) as an operator, with immediate effect. False: no such user."""
    users = application.users
    value = users.readers["Roles"](roles)
    matched = await application.session.run(lambda: update_user(application, user_id, {"Roles": value}, tracked=True))
    application.tokens.forget()
    return bool(matched)
