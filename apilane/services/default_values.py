"""Gives existing records the default of a required property that is added."""

from __future__ import annotations

from apilane.model.defaults import default_maker
from apilane.model.definition import PropertyType
from apilane.model.migration import Migration
from apilane.model.values import value_reader
from apilane.security.encryption import Cipher
from apilane.sql.dialect import Dialect
from apilane.sql.tables import table_of
from apilane.sql.write import update_where
from apilane.storage.protocol import Step

__all__ = ["filling_steps"]


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
