"""The ``filter`` parameter: JSON text becomes a checked tree with typed values
(docs/reference/protocol/query-language.md section 1).

A property reference is checked against the properties that the caller may read before its operator and value are
checked (B-S2). The tree contains no SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from decimal import ROUND_05UP, Context, Decimal
from enum import StrEnum
from typing import Final, NoReturn, TypeVar

from msgspec import Struct

from apilane.errors import DEFAULT_MESSAGES, ApilaneError, Code
from apilane.model.dates import parse_date
from apilane.model.definition import Entity, Property, PropertyType
from apilane.model.formats import JSON
from apilane.model.hints import choice, kind_of, listed, shown
from apilane.model.json import JsonNumber, MalformedJson, decode_json, json_text
from apilane.model.numbers import parse_number
from apilane.model.system import is_secret
from apilane.model.text import trim
from apilane.model.values import is_storable_text, read_boolean

__all__ = [
    "MAX_DEPTH",
    "MAX_LEAVES",
    "CallerValue",
    "FilterParser",
    "FilterValue",
    "Group",
    "Leaf",
    "Logic",
    "Node",
    "Operator",
    "Path",
    "leaves",
    "parse_filter",
]

T = TypeVar("T")

MAX_DEPTH: Final = 20
"""Levels of nested groups."""
MAX_LEAVES: Final = 500
"""Conditions in one filter; every text of a list counts as one."""


class Logic(StrEnum):
    """How the conditions of a group are joined."""

    AND = "AND"
    OR = "OR"


class Operator(StrEnum):
    """The operators, in the order of their ordinals on the wire."""

    EQUAL = "equal"
    NOTEQUAL = "notequal"
    GREATER = "greater"
    GREATEROREQUAL = "greaterorequal"
    LESS = "less"
    LESSOREQUAL = "lessorequal"
    STARTSWITH = "startswith"
    ENDSWITH = "endswith"
    CONTAINS = "contains"
    NOTCONTAINS = "notcontains"


class CallerValue(Struct, frozen=True):
    """A value that depends on the caller; only conditions of rules contain it.

    ``kind``: ``user`` is the ID of the user, ``tenant`` the value of the differentiation property, ``property`` the
    property ``name`` of the user's record, ``now`` the current time plus ``shift_ms``.
    """

    kind: str
    shift_ms: int = 0
    name: str = ""


FilterValue = str | int | Decimal | bool | tuple[str, ...] | tuple[int | Decimal, ...] | CallerValue | None


class Path(Struct, frozen=True):
    """The way to related records: those of ``entity`` whose ``key`` equals ``column`` of the record. One of the two is
    ``ID``, the other a foreign key. Only conditions of rules contain it.
    """

    entity: str
    key: str
    column: str

    @property
    def is_list(self) -> bool:
        """Whether several records may be related."""
        return self.column == "ID"


class Leaf(Struct, frozen=True):
    """One condition; ``value`` has the property's type.

    ``value`` is None only with equal and notequal. It is a tuple only with contains (any of) and notcontains (none of),
    without duplicates. Number: an int if integral and within 64 bits, else a ``Decimal`` of at most 9 decimals. Date:
    unix ms.
    """

    property: Property
    operator: Operator
    value: FilterValue
    path: Path | None = None
    """None: the property is one of the record. Else a related record exists whose property meets the condition."""


class Group(Struct, frozen=True):
    """Conditions joined by ``logic``; at least one."""

    logic: Logic
    items: tuple[Node, ...]


Node = Leaf | Group


def leaves(node: Node) -> Iterator[Leaf]:
    """The conditions of a tree."""
    if isinstance(node, Leaf):
        yield node
    else:
        for item in node.items:
            yield from leaves(item)


_ALIASES = ("eq == =", "neq != <>", "g >", "ge >=", "l <", "le <=", "sw", "ew", "like", "nc")
_OPERATORS: Final[dict[str, Operator]] = {
    name: operator
    for ordinal, (operator, aliases) in enumerate(zip(Operator, _ALIASES, strict=True))
    for name in (operator.value, str(ordinal), *aliases.split())
}
_LOGICS: Final = {"and": Logic.AND, "0": Logic.AND, "or": Logic.OR, "1": Logic.OR}
_KEYS: Final = frozenset({"Property", "Operator", "Value", "Logic", "Filters"})
_NULL_TESTS_IN_ORDER: Final = (Operator.EQUAL, Operator.NOTEQUAL)
_NULL_TESTS: Final = frozenset(_NULL_TESTS_IN_ORDER)
_FOREIGN: Final = {
    "gt": "greater",
    "gte": "greaterorequal",
    "lt": "less",
    "lte": "lessorequal",
    "ne": "notequal",
    "in": "contains",
    "nin": "notcontains",
    "is": "equal",
    "prefix": "startswith",
    "suffix": "endswith",
}
"""Operators of other systems with the operator that callers mean by them; for messages only."""
_FORM: Final = "a filter is an object with Property, Operator and Value, or with Logic and Filters"


def parse_filter(text: str, entity: Entity, readable: AbstractSet[str]) -> Node | None:
    """The tree of a ``filter`` parameter; None when it sets no condition (blank, ``null``, empty groups).

    ``readable``: lower-case names of the properties that the caller may read; ``ID`` may be missing, and is always
    readable. Raises ``ApilaneError``: INVALID_FILTER_PARAMETER, or ERROR for a node with neither property nor filters
    and for a leaf without operator.
    """
    if not text or text.isspace():
        return None
    try:
        document = decode_json(text.encode("utf-8", "surrogatepass"))
    except MalformedJson as error:
        FilterParser(entity, readable).refuse_value(f"{_FORM}, found text that is no JSON ({error})")
    return None if document is None else FilterParser(entity, readable).node(document, MAX_DEPTH)


class FilterParser:
    """Reads the tree of a filter. Conditions of rules are read by a subclass."""

    __slots__ = ("entity", "leaves", "readable")

    def __init__(self, entity: Entity, readable: AbstractSet[str]) -> None:
        self.entity = entity
        self.readable = readable
        self.leaves = 0

    def refuse(self, message: str | None = None) -> NoReturn:
        raise ApilaneError(Code.INVALID_FILTER_PARAMETER, message, entity=self.entity.name)

    def refuse_value(self, detail: str) -> NoReturn:
        """Refuse with the default message, continued by ``detail`` (B-E8)."""
        self.refuse(f"{DEFAULT_MESSAGES[Code.INVALID_FILTER_PARAMETER]}: {detail}")

    def is_usable(self, property: Property) -> bool:
        """Whether the caller may know and filter by a property."""
        name = property.name.lower()
        return (name in self.readable or name == "id") and not is_secret(self.entity, property)

    def fail(self, detail: str) -> NoReturn:
        """Refuse a filter with a missing part, which is ERROR on the wire."""
        raise ApilaneError(Code.ERROR, f"{DEFAULT_MESSAGES[Code.ERROR]}: {detail}", entity=self.entity.name)

    def node(self, document: object, depth: int) -> Node | None:
        """``depth``: how many more levels of groups are allowed."""
        if type(document) is not dict:
            self.refuse_value(f"{_FORM}, found {kind_of(document)}")
        if not document.keys() <= _KEYS:  # rare: another letter case, or unknown keys
            document = {key.capitalize(): value for key, value in document.items()}
        name, filters = document.get("Property"), document.get("Filters")
        property = None if name is None else self.property(name)
        if filters is not None and type(filters) is not list:
            self.refuse_value(f"Filters must be an array, found {kind_of(filters)}")
        if filters or (property is None and filters is not None):
            if depth == 0:
                self.refuse(f"A filter nests at most {MAX_DEPTH} groups")
            return self.group(document.get("Logic"), filters, depth - 1)
        if property is None:
            self.fail(
                f"{_FORM}, found {f'the keys {listed([shown(key) for key in document])}' if document else 'no key'}"
            )
        return self.leaf(property, document.get("Operator"), document.get("Value"))

    def property(self, name: object) -> Property:
        if type(name) is not str:
            self.refuse_value(f"Property must be a name, found {kind_of(name)}")
        for exact in self.entity.properties:  # nearly every caller spells names as the schema does
            if exact.name == name:
                property: Property | None = exact
                break
        else:
            property = self.entity.property(name)
        if property is None:
            known = [each.name for each in self.entity.properties if self.is_usable(each)]
            self.refuse_value(f"unknown property {shown(name)}{choice(name, known)}")
        if not self.is_usable(property):
            self.refuse(f"Property '{property.name}' is not allowed on this filter")
        return property

    def group(self, logic: object, filters: list[object], depth: int) -> Node | None:
        joined = Logic.AND if logic is None else _word(logic, _LOGICS)
        if joined is None:
            self.refuse_value(f"unknown logic {shown(logic)}; possible: AND, OR")
        items = tuple([item for item in [self.node(inner, depth) for inner in filters] if item is not None])
        return Group(joined, items) if items else None

    def leaf(self, property: Property, sign: object, value: object) -> Leaf:
        if sign is None:
            self.fail(
                f"the condition on property '{property.name}' has no Operator; possible: {listed(_fitting(property))}"
            )
        operator = _word(sign, _OPERATORS)
        if operator is None:
            meant = _FOREIGN.get(sign.lower(), sign) if type(sign) is str else ""
            self.refuse_value(f"unknown operator {shown(sign)}{choice(meant, _fitting(property))}")
        self.count(1)
        if value is None and operator in _NULL_TESTS:
            return Leaf(property, operator, None)
        if property.encrypted:
            self.refuse(f"Property '{property.name}' is encrypted: it can only be compared with null")
        readers = _readers(property)
        read = readers.get(operator)
        if read is None:
            kind, fitting = property.type.name, ", ".join(readers)
            self.refuse(f"Operator '{operator}' does not fit {kind} property '{property.name}', use one of: {fitting}")
        wanted = None if value is None else read(value)
        if wanted is None:
            kind = property.type.name
            what = f"operator '{operator}' of {kind} property '{property.name}'"
            self.refuse(f"The value does not fit {what}, found {kind_of(value)}")
        if type(wanted) is tuple and property.type is PropertyType.String:
            self.count(len(wanted) - 1)  # each text becomes one condition; numbers become one IN
        return Leaf(property, operator, wanted)

    def count(self, conditions: int) -> None:
        self.leaves += conditions
        if self.leaves > MAX_LEAVES:
            self.refuse(f"A filter has at most {MAX_LEAVES} conditions")


def _word(value: object, words: dict[str, T]) -> T | None:
    """A name in any letter case or an ordinal; None for any other value."""
    return words.get(value.lower() if type(value) is str else str(value) if type(value) is int else "")


def _fitting(property: Property) -> list[str]:
    """The operators of a property."""
    return [operator.value for operator in (_NULL_TESTS_IN_ORDER if property.encrypted else _readers(property))]


def _readers(property: Property) -> dict[Operator, Callable[[object], FilterValue]]:
    """The operators of a property, with the reader of their JSON value."""
    return _JSON_READERS if property.format == JSON else _READERS[property.type]


_PRECISE = Context(prec=60, rounding=ROUND_05UP)
_GRID = Decimal("1e-9")
_BEYOND = Decimal(10) ** 19


def _text(value: object) -> str | None:
    if type(value) is str:
        text = value
    elif type(value) is bool or type(value) is int:
        text = str(value)
    elif isinstance(value, JsonNumber):
        text = value.text
    else:
        return None
    text = trim(text)
    return text if is_storable_text(text) else None


def _number(value: object) -> int | Decimal | None:
    """The number, or one that compares the same with every storable value.

    Stored numbers are below 1e19 and have at most 8 decimals, so 1e999999 may become 1e19. Rounding to 9 decimals, away
    from 0 and 5, keeps a number strictly between its neighbours of 8 decimals. No exponent is expanded into digits.
    """
    number = parse_number(value)
    if number is None:
        return None
    if type(number) is int and -(2**63) <= number < 2**63:
        return number
    exact = Decimal(number)
    if exact.adjusted() >= 19:
        return _BEYOND.copy_sign(exact)
    exact = exact.quantize(_GRID, context=_PRECISE)
    whole = int(exact)
    return whole if whole == exact and -(2**63) <= whole < 2**63 else exact


def _boolean(value: object) -> bool | None:
    return None if isinstance(value, dict | list) else read_boolean(value)


def _text_or_texts(value: object) -> str | tuple[str, ...] | None:
    return _each(_text, value) if type(value) is list else _text(value)


def _numbers(value: object) -> tuple[int | Decimal, ...] | None:
    """The items of a JSON array or of a comma-separated text; a blank text has none."""
    if type(value) is str:
        return _each(_number, value.split(",") if trim(value) else [])
    return _each(_number, value if type(value) is list else [value])


def _each(read: Callable[[object], T | None], items: Sequence[object]) -> tuple[T, ...] | None:
    """The values of the items without duplicates; None when one item is unreadable."""
    found: dict[T, None] = {}
    for item in items:
        value = read(item)
        if value is None:
            return None
        found[value] = None
    return tuple(found)


def _json(value: object) -> str | None:
    text = json_text(value)
    return text if is_storable_text(text) else None


_NAMES = tuple(Operator)
_JSON_READERS: Final[dict[Operator, Callable[[object], FilterValue]]] = dict.fromkeys(_NAMES[:2], _json)
_READERS: Final[dict[PropertyType, dict[Operator, Callable[[object], FilterValue]]]] = {
    PropertyType.String: dict.fromkeys(_NAMES[:8], _text) | dict.fromkeys(_NAMES[8:], _text_or_texts),
    PropertyType.Number: dict.fromkeys(_NAMES[:6], _number) | dict.fromkeys(_NAMES[8:], _numbers),
    PropertyType.Boolean: dict.fromkeys(_NAMES[:2], _boolean),
    PropertyType.Date: dict.fromkeys(_NAMES[:6], parse_date),
}
"""The operators of each type, with the reader of their JSON value. A reader returns None for a value that does not fit.
"""
