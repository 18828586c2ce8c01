"""The entities and endpoints of an OpenAPI document of Apilane, for the writers of clients."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec import Struct

from apilane.errors import ConfigurationError

__all__ = ["DocumentModel", "EndpointModel", "EntityModel", "comment", "identifier", "read_document", "unique_name"]

RECORD: Final = {"get": "Record", "post": "New", "put": "Changed"}
PATHS: Final = {
    "get": ("/api/Data/Get", "/api/Files/Get"),
    "post": ("/api/Data/Post", ""),
    "put": ("/api/Data/Put", ""),
    "delete": ("/api/Data/Delete", "/api/Files/Delete"),
}
"""By action: the call with the names of its entities, and the one for files."""
REFERENCE: Final = "#/components/schemas/"
COMMENT_MAX: Final = 300
_not_in_names = re.compile(r"[^A-Za-z0-9_]+")


class EntityModel(Struct, frozen=True):
    """An entity. ``schemas``: of its records by ``get``, ``post`` and ``put``, without ``Expanded``."""

    name: str
    schemas: Mapping[str, Mapping[str, Any]]
    can_delete: bool


class EndpointModel(Struct, frozen=True):
    """A custom endpoint: schemas of its parameters, names of the required ones, the schema of its answer."""

    name: str
    parameters: Mapping[str, Mapping[str, Any]]
    required: frozenset[str]
    answer: Mapping[str, Any]
    about: str


class DocumentModel(Struct, frozen=True):
    """An application. ``named``: further schemas that endpoints refer to, by reference."""

    title: str
    entities: tuple[EntityModel, ...]
    endpoints: tuple[EndpointModel, ...]
    named: Mapping[str, Mapping[str, Any]]


def read_document(document: Any) -> DocumentModel:
    """The model of a document. Raises ConfigurationError when it is no OpenAPI document of Apilane."""
    try:
        schemas: Mapping[str, Any] = document["components"]["schemas"]
        granted = {action: _entities(document["paths"], *paths) for action, paths in PATHS.items()}
        entities = [
            EntityModel(
                name,
                {
                    action: _without_expanded(schemas[f"{name}.{suffix}"])
                    for action, suffix in RECORD.items()
                    if name in granted[action]
                },
                name in granted["delete"],
            )
            for name in dict.fromkeys(name for names in granted.values() for name in names)
        ]
        endpoints = [
            _endpoint(path.removeprefix("/api/Custom/"), methods["get"])
            for path, methods in document["paths"].items()
            if path.startswith("/api/Custom/") and "{" not in path and "get" in methods
        ]
        named = {f"{REFERENCE}{name}": schema for name, schema in schemas.items() if name.startswith("Custom.")}
        return DocumentModel(document["info"]["title"], tuple(entities), tuple(endpoints), named)
    except (KeyError, TypeError, AttributeError, StopIteration) as error:
        raise ConfigurationError(
            f"This is not the OpenAPI document of an application (it lacks {error}). Read /openapi.json?appToken=..."
        ) from None


def _entities(paths: Mapping[str, Any], data: str, files: str) -> list[str]:
    names: list[str] = []
    if data in paths:
        (operation,) = paths[data].values()
        names += next(each for each in operation["parameters"] if each["name"] == "entity")["schema"]["enum"]
    return [*names, *(["Files"] if files in paths else [])]


def _without_expanded(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    members = {name: each for name, each in schema["properties"].items() if name != "Expanded"}
    return {**schema, "properties": members}


def _endpoint(name: str, operation: Mapping[str, Any]) -> EndpointModel:
    parameters = operation.get("parameters", ())
    return EndpointModel(
        name,
        {each["name"]: each["schema"].get("contentSchema", each["schema"]) for each in parameters},
        frozenset(each["name"] for each in parameters if each.get("required")),
        operation["responses"]["200"]["content"]["application/json"]["schema"],
        operation.get("description", ""),
    )


def comment(text: str) -> str:
    """A text for a comment of one line: without line breaks of any language, and of a bounded length."""
    shown = "".join(letter if letter.isprintable() else " " for letter in " ".join(text.split()))
    return shown if len(shown) <= COMMENT_MAX else f"{shown[:COMMENT_MAX]} ..."


def identifier(text: str, default: str) -> str:
    """A text as a name of letters, digits and ``_`` that begins with a letter."""
    words = [word for word in _not_in_names.split(text) if word.strip("_")]
    name = "".join(word[:1].upper() + word[1:] for word in words).strip("_")
    return name if name[:1].isalpha() else f"{default}{name}"


def unique_name(name: str, taken: set[str], reserved: Iterable[str]) -> str:
    """A name that is not taken and not reserved, and does not begin with ``_``; it is taken then."""
    found = name.strip("_") or "name"
    if found != name or found in reserved:
        found += "_"
    while found in taken:
        found += "_"
    taken.add(found)
    return found
