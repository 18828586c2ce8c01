"""The parameters of statistics: aggregates, groups, one property (docs/reference/protocol/query-language.md sections 5
and 6). Pure.

A property is checked against those that the caller may read before its function or part is checked, so that no message
tells anything about another property (B-S2).
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final, Literal, NamedTuple, NoReturn

from apilane.errors import DEFAULT_MESSAGES, ApilaneError, Code
from apilane.model.definition import Entity, Property, PropertyType
from apilane.model.hints import choice, listed, shortened, unknown
from apilane.model.system import is_secret
from apilane.model.text import trim

__all__ = [
    "MAX_GROUPS",
    "MAX_MEASURES",
    "AggregateFunction",
    "DatePart",
    "GroupKey",
    "Measure",
    "is_ascending",
    "parse_groups",
    "parse_measures",
    "parse_property",
]

AggregateFunction = Literal["count", "min", "max", "sum", "avg"]
DatePart = Literal["year", "month", "day", "hour", "minute", "second"]

MAX_MEASURES: Final = 50
"""Different aggregates of one call; compiling them takes about 10 ms."""
MAX_GROUPS: Final = 10
"""Different groups of one call."""

_FUNCTIONS: Final[dict[str, AggregateFunction]] = {
    "count": "count",
    "min": "min",
    "max": "max",
    "sum": "sum",
    "avg": "avg",
}
_PARTS: Final[dict[str, DatePart]] = {
    "year": "year",
    "month": "month",
    "day": "day",
    "hour": "hour",
    "minute": "minute",
    "second": "second",
}
_OF_NUMBERS: Final = frozenset({"sum", "avg"})


class Measure(NamedTuple):
    """One aggregate of the property ``name``."""

    name: str
    function: AggregateFunction

    @property
    def key(self) -> str:
        """Its name in the answer, such as ``Price_sum``."""
        return f"{self.name}_{self.function}"


class GroupKey(NamedTuple):
    """One key of the groups: a property, or a part of a Date. ``part`` None: the value itself."""

    name: str
    part: DatePart | None = None

    @property
    def key(self) -> str:
        """Its name in the answer, such as ``Created_month``."""
        return self.name if self.part is None else f"{self.name}_{self.part}"


def is_ascending(direction: str | None) -> bool:
    """The order of ``orderDirection``: ``asc``, or ``true`` as the client libraries send it (B-Q7); else descending."""
    return direction is not None and direction.lower() in {"asc", "true"}


def parse_measures(text: str | None, entity: Entity, readable: AbstractSet[str]) -> tuple[Measure, ...]:
    """The aggregates of the ``properties`` parameter, at least one, without duplicates.

    ``readable``: lower-case names of the properties that the caller may read. Raises ``ApilaneError``: ERROR, or
    UNAUTHORIZED for a property that the caller may not read.
    """
    if text is None or not trim(text):
        raise ApilaneError(Code.ERROR, f"Properties not provided; expected items such as ID.Count: {_FORM}")
    found = tuple(dict.fromkeys([_measure(trim(item), entity, readable) for item in text.split(",")]))
    if len(found) > MAX_MEASURES:
        message = f"At most {MAX_MEASURES} aggregates in one call, found {len(found)}; make several calls"
        raise ApilaneError(Code.ERROR, message, entity=entity.name)
    return found


_FORM: Final = "Property.Function, with Count, Min, Max, Sum or Avg"


def _measure(item: str, entity: Entity, readable: AbstractSet[str]) -> Measure:
    def refuse(detail: str) -> NoReturn:
        raise ApilaneError(
            Code.ERROR, f"Error on AggregateProperties '{shortened(item)}': {detail}", entity=entity.name
        )

    name, dot, word = item.partition(".")
    if not dot or "." in word:
        refuse(f"expected {_FORM}")
    name = trim(name)
    property = _known(name, entity, readable)
    function = _FUNCTIONS.get(trim(word).lower())
    if function is None:
        refuse(f"{unknown('function', word)}{choice(word, [each.title() for each in _fitting(property)])}")
    if function not in _fitting(property):
        kind = "an encrypted" if property.encrypted else f"a {property.type.name}"
        refuse(f"{function.title()} does not fit {kind} property; possible: {listed(_titles(property))}")
    return Measure(property.name, function)


def _fitting(property: Property) -> list[AggregateFunction]:
    """The functions of a property (B-Q5)."""
    if property.encrypted:
        return ["count"]
    is_number = property.type in {PropertyType.Number, PropertyType.Date}
    return [each for each in _FUNCTIONS.values() if is_number or each not in _OF_NUMBERS]


def _titles(property: Property) -> list[str]:
    return [each.title() for each in _fitting(property)]


def _is_readable(entity: Entity, property: Property, readable: AbstractSet[str]) -> bool:
    name = property.name.lower()
    return (name in readable or name == "id") and not is_secret(entity, property)


def _readable_names(entity: Entity, readable: AbstractSet[str]) -> list[str]:
    return [each.name for each in entity.properties if _is_readable(entity, each, readable)]


def _known(name: str, entity: Entity, readable: AbstractSet[str]) -> Property:
    """The property with a name, which the caller may read."""
    property = entity.property(name)
    if property is None:
        message = f"Property {shortened(name)} does not exist{choice(name, _readable_names(entity, readable))}"
        raise ApilaneError(Code.ERROR, message, entity=entity.name)
    if not _is_readable(entity, property, readable):
        raise ApilaneError(Code.UNAUTHORIZED, property=name, entity=entity.name)
    return property


def parse_groups(text: str | None, entity: Entity, readable: AbstractSet[str]) -> tuple[GroupKey, ...]:
    """The keys of the ``groupBy`` parameter without duplicates; none when it is blank.

    Raises ``ApilaneError``: INVALID_GROUPBY_PARAMETER with the item, or UNAUTHORIZED for a property that the caller may
    not read.
    """
    if text is None or not trim(text):
        return ()
    found = tuple(dict.fromkeys([_group(trim(item), entity, readable) for item in text.split(",")]))
    if len(found) > MAX_GROUPS:
        raise _unfit(entity, None, f"at most {MAX_GROUPS} items in one call, found {len(found)}")
    return found


def _unfit(entity: Entity, item: str | None, detail: str) -> ApilaneError:
    message = f"{DEFAULT_MESSAGES[Code.INVALID_GROUPBY_PARAMETER]}: {detail}"
    item = None if item is None else shortened(item)
    return ApilaneError(Code.INVALID_GROUPBY_PARAMETER, message, property=item, entity=entity.name)


def _group(item: str, entity: Entity, readable: AbstractSet[str]) -> GroupKey:
    name, dot, word = item.partition(".")
    if "." in word:
        raise _unfit(entity, item, "expected Property or Property.Part")
    name = trim(name)
    property = entity.property(name)
    if property is None:
        possible = choice(name, _readable_names(entity, readable))
        raise _unfit(entity, name, f"{unknown('property', name)}{possible}")
    if not _is_readable(entity, property, readable):
        raise ApilaneError(Code.UNAUTHORIZED, property=property.name, entity=entity.name)
    if property.encrypted:
        raise _unfit(entity, property.name, f"property '{property.name}' is encrypted and has no groups")
    if not dot:
        return GroupKey(property.name)
    if property.type is not PropertyType.Date:
        raise _unfit(entity, item, f"{property.type.name} property '{property.name}' has no parts; only a Date has")
    part = _PARTS.get(trim(word).lower())
    if part is None:
        raise _unfit(entity, item, f"{unknown('part', word)}{choice(word, list(_PARTS))}")
    return GroupKey(property.name, part)


def parse_property(text: str | None, entity: Entity, readable: AbstractSet[str]) -> str:
    """The schema name of the ``property`` parameter of Distinct.

    Raises ``ApilaneError``: ERROR, or UNAUTHORIZED for a property that the caller may not read.
    """
    name = trim(text or "")
    if not name:
        possible = choice("", _readable_names(entity, readable))
        raise ApilaneError(Code.ERROR, f"Property not provided{possible}")
    property = _known(name, entity, readable)
    if property.encrypted:
        message = f"Property {property.name} is encrypted and has no distinct values"
        raise ApilaneError(Code.ERROR, message, entity=entity.name)
    return property.name
