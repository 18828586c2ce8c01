"""The database user that custom SQL runs as, and its rights, which the server enforces. Pure.

``apilane_script`` has no login and owns nothing. It may use tables as ``apilane.model.privileges`` says. It cannot read
a table with secrets; instead it sees a view of the same name in its default schema, in which the secrets are null.
All of this is left out if the login may not create users; scripts are then refused when they run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from apilane.plugin.storage import (
    Entity,
    is_private,
    may_delete,
    may_insert,
    may_update,
    reads_as_null,
    stored_properties,
)
from apilane_sqlserver.naming import literal, quoted

__all__ = ["SCRIPT_USER", "grants"]

SCRIPT_USER: Final = "apilane_script"
_USER: Final = quoted(SCRIPT_USER)
_EXISTS: Final = f"DATABASE_PRINCIPAL_ID({literal(SCRIPT_USER)}) IS NOT NULL"

_MAKE_USER: Final = (
    f"IF DATABASE_PRINCIPAL_ID({literal(SCRIPT_USER)}) IS NULL "
    "AND HAS_PERMS_BY_NAME(QUOTENAME(DB_NAME()), N'DATABASE', N'CONTROL') = 1 "
    f"CREATE USER {_USER} WITHOUT LOGIN WITH DEFAULT_SCHEMA = {_USER}"
)
_MAKE_SCHEMA: Final = (
    f"IF {_EXISTS} AND SCHEMA_ID({literal(SCRIPT_USER)}) IS NULL EXECUTE (N'CREATE SCHEMA {_USER} AUTHORIZATION [dbo]')"
)


def grants(created: Sequence[Entity], kept: Sequence[tuple[Entity, Entity]], dropped: Sequence[Entity]) -> list[str]:
    """Statements that give the user its rights on ``created`` entities, and on ``kept`` ones that changed.

    Existing grants stay when a table is renamed and disappear when it is dropped.
    """
    changed = [new for old, new in kept if _view_columns(old) != _view_columns(new)]
    statements = [text for entity in (*created, *changed) for text in _granted(entity)]
    views = [f"DROP VIEW IF EXISTS {_USER}.{quoted(entity.name)}" for entity in dropped if _view_columns(entity)]
    return [*views, *((_MAKE_USER, _MAKE_SCHEMA) if statements else ()), *statements]


def _view_columns(entity: Entity) -> tuple[str, ...]:
    """The columns of an entity's view; empty if the table needs no view."""
    names = tuple(property.name for property in stored_properties(entity))
    return names if any(reads_as_null(entity.name, name) for name in names) else ()


def _granted(entity: Entity) -> Iterator[str]:
    if is_private(entity.name):
        return
    columns = _view_columns(entity)
    name = f"{_USER}.{quoted(entity.name)}" if columns else f"[dbo].{quoted(entity.name)}"
    if columns:
        shown = ", ".join(_shown(entity.name, column) for column in columns)
        view = f"CREATE VIEW {name} AS SELECT {shown} FROM [dbo].{quoted(entity.name)}"  # noqa: S608  # names, quoted
        yield f"DROP VIEW IF EXISTS {name}"  # rights on columns are stored by position: earlier ones must not stay
        yield f"IF {_EXISTS} EXECUTE ({literal(view)})"
    rights = ["SELECT"]
    rights += ["INSERT"] if may_insert(entity.name) else []
    rights += ["DELETE"] if may_delete(entity.name) else []
    every = [property.name for property in stored_properties(entity) if not property.is_primary_key]
    may = [column for column in every if may_update(entity.name, column) and not reads_as_null(entity.name, column)]
    if may == every:
        rights.append("UPDATE")
    yield f"IF {_EXISTS} GRANT {', '.join(rights)} ON {name} TO {_USER}"
    if may and may != every:
        yield f"IF {_EXISTS} GRANT UPDATE ({', '.join(map(quoted, may))}) ON {name} TO {_USER}"


def _shown(table: str, column: str) -> str:
    return f"CAST(NULL AS NVARCHAR(400)) AS {quoted(column)}" if reads_as_null(table, column) else quoted(column)
