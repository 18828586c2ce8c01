"""Conditions of the effective rules of a role set, compiled once for a dialect."""

from __future__ import annotations

from collections.abc import Sequence
from time import time_ns

from msgspec import Struct

from apilane.model.conditions import parse_condition
from apilane.model.definition import Action, ApplicationDefinition, Entity, Rule
from apilane.model.filter import CallerValue
from apilane.plugin.identity import Actor
from apilane.sql.dialect import Dialect
from apilane.sql.filter import Condition, FilterShape, bind_filter
from apilane.sql.select import Mask
from apilane.sql.statement import Value

__all__ = ["Alternative", "Conditions", "NamedShape", "compile_conditions"]

NamedShape = tuple[str, FilterShape]
"""A condition with the prefix of its parameters."""


class Alternative(Struct, frozen=True):
    """One rule: a record that meets ``where`` is within its reach, for the properties ``names``."""

    names: frozenset[str]
    where: NamedShape | None
    """None: every record."""
    check: NamedShape | None
    """Must hold after a post or put. None: every record."""


class Conditions(Struct, frozen=True, kw_only=True):
    """The conditions of several rules, and the values of their parameters."""

    alternatives: tuple[Alternative, ...]
    reach: Condition | None
    """The records that at least one rule reaches; None: every record."""
    masks: tuple[Mask, ...]
    """The properties that only some of the rules grant (get)."""
    literals: dict[str, Value]
    caller: tuple[tuple[str, CallerValue], ...]

    def parameters(self, actor: Actor) -> dict[str, Value]:
        """The values of all parameters for a caller. A comparison with null matches no record."""
        values = dict(self.literals)
        for name, value in self.caller:
            if value.kind == "now":
                values[name] = time_ns() // 1_000_000 + value.shift_ms
            else:
                values[name] = actor.user_id if value.kind == "user" else actor.tenant
        return values


def compile_conditions(
    definition: ApplicationDefinition, entity: Entity, action: Action, rules: Sequence[Rule], dialect: Dialect
) -> Conditions | None:
    """The conditions of the rules of one action; None when no rule has one.

    Raises ValueError for a stored condition that does not fit the definition: the call fails instead of granting more.
    """
    if not any(rule.where is not None or rule.check is not None for rule in rules):
        return None
    literals: dict[str, Value] = {}
    caller: list[tuple[str, CallerValue]] = []

    def compiled(text: str | None, prefix: str) -> NamedShape | None:
        if text is None:
            return None
        shape, values = bind_filter(parse_condition(text, definition, entity), dialect)
        for position, value in enumerate(values):
            if isinstance(value, CallerValue):
                caller.append((f"{prefix}{position}", value))
            else:
                literals[f"{prefix}{position}"] = value
        return prefix, shape

    alternatives = []
    for number, rule in enumerate(rules):
        where = compiled(rule.where, f"w{number}_")
        check = compiled(rule.check, f"k{number}_") if rule.check is not None else where
        names = frozenset(p.name for name in rule.properties if (p := entity.property(name)) is not None)
        alternatives.append(Alternative(names, where, check if action in (Action.post, Action.put) else None))
    return Conditions(
        alternatives=tuple(alternatives),
        reach=_any_of(alternatives),
        masks=_masks(entity, alternatives) if action is Action.get else (),
        literals=literals,
        caller=tuple(caller),
    )


def _any_of(alternatives: Sequence[Alternative]) -> Condition | None:
    """The records that one of the rules reaches; None: every record."""
    found = [each.where for each in alternatives if each.where is not None]
    return Condition(tuple(found)) if len(found) == len(alternatives) else None


def _masks(entity: Entity, alternatives: Sequence[Alternative]) -> tuple[Mask, ...]:
    masks = []
    for property in entity.properties:
        granting = [each for each in alternatives if property.name in each.names]
        if property.name != "ID" and 0 < len(granting) < len(alternatives):
            condition = _any_of(granting)
            if condition is not None:
                masks.append((property.name, condition))
    return tuple(masks)
