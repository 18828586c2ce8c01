"""The ``sort`` and ``properties`` parameters (docs/reference/protocol/query-language.md sections 2 and 3). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from apilane.errors import ApilaneError, Code
from apilane.model.definition import Direction, Entity, SortKey
from apilane.model.hints import kind_of, listed, shown
from apilane.model.json import MalformedJson, decode_json
from apilane.model.system import is_secret

__all__ = ["BY_ID", "parse_properties", "parse_sort"]

BY_ID = (SortKey("ID"),)


def parse_sort(text: str | None, entity: Entity, readable: AbstractSet[str]) -> tuple[SortKey, ...] | None:
    """The sort keys in schema spelling, at least one; None when the parameter is blank and the default order applies.

    ``readable``: lower-case names of the properties that the caller may read; ``ID`` may be missing, and is always
    readable. Raises ``ApilaneError`` INVALID_SORT_PARAMETER.
    """
    if text is None or not text or text.isspace():
        return None
    try:
        document = decode_json(text.encode("utf-8", "surrogatepass"))
    except MalformedJson as error:
        raise _misconfigured(entity, f"text that is no JSON ({error})") from None
    if not isinstance(document, dict | list):
        return BY_ID
    entries = document if isinstance(document, list) else [document]
    keys = [key for key in [_sort_key(entry, entity, readable) for entry in entries] if key is not None]
    return tuple(keys) or BY_ID


def _misconfigured(entity: Entity, found: str) -> ApilaneError:
    expected = "a sort is an array of objects with Property and Direction (ASC or DESC)"
    message = f"Misconfigured json parameter 'sort': {expected}, found {found}"
    return ApilaneError(Code.INVALID_SORT_PARAMETER, message, entity=entity.name)


def _sort_key(entry: object, entity: Entity, readable: AbstractSet[str]) -> SortKey | None:
    """One entry; None when its property does not exist."""
    if entry is None:
        raise ApilaneError(Code.INVALID_SORT_PARAMETER, entity=entity.name)
    if not isinstance(entry, dict):
        raise _misconfigured(entity, kind_of(entry))
    fields = {key.lower(): value for key, value in entry.items()}
    if "property" not in fields or "direction" not in fields:
        keys = listed([shown(key) for key in entry])
        raise _misconfigured(entity, f"the keys {keys}" if entry else "no key")
    name, direction = fields["property"], fields["direction"]
    if name is None:
        raise ApilaneError(Code.INVALID_SORT_PARAMETER, entity=entity.name)
    if not isinstance(name, str):
        raise _misconfigured(entity, f"{kind_of(name)} as the property")
    property = entity.property(name)
    if property is None:
        return None
    wire_name = property.name.lower()
    if (wire_name not in readable and wire_name != "id") or is_secret(entity, property):
        raise ApilaneError(
            Code.INVALID_SORT_PARAMETER,
            f"Invalid sort parameter. Property '{name}' is not allowed",
            entity=entity.name,
        )
    if property.encrypted:
        raise ApilaneError(
            Code.INVALID_SORT_PARAMETER,
            f"Invalid sort parameter. Property '{name}' is encrypted and has no order",
            entity=entity.name,
        )
    descending = isinstance(direction, str) and direction.lower() == "desc"
    return SortKey(property.name, Direction.DESC if descending else Direction.ASC)


def parse_properties(text: str | None, readable: Sequence[str]) -> tuple[str, ...]:
    """The names to return, chosen from ``readable`` (schema spelling and order); ``ID`` is always among them.

    A blank ``text`` selects all. Unknown and unreadable names are ignored.
    """
    names = tuple(readable) if "ID" in readable else ("ID", *readable)
    if text is None or not text.strip():
        return names
    wanted = {name.strip().lower() for name in text.split(",")}
    return tuple(name for name in names if name == "ID" or name.lower() in wanted)
