"""SQLAlchemy tables made from entities: the names and types that statements and DDL are built on. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from apilane.model.definition import Entity, Property, PropertyType
from apilane.model.system import HIDDEN_COLUMNS

if TYPE_CHECKING:
    from apilane.sql.dialect import Dialect

__all__ = ["hidden_properties", "stored_properties", "table_of"]


def hidden_properties(entity: Entity) -> tuple[Property, ...]:
    """The columns of a system table that only the server uses, as properties (B-D17)."""
    if not entity.is_system:
        return ()
    return tuple(
        Property(name=column.name, type=PropertyType.String, maximum=column.maximum, required=True, is_system=True)
        for column in HIDDEN_COLUMNS.get(entity.name, ())
    )


def stored_properties(entity: Entity) -> tuple[Property, ...]:
    """Every column of the entity's table, in order."""
    return (*entity.properties, *hidden_properties(entity))


def table_of(entity: Entity, dialect: Dialect) -> sa.Table:
    """The entity's table: columns with types, nullability and defaults (docs/reference/protocol/data-model.md section
    10).

    The dialect's ``migrate`` adds constraints and indexes.
    """
    return sa.Table(
        sa.sql.quoted_name(entity.name, quote=True),
        sa.MetaData(),
        *(
            sa.Column(
                sa.sql.quoted_name(p.name, quote=True),
                dialect.column_type(p),
                primary_key=p.is_primary_key,
                nullable=not p.required,
                server_default=dialect.column_default(p),
                autoincrement=p.is_primary_key,
            )
            for p in stored_properties(entity)
        ),
    )
