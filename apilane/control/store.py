"""The control plane's own store: applications with their secrets, portal users and their tokens, audit.

One more database of the same drivers. A change of an application has two phases, so that its definition here and its
tables there can be brought together again after a crash: ``begin`` keeps it beside the current one, ``publish`` makes
it current, ``abandon`` drops it. What lies between is ``apilane.services.definition_changes``.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec

from apilane.control.changes import abandon_unit, begin_unit, definition_of, pending_row, publish_unit
from apilane.control.first_use import Admin, NoInstance, control_address, enter, prepare_data_dir
from apilane.control.folders import is_lost
from apilane.control.operator_tokens import OperatorTokens
from apilane.control.records import ApplicationName, AuditRecord, PendingChange, PortalUser, StoredApplication
from apilane.control.secrets import Secrets, SecretsBox
from apilane.control.statements import ControlStatements
from apilane.control.tables import CURRENT_SCHEMA, ControlSchema
from apilane.errors import ConfigurationError
from apilane.model.definition import ApplicationDefinition
from apilane.model.text import fold
from apilane.security.tokens import canonical_guid
from apilane.settings import Settings
from apilane.sql.statement import Statement, Value
from apilane.storage.errors import StorageError, UniqueViolation
from apilane.storage.protocol import Driver, Result, Session, Step

__all__ = ["ControlStore", "StoredApplication"]


class ControlStore:
    """Shared by the tasks of one event loop; every process has its own. Made by ``open``.

    ``first_admin``: e-mail and password of the instance admin, only where this very call made them up; show it once.
    ``operator_tokens``: sign-ins of portal users. Methods raise ``StorageError`` when the store is down.
    """

    def __init__(
        self, driver: Driver, session: Session, statements: ControlStatements, box: SecretsBox, admin: Admin | None
    ) -> None:
        self.first_admin = admin
        self.operator_tokens = OperatorTokens(session, statements, box)
        self._dialect = driver.dialect
        self._session = session
        self._statements = statements
        self._box = box

    @classmethod
    async def open(
        cls,
        settings: Settings,
        drivers: Mapping[str, Driver],
        *,
        create: bool = True,
        schema: ControlSchema = CURRENT_SCHEMA,
    ) -> ControlStore:
        """Open the instance, making data folder, master key, tables and admin on first use; ``schema``: the tables.

        Raises ConfigurationError when the folder, the key or the store cannot be used. Without ``create`` nothing is
        made; NoInstance is raised where there is no instance.
        """
        driver, address = drivers[settings.control_provider], control_address(settings)
        if create:
            prepare_data_dir(settings.data_dir)
        elif is_lost(driver, address):
            raise NoInstance(settings)
        session = driver.session(address)
        statements = ControlStatements(driver.dialect)
        try:
            box, admin = await enter(session, driver.dialect, statements, settings, schema=schema, create=create)
        except StorageError as error:
            await session.close()
            place = "at control_url" if settings.control_url else f"in {settings.data_dir}"
            raise ConfigurationError(f"The control store {place} cannot be used: {error}") from error
        except BaseException:
            await session.close()
            raise
        return cls(driver, session, statements, box, admin)

    async def close(self) -> None:
        """Close the store's connections."""
        await self._session.close()

    async def ping(self) -> None:
        """Return when the store answers; raise StorageError when it does not."""
        await self._rows(self._statements.instance)

    async def _rows(self, statement: Statement, parameters: Sequence[Value] = ()) -> Sequence[tuple[Any, ...]]:
        return await self._session.fetch(statement, parameters)

    # Applications

    async def application(self, token: str) -> StoredApplication | None:
        """The application of a canonical token, as last published."""
        rows = await self._rows(self._statements.application, (token,))
        return self._stored(rows[0]) if rows else None

    async def find(self, name_or_token: str) -> list[StoredApplication]:
        """The application of that token in any textual form, else all of exactly that name."""
        token = canonical_guid(name_or_token)
        if token is not None and (found := await self.application(token)) is not None:
            return [found]
        rows = await self._rows(self._statements.applications_named, (name_or_token,))
        named = [self._stored(row) for row in rows]
        return [each for each in named if each.definition.name == name_or_token]  # a collation may ignore case

    async def applications(self) -> list[ApplicationName]:
        """Every application, by name."""
        return [ApplicationName(*row) for row in await self._rows(self._statements.applications)]

    async def collaborates(self, email: str) -> bool:
        """Whether some application lists that address, in any letter case, as a collaborator."""
        wanted = fold(email)
        definitions = (definition_of(row[0]) for row in await self._rows(self._statements.definitions))
        return any(fold(each) == wanted for definition in definitions for each in definition.collaborators)

    def _stored(self, row: tuple[Any, ...]) -> StoredApplication:
        token, version, definition, secrets = row
        return StoredApplication(
            definition=definition_of(definition), secrets=self._box.unwrap(secrets, token), version=version
        )

    # What changed

    async def mark(self) -> Value:
        """A value that differs when anything may have changed since it was last asked. Costs microseconds."""
        return await self._session.change_mark()

    async def sequence(self) -> int:
        """Where ``changes`` should start: the number of the last published change."""
        return int((await self._rows(self._statements.instance))[0][2])

    async def changes(self, since: int) -> tuple[int, list[str]]:
        """The sequence now, and the tokens of the applications published after ``since``, each once."""
        rows = await self._rows(self._statements.changes, (since,))
        return (rows[-1][1] if rows else since), [row[0] for row in rows]

    # A change in two phases

    def change_lock(self, token: str) -> AbstractAsyncContextManager[bool]:
        """Hold an application's lock among all that share the store; gives False when somebody else holds it.

        The lock goes with its process, so a killed one never blocks the next.
        """
        return self._session.exclusive(token)

    async def begin(
        self,
        definition: ApplicationDefinition,
        secrets: Secrets,
        before: StoredApplication | None,
        actor: str,
        changes: Sequence[str] = (),
    ) -> int:
        """Keep a change as pending and return the version it will have.

        ``before``: the application that the change was made from, None for a new one. ``changes``: what it does,
        line by line, for the audit. Raises ConfigurationError when the application has another version by now, or
        another change is pending.
        """
        token, expected_version = definition.token, before.version if before else 0
        hidden = {*secrets.texts(), *(before.secrets.texts() if before else ())}
        pending = pending_row(before.definition if before else None, definition, changes, hidden)
        pending |= {"version": expected_version + 1, "secrets": self._box.wrap(secrets, token), "actor": actor}
        try:
            await self._session.run(begin_unit(self._statements, pending, expected_version))
        except UniqueViolation as error:
            raise ConfigurationError(
                f"Another change of application {definition.name} ({token}) is under way. Apply again when it is done."
            ) from error
        return expected_version + 1

    async def publish(self, token: str) -> StoredApplication:
        """Make the pending change current and write its audit record; every process sees it by ``changes``."""
        await self._session.run(publish_unit(self._statements, token, time.time_ns() // 1_000_000))
        published = await self.application(token)
        if published is None:
            raise ConfigurationError(f"Application {token} is gone from the control store.")
        return published

    async def abandon(self, token: str) -> None:
        """Drop the pending change, if any; the application stays as it is."""
        await self._session.run(abandon_unit(self._statements, token), single=True)

    async def pending(self, token: str) -> PendingChange | None:
        """The application's change between begin and publish."""
        rows = await self._rows(self._statements.pending, (token,))
        if not rows:
            return None
        _, version, definition, secrets, actor, *_ = rows[0]
        return PendingChange(
            definition=definition_of(definition), secrets=self._box.unwrap(secrets, token), version=version, actor=actor
        )

    async def pending_tokens(self) -> list[str]:
        """Applications with a pending change, new ones included, oldest first."""
        return [row[0] for row in await self._rows(self._statements.pending_tokens)]

    async def audit(self, token: str, limit: int = 100) -> list[AuditRecord]:
        """The newest published changes of an application and owners' writes to its data, newest first."""
        statement = self._statements.audit
        rows = await self._rows(statement, statement.parameters({"token": token, "limit": limit, "offset": 0}))
        return [
            AuditRecord(
                version=version,
                actor=actor,
                created=created,
                changes=msgspec.json.decode(changes, type=tuple[str, ...]),
                before=msgspec.json.decode(before),
                after=msgspec.json.decode(after),
            )
            for _, version, actor, created, changes, before, after in rows
        ]

    async def record_write(self, token: str, version: int, actor: str, change: str) -> int:
        """Put a write to an application's data on record before it is done; the record's ID.

        ``version``: of the definition. ``actor``: the owner's e-mail. ``change``: what is asked, without values.
        """
        return await self._run_one(
            self._statements.insert_audit,
            {
                "token": token,
                "version": version,
                "actor": actor,
                "created": time.time_ns() // 1_000_000,
                "changes": msgspec.json.encode((change,)).decode(),
                "maskedbefore": "null",
                "maskedafter": "null",
            },
        )

    async def complete_record(self, record: int, changes: Sequence[str]) -> None:
        """Replace the lines of a record, once it is known what came of the write."""
        values: dict[str, Value] = {"id": record, "changes": msgspec.json.encode(changes).decode()}
        await self._run_one(self._statements.complete_audit, values)

    async def _run_one(self, statement: Statement, values: Mapping[str, Value]) -> int:
        """Run one writing statement; the new row's ID, or how many rows it matched."""

        def unit() -> Generator[Step, Result, int]:
            result = yield Step(statement, statement.parameters(values))
            return result.matched if result.inserted_id is None else result.inserted_id

        return await self._session.run(unit, single=True)

    # Portal users

    async def portal_user(self, email: str) -> PortalUser | None:
        """The portal user of that e-mail address, whatever its letter case."""
        rows = await self._rows(self._statements.portal_user, (fold(email),))
        if not rows:
            return None
        id, stored_email, password_hash, is_admin = rows[0]
        return PortalUser(id=id, email=stored_email, password_hash=password_hash, is_admin=bool(is_admin))

    async def create_portal_user(self, email: str) -> PortalUser:
        """Make a portal user without a password: nobody can sign in as this user until one is set.

        Another call that made the same user first is no error.
        """
        user: dict[str, Value] = {
            "email": email,
            "emailfold": fold(email),
            "passwordhash": "",
            "isadmin": self._dialect.encode_boolean(False),
            "created": time.time_ns() // 1_000_000,
        }
        with contextlib.suppress(UniqueViolation):
            await self._run_one(self._statements.insert_portal_user, user)
        made = await self.portal_user(email)
        if made is None:
            raise ConfigurationError(f"Portal user {email} was deleted while it was being made.")
        return made
