"""Opening the instance: the data folder, the master key, and on first use the control tables and the admin.

Several processes may do this at the same time with one data folder: one of them creates everything, in one unit, and
the others use it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

from apilane.control.secrets import SecretsBox
from apilane.control.statements import ControlStatements
from apilane.control.tables import ControlSchema
from apilane.control.upgrade import tables_of_schema, upgrade
from apilane.errors import ConfigurationError
from apilane.model.system import FIRST_HELPER_TABLES
from apilane.model.text import fold
from apilane.security.encryption import load_master_key
from apilane.security.passwords import Passwords
from apilane.settings import Settings
from apilane.sql.dialect import Dialect
from apilane.sql.statement import Statement, Value, compile_statement
from apilane.sql.tables import table_of
from apilane.storage.errors import MissingObject, StorageError
from apilane.storage.protocol import Result, Session, Step

__all__ = [
    "Admin",
    "Entry",
    "LostInstance",
    "NoInstance",
    "control_address",
    "enter",
    "find_instance",
    "prepare_data_dir",
    "refuse_another",
    "unusable",
]

DEFAULT_ADMIN_EMAIL = "admin@localhost"
PASSWORD_MINIMUM = 12


class Admin(NamedTuple):
    """The instance admin to be. ``password`` None: it is set later with a one-time link of ``apilane serve``."""

    email: str
    password: str | None


class Entry(NamedTuple):
    """An opened instance: the box that opens its secrets, and what identifies it.

    ``admin``: the e-mail address of the instance admin, only if this call created it without a password.
    """

    box: SecretsBox
    instance_id: str
    admin: str | None


class NoInstance(ConfigurationError):
    """The settings name a place without an instance."""

    def __init__(self, settings: Settings) -> None:
        text = f"There is no instance {_place(settings)} yet. The first `apilane apply` or `apilane serve` creates it."
        super().__init__(text)


def unusable(settings: Settings, error: StorageError) -> ConfigurationError:
    """The error for a control store that fails with ``error``."""
    return ConfigurationError(f"The control store {_place(settings)} cannot be used: {error}")


def _place(settings: Settings) -> str:
    return "at control_url" if settings.control_url else f"in {settings.data_dir}"


class LostInstance(ConfigurationError):
    """The instance that this server was started with is gone."""

    def __init__(self, settings: Settings) -> None:
        place = f"at control_url ({settings.control_provider})" if settings.control_url else f"in {settings.data_dir}"
        super().__init__(
            f"The instance {place} is gone. Put its data folder and its control store back; the server then continues. "
            "It creates no new instance while it runs."
        )


def control_address(settings: Settings) -> str:
    """The address of the control store, for ``Driver.session``."""
    return settings.control_url or str(settings.data_dir / "control.db")


def prepare_data_dir(path: Path) -> None:
    """Create the folder if missing, for its owner only. Raises ConfigurationError when it cannot be used."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"The data folder {path} cannot be made: {error.strerror}. Create it, or name another with --data-dir."
        ) from error
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigurationError(
            f"The data folder {path} cannot be written by the user that runs apilane. Change its owner or permissions, "
            "or name another with --data-dir."
        )


async def enter(
    session: Session,
    dialect: Dialect,
    statements: ControlStatements,
    settings: Settings,
    *,
    schema: ControlSchema,
    create: bool,
) -> Entry:
    """Open the instance in the store, or create it.

    A store of an older release is upgraded. Raises ConfigurationError for a missing or wrong master key and for a
    control store newer than this program, and NoInstance if the store is empty and ``create`` is false.
    """
    row = await find_instance(session, statements)
    if row is None and not create:
        raise NoInstance(settings)
    box = SecretsBox(load_master_key(settings, create=row is None))
    admin = None
    if row is None:
        admin = await _first_use(session, dialect, statements, settings, box, schema=schema)
        row = await find_instance(session, statements)
        if row is None:
            raise ConfigurationError("The control store has tables and no instance row. Restore it from a backup.")
    version, check_value = row
    if version > schema.version:
        raise ConfigurationError(
            f"The control store has schema version {version}; this apilane supports versions up to {schema.version}. "
            "Run the newer apilane that wrote it."
        )
    if not box.knows(check_value):
        raise ConfigurationError(
            "The master key does not belong to this control store. Restore the master.key (or APILANE_MASTER_KEY) and "
            "the control store that were made together; nothing was changed."
        )
    if version < schema.version and not create:
        raise ConfigurationError(
            f"The control store has schema version {version}; this apilane needs {schema.version}. The next "
            "`apilane serve` or `apilane apply` upgrades it."
        )
    if version < schema.version:
        await upgrade(session, dialect, statements, schema)
    return Entry(box, check_value, admin)


def refuse_another(expected: str, found: str | None, settings: Settings) -> None:
    """Raise ConfigurationError unless the identity ``found`` in a control store is the expected one."""
    if found is None:
        raise LostInstance(settings)
    if found != expected:
        place = "at control_url" if settings.control_url else f"in {settings.data_dir}"
        raise ConfigurationError(
            f"The control store {place} belongs to another instance than the one that this server was started with. "
            "Put the right one back, or restart the server to serve this one."
        )


async def find_instance(session: Session, statements: ControlStatements) -> tuple[int, str] | None:
    """Schema version and key check of the instance in the store; None if there is no instance."""
    try:
        rows: Sequence[tuple[Any, ...]] = await session.fetch(statements.instance)
    except MissingObject:
        return None
    return (rows[0][0], rows[0][1]) if rows else None


async def _first_use(
    session: Session,
    dialect: Dialect,
    statements: ControlStatements,
    settings: Settings,
    box: SecretsBox,
    *,
    schema: ControlSchema,
) -> str | None:
    """Create tables, instance row and admin; returns its e-mail address. None when the settings give the password, or
    when another process was first.
    """
    if settings.control_url is not None and await _holds_application(session, dialect):
        raise ConfigurationError(
            "The database at control_url holds the tables of an application. Give the control store a database of its "
            "own; nothing was changed."
        )
    admin = _admin_to_be(settings)
    instance: dict[str, Value] = {
        "schemaversion": schema.version,
        "keycheck": box.check_value(),
        "sequence": 0,
        "created": time.time_ns() // 1_000_000,
    }
    user: dict[str, Value] = {
        "email": admin.email,
        "emailfold": fold(admin.email),
        "passwordhash": "" if admin.password is None else await _password_hash(settings, admin.password),
        "isadmin": dialect.encode_boolean(True),
        "created": instance["created"],
    }
    changes = tables_of_schema(schema).first_changes(())
    tables = dialect.migrate(changes.migration)

    def unit() -> Generator[Step, Result, None]:
        for text in tables:
            yield Step(Statement(text, kind="ddl"))
        for step in changes.rows(dialect):  # noqa: UP028 - the driver sends results, which a list cannot receive
            yield step
        yield Step(statements.insert_instance, statements.insert_instance.parameters(instance))
        yield Step(statements.insert_portal_user, statements.insert_portal_user.parameters(user))

    try:
        await session.alter(unit)
    except StorageError:
        # If another process was first, its tables are the reason why this unit failed.
        if await find_instance(session, statements) is None:
            raise
        return None
    return admin.email if admin.password is None else None


async def _holds_application(session: Session, dialect: Dialect) -> bool:
    (schema,) = (table for table in FIRST_HELPER_TABLES if table.name == "H_Schema")
    select = sa.select(table_of(schema, dialect).c["Version"])
    try:
        return bool(await session.fetch(compile_statement(select, dialect.sqlalchemy)))
    except MissingObject:
        return False


def _admin_to_be(settings: Settings) -> Admin:
    email = settings.admin_email or DEFAULT_ADMIN_EMAIL
    if not 3 <= len(email) <= 100 or "@" not in email.strip("@"):
        raise ConfigurationError(
            f"APILANE_ADMIN_EMAIL is {email!r}, which is not an e-mail address of at most 100 characters."
        )
    password = settings.admin_password
    if password is not None and len(password) < PASSWORD_MINIMUM:
        raise ConfigurationError(
            f"APILANE_ADMIN_PASSWORD has {len(password)} characters; the instance admin needs at least "
            f"{PASSWORD_MINIMUM}. If the variable is not set, `apilane serve` prints a link to set one."
        )
    return Admin(email, password)


async def _password_hash(settings: Settings, password: str) -> str:
    passwords = Passwords(
        settings.argon2_time_cost, settings.argon2_memory_kib, settings.argon2_parallelism, concurrency=1
    )
    try:
        return await passwords.hash(password)
    finally:
        passwords.close()
