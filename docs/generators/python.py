"""The page of what Python code may import: the public names of the documented modules, from their ``__all__``."""

from __future__ import annotations

import inspect
from importlib import import_module
from types import ModuleType

from generators.tables import table

MODULES = (
    "apilane",
    "apilane.asgi",
    "apilane.client",
    "apilane.hookspecs",
    "apilane.errors",
    "apilane.settings",
    "apilane.model.dates",
    "apilane.model.definition",
    "apilane.plugin.gates",
    "apilane.model.migration",
    "apilane.model.numbers",
    "apilane.model.plan",
    "apilane.model.privileges",
    "apilane.model.system",
    "apilane.model.text",
    "apilane.plugin.identity",
    "apilane.security.signatures",
    "apilane.security.tokens",
    "apilane.sql.ddl",
    "apilane.sql.dialect",
    "apilane.sql.script",
    "apilane.sql.statement",
    "apilane.sql.tables",
    "apilane.storage.addresses",
    "apilane.plugin.counters",
    "apilane.plugin.endpoints",
    "apilane.plugin.settings",
    "apilane.storage.errors",
    "apilane.storage.patience",
    "apilane.storage.pool",
    "apilane.storage.pooled",
    "apilane.storage.pooled_driver",
    "apilane.storage.protocol",
    "apilane.storage.units",
    "apilane.testing.client",
    "apilane.testing.conformance",
    "apilane.testing.server",
)
"""What is documented is stable; every other module may change without notice."""

NOT_IMPORTED = {"apilane.asgi": "The application, with settings of the environment, for any ASGI server."}
"""Importing these does something; their names with what they are."""


def _about(module: ModuleType, name: str) -> str:
    thing = getattr(module, name)
    document = inspect.getdoc(thing) if inspect.isclass(thing) or inspect.isroutine(thing) else None
    if not document or document.startswith(("str(", "int(", "dict(")):
        return ""
    return document.split("\n\n")[0].replace("\n", " ").replace("|", "\\|")


def page() -> str:
    """One section per module."""
    intro = (
        "# Python\n\nWhat a plugin, a driver or an embedding application may import. These names are stable;\n"
        "everything else in the package may change with any release.\n"
    )
    parts = [intro]
    for name in MODULES:
        if name in NOT_IMPORTED:
            parts.append(f"## `{name}`\n\n" + table(("name", ""), [("`app`", NOT_IMPORTED[name])]))
            continue
        module = import_module(name)
        first = (inspect.getdoc(module) or "").split("\n\n")[0].replace("\n", " ")
        rows = [(f"`{public}`", _about(module, public)) for public in module.__all__]
        parts.append(f"## `{name}`\n\n{first}\n\n" + table(("name", ""), rows))
    return "\n".join(parts)
