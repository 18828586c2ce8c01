"""Files: upload, download, links, and the calls for their records (docs/reference/protocol/wire-api.md section 5).

``calls.py`` has the calls, ``form.py`` reads an upload, ``names.py`` and ``media_types.py`` judge its name and content,
``download.py`` sends a content, ``links.py`` signs links, ``local.py`` keeps contents in the data folder, and
``orphans.py`` deletes contents without a record. Another store is a plugin too (``apilane_register_file_stores``).
"""

from __future__ import annotations

from collections.abc import Mapping

from apilane.plugin import FileStore, Job, PluginSettings, Settings, WireCall, hookimpl
from apilane_files.calls import FileCalls
from apilane_files.local import LocalStore
from apilane_files.options import FileSection, FileSettings
from apilane_files.orphans import orphans_job
from apilane_files.stores import Stores

__all__ = [
    "apilane_register_calls",
    "apilane_register_file_stores",
    "apilane_register_jobs",
    "apilane_register_settings",
]


@hookimpl
def apilane_register_settings() -> list[PluginSettings]:
    """Store, limits and blocked extensions."""
    return [PluginSettings(instance=FileSettings, application=FileSection)]


@hookimpl
def apilane_register_file_stores(settings: Settings) -> list[LocalStore]:
    """The store ``local``: ``{data_dir}/apps/{token}/files``."""
    return [LocalStore(settings.data_dir)]


@hookimpl
def apilane_register_calls(options: FileSettings, file_stores: Mapping[str, FileStore]) -> list[WireCall]:
    """The calls of files."""
    return FileCalls(options, Stores(options, file_stores)).calls()


@hookimpl
def apilane_register_jobs(options: FileSettings, file_stores: Mapping[str, FileStore]) -> list[Job]:
    """The search for contents without a record."""
    return [orphans_job(options, Stores(options, file_stores))]
