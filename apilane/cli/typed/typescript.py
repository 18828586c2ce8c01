"""Writes TypeScript: an interface for each record, and a class that sends with ``fetch``. It needs no package."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any, Final

from apilane.cli.typed.model import RECORD, DocumentModel, EndpointModel, EntityModel, comment, identifier, unique_name

__all__ = ["write_typescript"]

KINDS: Final = {"get": "Reads", "post": "Creates", "put": "Changes"}
SIMPLE: Final = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}


def write_typescript(model: DocumentModel) -> str:
    """The text of a module."""
    return "\n".join(_Writer(model).lines()) + "\n"


def _quoted(text: str) -> str:
    """A text as a string of the language."""
    return json.dumps(text)  # ASCII only, so without the line separators of Unicode


class _Writer:
    def __init__(self, model: DocumentModel) -> None:
        self._model = model
        names = {f"{entity.name}{suffix}" for entity in model.entities for suffix in RECORD.values()}
        self._taken = names | {"Client", *KINDS.values(), "Deletes", "Condition", "FilterGroup", "Filter", "SortKey"}
        self._taken |= {"ApilaneError", "PageQuery", "Page", "Caller"}
        self._named = {
            reference: unique_name(identifier(reference.rpartition("/")[2], "Type"), self._taken, ())
            for reference in model.named
        }

    def lines(self) -> Iterator[str]:
        yield "// Records and calls of an application. Written by `apilane types`; changes are lost."
        yield f"// Application: {comment(self._model.title)}"
        yield ""
        yield (files("apilane.cli.typed") / "client.ts").read_text(encoding="utf-8").rstrip()
        for reference, schema in self._model.named.items():
            yield from self._type(self._named[reference], schema, frozenset(schema.get("required", ())))
        for entity in self._model.entities:
            for action, schema in entity.schemas.items():
                required = frozenset(schema["properties"] if action == "get" else schema.get("required", ()))
                yield from self._type(f"{entity.name}{RECORD[action]}", schema, required)
        yield from self._client()

    def _type(self, name: str, schema: Mapping[str, Any], required: frozenset[str]) -> Iterator[str]:
        if "properties" not in schema:
            yield from ("", f"export type {name} = {self._of(schema)};")
            return
        yield from ("", f"export type {name} = {{")
        for member, each in schema["properties"].items():
            if each.get("description"):
                yield f"  // {comment(each['description'])}"
            yield f"  {_quoted(member)}{'' if member in required else '?'}: {self._of(each)};"
        yield "};"

    def _of(self, schema: Mapping[str, Any]) -> str:
        """The type of a schema."""
        if "$ref" in schema:
            return self._named.get(schema["$ref"], "unknown")
        if "enum" in schema:
            return " | ".join(json.dumps(value) for value in schema["enum"])
        if "anyOf" in schema:
            return " | ".join(dict.fromkeys(map(self._of, schema["anyOf"]))) or "unknown"
        kinds = schema.get("type")
        if kinds is None:
            return "unknown"
        shown = [self._simple(kind, schema) for kind in ([kinds] if isinstance(kinds, str) else kinds)]
        return " | ".join(dict.fromkeys(shown))

    def _simple(self, kind: str, schema: Mapping[str, Any]) -> str:
        if kind == "array":
            return f"Array<{self._of(schema.get('items', {}))}>"
        if kind == "object":
            more = schema.get("additionalProperties")
            return f"Record<string, {self._of(more) if isinstance(more, Mapping) else 'unknown'}>"
        return SIMPLE[kind]

    def _client(self) -> Iterator[str]:
        name = unique_name(f"{identifier(self._model.title, 'Application')}Client", self._taken, ())
        yield from ("", f"export class {name} extends Client {{", "  readonly entities = {")
        for entity in self._model.entities:
            yield f"    [{_quoted(entity.name)}]: this.entity({_quoted(entity.name)}) as {self._calls(entity)},"
        yield from ("  };", "", "  readonly custom = {")
        for endpoint in self._model.endpoints:
            yield f"    // {comment(endpoint.about or endpoint.name)}"
            yield f"    [{_quoted(endpoint.name)}]: {self._endpoint(endpoint)},"
        yield from ("  };", "}")

    def _calls(self, entity: EntityModel) -> str:
        kinds = [f"{KINDS[action]}<{entity.name}{RECORD[action]}>" for action in entity.schemas]
        return " & ".join([*kinds, *(["Deletes"] if entity.can_delete else [])])

    def _endpoint(self, endpoint: EndpointModel) -> str:
        members = [
            f"{_quoted(name)}{'' if name in endpoint.required else '?'}: {self._of(schema)}"
            for name, schema in endpoint.parameters.items()
        ]
        default = "" if endpoint.required else " = {}"
        answer = self._of(endpoint.answer)
        return (
            f"(parameters: {{ {'; '.join(members)} }}{default}) => "
            f"this.run({_quoted(endpoint.name)}, parameters) as Promise<{answer}>"
        )
