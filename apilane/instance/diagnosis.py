"""The checks of ``apilane doctor``: the data folder, the control store, the database of every application.

The checks only read: nothing is created, changed or repaired. A database that does not answer does not stop the checks
of the others. The driver checks its database (``Session.diagnose``).
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from apilane.control.first_use import NoInstance, control_address
from apilane.control.folders import application_address, is_lost
from apilane.control.records import StoredApplication
from apilane.control.secrets import Secrets
from apilane.errors import ConfigurationError
from apilane.instance.instance import Instance
from apilane.model.plan import Plan
from apilane.security.encryption import Cipher
from apilane.services.application_tables import ApplicationTables
from apilane.services.moments import ADOPT, other_content, refuse_out_of_step
from apilane.services.record_survey import survey, survey_by_reads
from apilane.services.unique_texts import ADVICE, has_first_structure, same_tables
from apilane.storage.errors import OutOfStep, StorageError, Unavailable
from apilane.storage.protocol import Driver, Finding
from apilane.storage.table_versions import CORE

__all__ = [
    "Look",
    "examine",
    "examine_open",
    "look_at_control_store",
    "look_at_database",
    "look_at_plans",
    "refuse_unfit",
]

PATIENCE_S: Final = 30.0
"""Time limit for one database; the check of a big file is slow."""


class Look(NamedTuple):
    """A checked place and one finding."""

    place: str
    finding: Finding


async def examine(instance: Instance) -> AsyncIterator[Look]:
    """Check everything of an instance that is not open yet, in the order in which it is needed.

    It ends early when further checks are impossible. It opens the instance for reading; the caller closes it.
    """
    async for look in look_at_control_store(instance):
        yield look
        if look.finding.serious:
            return
    settings = instance.settings
    if settings.control_url is None and is_lost(instance.drivers[settings.control_provider], control_address(settings)):
        return
    place = f"control store ({settings.control_provider})"
    try:
        await instance.open(create=False, serve=False)
    except NoInstance:
        yield Look(place, Finding("holds no instance yet; the first command creates it"))
        return
    except ConfigurationError as error:
        yield Look(place, Finding(str(error), "Put right what it says.", serious=True))
        return
    async for look in _applications(instance):
        yield look


async def examine_open(instance: Instance) -> AsyncIterator[Look]:
    """Check everything of an open instance."""
    async for look in look_at_control_store(instance):
        yield look
    async for look in _applications(instance):
        yield look


async def look_at_control_store(instance: Instance) -> AsyncIterator[Look]:
    """Check the data folder and the database of the control store of an instance that is not open yet."""
    settings = instance.settings
    for finding in _folder(settings.data_dir):
        yield Look(f"data folder {settings.data_dir}", finding)
    place = f"control store ({settings.control_provider})"
    address = control_address(settings)
    if settings.control_url is None and is_lost(instance.drivers[settings.control_provider], address):
        yield Look(place, Finding("not created yet; the first command on the data folder creates it"))
        return
    async for look in look_at_database(place, settings.control_provider, address, instance.drivers):
        yield look


async def refuse_unfit(looks: AsyncIterator[Look]) -> None:
    """Raise ConfigurationError with every serious finding, except for those that ``apply`` corrects."""
    found = [look async for look in looks]
    unfit = [
        f"{place}: {finding.text.rstrip('.')}. {finding.advice}".rstrip()
        for place, finding in found
        if finding.serious and not finding.apply_corrects
    ]
    if unfit:
        raise ConfigurationError("\n".join(unfit) + "\nNothing was changed.")


def _folder(path: Path) -> list[Finding]:
    if not path.is_dir():
        return [Finding("not created yet; the first command that needs it creates it")]
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        advice = "Change its owner, or choose another folder with --data-dir."
        return [Finding("cannot be written by this user", advice, serious=True)]
    files = [file for file in (path, path / "master.key", path / "control.db") if file.exists()]
    modes = [(file, stat.S_IMODE(file.stat().st_mode)) for file in files]
    findings = [
        Finding(f"{file.name} has mode {mode:04o}", f"Remove the access of other users: chmod go= {file}")
        for file, mode in modes
        if mode & 0o077
    ]
    return findings or [Finding("can be used, only by its owner")]


async def _applications(instance: Instance) -> AsyncIterator[Look]:
    store = instance.store
    pending = set(await store.pending_tokens())
    for named in await store.applications():
        place = f"application {named.name} ({named.token})"
        if named.token in pending:
            yield Look(
                place,
                Finding("has a pending change", "The next start or apply ends it, unless a process is working on it."),
            )
        stored = await store.application(named.token)
        if stored is None:
            continue  # deleted meanwhile
        async for look in _application(place, stored, instance, is_pending=named.token in pending):
            yield look


async def _application(
    place: str, stored: StoredApplication, instance: Instance, *, is_pending: bool
) -> AsyncIterator[Look]:
    provider = stored.definition.storage_provider
    address = application_address(instance.settings.data_dir, stored.definition.token, stored.secrets)
    driver = instance.drivers.get(provider)
    if driver is not None and is_lost(driver, address):
        yield Look(place, Finding(f"{address} is missing", "Restore it from a backup.", serious=True))
        return
    serious = False
    async for look in look_at_database(place, provider, address, instance.drivers):
        serious = serious or look.finding.serious
        yield look
    if not serious and not is_pending:
        tables = ApplicationTables(instance.drivers[provider], address)
        try:
            await refuse_out_of_step(instance.store, stored, tables)
            misfits = await tables.misfits(stored.definition.entities)
            if misfits:
                raise other_content(stored.definition, misfits)
        except OutOfStep as error:
            advice = f"Until then it answers SERVICE_UNAVAILABLE. {ADOPT}"
            yield Look(place, Finding(str(error), advice, serious=True))
            return
    if not serious:
        async for finding in _helper_tables(address, instance.drivers[provider], instance):
            yield Look(place, finding)
        async for finding in _unique_texts(address, instance.drivers[provider], stored):
            yield Look(place, finding)


async def _helper_tables(address: str, driver: Driver, instance: Instance) -> AsyncIterator[Finding]:
    """The differences between the helper tables in a database and those of the core and the loaded plugins."""
    tables = instance.helper_tables
    try:
        recorded = await tables.recorded(driver.session(address), driver.dialect)
        missing = tables.changes_from(recorded)
    except StorageError as error:
        yield Finding(str(error), "Put right what it says.", serious=True)
        return
    if missing is not None:
        yield Finding(f"has helper tables to create or change: {missing}", "The next `apilane serve` does it.")
    wanted = {each.entity.name for each in tables.wanted}
    for name, table in recorded.items():
        if name not in wanted:
            if table.plugin == CORE:
                yield Finding(f"keeps the table {name}, which no loaded plugin needs")
                continue
            advice = "Load the plugin again; or drop the table, and its row in H_Tables, when its rows are not needed."
            yield Finding(f"keeps the table {name} of the plugin {table.plugin!r}, which is not loaded", advice)


async def _unique_texts(address: str, driver: Driver, stored: StoredApplication) -> AsyncIterator[Finding]:
    """The records that keep the unique constraints of an older release from their upgrade."""
    session = driver.session(address)
    try:
        if not await has_first_structure(session, driver.dialect):
            return
        unit = survey(same_tables(stored.definition.entities), driver.dialect, Cipher(stored.secrets.encryption_key))
        found = await survey_by_reads(unit, session)
    except StorageError as error:
        yield Finding(str(error), "Put right what it says.", serious=True)
        return
    for misfit in found.misfits:
        yield Finding(str(misfit), ADVICE, serious=True)
    if not found.misfits:
        yield Finding("has unique constraints of an older release", "The next `apilane serve` upgrades them.")


async def look_at_plans(plans: Sequence[Plan], instance: Instance) -> AsyncIterator[Look]:
    """Check the databases that ``plans`` change or use for the first time, without files that do not exist yet.

    An instance that is not open has no applications yet.
    """
    for plan in plans:
        stored = await instance.store.application(plan.after.token) if instance.is_open else None
        if stored is not None and plan.migration is None and "connection_string" not in plan.secrets:
            continue
        secrets = (stored.secrets if stored else Secrets.new()).changed(plan.secrets)
        address = application_address(instance.settings.data_dir, plan.after.token, secrets)
        if is_lost(instance.drivers[plan.after.storage_provider], address):
            continue
        place = f"application {plan.after.name} ({plan.after.token})"
        async for look in look_at_database(place, plan.after.storage_provider, address, instance.drivers):
            yield look


async def look_at_database(
    place: str, provider: str, address: str, drivers: Mapping[str, Driver]
) -> AsyncIterator[Look]:
    """Check one database; a failure is a finding too."""
    try:
        session = drivers[provider].session(address)
    except (ConfigurationError, StorageError) as error:
        yield Look(place, Finding(str(error), "Put right what it says.", serious=True))
        return
    try:
        findings: Sequence[Finding] = await asyncio.wait_for(session.diagnose(), PATIENCE_S)
    except TimeoutError:
        findings = [Finding(f"did not answer within {PATIENCE_S:.0f} s", "Check the server and its load.", True)]
    except Unavailable as error:
        findings = [Finding(str(error), "Without it the application answers SERVICE_UNAVAILABLE.", serious=True)]
    except StorageError as error:
        findings = [Finding(str(error), "Put right what the database says.", serious=True)]
    for finding in findings:
        yield Look(place, finding)
