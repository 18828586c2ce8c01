"""What an entity asks of its table beside columns, the same for every provider: unique columns, references, indexes.

Pure. How a provider writes it down is its driver's ``schema.py``.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from hashlib import blake2s

from apilane.model.definition import Entity, ForeignKey, Unique
from apilane.model.system import HELPER_INDEXES, HIDDEN_COLUMNS

__all__ = ["bounded_name", "foreign_keys", "name_sources", "plain_indexes", "unique_columns", "visible_uniques"]


def bounded_name(name: str, limit: int | None, taken: Iterable[str] = ()) -> str:
    """``name``, or its beginning and an 8-digit hash of the whole when it is longer than ``limit`` (B-D8) or taken.

    ``taken``: names in lower case. Two entities may ask for one name: ``A_B`` with ``C`` and ``A`` with ``B_C``.
    """
    if (limit is None or len(name) <= limit) and name.lower() not in taken:
        return name
    beginning = name if limit is None else name[: limit - 9]
    return f"{beginning}_{blake2s(name.encode(), digest_size=4).hexdigest()}"


def name_sources(names: Iterable[str], before: Container[str], renamed: Mapping[str, str]) -> dict[str, str]:
    """Where each of ``names`` comes from, in lower case; what ``before`` (lower case) does not have is left out.

    A name whose old bearer was renamed to another is a new one.
    """
    names = list(names)
    given_away = {renamed[name].lower() for name in names if name in renamed}
    sources = {
        name: renamed.get(name, name).lower() for name in names if name in renamed or name.lower() not in given_away
    }
    return {name: source for name, source in sources.items() if source in before}


def visible_uniques(entity: Entity) -> list[tuple[str, ...]]:
    """Properties of each unique constraint, sorted and without duplicates, in the order of the entity."""
    groups = (tuple(sorted(set(c.properties))) for c in entity.constraints if isinstance(c, Unique))
    return list(dict.fromkeys(groups))


def unique_columns(entity: Entity, properties: tuple[str, ...]) -> tuple[str, ...]:
    """The columns that carry the uniqueness of ``properties``: a system property may have a hidden one for it."""
    if not entity.is_system or len(properties) != 1:
        return properties
    hidden = (column for column in HIDDEN_COLUMNS.get(entity.name, ()) if column.shows == properties[0])
    return next(((column.name,) for column in hidden), properties)


def foreign_keys(entity: Entity) -> list[ForeignKey]:
    """One for each property, in order."""
    return list({c.property: c for c in entity.constraints if isinstance(c, ForeignKey)}.values())


def plain_indexes(entity: Entity) -> list[tuple[str, ...]]:
    """Columns of each index that is not unique: declared ones and those of references and helper tables.

    None that another one, or a unique constraint, begins with.
    """
    declared = [tuple(dict.fromkeys(index.properties)) for index in entity.indexes]
    automatic = [*HELPER_INDEXES.get(entity.name, ()), *((key.property,) for key in foreign_keys(entity))]
    kept = [unique_columns(entity, properties) for properties in visible_uniques(entity)]
    uniques = len(kept)
    for columns in sorted(dict.fromkeys([*declared, *automatic]), key=len, reverse=True):
        if not any(other[: len(columns)] == columns for other in kept):
            kept.append(columns)
    return kept[uniques:]
