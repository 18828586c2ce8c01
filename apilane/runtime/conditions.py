"""Conditions of the effective rules of a role set, compiled once for a dialect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import time_ns
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from apilane.model.conditions import parse_condition, weight
from apilane.model.definition import Action, ApplicationDefinition, Entity, Rule
from apilane.model.filter import CallerValue, Node, leaves
from apilane.plugin.identity import Actor
from apilane.sql.conditions import Condition, ConditionShape, OtherTable, bind_condition
from apilane.sql.dialect import Dialect
from apilane.sql.select import Mask
from apilane.sql.statement import Value
from apilane.sql.tables import table_of

AT_ONCE_MAX: Final = 12
"""Conditions of a statement that is compiled on the event loop, which takes about 5 ms; a read repeats some of them."""

__all__ = ["Alternative", "Conditions", "NamedShape", "OtherTables", "compile_conditions"]

NamedShape = tuple[str, ConditionShape]
"""A condition with the prefix of its parameters."""


class OtherTables:
    """The tables that conditions read beside that of the records, each made once."""

    def __init__(self, definition: ApplicationDefinition, dialect: Dialect) -> None:
        self._definition = definition
        self.dialect = dialect
        self._made: dict[str, OtherTable] = {}

    def __call__(self, name: str) -> OtherTable:
        """The table of the entity with that name."""
        made = self._made.get(name)
        if made is None:
            entity = self._definition.entity(name)
            if entity is None:
                raise ValueError(f"no entity {name}")
            tenant = f"{self._definition.differentiation_entity}_ID" if entity.differentiation else None
            made = self._made[name] = OtherTable(table_of(entity, self.dialect), tenant)
        return made


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
    is_long: bool = False
    """Statements take too long to compile on the event loop."""
    without_tenant: Conditions | None = None
    """The same for a caller without tenant; None: there is no difference."""

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
    definition: ApplicationDefinition,
    entity: Entity,
    action: Action,
    rules: Sequence[Rule],
    others: OtherTables,
) -> Conditions | None:
    """The conditions of the rules of one action; None when no rule has one.

    Raises ValueError for a stored condition that does not fit the definition: the call fails instead of granting more.
    """
    if not any(rule.where is not None or rule.check is not None for rule in rules):
        return None
    trees: dict[str, Node] = {
        text: parse_condition(text, definition, entity)
        for rule in rules
        for text in (rule.where, rule.check)
        if text is not None
    }
    made = _compiled(entity, action, rules, trees, others, without_tenant=False)
    if any(leaf.path and others(leaf.path.entity).tenant for tree in trees.values() for leaf in leaves(tree)):
        alone = _compiled(entity, action, rules, trees, others, without_tenant=True)
        made = replace(made, without_tenant=alone)
    return made


def _compiled(
    entity: Entity,
    action: Action,
    rules: Sequence[Rule],
    trees: Mapping[str, Node],
    others: OtherTables,
    *,
    without_tenant: bool,
) -> Conditions:
    literals: dict[str, Value] = {}
    caller: list[tuple[str, CallerValue]] = []

    def compiled(text: str | None, prefix: str) -> NamedShape | None:
        if text is None:
            return None
        shape, values = bind_condition(trees[text], others.dialect, others, without_tenant=without_tenant)
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
        is_long=sum(map(weight, trees.values())) > AT_ONCE_MAX,
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
