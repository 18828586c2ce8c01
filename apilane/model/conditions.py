"""Conditions of access rules: ``Where`` and ``Check`` become checked trees
(docs/reference/protocol/security.md section 3.3).

A condition is a filter tree. A value may also be ``{User: ID}``, ``{User: <tenant property>}`` or ``{Now: "-1d"}``,
which are known only when a caller comes.
"""

from __future__ import annotations

import re
from typing import Any, Final, NoReturn

from msgspec.structs import replace

from apilane.errors import ApilaneError
from apilane.model.definition import ApplicationDefinition, Entity, Property, PropertyType
from apilane.model.filter import CallerValue, FilterParser, Leaf, Node, Operator, leaves
from apilane.model.json import decode_json, encode_json
from apilane.model.system import is_secret

__all__ = ["condition_problem", "condition_text", "parse_condition", "renamed_condition"]

LEAVES_MAX: Final = 50
"""Conditions in one ``Where`` or ``Check``."""
DEPTH_MAX: Final = 10
UNIT_MS: Final = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_SHIFT: Final = re.compile(r"([+-])([0-9]{1,6})([smhd])")
_COMPARISONS: Final = frozenset(list(Operator)[:6])


class _Unfit(Exception):
    """The condition cannot be used; the text says why."""


class _ConditionParser(FilterParser):
    """Reads a filter tree over all properties of an entity, with values that depend on the caller."""

    __slots__ = ("tenant",)

    def __init__(self, definition: ApplicationDefinition, entity: Entity) -> None:
        super().__init__(entity, frozenset(p.name.lower() for p in entity.properties))
        name = definition.differentiation_entity
        self.tenant = f"{name}_ID".lower() if name else None

    def property(self, name: object) -> Property:
        if type(name) is str and ("." in name or "(" in name):
            raise _Unfit(f"the path {name[:100]} is not supported; name a property of {self.entity.name}")
        found = super().property(name)
        if found.encrypted:
            raise _Unfit(f"the property {found.name} is encrypted, so it cannot be compared")
        return found

    def is_usable(self, property: Property) -> bool:
        return not is_secret(self.entity, property)

    def leaf(self, property: Property, sign: object, value: object) -> Leaf:
        if type(value) is not dict:
            return super().leaf(property, sign, value)
        wanted = self.caller_value(property, value)
        # The operator is checked with a value of the property's type, which then gives way to the caller's.
        made = super().leaf(property, sign, 1)
        allowed = _COMPARISONS if wanted.kind == "now" else frozenset({Operator.EQUAL, Operator.NOTEQUAL})
        if made.operator not in allowed:
            raise _Unfit(f"the operator {made.operator} does not fit {_shown(value)}")
        return replace(made, value=wanted)

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
        if what.lower() not in ("id", self.tenant):
            known = "ID" if self.tenant is None else f"ID or {self.tenant}"
            raise _Unfit(f"{{User: {what[:100]}}} is not supported; use {known}")
        if property.type is not PropertyType.Number:
            raise _Unfit(f"{{User: {what}}} is a number, and {property.name} is {property.type.name}")
        return CallerValue("user" if what.lower() == "id" else "tenant")

    def refuse_value(self, detail: str) -> NoReturn:
        raise _Unfit(detail)


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
    if (count := sum(_weight(leaf) for leaf in leaves(made))) > LEAVES_MAX:
        raise ValueError(f"it has {count} conditions, and at most {LEAVES_MAX} are allowed")
    return made


def _weight(leaf: Leaf) -> int:
    return max(1, len(leaf.value)) if type(leaf.value) is tuple else 1


def condition_problem(text: str, definition: ApplicationDefinition, entity: Entity) -> str | None:
    """Why a condition cannot be used; None when it can."""
    try:
        parse_condition(text, definition, entity)
    except ValueError as error:
        return str(error)
    return None


def renamed_condition(text: str | None, new_name: Any) -> str | None:
    """A condition with the names of properties replaced. ``new_name``: from the old name to the new one."""
    if text is None:
        return None

    def walk(node: Any) -> Any:
        if isinstance(node, list):
            return [walk(item) for item in node]
        if not isinstance(node, dict):
            return node
        return {
            key: new_name(value) if key.lower() == "property" and isinstance(value, str) else walk(value)
            for key, value in node.items()
        }

    return condition_text(walk(decode_json(text.encode())))
