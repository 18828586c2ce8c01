"""Carrying a plan out: the definition in the control store and the tables in the application's database, together.

Begin (control store), tables and their version in one unit (application's database), publish (control store). Whoever
stops half-way leaves a pending change, and ``recover`` tells from the version beside the tables whether to publish or
to abandon it. What the plan is and whether it may lose data is decided before.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping

from apilane.control.folders import application_folder, make_application_folder
from apilane.control.secrets import Secrets
from apilane.control.store import ControlStore, StoredApplication
from apilane.errors import ConfigurationError
from apilane.model.definition import ApplicationDefinition
from apilane.model.migration import Migration
from apilane.model.plan import Plan
from apilane.security.encryption import Cipher
from apilane.services.fitting import Survey
from apilane.services.tables import ApplicationTables, Report, refusal
from apilane.settings import Settings
from apilane.storage.errors import StorageError
from apilane.storage.protocol import Driver

__all__ = ["application_address", "apply_plan", "recover", "recover_all", "survey_plan"]

BIG_TABLE_RECORDS = 10_000
"""From here on a change takes long enough to tell what it does."""

log = logging.getLogger("apilane.applying")


def application_address(settings: Settings, definition: ApplicationDefinition, secrets: Secrets) -> str:
    """What ``Driver.session`` takes: the connection string, else the file of an embedded provider. Makes nothing."""
    if secrets.connection_string is not None:
        return secrets.connection_string
    return str(application_folder(settings.data_dir, definition.token) / "data.db")


def _silent(text: str, step: int, steps: int) -> None:
    """Nobody wants to know."""


async def apply_plan(
    plan: Plan,
    *,
    store: ControlStore,
    drivers: Mapping[str, Driver],
    settings: Settings,
    actor: str,
    report: Report = _silent,
) -> StoredApplication:
    """Carry ``plan`` out and return the application as published. A plan that changes nothing does nothing.

    ``actor``: who, for the audit. ``report``: told each step of a long change before it begins, from another thread.
    Raises ConfigurationError, whose text says what stands in the way and what was done: the application was changed
    since the plan was made, another change is under way, its records do not fit, or its database refuses. The
    application then stays on its last whole definition.
    """
    token = plan.after.token
    async with store.change_lock(token) as held:
        if not held:
            raise ConfigurationError(
                f"Another process is changing application {_title(plan.after)}. Apply again when it is done."
            )
        try:
            await _settle(token, store, drivers, settings)
            stored = await store.application(token)
            if plan.before != (stored.definition if stored else None):
                raise ConfigurationError(
                    f"Application {_title(plan.after)} was changed by somebody else since the plan was made. "
                    "Nothing was changed now; look at the new state and apply again."
                )
            _refuse_lost_database(stored, drivers, settings)
            secrets = (stored.secrets if stored else Secrets.new()).changed(plan.secrets)
            if stored and stored.definition == plan.after and stored.secrets == secrets:
                await _refuse_half_done(stored, drivers, settings)
                return stored
            await _refuse_other_database(stored, plan.after, secrets, drivers, settings)
            change = _Change(plan, secrets, stored.version if stored else 0, actor)
            return await change.carry_out(store, drivers, settings, report)
        except StorageError as error:
            raise ConfigurationError(f"Application {_title(plan.after)} was not changed: {refusal(error)}") from error


async def survey_plan(plan: Plan, *, store: ControlStore, drivers: Mapping[str, Driver], settings: Settings) -> Survey:
    """How many records ``plan`` concerns and which do not fit it, as of now; for showing before anything is done.

    Raises ConfigurationError when the application's database cannot be asked.
    """
    stored = await store.application(plan.after.token)
    if stored is None or plan.migration is None or not plan.migration.before:
        return Survey({}, ())
    address = application_address(settings, stored.definition, stored.secrets)
    tables = ApplicationTables(drivers[stored.definition.storage_provider], address)
    try:
        return await tables.survey(plan.migration, Cipher(stored.secrets.encryption_key))
    except StorageError as error:
        raise ConfigurationError(
            f"The records of application {_title(plan.after)} cannot be looked at: {error}"
        ) from error


async def recover_all(*, store: ControlStore, drivers: Mapping[str, Driver], settings: Settings) -> None:
    """``recover`` every application with a pending change; for start-up, and before looking an application up."""
    for token in await store.pending_tokens():
        await recover(token, store=store, drivers=drivers, settings=settings)


async def recover(
    token: str, *, store: ControlStore, drivers: Mapping[str, Driver], settings: Settings
) -> StoredApplication | None:
    """Bring a change that was left half-way to its end.

    Published, and returned, when the tables reached its version; abandoned otherwise. Left alone while another process
    is at it or the application's database cannot be asked. None also when nothing was pending.
    """
    async with store.change_lock(token) as held:
        if not held:
            return None
        try:
            return await _settle(token, store, drivers, settings)
        except (StorageError, ConfigurationError):
            # One application whose database or driver is away must not keep the others from starting.
            log.warning("the pending change of application %s waits for its database", token, exc_info=True)
            return None


async def _settle(
    token: str, store: ControlStore, drivers: Mapping[str, Driver], settings: Settings
) -> StoredApplication | None:
    """Publish the pending change if the tables have its version, else abandon it. The lock is held."""
    pending = await store.pending(token)
    if pending is None:
        return None
    address = application_address(settings, pending.definition, pending.secrets)
    tables = ApplicationTables(drivers[pending.definition.storage_provider], address)
    if await tables.version() == pending.version:
        log.info("application %s: publishing version %d, which its tables have", token, pending.version)
        return await store.publish(token)
    log.info("application %s: abandoning version %d, which its tables do not have", token, pending.version)
    await store.abandon(token)
    return None


def _refuse_lost_database(stored: StoredApplication | None, drivers: Mapping[str, Driver], settings: Settings) -> None:
    """An application that exists has a database; an empty one in its place would hide the loss."""
    if stored is None or not drivers[stored.definition.storage_provider].features.embedded:
        return
    path = application_folder(settings.data_dir, stored.definition.token) / "data.db"
    if not path.exists():
        raise ConfigurationError(
            f"The database {path} of application {_title(stored.definition)} is missing. Restore it from a backup; "
            "nothing was changed."
        )


async def _refuse_half_done(stored: StoredApplication, drivers: Mapping[str, Driver], settings: Settings) -> None:
    """Where schema statements commit by themselves the tables may be between two definitions; that is not all well."""
    driver = drivers[stored.definition.storage_provider]
    if driver.features.transactional_ddl:
        return
    session = driver.session(application_address(settings, stored.definition, stored.secrets))
    for finding in await session.diagnose():
        if finding.serious:
            raise ConfigurationError(f"Application {_title(stored.definition)}: {finding.text}. {finding.advice}")


async def _refuse_other_database(
    stored: StoredApplication | None,
    after: ApplicationDefinition,
    secrets: Secrets,
    drivers: Mapping[str, Driver],
    settings: Settings,
) -> None:
    """A new connection string leads to the same tables, or to a copy of them."""
    if stored is None or secrets.connection_string == stored.secrets.connection_string:
        return
    tables = ApplicationTables(drivers[after.storage_provider], application_address(settings, after, secrets))
    found = await tables.version()
    if not 0 < found <= stored.version:
        state = f"its tables at version {found}, newer than {stored.version}" if found else "none of its tables"
        raise ConfigurationError(
            f"The new ConnectionString of application {_title(after)} leads to a database with {state}. Copy the "
            "database there first; nothing was changed."
        )


def _title(definition: ApplicationDefinition) -> str:
    return f"{definition.name} ({definition.token})"


async def _told(report: Report, migration: Migration, tables: ApplicationTables) -> Report:
    """``report``, told of the big tables; nobody waits for small ones, so those are not worth a word."""
    sizes = await tables.sizes([old.name for old, new in migration.kept_entities() if old != new])
    big = [f"{name} holds {records:,} records" for name, records in sizes.items() if records >= BIG_TABLE_RECORDS]
    for text in big:
        report(text, 0, 0)
    return report if big else _silent


class _Change:
    """One plan on its way; the application's lock is held and nothing is pending. ``before``: the version, 0 if new."""

    def __init__(self, plan: Plan, secrets: Secrets, before: int, actor: str) -> None:
        self._plan = plan
        self._secrets = secrets
        self._before = before
        self._actor = actor

    async def carry_out(
        self, store: ControlStore, drivers: Mapping[str, Driver], settings: Settings, report: Report
    ) -> StoredApplication:
        definition = self._plan.after
        driver = drivers[definition.storage_provider]
        # Before anything is changed: the dialect refuses here what its database cannot do.
        ddl = driver.dialect.migrate(self._plan.migration) if self._plan.migration else []
        made_folder = not self._before and make_application_folder(settings.data_dir, definition.token)
        tables = ApplicationTables(driver, application_address(settings, definition, self._secrets))
        try:
            if self._plan.migration is not None:  # also without statements: the records may not fit
                await self._change_tables(self._plan.migration, ddl, tables, store, report)
            else:
                await self._begin(store)
            return await store.publish(definition.token)
        except StorageError as error:
            published = await self._after_failure(error, store, drivers, settings)
            if published is not None:
                return published
            if made_folder:
                await tables.close()
                shutil.rmtree(application_folder(settings.data_dir, definition.token), ignore_errors=True)
            outcome = "changed, it stays on its last whole definition" if self._before else "made"
            raise ConfigurationError(f"Application {_title(definition)} was not {outcome}: {refusal(error)}") from error

    async def _begin(self, store: ControlStore) -> int:
        lines = [str(line) for line in self._plan.lines]
        return await store.begin(self._plan.after, self._secrets, self._before, self._actor, lines)

    async def _change_tables(
        self, migration: Migration, ddl: list[str], tables: ApplicationTables, store: ControlStore, report: Report
    ) -> None:
        found = await tables.version()
        if found and not self._before:
            raise ConfigurationError(
                f"The database of the new application {_title(self._plan.after)} already holds the tables of an "
                "application. Give it an empty database, or restore the control store that knows these tables."
            )
        if found > self._before:
            raise ConfigurationError(
                f"The tables of application {_title(self._plan.after)} are at version {found}, its definition at "
                f"{self._before}: the control store is older than the database. Restore the two that belong together."
            )
        report = await _told(report, migration, tables) if self._before else _silent
        version = await self._begin(store)
        cipher = Cipher(self._secrets.encryption_key)
        await tables.change(migration, ddl, version, cipher=cipher, new=not self._before, report=report)

    async def _after_failure(
        self, error: StorageError, store: ControlStore, drivers: Mapping[str, Driver], settings: Settings
    ) -> StoredApplication | None:
        """Settle at once: a lost connection may have lost only the answer, the version beside the tables knows."""
        try:
            return await _settle(self._plan.after.token, store, drivers, settings)
        except StorageError:
            raise ConfigurationError(
                f"The change of application {_title(self._plan.after)} stopped half-way: {error}. It is completed or "
                "undone by the next apply or start, as soon as the databases answer."
            ) from error
