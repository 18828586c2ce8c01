"""An instance for changing applications: manifests are applied as ``apilane apply`` does it, records by plain SQL."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw

from apilane.control.secrets import Secrets
from apilane.control.store import StoredApplication
from apilane.instance import Instance
from apilane.model.manifest.write import export_manifest
from apilane.model.plan import Plan
from apilane.runtime.application import ApplicationRuntime
from apilane.services.capabilities import capabilities_of
from apilane.services.manifest_plans import plan_files
from apilane.services.record_survey import Survey
from apilane.settings import Settings


def manifest(*entities: dict[str, Any], **sections: Any) -> dict[str, Any]:
    """The application ``Shop`` with these entities."""
    return {"Apilane": 1, "Application": {"Name": "Shop"}, "Entities": list(entities), **sections}


def entity(name: str, *properties: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {"Name": name, "Properties": list(properties), **keys}


class Workshop:
    """One open instance; every call runs on one event loop kept for the test. All applications are called ``Shop``.

    ``loaded``: names of the installed plugins to load; None: every one.
    """

    def __init__(
        self,
        data_dir: Path,
        runner: asyncio.Runner,
        plugins: Sequence[object] = (),
        *,
        loaded: tuple[str, ...] | None = None,
    ) -> None:
        self.data_dir = data_dir
        self.settings = Settings(data_dir=data_dir, plugins=loaded, argon2_time_cost=1, argon2_memory_kib=64)
        self.reports: list[str] = []
        self._runner = runner
        self._instance = Instance(self.settings, plugins)
        runner.run(self._instance.open(serve=False))
        self._store = self._instance.store

    def close(self) -> None:
        self._runner.run(self._instance.close())

    def plan(self, document: dict[str, Any] | str) -> Plan:
        text = document if isinstance(document, str) else json.dumps(document)
        name = "a.yaml" if isinstance(document, str) else "a.json"
        capabilities = capabilities_of(self._instance.hooks)
        (plan,) = self._runner.run(plan_files([(name, text.encode())], store=self._store, capabilities=capabilities))
        return plan

    def carry_out(self, plan: Plan) -> StoredApplication:
        """Run the part of ``apply`` after the confirmation."""
        return self._runner.run(
            self._instance.changes.apply(plan, actor="tests", report=lambda text, *_: self.reports.append(text))
        )

    def apply(self, document: dict[str, Any] | str) -> StoredApplication:
        return self.carry_out(self.plan(document))

    def open(self) -> ApplicationRuntime:
        """The application as its first caller opens it."""
        found = self._runner.run(self._instance.applications.find(self.stored.definition.token))
        assert found is not None
        return found

    def survey(self, document: dict[str, Any] | str) -> Survey:
        return self._runner.run(self._instance.changes.survey(self.plan(document)))

    @property
    def stored(self) -> StoredApplication:
        (found,) = self._runner.run(self._store.find("Shop"))
        return found

    def secrets(self) -> Secrets:
        return self.stored.secrets

    def recover(self) -> None:
        """Recover as the next start does."""
        self._runner.run(self._instance.changes.recover_all())

    def pending(self) -> list[str]:
        return self._runner.run(self._store.pending_tokens())

    def exported(self) -> str:
        return export_manifest(self.stored.definition)

    def sql(self, statement: str, *rows: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Run SQL on the application's file, as another program would; once for each of ``rows``."""
        connection = apsw.Connection(str(self.data_dir / "apps" / self.stored.definition.token / "data.db"))
        try:
            if not rows:
                return list(connection.execute(statement))
            with connection:
                connection.executemany(statement, rows)
            return []
        finally:
            connection.close()

    def insert(self, entity: str, *records: dict[str, Any]) -> None:
        """Insert records with the same keys; ``Created`` is set automatically."""
        columns = ("Created", *records[0])
        names, marks = ", ".join(f'"{name}"' for name in columns), ", ".join("?" * len(columns))
        rows = [(0, *record.values()) for record in records]
        self.sql(f'INSERT INTO "{entity}" ({names}) VALUES ({marks})', *rows)

    def tables(self) -> list[tuple[Any, ...]]:
        """The whole content of the file except records."""
        return self.sql("SELECT type, name, sql FROM sqlite_schema ORDER BY name")
