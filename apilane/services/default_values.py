"""Defaults in new records, and in existing ones when a required property is added."""

from __future__ import annotations

from collections.abc import Mapping

from apilane.model.defaults import default_maker
from apilane.model.definition import PropertyType
from apilane.model.migration import Migration
from apilane.model.values import value_reader
from apilane.runtime.application import EntityRuntime
from apilane.security.encryption import Cipher
from apilane.sql.dialect import Dialect
from apilane.sql.statement import Value
from apilane.sql.tables import table_of
from apilane.sql.write import update_where
from apilane.storage.protocol import Step

__all__ = ["add_defaults", "filling_steps"]


def add_defaults(entity: EntityRuntime, row: dict[str, Value], given: Mapping[str, object]) -> dict[str, Value]:
    """A new row of stored values with defaults for properties that were not sent, or that the caller may not write."""
    for name, make in entity.defaults:
        if name not in given or name not in row:
            row[name] = make()
    return row


def filling_steps(migration: Migration, dialect: Dialect, cipher: Cipher, *, exact_decimals: bool) -> list[Step]:
    """The steps that come after the columns were added. Running them again has the same result."""
    steps = []
    for old, new in migration.kept_entities():
        known = {now.name for _, now in migration.kept_properties(old, new)}
        for property in new.properties:
            if property.name in known or not property.required or property.default is None:
                continue
            value = default_maker(property, value_reader(new.name, property, exact_decimals=exact_decimals))()
            if property.encrypted:
                value = cipher.encrypt(value)
            elif property.type is PropertyType.Boolean:
                value = dialect.encode_boolean(value)
            statement = update_where(table_of(new, dialect), (property.name,), (), dialect)
            steps.append(Step(statement, statement.parameters({f"new_{property.name}": value})))
    return steps
