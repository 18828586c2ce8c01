"""Applies a plan: changes the definition in the control store together with the tables in the application's database.

The steps are: begin (control store), change the tables and their version in one unit (application's database), publish
(control store). A process that stops in between leaves a pending change. ``recover`` compares it with the version
stored with the tables and publishes or abandons it. Before these steps the caller makes the plan and accepts any loss
of data.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from apilane.control.folders import application_address, application_folder, make_application_folder
from apilane.control.secrets import Secrets
from apilane.control.store import ControlStore, StoredApplication
from apilane.errors import ConfigurationError
from apilane.model.migration import Migration, Renames
from apilane.model.plan import Plan
from apilane.security.encryption import Cipher
from apilane.services.application_tables import ApplicationTables, Report, refusal
from apilane.services.moments import record_fingerprint, refuse_out_of_step
from apilane.services.record_survey import Survey
from apilane.services.workspace import ApplicationWorkspace, refuse_lost, title_of
from apilane.storage.errors import OutOfStep, StorageError
from apilane.storage.helper_tables import HelperTables
from apilane.storage.protocol import Driver, Step

__all__ = ["DefinitionChanges"]

BIG_TABLE_RECORDS = 10_000
"""The steps of a change are reported if it changes a table with at least this many records."""

log = logging.getLogger("apilane.changes")


def _silent(text: str, step: int, steps: int) -> None:
    """Report nothing."""


class DefinitionChanges:
    """Changes the definitions of the applications of one instance."""

    def __init__(
        self, store: ControlStore, drivers: Mapping[str, Driver], tables: HelperTables, data_dir: Path
    ) -> None:
        self._store = store
        self._drivers = drivers
        self._tables = tables
        self._data_dir = data_dir

    def _workspace(self, token: str) -> AbstractAsyncContextManager[ApplicationWorkspace | None]:
        return ApplicationWorkspace.locked(token, self._store, self._drivers, self._tables, self._data_dir)

    async def apply(
        self, plan: Plan, *, actor: str, report: Report = _silent, adopt: bool = False
    ) -> StoredApplication:
        """Apply ``plan`` and return the application as published. A plan without changes does nothing.

        ``actor``: the name for the audit. ``report``: called before each step of a long change, from another thread.
        ``adopt``: if the tables are from another moment than the stored definition and are exactly those of the plan,
        publish the plan and leave the tables as they are.
        Raises ConfigurationError if the application was changed after the plan was made, another change is running,
        records do not fit the plan, or the database refuses the change. The text names the reason and what was done.
        The application then keeps its last complete definition.
        """
        after = plan.after
        async with self._workspace(after.token) as workspace:
            if workspace is None:
                raise ConfigurationError(
                    f"Another process is changing application {title_of(after)}. Apply again when it is done."
                )
            try:
                return await _carry_out(plan, workspace, actor, report, adopt=adopt)
            except StorageError as error:
                raise ConfigurationError(f"Application {title_of(after)} was not changed: {refusal(error)}") from error

    async def survey(self, plan: Plan, *, adopt: bool = False) -> Survey:
        """Count the records that ``plan`` affects and find those that do not fit it now, before any change.

        ``adopt``: as in ``apply``. The survey is empty when the tables will be adopted.
        Raises ConfigurationError when the application's database cannot be read, or is from another moment than the
        control store.
        """
        stored = await self._store.application(plan.after.token)
        if stored is None:
            return Survey({}, ())
        address = application_address(self._data_dir, plan.after.token, stored.secrets)
        tables = ApplicationTables(self._drivers[stored.definition.storage_provider], address)
        refuse_lost(tables, stored.definition)  # a query would create an empty file
        if adopt and await self._adopts(plan):
            return Survey({}, (), adopts=True)
        try:
            moves = "connection_string" in plan.secrets
            if not moves and not tables.are_lost and plan.after.token not in await self._store.pending_tokens():
                await refuse_out_of_step(self._store, stored, tables)
            if plan.migration is None or not plan.migration.before:
                return Survey({}, ())
            migration = await tables.with_structure(plan.migration)
            return await tables.survey(migration, Cipher(stored.secrets.encryption_key))
        except OutOfStep as error:
            raise ConfigurationError(f"{error} Nothing was changed.") from error
        except StorageError as error:
            raise ConfigurationError(
                f"The records of application {title_of(plan.after)} cannot be read: {error}"
            ) from error

    async def _adopts(self, plan: Plan) -> bool:
        async with self._workspace(plan.after.token) as workspace:
            if workspace is None:
                return False
            await workspace.begin()
            if workspace.stored is None:
                return False
            secrets = workspace.stored.secrets.changed(plan.secrets)
            if not await workspace.needs_adoption(plan.after, secrets):
                return False
            await workspace.refuse_adoption(plan.after, secrets)
            return True

    async def recover_all(self) -> None:
        """Call ``recover`` for every application with a pending change, at start-up and before a reload."""
        for token in await self._store.pending_tokens():
            await self.recover(token)

    async def recover(self, token: str) -> StoredApplication | None:
        """Complete or abandon an interrupted change.

        The change is published and returned when the tables have its version. Where each schema statement commits, a
        change whose process has stopped is carried on; otherwise it is abandoned. It stays pending
        while another process changes the application or while the database cannot be read. None also when nothing was
        pending.
        """
        async with self._workspace(token) as workspace:
            if workspace is None:
                return None
            try:
                return await workspace.settle(carry_on=True)
            except (StorageError, ConfigurationError):
                # One application whose database or driver is unavailable must not stop the others from starting.
                log.warning("the pending change of application %s waits for its database", token, exc_info=True)
                return None


async def _carry_out(
    plan: Plan, workspace: ApplicationWorkspace, actor: str, report: Report, *, adopt: bool
) -> StoredApplication:
    """Check that the plan may be applied now, and apply it."""
    await workspace.begin()
    workspace.refuse_another_state(plan.before, plan.after)
    workspace.refuse_lost_database()
    stored = workspace.stored
    secrets = (stored.secrets if stored else Secrets.new()).changed(plan.secrets)
    if stored and adopt and await workspace.needs_adoption(plan.after, secrets):
        return await _adopt(plan, secrets, stored, workspace, actor)
    if stored and stored.definition == plan.after and stored.secrets == secrets:
        await workspace.refuse_out_of_step(plan.after, secrets)
        await workspace.refuse_half_done()
        await workspace.refuse_other_content()
        return stored
    await workspace.refuse_control_store(plan.after, secrets)
    await workspace.refuse_other_database(plan.after, secrets)
    await workspace.refuse_out_of_step(plan.after, secrets)
    if stored:
        await workspace.bring_helper_tables_up_to_date(plan.after, secrets)
    return await _Change(plan, secrets, workspace, actor, report).carry_out()


async def _adopt(
    plan: Plan, secrets: Secrets, stored: StoredApplication, workspace: ApplicationWorkspace, actor: str
) -> StoredApplication:
    """Publish the plan with the tables as they are. A crash in between leaves the application as it was."""
    await workspace.refuse_control_store(plan.after, secrets)
    await workspace.refuse_adoption(plan.after, secrets)
    lines = ["Tables: adopted as they are", *map(str, plan.lines)]
    version = await workspace.store.begin(plan.after, secrets, stored, actor, lines)
    tables = workspace.tables_of(plan.after, secrets)
    await tables.adopt(version)
    published = await workspace.store.publish(workspace.token)
    await record_fingerprint(workspace.store, published, tables)
    return published


async def _told(report: Report, migration: Migration, tables: ApplicationTables) -> Report:
    """Report the big tables and return ``report``; without big tables return ``_silent``: the change is quick."""
    sizes = await tables.sizes([old.name for old, new in migration.kept_entities() if old != new])
    big = [f"{name} holds {records:,} records" for name, records in sizes.items() if records >= BIG_TABLE_RECORDS]
    for text in big:
        report(text, 0, 0)
    return report if big else _silent


class _Change:
    """One plan being applied. No change is pending when it begins."""

    def __init__(
        self, plan: Plan, secrets: Secrets, workspace: ApplicationWorkspace, actor: str, report: Report
    ) -> None:
        self._plan = plan
        self._secrets = secrets
        self._workspace = workspace
        self._is_new = workspace.stored is None
        self._tables = workspace.tables_of(plan.after, secrets)
        self._actor = actor
        self._report = report

    async def carry_out(self) -> StoredApplication:
        workspace, migration = self._workspace, self._plan.migration
        # The DDL is made before anything is changed, because the dialect may refuse the migration.
        dialect = workspace.driver_of(self._plan.after).dialect
        rows: list[Step] = []
        if migration and self._is_new:
            added = workspace.helper_tables.first_changes(migration.after)
            migration = Migration((), (*migration.after, *added.migration.after))
            rows = added.rows(dialect)
        elif migration:
            migration = await self._tables.with_structure(migration)
        ddl = dialect.migrate(migration) if migration else []
        made_folder = self._is_new and make_application_folder(workspace.data_dir, workspace.token)
        try:
            if migration is not None:  # even if there are no statements: the records may not fit
                await self._change_tables(migration, ddl, rows)
            else:
                await self._begin()
            published = await workspace.store.publish(workspace.token)
        except StorageError as error:
            settled = await self._after_failure(error)
            if settled is not None:
                return settled
            if made_folder:
                await self._tables.close()
                shutil.rmtree(application_folder(workspace.data_dir, workspace.token), ignore_errors=True)
            outcome = "made" if self._is_new else "changed, it keeps its last complete definition"
            raise ConfigurationError(
                f"Application {title_of(self._plan.after)} was not {outcome}: {refusal(error)}"
            ) from error
        if migration is not None:
            await record_fingerprint(workspace.store, published, self._tables)
        return published

    async def _begin(self) -> int:
        lines = [str(line) for line in self._plan.lines]
        renames = self._plan.migration.renames if self._plan.migration else Renames()
        return await self._workspace.store.begin(
            self._plan.after, self._secrets, self._workspace.stored, self._actor, lines, renames=renames
        )

    async def _change_tables(self, migration: Migration, ddl: list[str], rows: list[Step]) -> None:
        if self._is_new and await self._tables.version():
            raise ConfigurationError(
                f"The database of the new application {title_of(self._plan.after)} already holds the tables of an "
                "application. Give it an empty database, or restore the control store that knows these tables."
            )
        report = _silent if self._is_new else await _told(self._report, migration, self._tables)
        version = await self._begin()
        cipher = Cipher(self._secrets.encryption_key)
        await self._tables.change(migration, ddl, version, rows, cipher=cipher, new=self._is_new, report=report)

    async def _after_failure(self, error: StorageError) -> StoredApplication | None:
        """Publish or abandon: after a lost connection, the version of the tables shows whether the change was made."""
        try:
            return await self._workspace.settle()
        except StorageError:
            raise ConfigurationError(
                f"The change of application {title_of(self._plan.after)} was interrupted: {error}. It is completed or "
                "undone by the next apply or start, as soon as the databases answer."
            ) from error
