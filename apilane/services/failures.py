"""Storage failures as wire errors (docs/reference/protocol/errors.md section 4, B-E6, B-E7), and the properties of a
violated foreign key.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping

from apilane.errors import ApilaneError, Code, DatabaseBusyError
from apilane.model.definition import ForeignKey
from apilane.runtime.application import EntityRuntime
from apilane.sql.statement import Value
from apilane.sql.write import first_id_where
from apilane.storage.errors import (
    Deadlock,
    ForeignKeyViolation,
    NotNullViolation,
    NumberOutOfRange,
    StorageError,
    Unavailable,
    UniqueViolation,
    ValueTooLong,
)
from apilane.storage.protocol import Result, Step

__all__ = ["broken_reference", "named_violation", "referencing_properties", "wire_error"]


def wire_error(error: StorageError, entity: str | None) -> ApilaneError:
    """The answer for a storage failure while working on ``entity`` (schema name)."""
    names = ",".join(sorted(error.columns)) if error.columns else None
    match error:
        case UniqueViolation():
            return ApilaneError(Code.UNIQUE_CONSTRAINT_VIOLATION, property=names, entity=entity)
        case NotNullViolation():
            return ApilaneError(Code.REQUIRED, property=names, entity=entity)
        case ForeignKeyViolation():
            return ApilaneError(Code.FOREIGN_KEY_CONSTRAINT_VIOLATION, property=names or "", entity=entity)
        case ValueTooLong():
            return ApilaneError(Code.VALIDATION, "The value is too long", property=names, entity=entity)
        case NumberOutOfRange():
            return ApilaneError(Code.VALIDATION, "Invalid number", property=names, entity=entity)
        case Unavailable() | Deadlock():
            return DatabaseBusyError()
        case _:
            return ApilaneError(Code.ERROR, entity=entity)


def named_violation(
    entity: EntityRuntime, values: Mapping[str, Value], error: ForeignKeyViolation | UniqueViolation
) -> Generator[Step, Result, StorageError]:
    """Within a unit, after a write failed: the same violation with the properties that the caller should correct."""
    if isinstance(error, ForeignKeyViolation):
        return (yield from broken_reference(entity, values, error))
    tenant = entity.entity.tenant
    if tenant is None or tenant not in error.columns:
        return error
    columns = tuple(name for name in error.columns if name != tenant)
    return UniqueViolation(str(error), table=error.table, columns=columns)


def broken_reference(
    entity: EntityRuntime, values: Mapping[str, Value], error: ForeignKeyViolation
) -> Generator[Step, Result, ForeignKeyViolation]:
    """Within a unit, after a write failed: the same violation with the properties that refer to no record.

    It reads only when the driver does not name the properties and allows reads after a failure.
    """
    features = entity.application.driver.features
    if features.names_foreign_keys or not features.reads_after_failure:
        return error
    broken = []
    for constraint in entity.entity.constraints:
        if not isinstance(constraint, ForeignKey) or values.get(constraint.property) is None:
            continue
        target = entity.application.entities[constraint.entity.lower()]
        probe = target.statement(first_id_where, (("ID", "id"),))
        result = yield Step(probe, (values[constraint.property],))
        if result.rows[0][0] is None:
            broken.append(constraint.property)
    return ForeignKeyViolation(str(error), table=entity.name, columns=tuple(broken))


def referencing_properties(
    entity: EntityRuntime, record_id: Value, error: ForeignKeyViolation
) -> Generator[Step, Result, ForeignKeyViolation]:
    """Within a unit, after a delete failed: the same violation with the properties that still refer to the record."""
    features = entity.application.driver.features
    if features.names_foreign_keys or not features.reads_after_failure:
        return error
    referring = []
    entities = entity.application.entities
    for other in entity.application.definition.entities:
        for constraint in other.constraints:
            if not isinstance(constraint, ForeignKey) or constraint.entity.lower() != entity.name.lower():
                continue
            probe = entities[other.name.lower()].statement(first_id_where, ((constraint.property, "id"),))
            result = yield Step(probe, (record_id,))
            if result.rows[0][0] is not None and constraint.on_delete == "NoAction":
                referring.append(constraint.property)
    return ForeignKeyViolation(str(error), table=entity.name, columns=tuple(dict.fromkeys(referring)))
