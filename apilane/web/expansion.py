"""The parameters ``expand``, ``expandLimit`` and ``expandProperties`` of Data Get and GetByID."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from apilane.model.definition import Action
from apilane.services.expansion import EACH_MAX, Reading, Step, attach, check, entities_of, parse_expand, references
from apilane.web.admission import grant_entity
from apilane.web.call import Call

__all__ = ["Expansion", "expansion_of"]


class Expansion(Struct, frozen=True):
    """The steps of a call, with the rights that they need."""

    steps: Mapping[str, Step]
    reading: Reading

    @property
    def needs(self) -> tuple[str, ...]:
        """The properties of the entity that the steps follow."""
        return references(self.steps)

    async def attach(self, records: Sequence[Struct], shown: Sequence[str]) -> Sequence[Any]:
        """The records, read with ``needs``, with the properties ``shown`` and their related records."""
        return await attach(records, tuple(dict.fromkeys((*shown, *self.needs))), shown, self.steps, self.reading)


async def expansion_of(call: Call) -> Expansion | None:
    """The expansion of a call, if it has one; one use of every expanded entity is counted.

    Raises ERROR for a wrong path, UNAUTHORIZED for an entity without a rule, and RATE_LIMIT_EXCEEDED.
    """
    text = call.query.get("expand", "")
    steps = call.entity.expansion(parse_expand, text, call.query.get("expandproperties"))
    if not steps:
        return None
    granted = {}
    for entity in entities_of(steps.values()):
        _, granted[entity.name] = await grant_entity(call, entity.name, Action.get)
    call.entity_name = call.entity.name
    check(steps, call.entity, call.access, granted)
    each = call.integer("expandlimit", EACH_MAX, range(1, EACH_MAX + 1))
    return Expansion(steps, Reading(call.actor, granted, each))
