"""The units of a change in two phases, and the rows they write. Pure; ``apilane.control.store`` runs them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec

from apilane.control.secrets import masked
from apilane.control.statements import ControlStatements
from apilane.errors import ConfigurationError
from apilane.model.definition import ApplicationDefinition
from apilane.model.migration import Renames
from apilane.sql.statement import Statement, Value
from apilane.storage.protocol import Result, Step

__all__ = ["abandon_unit", "begin_unit", "definition_of", "delete_unit", "pending_row", "publish_unit", "renames_of"]

T = TypeVar("T")
_RENAMES: Final = "RenamesOfChange"

UnitMaker = Callable[[], Generator[Step, Result, T]]


def definition_of(text: str) -> ApplicationDefinition:
    """A definition from its stored JSON."""
    return msgspec.json.decode(text, type=ApplicationDefinition)


def renames_of(text: str) -> Renames:
    """The renames of a pending change, which are stored with its definition."""
    found = msgspec.json.decode(text).get(_RENAMES) or {"entities": {}, "properties": []}
    return Renames(found["entities"], {(entity, name): source for entity, name, source in found["properties"]})


def pending_row(
    before: ApplicationDefinition | None,
    after: ApplicationDefinition,
    changes: Sequence[str],
    hidden: Iterable[str],
    renames: Renames,
) -> dict[str, Value]:
    """The columns of a pending change that are made from the definitions; ``hidden``: secrets to mask in its audit
    record.
    """
    properties = [[entity, name, source] for (entity, name), source in renames.properties.items()]
    renamed = {"entities": dict(renames.entities), "properties": properties}
    return {
        "token": after.token,
        "definition": _json({**msgspec.to_builtins(after), _RENAMES: renamed}),
        "changes": _json(masked(list(changes), hidden)),
        "maskedbefore": _json(masked(msgspec.to_builtins(before), hidden)),
        "maskedafter": _json(masked(msgspec.to_builtins(after), hidden)),
    }


def begin_unit(statements: ControlStatements, pending: Mapping[str, Any], expected_version: int) -> UnitMaker[None]:
    """Insert a pending change. ConfigurationError when the version of the application has changed."""

    def unit() -> Generator[Step, Result, None]:
        yield Step(statements.lock_instance)
        rows = (yield Step(statements.application, (pending["token"],))).rows
        if (rows[0][1] if rows else 0) != expected_version:
            raise ConfigurationError(
                f"Application {pending['token']} was changed by another apply in the meantime. This apply changed "
                "nothing; look at the new state and apply again."
            )
        yield _step(statements.insert_pending, pending)

    return unit


def publish_unit(statements: ControlStatements, token: str, now_ms: int) -> UnitMaker[None]:
    """Move a pending change to the applications and the audit, with the next sequence number."""

    def unit() -> Generator[Step, Result, None]:
        # First, because it locks: sequence numbers are committed in order, so that readers of changes miss none.
        yield Step(statements.raise_sequence)
        sequence = (yield Step(statements.instance)).rows[0][2]
        rows: Sequence[tuple[Any, ...]] = (yield Step(statements.pending, (token,))).rows
        if not rows:
            raise ConfigurationError(f"Application {token} has no pending change to publish.")
        _, version, definition, secrets, actor, changes, before, after = rows[0]
        application: dict[str, Value] = {
            "token": token,
            "name": definition_of(definition).name,
            "version": version,
            "definition": _json(definition_of(definition)),
            "secrets": secrets,
            "sequence": sequence,
            "updated": now_ms,
        }
        exists = (yield Step(statements.application, (token,))).rows
        yield _step(statements.update_application if exists else statements.insert_application, application)
        audit: dict[str, Value] = {
            "token": token,
            "version": version,
            "actor": actor,
            "created": now_ms,
            "changes": changes,
            "maskedbefore": before,
            "maskedafter": after,
        }
        yield _step(statements.insert_audit, audit)
        yield Step(statements.delete_pending, (token,))
        if not exists:
            yield Step(statements.forget_deleted, (token,))

    return unit


def delete_unit(statements: ControlStatements, token: str, actor: str, version: int, now_ms: int) -> UnitMaker[None]:
    """Delete an application whose tables are gone, with an audit record and the next sequence number."""

    def unit() -> Generator[Step, Result, None]:
        yield Step(statements.raise_sequence)
        sequence = (yield Step(statements.instance)).rows[0][2]
        yield Step(statements.delete_application, (token,))
        yield Step(statements.delete_pending, (token,))
        yield Step(statements.forget_deleted, (token,))
        yield _step(statements.insert_deleted, {"token": token, "sequence": sequence})
        yield Step(statements.end_audit, (token,))
        audit: dict[str, Value] = {
            "token": token,
            "version": version,
            "actor": actor,
            "created": now_ms,
            "changes": _json(["- Application: deleted with its data"]),
            "maskedbefore": "null",
            "maskedafter": "null",
        }
        yield _step(statements.insert_audit, audit)

    return unit


def abandon_unit(statements: ControlStatements, token: str) -> UnitMaker[None]:
    """Delete a pending change."""

    def unit() -> Generator[Step, Result, None]:
        yield Step(statements.delete_pending, (token,))

    return unit


def _step(statement: Statement, values: Mapping[str, Value]) -> Step:
    return Step(statement, statement.parameters(values))


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
