"""Deletes an application: its tables or database file, its local files, and its entry in the control store.

The data goes first. A deletion that stops half-way leaves an application without data, which can be deleted again.
Files in an object store are not deleted.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path

from apilane.control.folders import application_folder
from apilane.control.store import ControlStore, StoredApplication
from apilane.errors import ConfigurationError
from apilane.services.workspace import ApplicationWorkspace, title_of
from apilane.storage.errors import StorageError
from apilane.storage.helper_tables import HelperTables
from apilane.storage.protocol import Driver

__all__ = ["delete_application"]


async def delete_application(
    token: str,
    *,
    actor: str,
    store: ControlStore,
    drivers: Mapping[str, Driver],
    tables: HelperTables,
    data_dir: Path,
) -> StoredApplication:
    """Delete the application with that canonical token, and return what it was.

    Raises ConfigurationError when there is none, another change is running, or the database refuses.
    """
    async with ApplicationWorkspace.locked(token, store, drivers, tables, data_dir) as workspace:
        if workspace is None:
            raise ConfigurationError(f"Another process is changing application {token}. Try again when it is done.")
        stored = await store.application(token)
        if stored is None:
            raise ConfigurationError(f"There is no application {token}.")
        try:
            await _drop_data(workspace, stored)
        except StorageError as error:
            title = title_of(stored.definition)
            raise ConfigurationError(f"The data of application {title} cannot be deleted: {error}") from error
        await asyncio.to_thread(shutil.rmtree, application_folder(data_dir, token), ignore_errors=True)
        await store.delete(token, stored.version, actor)
        return stored


async def _drop_data(workspace: ApplicationWorkspace, stored: StoredApplication) -> None:
    tables, driver = workspace.tables_of(stored.definition, stored.secrets), workspace.driver_of(stored.definition)
    if not driver.features.embedded:
        await tables.drop(stored.definition.entities, workspace.helper_tables)
    elif not tables.are_lost:
        await tables.close()
