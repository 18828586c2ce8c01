"""``RenamedFrom`` of entities and properties: the tables and columns that get a new name."""

from __future__ import annotations

from apilane.model.definition import ApplicationDefinition, Entity
from apilane.model.manifest.merging import report
from apilane.model.manifest.nodes import Node
from apilane.model.manifest.problems import Problems
from apilane.model.migration import Renames

__all__ = ["find_renames", "note_new_names"]


def find_renames(section: Node | None, before: ApplicationDefinition, problems: Problems) -> Renames:
    """The renames that ``RenamedFrom`` requests. It is ignored if the old name does not exist.

    Therefore one manifest must not rename an item and give its old name to another: a second apply would rename again.
    """
    entities: dict[str, str] = {}
    properties: dict[tuple[str, str], str] = {}
    for item in section.items() if section is not None else ():
        name = item.read("Name")
        if name is None:
            continue
        old = before.entity(item.read("RenamedFrom", name))
        if old is not None and not old.is_system and item.has("RenamedFrom"):
            clash = before.entity(name)
            _note(
                item, old=old.name, new=name, clash=clash.name if clash else None, renames=entities, problems=problems
            )
            _given_away(item, section, old.name, problems)
        entity = old or before.entity(name)
        if entity is not None:
            for new, source in _properties(item.get("Properties"), entity, problems).items():
                properties[name, new] = source
    return Renames(entities, properties)


def note_new_names(section: Node | None, problems: Problems) -> None:
    """Note the pairs of ``RenamedFrom`` and ``Name`` for suggestions, also those that were applied before."""
    for item in section.items() if section is not None else ():
        old, new = item.read("RenamedFrom"), item.read("Name")
        if old is not None and new is not None and old.lower() != new.lower():
            problems.new_names.setdefault(old.lower(), []).append(new)
        note_new_names(item.get("Properties"), problems)


def _properties(section: Node | None, entity: Entity, problems: Problems) -> dict[str, str]:
    renamed: dict[str, str] = {}
    for item in section.items() if section is not None else ():
        old = entity.property(item.read("RenamedFrom", ""))
        name = item.read("Name")
        if old is not None and name is not None and not old.is_system:
            clash = entity.property(name)
            _note(item, old=old.name, new=name, clash=clash.name if clash else None, renames=renamed, problems=problems)
            _given_away(item, section, old.name, problems)
    return renamed


def _given_away(item: Node, section: Node | None, old: str, problems: Problems) -> None:
    """Report an item that takes the old name in the same manifest."""
    others = (other for other in section.items() if other is not item) if section is not None else ()
    if any(other.read("Name", "").lower() == old.lower() for other in others):
        hint = f"rename now and add the new {old} in a later apply; to swap two names, use a third name in between"
        report(problems, item, "RenamedFrom", f"{old} is renamed and listed as well", hint)


def _note(item: Node, *, old: str, new: str, clash: str | None, renames: dict[str, str], problems: Problems) -> None:
    """Record one rename. It is a mistake if the new name already exists, or if another item has claimed the old one."""
    if old == new:
        return
    if clash is not None and clash != old:
        report(problems, item, "RenamedFrom", f"both {old} and {new} exist", "remove RenamedFrom or one of the two")
    elif old in renames.values():
        report(problems, item, "RenamedFrom", f"{old} is renamed twice", "keep one of the two")
    else:
        renames[new] = old
