"""The parameters ``expand``, ``expandLimit`` and ``expandProperties`` of Data Get and GetByID."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from apilane.model.definition import Action
from apilane.services.expand_paths import Paths, check, parse_expand
from apilane.services.expansion import EACH_MAX, Reading, attach
from apilane.web.admission import grant_entity
from apilane.web.call import Call

__all__ = ["Expansion", "expansion_of"]


class Expansion(Struct, frozen=True):
    """The paths of a call, with the rights that they need."""

    paths: Paths
    reading: Reading

    async def attach(self, records: Sequence[Struct], shown: Sequence[str]) -> None:
        """Give the records, read with ``needs``, their related records. They show only ``shown`` besides."""
        paths = self.paths
        await attach(records, tuple(dict.fromkeys((*shown, *paths.needs))), shown, paths.steps, self.reading)


async def expansion_of(call: Call) -> Expansion | None:
    """The expansion of a call, if it has one; one use of every expanded entity is counted.

    Raises ERROR for a wrong path, UNAUTHORIZED for an entity without a rule, and RATE_LIMIT_EXCEEDED.
    """
    text = call.query.get("expand", "")
    paths: Paths = call.entity.expansion(parse_expand, text, call.query.get("expandproperties"))
    if not paths.steps:
        return None
    granted = {}
    for entity in paths.entities:
        _, granted[entity.name] = await grant_entity(call, entity.name, Action.get)
    call.entity_name = call.entity.name
    check(paths.steps, call.entity, call.access, granted)
    each = call.integer("expandlimit", EACH_MAX, range(1, EACH_MAX + 1))
    return Expansion(paths, Reading(call.actor, granted, each))
