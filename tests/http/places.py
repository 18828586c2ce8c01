"""Databases on a server for the applications and control stores of a test run."""

from __future__ import annotations

import asyncio
import importlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from apilane.settings import load_settings
from apilane.sql.dialect import Dialect
from apilane.storage.protocol import Driver

PROVIDERS = {"mysql": "MySQL", "postgresql": "PostgreSQL", "sqlserver": "SQLServer"}


class ServerPlace:
    """A new database on the server at ``url`` for each application and each control store.

    The SQL of endpoints has identifiers in brackets; they are replaced by the quotes of the provider.
    """

    def __init__(self, provider: str, url: str) -> None:
        self.provider = PROVIDERS[provider]
        self._url = url
        package = importlib.import_module(f"apilane_{provider}")
        self._fresh = importlib.import_module(f"apilane_{provider}.provision").fresh_database
        (driver,) = package.apilane_register_drivers(load_settings(environ={}))
        self._driver: Driver = driver
        self._addresses: dict[tuple[str, ...], str] = {}

    def _address(self, *owner: str) -> str:
        if owner not in self._addresses:
            made = self._fresh(self._url)
            self._addresses[owner] = made if isinstance(made, str) else asyncio.run(made)
        return self._addresses[owner]

    def settings(self, data_dir: Path) -> Mapping[str, object]:
        """Settings that put the control store on this server too."""
        return {"control_provider": self.provider, "control_url": self._address(str(data_dir))}

    def manifest(self, data_dir: Path, manifest: Mapping[str, Any] | str) -> Mapping[str, Any] | str:
        """The same manifest for this server; a text manifest stays a text with the same number of lines."""
        described = yaml.safe_load(manifest) if isinstance(manifest, str) else manifest
        application = dict(described["Application"])
        name = str(application.get("Token") or application["Name"]).lower()
        application |= {"StorageProvider": self.provider, "ConnectionString": self._address(str(data_dir), name)}
        placed = {**described, "Application": application}
        if "CustomEndpoints" in placed:
            placed["CustomEndpoints"] = [_endpoint(each, self._driver.dialect) for each in placed["CustomEndpoints"]]
        return json.dumps(placed, indent=1) if isinstance(manifest, str) else placed


def _endpoint(endpoint: Mapping[str, Any], dialect: Dialect) -> Mapping[str, Any]:
    quote = dialect.sqlalchemy.identifier_preparer.quote_identifier
    return {**endpoint, "Query": re.sub(r"\[(\w+)\]", lambda name: quote(name[1]), endpoint["Query"])}
