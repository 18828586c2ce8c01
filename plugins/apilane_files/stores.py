"""The stores of files by name, and the one of each application."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from apilane.plugin import ApilaneError, ApplicationView, Code, ConfigurationError, FileStore
from apilane_files.options import FileSection, FileSettings

__all__ = ["Stores"]

log = logging.getLogger("apilane.files")


class Stores:
    """Raises ConfigurationError when the store of the settings does not exist."""

    def __init__(self, options: FileSettings, stores: Mapping[str, FileStore]) -> None:
        if options.store.lower() not in stores:
            raise ConfigurationError(f"the setting store is {options.store!r}; there are: {', '.join(stores)}")
        self._default = options.store
        self._stores = stores

    def of(self, application: ApplicationView) -> FileStore:
        """The store of an application. Raises SERVICE_UNAVAILABLE when its plugin is not loaded."""
        name = application.options(FileSection).store or self._default
        store = self._stores.get(name.lower())
        if store is None:
            known = ", ".join(self._stores)
            log.error("application %s: Plugins.files.Store is %r; there are: %s", application.token, name, known)
            raise ApilaneError(Code.SERVICE_UNAVAILABLE)
        return store
