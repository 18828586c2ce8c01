"""Conditions of access rules: ``Where`` and ``Check`` become checked trees
(docs/reference/protocol/security.md section 3.3).

A condition is a filter tree. A property may also be a path to related records: ``PatientID.DoctorID`` follows a foreign
key, and ``Members(VisitID).UserID`` means that a record of Members refers to this one. A value may also be
``{User: ClinicID}`` or ``{Now: "-1d"}``, which are known only when a caller comes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NoReturn

from msgspec.structs import replace

from apilane.errors import ApilaneError
from apilane.model.definition import ApplicationDefinition, Entity, ForeignKey, Property, PropertyType
from apilane.model.filter import CallerValue, FilterParser, Leaf, Node, Operator, Path, leaves
from apilane.model.hints import choice
from apilane.model.json import decode_json, encode_json
from apilane.model.system import is_secret

__all__ = ["condition_problem", "condition_text", "parse_condition", "renamed_condition", "weight"]

LEAVES_MAX: Final = 50
"""Conditions in one ``Where`` or ``Check``."""
DEPTH_MAX: Final = 10
UNIT_MS: Final = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_SHIFT: Final = re.compile(r"([+-])([0-9]{1,6})([smhd])")
_COMPARISONS: Final = frozenset(list(Operator)[:6])
_EQUALITIES: Final = frozenset({Operator.EQUAL, Operator.NOTEQUAL})
_ORDERED: Final = frozenset({PropertyType.Number, PropertyType.Date})
_list_path = re.compile(r"([A-Za-z_]+)\(([A-Za-z_]+)\)\.([^.()]+)").fullmatch
_step_path = re.compile(r"([A-Za-z_]+)\.([^.()]+)").fullmatch


class _Unfit(Exception):
    """The condition cannot be used; the text says why."""


class _ConditionParser(FilterParser):
    """Reads a filter tree over all properties of an entity, with paths, and values that depend on the caller."""

    __slots__ = ("definition", "path", "tenant")

    def __init__(self, definition: ApplicationDefinition, entity: Entity) -> None:
        super().__init__(entity, frozenset(p.name.lower() for p in entity.properties))
        self.definition = definition
        name = definition.differentiation_entity
        self.tenant = f"{name}_ID".lower() if name else None
        self.path: Path | None = None
        """The path of the property that was read last."""

    def property(self, name: object) -> Property:
        self.path = None
        if type(name) is not str or not ("." in name or "(" in name):
            found = super().property(name)
        else:
            entity, path, last = self.related(name)
            found = _ConditionParser(self.definition, entity).property(last)
            self.path = path
        if found.encrypted:
            raise _Unfit(f"the property {found.name} is encrypted, so it cannot be compared")
        return found

    def related(self, name: str) -> tuple[Entity, Path, str]:
        """The entity that a path leads to, the path, and the name after the last dot."""
        if (listed := _list_path(name)) is not None:
            entity = self.definition.entity(listed[1])
            if entity is None:
                raise _Unfit(f"unknown entity {listed[1][:100]} in the path {name[:100]}")
            key = _foreign_key(entity, listed[2])
            if key is None or key.entity.lower() != self.entity.name.lower():
                raise _Unfit(
                    f"{listed[2][:100]} in the path {name[:100]} is no foreign key of {entity.name} to "
                    f"{self.entity.name}{choice(listed[2], _keys_to(entity, self.entity.name))}"
                )
            return entity, Path(entity.name, key.property, "ID"), listed[3]
        if (step := _step_path(name)) is not None:
            key = _foreign_key(self.entity, step[1])
            target = None if key is None else self.definition.entity(key.entity)
            if key is None or target is None:
                known = [each.property for each in self.entity.constraints if isinstance(each, ForeignKey)]
                raise _Unfit(
                    f"{step[1][:100]} in the path {name[:100]} is no foreign key of {self.entity.name}"
                    f"{choice(step[1], known)}"
                )
            return target, Path(target.name, "ID", key.property), step[2]
        raise _Unfit(
            f"the path {name[:100]} is not of the form PatientID.DoctorID or Members(VisitID).UserID; "
            "a path has one step"
        )

    def is_usable(self, property: Property) -> bool:
        return not is_secret(self.entity, property)

    def leaf(self, property: Property, sign: object, value: object) -> Leaf:
        path = self.path
        if type(value) is not dict:
            made = super().leaf(property, sign, value)
            return made if path is None else replace(made, path=path)
        wanted = self.caller_value(property, value)
        # The operator is checked with a value of the property's type, which then gives way to the caller's.
        made = super().leaf(property, sign, 1)
        allowed = _COMPARISONS if property.type in _ORDERED else _EQUALITIES
        if made.operator not in allowed:
            raise _Unfit(f"the operator {made.operator} does not fit {_shown(value)}")
        return replace(made, value=wanted, path=path)

    def caller_value(self, property: Property, value: dict[str, Any]) -> CallerValue:
        (key, what), *more = value.items() or [("", None)]
        if more or key not in ("User", "Now") or type(what) is not str:
            raise _Unfit(f'the value {_shown(value)} is neither a literal nor {{User: ID}} nor {{Now: "-1d"}}')
        if key == "Now":
            shift = _SHIFT.fullmatch(what)
            if shift is None:
                raise _Unfit(f'the moment {what[:40]} is not of the form "-1d" (sign, number, and s, m, h or d)')
            if property.type is not PropertyType.Date:
                raise _Unfit(f"Now fits Date properties, and {property.name} is {property.type.name}")
            return CallerValue("now", int(shift[1] + shift[2]) * UNIT_MS[shift[3]])
        return self.user_value(property, what)

    def user_value(self, property: Property, name: str) -> CallerValue:
        """A property of the caller's record."""
        users = self.definition.entity("Users")
        found = None if users is None else users.property(name)
        if users is None or found is None:
            known = (
                [] if users is None else [p.name for p in users.properties if not (p.encrypted or is_secret(users, p))]
            )
            raise _Unfit(f"unknown property {name[:100]} of Users in {{User: ...}}{choice(name, known)}")
        if found.encrypted or is_secret(users, found):
            raise _Unfit(f"the property {found.name} of Users is encrypted, so it cannot be compared")
        if found.type is not property.type:
            raise _Unfit(f"{{User: {found.name}}} is {found.type.name}, and {property.name} is {property.type.name}")
        if found.is_primary_key:
            return CallerValue("user")
        return CallerValue("tenant") if name.lower() == self.tenant else CallerValue("property", name=found.name)

    def refuse_value(self, detail: str) -> NoReturn:
        raise _Unfit(detail)


def _foreign_key(entity: Entity, name: str) -> ForeignKey | None:
    keys = (each for each in entity.constraints if isinstance(each, ForeignKey))
    return next((key for key in keys if key.property.lower() == name.lower()), None)


def _keys_to(entity: Entity, target: str) -> list[str]:
    return [each.property for each in entity.constraints if isinstance(each, ForeignKey) and each.entity == target]


def _shown(value: object) -> str:
    return encode_json(value).decode()[:100]


def condition_text(document: object) -> str:
    """The stored form of a condition that a manifest gives."""
    return encode_json(document).decode()


def parse_condition(text: str, definition: ApplicationDefinition, entity: Entity) -> Node:
    """The tree of a stored condition. Raises ValueError when it does not fit the definition."""
    try:
        made = _ConditionParser(definition, entity).node(decode_json(text.encode()), DEPTH_MAX)
    except _Unfit as error:
        raise ValueError(str(error)) from None
    except ApilaneError as error:
        raise ValueError(error.message) from None
    if made is None:
        raise ValueError("it has no condition")
    if (count := weight(made)) > LEAVES_MAX:
        raise ValueError(f"it has {count} conditions, and at most {LEAVES_MAX} are allowed")
    return made


def weight(node: Node) -> int:
    """The number of conditions of a tree; each item of a list counts."""
    return sum(max(1, len(leaf.value)) if type(leaf.value) is tuple else 1 for leaf in leaves(node))


def condition_problem(text: str, definition: ApplicationDefinition, entity: Entity) -> str | None:
    """Why a condition cannot be used; None when it can."""
    try:
        parse_condition(text, definition, entity)
    except ValueError as error:
        return str(error)
    return None


def renamed_condition(
    text: str | None,
    definition: ApplicationDefinition,
    entity: str,
    entity_name: Callable[[str], str],
    property_name: Callable[[str, str], str],
) -> str | None:
    """A condition of a rule on ``entity`` with new names. ``definition`` and ``entity`` have the old names.

    ``entity_name`` and ``property_name`` map old names to new ones.
    """
    if text is None:
        return None

    def path(name: str) -> str:
        if (listed := _list_path(name)) is not None:
            other, key, last = listed.groups()
            return f"{entity_name(other)}({property_name(other, key)}).{property_name(other, last)}"
        if (step := _step_path(name)) is not None:
            key, last = step.groups()
            found = definition.entity(entity)
            reference = None if found is None else _foreign_key(found, key)
            last = last if reference is None else property_name(reference.entity, last)
            return f"{property_name(entity, key)}.{last}"
        return property_name(entity, name)

    def walk(node: Any) -> Any:
        if isinstance(node, list):
            return [walk(item) for item in node]
        if not isinstance(node, dict):
            return node
        return {key: renamed(key, value) for key, value in node.items()}

    def renamed(key: str, value: Any) -> Any:
        if not isinstance(value, str):
            return walk(value)
        if key.lower() == "property":
            return path(value)
        return property_name("Users", value) if key == "User" else value

    return condition_text(walk(decode_json(text.encode())))
