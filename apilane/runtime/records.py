"""Turns rows into records: one generated Struct per record shape, encoded by one shared encoder.

No database access. A ``RecordMaker`` turns the rows of a column list into objects whose JSON is the record on the wire.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import starmap
from typing import Any, Final

import msgspec

from apilane.model.definition import Entity, Property
from apilane.model.formats import JSON, json_value
from apilane.model.system import is_secret
from apilane.security.encryption import Cipher
from apilane.sql.dialect import Dialect
from apilane.sql.statement import Value
from apilane.storage.protocol import Row

__all__ = ["EXPANDED", "RecordMaker", "record_maker", "row_maker"]

Record = msgspec.Struct
RecordMaker = Callable[[Sequence[Row]], list[Record]]
Converter = Callable[[Any], Value]

EXPANDED: Final = "Expanded"
"""The key of related records."""


def _hide(value: Value) -> None:
    return None


def _converter(entity: Entity, property: Property, dialect: Dialect, cipher: Cipher | None) -> Converter | None:
    if is_secret(entity, property):
        return _hide
    if property.encrypted:
        if cipher is None:
            raise ValueError(f"{entity.name}.{property.name} is encrypted, and there is no key")
        decrypt = cipher.decrypt
        if property.format == JSON:
            return lambda stored: None if (text := decrypt(stored)) is None else json_value(text)
        return decrypt
    if property.format == JSON:
        return json_value
    return dialect.decoder(property)


def record_maker(
    entity: Entity, columns: Sequence[str], dialect: Dialect, cipher: Cipher | None, *, expandable: bool = False
) -> RecordMaker:
    """A function that turns rows of ``columns`` into records; make it once per shape. ``cipher`` decrypts encrypted
    properties.

    Null values stay null. ``expandable``: the records have one more field, ``Expanded``, unless a column has this name.
    """
    properties = {p.name: p for p in entity.properties}
    converters = [_converter(entity, properties[column], dialect, cipher) for column in columns]
    later = (EXPANDED,) if expandable and EXPANDED not in columns else ()
    return row_maker(f"{entity.name}Record", columns, converters, later)


def row_maker(
    title: str, keys: Sequence[str], converters: Sequence[Converter | None], later: Sequence[str] = ()
) -> RecordMaker:
    """A function that turns rows into Structs with these keys. A converter takes a value that is not null; None:
    unchanged.

    Fields are named by position because keys may be Python keywords. ``later``: keys of more fields, which have no
    value in the row. A field that has ``msgspec.UNSET`` is left out of the JSON.
    """
    names = [f"f{position}" for position in range(len(keys))]
    more = [f"f{position}" for position in range(len(keys), len(keys) + len(later))]
    struct = msgspec.defstruct(
        title,
        [*((name, object) for name in names), *((name, object, msgspec.UNSET) for name in more)],
        rename=dict(zip([*names, *more], [*keys, *later], strict=True)),
        gc=False,
    )
    conversions = [(name, convert) for name, convert in zip(names, converters, strict=True) if convert is not None]
    if not conversions:
        return lambda rows: list(starmap(struct, rows))

    def make(rows: Sequence[Row]) -> list[Record]:
        records = list(starmap(struct, rows))
        for name, convert in conversions:  # converting after making the Structs takes half the time
            for record in records:
                value = getattr(record, name)
                if value is not None:
                    setattr(record, name, convert(value))
        return records

    return make
