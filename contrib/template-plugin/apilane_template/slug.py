"""Record handlers: a ``Slug`` made from a ``Title``, and a count of the records that were created."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Generator

import sqlalchemy as sa

from apilane.plugin import ApplicationView, Entity, HelperTable, PropertyType, RecordChange, Unique, column
from apilane.plugin.storage import Result, Statement, Step, UniqueViolation, Value, compile_statement

__all__ = ["COUNTS", "count", "fill_slugs", "has_slug", "slug_of"]

COUNTS = HelperTable(
    name="H_Slugs",
    version=1,
    columns=(column("Entity", maximum=100), column("Created", PropertyType.Number)),
    constraints=(Unique(properties=("Entity",)),),
)
"""One row for each entity: the number of records that were created with a slug."""


def has_slug(application: ApplicationView, entity: Entity) -> bool:
    """Whether the handlers are used for an entity; asked once for each version of an application."""
    return entity.property("Title") is not None and entity.property("Slug") is not None


async def fill_slugs(change: RecordChange) -> None:
    """Before the commit: set ``Slug`` where the caller sets ``Title`` and no ``Slug``. The core checks the value."""
    for record in change.records:
        title = record.get("Title")
        if isinstance(title, str) and not record.get("Slug"):
            record["Slug"] = slug_of(title)


def slug_of(title: str) -> str:
    """Letters and digits without accents, in lower case, with dashes between the words."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return "-".join(re.findall(r"[a-z0-9]+", plain))


async def count(change: RecordChange) -> None:
    """After the commit: count the new records. The answer does not wait for it, and a crash may lose it."""
    application = change.application
    table = application.table("H_Slugs")
    created, is_mine = table.c["Created"], table.c["Entity"] == sa.bindparam("entity")
    more = sa.update(table).values({"Created": created + sa.bindparam("number", type_=sa.Integer())}).where(is_mine)
    first = sa.insert(table).values({"Entity": sa.bindparam("entity"), "Created": sa.bindparam("number")})
    dialect = application.dialect.sqlalchemy
    add, begin = compile_statement(more, dialect), compile_statement(first, dialect)
    values = {"entity": change.entity, "number": len(change.records)}

    def unit() -> Generator[Step, Result, None]:
        if not (yield _step(add, values)).matched:
            yield _step(begin, values)

    try:
        await application.session.run(unit)
    except UniqueViolation:  # another process has inserted the row
        await application.session.run(unit)


def _step(statement: Statement, values: dict[str, Value]) -> Step:
    return Step(statement, statement.parameters(values))
