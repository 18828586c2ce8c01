"""The parts of an entity's table besides its columns, the same for every provider: unique columns, references, indexes.

Pure. Each driver's ``schema.py`` writes the SQL of its provider.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2s

from apilane.model.definition import Entity, ForeignKey, PropertyType, Unique
from apilane.model.system import HELPER_INDEXES, HIDDEN_COLUMNS
from apilane.sql.structure import ACTIONS, Reference

__all__ = [
    "Names",
    "bounded_name",
    "folded_columns",
    "foreign_keys",
    "plain_indexes",
    "quoted_name",
    "quoted_text",
    "references",
    "tenant_key",
    "unique_columns",
    "visible_uniques",
]


def bounded_name(name: str, limit: int | None, taken: Iterable[str] = ()) -> str:
    """``name``; if it is longer than ``limit`` (B-D8) or taken: its beginning and an 8-digit hash of the whole name.

    ``taken``: names in lower case. Two entities can lead to the same name: ``A_B`` with ``C`` and ``A`` with ``B_C``.
    """
    if (limit is None or len(name) <= limit) and name.lower() not in taken:
        return name
    beginning = name if limit is None else name[: limit - 9]
    return f"{beginning}_{blake2s(name.encode(), digest_size=4).hexdigest()}"


class Names:
    """Gives names to indexes and constraints: ``new("UNIQUE", "Orders", "Code")`` gives ``UNIQUE_Orders_Code``.

    ``taken``: names in lower case that are not given; each given name is added. ``lower``: names are in lower case.
    """

    def __init__(self, limit: int | None, taken: Iterable[str] = (), *, lower: bool = False) -> None:
        self._limit = limit
        self._taken = set(taken)
        self._lower = lower

    def new(self, *parts: str) -> str:
        """A name that was not given before."""
        name = "_".join(parts)
        name = bounded_name(name.lower() if self._lower else name, self._limit, self._taken)
        self._taken.add(name.lower())
        return name


def quoted_name(name: str) -> str:
    """``name`` as an identifier of standard SQL."""
    return '"' + name.replace('"', '""') + '"'


def quoted_text(text: str) -> str:
    """``text`` as a literal of standard SQL."""
    return "'" + text.replace("'", "''") + "'"


def visible_uniques(entity: Entity) -> list[tuple[str, ...]]:
    """Properties of each unique constraint, sorted and without duplicates, in the order of the entity. Of a constraint
    per tenant, the tenant comes first (``tenant_key``).
    """
    groups = (
        (*([entity.tenant] if c.per_tenant and entity.tenant else []), *sorted(set(c.properties)))
        for c in entity.constraints
        if isinstance(c, Unique)
    )
    return list(dict.fromkeys(groups))


def tenant_key(entity: Entity, properties: tuple[str, ...]) -> str | None:
    """The tenant among the properties of a unique constraint per tenant, where null equals null; else None."""
    tenant = entity.tenant
    if tenant is None or properties[0] != tenant:
        return None
    names = {*properties[1:]}
    found = (isinstance(c, Unique) and c.per_tenant and names == {*c.properties} for c in entity.constraints)
    return tenant if any(found) else None


def unique_columns(entity: Entity, properties: tuple[str, ...]) -> tuple[str, ...]:
    """The columns that enforce the uniqueness of ``properties``; a system property may have a hidden column for it."""
    if not entity.is_system or len(properties) != 1:
        return properties
    hidden = (column for column in HIDDEN_COLUMNS.get(entity.name, ()) if column.shows == properties[0])
    return next(((column.name,) for column in hidden), properties)


def folded_columns(entity: Entity, columns: Iterable[str]) -> frozenset[str]:
    """The columns of a unique constraint that compare texts as the filter ``equal`` does: letter case folds
    (``apilane.model.text.fold``). Texts of the server, such as tokens, are compared exactly.
    """
    texts = {p.name for p in entity.properties if p.type is PropertyType.String and not (p.is_system or p.encrypted)}
    return frozenset(texts.intersection(columns))


def foreign_keys(entity: Entity) -> list[ForeignKey]:
    """The foreign keys in order, one for each property."""
    return list({c.property: c for c in entity.constraints if isinstance(c, ForeignKey)}.values())


def references(entity: Entity, names: Names | None = None) -> Iterator[Reference]:
    """The references of the foreign keys. Without ``names`` they have none."""
    for key in foreign_keys(entity):
        name = names.new("FOREIGN_KEY", entity.name, key.property, key.entity) if names else ""
        yield Reference(name, key.property, key.entity, ACTIONS[key.on_delete])


def plain_indexes(entity: Entity) -> list[tuple[str, ...]]:
    """The columns of each non-unique index: declared ones, and those of references, conditions of rules, and helper
    tables.

    An index is left out if another index, or a unique constraint, begins with its columns.
    """
    declared = [tuple(dict.fromkeys(index.properties)) for index in entity.indexes]
    automatic = [*HELPER_INDEXES.get(entity.name, ()), *((key.property,) for key in foreign_keys(entity))]
    automatic += entity.condition_indexes
    kept = [unique_columns(entity, properties) for properties in visible_uniques(entity)]
    uniques = len(kept)
    for columns in sorted(dict.fromkeys([*declared, *automatic]), key=len, reverse=True):
        if not any(other[: len(columns)] == columns for other in kept):
            kept.append(columns)
    return kept[uniques:]
