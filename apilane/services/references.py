"""References between the operations of a transaction: ``$ref:{label}`` stands for the ID of the first record that the
Post operation with that label stores (docs/reference/protocol/query-language.md section 7.2).

A reference is checked when its operation is checked. Its value is known when the unit runs, and is then read by the
same reader as a value that the caller sends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from apilane.errors import ApilaneError, Code
from apilane.model.definition import ForeignKey
from apilane.model.hints import shortened
from apilane.runtime.application import EntityRuntime
from apilane.runtime.compiled import ValueReader
from apilane.services.users import FOLDS, is_users
from apilane.sql.statement import Value

__all__ = ["Deferred", "References"]

PREFIX: Final = "$ref:"


class Deferred(NamedTuple):
    """A value that contains references, and the function that reads it when they are known."""

    sent: object
    read: Callable[[Any], Any]


class References:
    """The labels of one transaction. ``restart`` is called when its unit begins, which may happen more than once."""

    def __init__(self) -> None:
        self._entities: dict[str, EntityRuntime] = {}
        self._ids: dict[str, int] = {}

    def declare(self, label: str, entity: EntityRuntime) -> None:
        """Note that a Post operation has this label; it replaces an earlier operation with the same label."""
        self._entities[label] = entity

    def restart(self) -> None:
        """Forget the IDs of an earlier run."""
        self._ids.clear()

    def created(self, label: str, ids: list[int]) -> None:
        """Note the IDs of the operation with this label."""
        if ids:
            self._ids[label] = ids[0]
        else:
            self._ids.pop(label, None)

    def deferring(
        self, entity: EntityRuntime, writers: Iterable[tuple[str, ValueReader]]
    ) -> tuple[tuple[str, ValueReader], ...]:
        """The writers of an entity's properties, which give a ``Deferred`` for a value with references."""
        targets = {
            each.property: each.entity.lower() for each in entity.entity.constraints if isinstance(each, ForeignKey)
        }
        return tuple((name, self._deferring(entity, name, write, targets.get(name))) for name, write in writers)

    def _deferring(self, entity: EntityRuntime, name: str, write: ValueReader, target: str | None) -> ValueReader:
        def read(sent: object) -> Value:
            labels = list(_labels(sent))
            if not labels:
                return write(sent)
            if is_users(entity) and (name in FOLDS or name == "Password"):
                message = "Validation error: a reference cannot be an e-mail, a user name or a password"
                raise ApilaneError(Code.VALIDATION, message, property=name, entity=entity.name)
            for label in labels:
                created = self._entity(label)
                if target is not None and created.key != target:
                    text = f"Foreign key constraint violation: {PREFIX}{shortened(label)} is a record of "
                    text += f"{created.name}, not of "
                    text += entity.application.entities[target].name
                    code = Code.FOREIGN_KEY_CONSTRAINT_VIOLATION
                    raise ApilaneError(code, text, property=name, entity=entity.name)
            return Deferred(sent, entity.writers[name])

        return read

    def record(self, entity: EntityRuntime, sent: object) -> Deferred | None:
        """The record of ``entity`` that a reference stands for; None when ``sent`` is no reference.

        Raises ERROR for an unknown label and for a record of another entity.
        """
        label = _label(sent)
        if label is None:
            return None
        created = self._entity(label)
        if created is not entity:
            found = f"{PREFIX}{shortened(label)} is a record of {created.name}"
            message = f"Something went wrong: {found}, not of {entity.name}"
            raise ApilaneError(Code.ERROR, message, property="ID", entity=entity.name)
        return Deferred(sent, int)

    def records(self, entity: EntityRuntime, ids: str | None) -> list[Deferred]:
        """The references in a comma-separated list of IDs (B-Q10)."""
        found = (self.record(entity, part.strip()) for part in (ids or "").split(","))
        return [deferred for deferred in found if deferred is not None]

    def check(self, sent: object) -> bool:
        """Whether a value contains references. Raises ERROR for an unknown label."""
        labels = list(_labels(sent))
        for label in labels:
            self._entity(label)
        return bool(labels)

    def _entity(self, label: str) -> EntityRuntime:
        entity = self._entities.get(label)
        if entity is None:
            raise _unresolved(label)
        return entity

    def value(self, value: Any) -> Any:
        """A stored value: that of a ``Deferred`` with its references replaced by IDs, any other unchanged."""
        return value.read(self.replaced(value.sent)) if type(value) is Deferred else value

    def values(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Stored values by column."""
        return {name: self.value(value) for name, value in values.items()}

    def replaced(self, sent: object) -> object:
        """A sent value with the ID in the place of each reference. Raises ERROR when a label has no record."""
        label = _label(sent)
        if label is not None:
            id = self._ids.get(label)
            if id is None:
                raise _unresolved(label)
            return id
        if isinstance(sent, dict):
            return {key: self.replaced(value) for key, value in sent.items()}
        if isinstance(sent, list):
            return [self.replaced(value) for value in sent]
        return sent


def _label(sent: object) -> str | None:
    return sent[len(PREFIX) :] if type(sent) is str and sent.startswith(PREFIX) else None


def _labels(sent: object) -> Iterable[str]:
    label = _label(sent)
    if label is not None:
        yield label
    elif isinstance(sent, (dict, list)):
        for value in sent.values() if isinstance(sent, dict) else sent:
            yield from _labels(value)


def _unresolved(label: str) -> ApilaneError:
    text = f"Referenced operation '{shortened(label)}' has no results or does not exist"
    return ApilaneError(Code.ERROR, f"{text}: a reference needs an earlier Post operation with this Id")
