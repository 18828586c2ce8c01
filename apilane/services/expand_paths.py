"""The paths of ``expand`` and ``expandProperties``: parsed, and checked against the caller's rights
(docs/reference/protocol/wire-api.md section 4.9).

A path has steps. A step follows a foreign key (``CustomerID``), or lists the records that point here
(``Orders(CustomerID)``). Paths with the same beginning share it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct, field

from apilane.errors import DEFAULT_MESSAGES, ApilaneError, Code
from apilane.model.definition import ForeignKey
from apilane.model.hints import choice
from apilane.model.hints import shown as quoted
from apilane.runtime.access import AccessPlan
from apilane.runtime.application import ApplicationRuntime, EntityRuntime

__all__ = ["DEPTH_MAX", "PATHS_MAX", "Granted", "Paths", "Step", "check", "parse_expand", "references", "refusal"]

PATHS_MAX: Final = 5
DEPTH_MAX: Final = 3

Granted = Mapping[str, AccessPlan]
"""The caller's access plans by entity name."""

_list_step = re.compile(r"\s*([A-Za-z_]+)\s*\(\s*([A-Za-z_]+)\s*\)\s*").fullmatch


class Step(Struct, kw_only=True):
    """One step of a path, with the steps that follow it."""

    key: str
    """Its name in answers."""
    entity: EntityRuntime
    """The entity of the related records."""
    reference: str
    """The property that is followed: of the records that have it, or of the listed ones (``is_list``)."""
    is_list: bool
    steps: dict[str, Step] = field(default_factory=dict)
    picked: list[str] | None = None
    """Requested properties; None: all that the caller may read."""


class Paths(Struct, frozen=True):
    """The paths of a request. They follow from its texts, so requests with the same texts share them."""

    steps: Mapping[str, Step]
    """The first steps by key."""
    entities: tuple[EntityRuntime, ...]
    """Of all steps, each once."""
    needs: tuple[str, ...]
    """The properties that the first steps follow."""


def parse_expand(text: str, properties: str | None, entity: EntityRuntime) -> Paths:
    """The paths of the parameter ``expand``. ``properties``: the parameter ``expandProperties``. Raises ERROR."""
    paths = [path for path in text.split(",") if path.strip()]
    if len(paths) > PATHS_MAX:
        raise refusal(entity, f"expand takes at most {PATHS_MAX} paths, found {len(paths)}")
    steps: dict[str, Step] = {}
    known: dict[str, Step] = {}
    for path in paths:
        parts = path.split(".")
        if len(parts) > DEPTH_MAX:
            raise refusal(entity, f"a path of expand has at most {DEPTH_MAX} steps, found {len(parts)}")
        at, here, keys = steps, entity, []
        for part in parts:
            made = _step(part, here)
            step = at.setdefault(made.key, made)
            keys.append(step.key)
            known[".".join(keys).lower()] = step
            at, here = step.steps, step.entity
    if properties and properties.strip():
        _pick(properties, known, entity)
    return Paths(steps, tuple(_entities_of(steps.values())), references(steps))


def _step(part: str, entity: EntityRuntime) -> Step:
    application = entity.application
    listed = _list_step(part)
    if listed is not None:
        other = application.entities[name] if (name := listed[1].lower()) in _names(application) else None
        for key in _keys(other):
            if key.property.lower() == listed[2].lower() and key.entity == entity.name:
                assert other is not None  # noqa: S101 - it has the key
                return Step(key=f"{other.name}({key.property})", entity=other, reference=key.property, is_list=True)
        detail = f"no foreign key {quoted(listed[2])} of {quoted(listed[1])} points to {entity.name}"
        raise refusal(entity, f"unknown path {quoted(part.strip())} in expand: {detail}")
    wanted = part.strip().lower()
    for key in _keys(entity):
        if key.property.lower() == wanted:
            target = application.entities[key.entity.lower()]
            return Step(key=key.property, entity=target, reference=key.property, is_list=False)
    possible = choice(part.strip(), [key.property for key in _keys(entity) if not key.is_system])
    detail = f"it is not a foreign key of {entity.name}{possible}"
    raise refusal(entity, f"unknown path {quoted(part.strip())} in expand: {detail}")


def _names(application: ApplicationRuntime) -> set[str]:
    return {each.name.lower() for each in application.definition.entities}


def _keys(entity: EntityRuntime | None) -> list[ForeignKey]:
    return [] if entity is None else [each for each in entity.entity.constraints if isinstance(each, ForeignKey)]


def _pick(text: str, known: Mapping[str, Step], entity: EntityRuntime) -> None:
    """Read ``Path:Name,Name,Path:Name``; a ``;`` separates too."""
    step: Step | None = None
    for item in re.split("[,;]", text):
        path, colon, name = item.rpartition(":")
        if colon:
            step = known.get("".join(path.lower().split()))
            if step is None:
                raise refusal(entity, f"unknown path {quoted(path.strip())} in expandProperties{choice(path, known)}")
            step.picked = step.picked or []
        if step is None or step.picked is None:
            raise refusal(entity, f"expandProperties is Path:Name,Name; found {quoted(text)}")
        step.picked.append(name.strip())


def _entities_of(steps: Iterable[Step]) -> list[EntityRuntime]:
    """The entities of all steps, each once."""
    found: dict[str, EntityRuntime] = {}
    for step in steps:
        found[step.entity.name] = step.entity
        found |= {each.name: each for each in _entities_of(step.steps.values())}
    return list(found.values())


def check(steps: Mapping[str, Step], entity: EntityRuntime, access: AccessPlan, granted: Granted) -> None:
    """Raise ERROR when the caller may not read a property that is followed."""
    for step in steps.values():
        plan = granted[step.entity.name]
        holder, rights = (step.entity, plan) if step.is_list else (entity, access)
        if step.reference.lower() not in rights.readable:
            raise refusal(holder, f"Property '{step.reference}' is not allowed in expand")
        if step.steps:
            check(step.steps, step.entity, plan, granted)


def references(steps: Mapping[str, Step]) -> tuple[str, ...]:
    """The properties that records must have so that the steps can be followed."""
    return tuple(dict.fromkeys([*(step.reference for step in steps.values() if not step.is_list), "ID"]))


def refusal(entity: EntityRuntime, detail: str) -> ApilaneError:
    """The error for a request that cannot be expanded."""
    return ApilaneError(Code.ERROR, f"{DEFAULT_MESSAGES[Code.ERROR]}: {detail}", entity=entity.name)
