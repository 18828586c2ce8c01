"""The store of the control plane: applications with their secrets, portal users and their tokens, audit.

It is another database of the same drivers. A change of an application has two phases, so that its definition here and
its tables in the application's database can be made consistent after a crash: ``begin`` stores the change beside the
current definition, ``publish`` makes it current, ``abandon`` drops it. ``apilane.services.definition_changes`` works
between the phases.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from hashlib import sha256
from typing import Any, Final

import msgspec

from apilane.control.background import BackgroundStore
from apilane.control.changes import (
    abandon_unit,
    begin_unit,
    definition_of,
    delete_unit,
    pending_row,
    publish_unit,
    renames_of,
)
from apilane.control.first_use import (
    Entry,
    LostInstance,
    NoInstance,
    control_address,
    enter,
    find_instance,
    prepare_data_dir,
    refuse_another,
    unusable,
)
from apilane.control.folders import is_lost
from apilane.control.operator_tokens import OperatorTokens
from apilane.control.portal_users import PortalUsers
from apilane.control.records import (
    ApplicationName,
    AuditRecord,
    PendingChange,
    PortalUser,
    StoredApplication,
    audit_record,
)
from apilane.control.secrets import Secrets
from apilane.control.statements import ControlStatements
from apilane.control.tables import CURRENT_SCHEMA, ControlSchema
from apilane.errors import ConfigurationError
from apilane.model.definition import ApplicationDefinition
from apilane.model.migration import Renames
from apilane.model.portal_roles import email_of
from apilane.model.text import fold
from apilane.security.tokens import canonical_guid
from apilane.settings import Settings
from apilane.sql.statement import Statement, Value
from apilane.storage.errors import MissingObject, StorageError, UniqueViolation
from apilane.storage.protocol import Driver, Result, Session, Step

__all__ = ["ControlStore", "StoredApplication"]


NO_RENAMES: Final = Renames()


class ControlStore:
    """One object per process; the tasks of its event loop share it. Made by ``open``.

    ``first_admin``: e-mail of the instance admin, only if this call created it without a password.
    ``instance_id``: different for each instance. ``operator_tokens``: sign-ins of operators. ``background``: marks of
    outboxes and starts of jobs. Methods raise ``StorageError`` when the store is down.
    """

    def __init__(
        self,
        driver: Driver,
        session: Session,
        statements: ControlStatements,
        entry: Entry,
    ) -> None:
        box = entry.box
        self.first_admin = entry.admin
        self.instance_id = entry.instance_id
        self.operator_tokens = OperatorTokens(session, statements, box)
        self.portal_users = PortalUsers(session, statements, driver.dialect)
        self.background = BackgroundStore(session, statements)
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
        instance_id: str | None = None,
    ) -> ControlStore:
        """Open the instance; create data folder, master key, tables and admin on first use. ``schema``: the tables.

        Raises ConfigurationError when the folder, the key or the store cannot be used. Without ``create`` nothing is
        created, and NoInstance is raised if there is no instance. ``instance_id``: the instance that must be there;
        nothing is created then, and ConfigurationError is raised when it is gone or another one is there.
        """
        driver, address = drivers[settings.control_provider], control_address(settings)
        create = create and instance_id is None
        if create:
            prepare_data_dir(settings.data_dir)
        elif is_lost(driver, address):
            raise NoInstance(settings) if instance_id is None else LostInstance(settings)
        session = driver.session(address)
        statements = ControlStatements(driver.dialect)
        try:
            entry = await enter(session, driver.dialect, statements, settings, schema=schema, create=create)
            if instance_id is not None:
                refuse_another(instance_id, entry.instance_id, settings)
        except NoInstance:
            await session.close()
            raise (NoInstance(settings) if instance_id is None else LostInstance(settings)) from None
        except StorageError as error:
            await session.close()
            raise unusable(settings, error) from error
        except BaseException:
            await session.close()
            raise
        return cls(driver, session, statements, entry)

    @staticmethod
    async def exists(settings: Settings, drivers: Mapping[str, Driver]) -> bool:
        """Whether ``settings`` name an instance that was created before. Nothing is created.

        Raises ConfigurationError when the store cannot be used.
        """
        driver, address = drivers[settings.control_provider], control_address(settings)
        if is_lost(driver, address):
            return False
        session = driver.session(address)
        try:
            return await find_instance(session, ControlStatements(driver.dialect)) is not None
        except StorageError as error:
            raise unusable(settings, error) from error
        finally:
            await session.close()

    async def close(self) -> None:
        """Close the store's connections."""
        await self._session.close()

    async def enter_replaced(self, settings: Settings) -> None:
        """Leave the opened file and enter the one that now stands at its place.

        Raises ConfigurationError when that is not this instance's, and StorageError.
        """
        await self._session.close()  # the next call opens it again
        row = await find_instance(self._session, self._statements)
        refuse_another(self.instance_id, None if row is None else row[1], settings)

    async def ping(self) -> None:
        """Return when the store answers; raises StorageError when it does not."""
        await self._rows(self._statements.instance)

    async def _rows(self, statement: Statement, parameters: Sequence[Value] = ()) -> Sequence[tuple[Any, ...]]:
        return await self._session.fetch(statement, parameters)

    # Applications

    async def application(self, token: str) -> StoredApplication | None:
        """The application with a canonical token, as last published."""
        rows = await self._rows(self._statements.application, (token,))
        return self._stored(rows[0]) if rows else None

    async def find(self, name_or_token: str) -> list[StoredApplication]:
        """The application with that token in any textual form; else all applications with exactly that name."""
        token = canonical_guid(name_or_token)
        if token is not None and (found := await self.application(token)) is not None:
            return [found]
        rows = await self._rows(self._statements.applications_named, (name_or_token,))
        named = [self._stored(row) for row in rows]
        return [each for each in named if each.definition.name == name_or_token]  # a collation may ignore case

    async def applications(self) -> list[ApplicationName]:
        """All applications, sorted by name."""
        return [ApplicationName(*row) for row in await self._rows(self._statements.applications)]

    async def collaborates(self, email: str) -> bool:
        """Whether an application lists that address, in any letter case, as a collaborator."""
        wanted = fold(email)
        definitions = (definition_of(row[0]) for row in await self._rows(self._statements.definitions))
        return any(fold(email_of(each)) == wanted for definition in definitions for each in definition.collaborators)

    def _stored(self, row: tuple[Any, ...]) -> StoredApplication:
        token, version, definition, secrets = row
        return StoredApplication(
            definition=definition_of(definition), secrets=self._box.unwrap(secrets, token), version=version
        )

    # Detecting changes

    async def mark(self) -> Value:
        """A value that changes when the store may have changed since the last call. A call costs microseconds."""
        return await self._session.change_mark()

    async def sequence(self) -> int:
        """The number of the last published change, to start ``changes`` from."""
        return int((await self._rows(self._statements.instance))[0][2])

    async def changes(self, since: int) -> tuple[int, list[str]]:
        """The current sequence number, and the tokens of the applications published after ``since``, each once."""
        rows = [
            *await self._rows(self._statements.changes, (since,)),
            *await self._rows(self._statements.deleted, (since,)),
        ]
        return max((row[1] for row in rows), default=since), [row[0] for row in rows]

    # A change in two phases

    def change_lock(self, token: str) -> AbstractAsyncContextManager[bool]:
        """Hold an application's lock among all users of the store; gives False when another task or process holds it.

        The lock ends with its process, so a killed process does not block the next one.
        """
        return self._session.exclusive(token)

    async def begin(
        self,
        definition: ApplicationDefinition,
        secrets: Secrets,
        before: StoredApplication | None,
        actor: str,
        changes: Sequence[str] = (),
        *,
        renames: Renames = NO_RENAMES,
    ) -> int:
        """Store a change as pending and return the version that it gets.

        ``before``: the application that the change is based on, None for a new one. ``changes``: the changes as lines
        for the audit. ``renames``: to carry the change on after its process has stopped. Raises ConfigurationError
        when the application now has another version, or another change is pending.
        """
        token, expected_version = definition.token, before.version if before else 0
        hidden = {*secrets.texts(), *(before.secrets.texts() if before else ())}
        pending = pending_row(before.definition if before else None, definition, changes, hidden, renames)
        pending |= {"version": expected_version + 1, "secrets": self._box.wrap(secrets, token), "actor": actor}
        try:
            await self._session.run(begin_unit(self._statements, pending, expected_version))
        except UniqueViolation as error:
            raise ConfigurationError(
                f"Another change of application {definition.name} ({token}) is in progress. Apply again when it ends."
            ) from error
        return expected_version + 1

    async def publish(self, token: str) -> StoredApplication:
        """Make the pending change current and write its audit record; every process detects it by ``changes``."""
        await self._session.run(publish_unit(self._statements, token, time.time_ns() // 1_000_000))
        published = await self.application(token)
        if published is None:
            raise ConfigurationError(f"Application {token} is gone from the control store.")
        return published

    async def abandon(self, token: str) -> None:
        """Drop the pending change, if any; the application stays unchanged."""
        await self._session.run(abandon_unit(self._statements, token), single=True)

    async def pending(self, token: str) -> PendingChange | None:
        """The application's pending change, between begin and publish."""
        rows = await self._rows(self._statements.pending, (token,))
        if not rows:
            return None
        _, version, definition, secrets, actor, *_ = rows[0]
        return PendingChange(
            definition=definition_of(definition),
            secrets=self._box.unwrap(secrets, token),
            version=version,
            actor=actor,
            renames=renames_of(definition),
        )

    async def pending_tokens(self) -> list[str]:
        """Applications with a pending change, new ones included, oldest first."""
        return [row[0] for row in await self._rows(self._statements.pending_tokens)]

    async def delete(self, token: str, version: int, actor: str) -> None:
        """Remove an application; the caller holds its lock and has removed its data. Every process detects it."""
        now_ms = time.time_ns() // 1_000_000
        await self._session.run(delete_unit(self._statements, token, actor, version, now_ms))

    async def audit_page(self, token: str | None, *, before: int | None = None, limit: int = 50) -> list[AuditRecord]:
        """Records with an ID below ``before``, newest first: of one application, or of everything (``token`` None)."""
        statement = self._statements.audit_pages[token is not None]
        values: dict[str, Value] = {"before": before or 2**62, "limit": limit, "offset": 0}
        values |= {} if token is None else {"token": token}
        rows = await self._rows(statement, statement.parameters(values))
        return [audit_record(row[1:], id=row[0]) for row in rows]

    async def audit(self, token: str, limit: int = 100) -> list[AuditRecord]:
        """The newest published changes of an application, and writes of operators to its data, newest first."""
        statement = self._statements.audit
        rows = await self._rows(statement, statement.parameters({"token": token, "limit": limit, "offset": 0}))
        return [audit_record(row) for row in rows]

    async def version_of_tables(self, token: str, since: int) -> int:
        """The last version after ``since`` that changed the tables of an application; ``since`` when none did."""
        statement = self._statements.published
        values: dict[str, Value] = {"token": token, "since": since, "nothing": "null"}
        for version, before, after in await self._rows(statement, statement.parameters(values)):
            old, new = msgspec.json.decode(before), msgspec.json.decode(after)
            if old is None or old.get("Entities") != new.get("Entities"):
                return int(version)
        return since

    async def fingerprint(self, token: str, version: int) -> str | None:
        """The fingerprint of the entities of a published version; None when no audit has the version."""
        statement = self._statements.published
        values: dict[str, Value] = {"token": token, "since": version - 1, "nothing": "null"}
        try:
            rows = await self._rows(statement, statement.parameters(values))
        except MissingObject:  # reads go on without an audit; writes of operators do not
            return None
        for published, _, after in rows:
            if published == version:
                entities = msgspec.json.decode(after).get("Entities")
                return sha256(msgspec.json.encode(entities, order="sorted")).hexdigest()
        return None

    async def record_write(self, token: str, version: int, actor: str, change: str) -> int:
        """Store a record of a write to an application's data before the write; returns the record's ID.

        ``version``: of the definition. ``actor``: the operator's e-mail address. ``change``: the request, without
        values.
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
        """Replace the lines of a record once the result of the write is known."""
        values: dict[str, Value] = {"id": record, "changes": msgspec.json.encode(changes).decode()}
        await self._run_one(self._statements.complete_audit, values)

    async def _run_one(self, statement: Statement, values: Mapping[str, Value]) -> int:
        """Run one statement that writes; returns the new row's ID, or the number of rows that it matched."""

        def unit() -> Generator[Step, Result, int]:
            result = yield Step(statement, statement.parameters(values))
            return result.matched if result.inserted_id is None else result.inserted_id

        return await self._session.run(unit, single=True)

    async def portal_user(self, email: str) -> PortalUser | None:
        """The portal user with that e-mail address, in any letter case."""
        return await self.portal_users.find(email)
