"""The section of a plugin in a definition: its secrets, and the section as the plugin's Struct.

A definition contains no secrets. Each secret is replaced by a mark, ``{"$secret": "Plugins.mail.Password"}``, with the
key of its value in the application's ``Secrets``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct
from msgspec.inspect import (
    CustomType,
    DataclassType,
    DictType,
    Field,
    ListType,
    Metadata,
    NoneType,
    StrType,
    StructType,
    TupleType,
    Type,
    TypedDictType,
    UnionType,
    VarTupleType,
    type_info,
)

from apilane.security.secret import Secret

__all__ = [
    "MARK",
    "fields_of",
    "holds_secret",
    "is_list",
    "is_secret",
    "is_table",
    "marks_in",
    "misplaced_secret",
    "plain_type",
    "read_section",
    "section_key",
    "unreadable_type",
    "with_marks",
    "without_value",
]

S = TypeVar("S", bound=Struct)

MARK: Final = "$secret"


def section_key(plugin: str) -> str:
    """The key path of a plugin's section in manifests."""
    return f"Plugins.{plugin}"


def plain_type(info: Type) -> Type:
    """A type without its constraints, and without ``None`` in a union."""
    while True:
        if isinstance(info, Metadata):
            info = info.type
        elif isinstance(info, UnionType) and len(others := [t for t in info.types if not isinstance(t, NoneType)]) == 1:
            info = others[0]
        else:
            return info


def is_secret(info: Type) -> bool:
    """Whether a plain type is ``Secret``."""
    return isinstance(info, CustomType) and info.cls is Secret


def is_list(info: Type) -> bool:
    """Whether a plain type is a list of items of one type."""
    return isinstance(info, ListType | VarTupleType)


def fields_of(kind: type[Struct] | StructType) -> dict[str, Field]:
    """The fields of a Struct by their names in files."""
    info = kind if isinstance(kind, StructType) else type_info(kind)
    return {field.encode_name: field for field in info.fields}  # type: ignore[attr-defined]


def _parts(info: Type) -> Iterator[tuple[str, Type]]:
    """The parts of a type, each with its place as shown in messages, such as ``[]`` or ``.Password``."""
    if isinstance(info, UnionType):
        yield from (("", each) for each in info.types)
    elif isinstance(info, DictType):
        yield ".KEY", info.value_type
    elif isinstance(info, TupleType):
        yield from (("[]", each) for each in info.item_types)
    elif (item := getattr(info, "item_type", None)) is not None:
        yield "[]", item
    else:
        yield from ((f".{field.encode_name}", field.type) for field in getattr(info, "fields", ()))


def holds_secret(info: Type, seen: frozenset[int] = frozenset()) -> bool:
    """Whether a type is a secret or contains one."""
    info = plain_type(info)
    if is_secret(info):
        return True
    return id(info) not in seen and any(holds_secret(part, seen | {id(info)}) for _, part in _parts(info))


def _name_of_items(info: Type) -> bool:
    fields = fields_of(info) if isinstance(info, StructType) else {}
    return any(name in {"Name", "name"} and isinstance(plain_type(f.type), StrType) for name, f in fields.items())


def misplaced_secret(kind: type[Struct]) -> str | None:
    """The place of a secret that has no unique path, such as ``Servers[].Password``; None when every secret has one."""

    def search(info: Type, path: str, seen: frozenset[int]) -> str | None:
        info = plain_type(info)
        if is_secret(info) or id(info) in seen or not holds_secret(info):
            return None
        keyed = (isinstance(info, StructType) and not info.array_like) or isinstance(info, DictType)
        if not keyed and not (is_list(info) and _name_of_items(plain_type(info.item_type))):  # type: ignore[attr-defined]
            return path
        found = (search(part, path + step, seen | {id(info)}) for step, part in _parts(info))
        return next((each for each in found if each is not None), None)

    found = search(type_info(kind), "", frozenset())
    return None if found is None else found.lstrip(".")


def unreadable_type(kind: type[Struct], custom: Collection[type]) -> str | None:
    """The place and the type of a part that cannot be read from text, such as ``Callback: Callable``; None when there
    is none. ``custom``: types that the caller reads, although msgspec does not.
    """

    def search(info: Type, path: str, seen: frozenset[int]) -> str | None:
        if isinstance(info, CustomType) and info.cls not in custom:
            return f"{path}: {getattr(info.cls, '__name__', info.cls)}"
        if id(info) in seen:
            return None
        parts = _parts(info) if not isinstance(info, Metadata) else [("", info.type)]
        found = (search(part, path + step, seen | {id(info)}) for step, part in parts)
        return next((each for each in found if each is not None), None)

    found = search(type_info(kind), "", frozenset())
    return None if found is None else found.lstrip(".")


def is_table(info: Type) -> bool:
    """Whether a plain type is a table of ``apilane.toml``, or a list of tables."""
    if is_list(info):
        return is_table(plain_type(info.item_type))  # type: ignore[attr-defined]
    return isinstance(info, DictType | StructType | TypedDictType | DataclassType)


def without_value(error: msgspec.ValidationError) -> str:
    """The message of a failed conversion without the value that was refused, which may be a secret."""
    return re.sub(r"(Invalid(?: enum)? value) .*?(?=\Z| - at `[^`]*`\Z)", r"\1", str(error), flags=re.DOTALL)


def marks_in(value: Any) -> Iterator[str]:
    """The secrets that a section refers to."""
    if isinstance(value, Mapping):
        if isinstance(value.get(MARK), str):
            yield value[MARK]
        for each in value.values():
            yield from marks_in(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from marks_in(each)


def with_marks(value: Any, replace: Callable[[str], Any]) -> Any:
    """A section in which ``replace`` has replaced each mark."""
    if isinstance(value, Mapping):
        if isinstance(value.get(MARK), str):
            return replace(value[MARK])
        return {key: with_marks(each, replace) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [with_marks(each, replace) for each in value]
    return value


def read_section(section: Any, kind: type[S], secrets: Mapping[str, str]) -> S:
    """A section, or a part of one, as the plugin's type. Raises ``msgspec.ValidationError``."""

    def reveal(wanted: type, value: Any) -> Secret:
        if wanted is Secret and isinstance(value, Mapping) and value.get(MARK) in secrets:
            return Secret(secrets[value[MARK]])
        raise ValueError("Expected a secret" if wanted is Secret else f"{wanted.__name__} cannot be read")

    return msgspec.convert(section, kind, dec_hook=reveal)
