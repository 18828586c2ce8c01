"""Writes Python: a ``TypedDict`` for each record, and a class that sends through ``apilane.client``."""

from __future__ import annotations

import keyword
from collections.abc import Iterator, Mapping
from typing import Any, Final

from apilane.cli.typed.model import RECORD, DocumentModel, EndpointModel, EntityModel, comment, identifier, unique_name

__all__ = ["write_python"]

KINDS: Final = {"get": "Reads", "post": "Creates", "put": "Changes"}
SIMPLE: Final = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
RESERVED: Final = frozenset({*keyword.kwlist, "self", "client", "custom", "print"})
HEAD: Final = '''"""Records and calls of an application. Written by ``apilane types``; changes are lost."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from apilane.client import Changes, Client, Creates, Deletes, EndpointCalls, Reads

'''


def write_python(model: DocumentModel) -> str:
    """The text of a module."""
    return "\n".join(_Writer(model).lines()) + "\n"


class _Writer:
    def __init__(self, model: DocumentModel) -> None:
        self._model = model
        self._taken = {"Any", "Literal", "NotRequired", "TypedDict", *KINDS.values(), "Client", "Deletes"}
        self._taken.add("EndpointCalls")
        self._bases = {entity.name: self._base(entity.name) for entity in model.entities}
        self._named = {
            reference: unique_name(identifier(reference.rpartition("/")[2], "Type"), self._taken, RESERVED)
            for reference in model.named
        }

    def _base(self, entity: str) -> str:
        """The beginning of the names of an entity's classes; names of entities may begin with ``_``."""
        base = unique_name(entity, self._taken, ())
        self._taken |= {f"{base}{suffix}" for suffix in (*RECORD.values(), "Calls")}
        return base

    def lines(self) -> Iterator[str]:
        yield HEAD.rstrip()
        yield f"\n# Application: {comment(self._model.title)}"
        for reference, schema in self._model.named.items():
            yield from self._type(self._named[reference], schema, required=frozenset(schema.get("required", ())))
        for entity in self._model.entities:
            yield from self._entity(entity)
        yield from self._endpoints()
        yield from self._client()

    def _entity(self, entity: EntityModel) -> Iterator[str]:
        bases = []
        base = self._bases[entity.name]
        for action, schema in entity.schemas.items():
            name = f"{base}{RECORD[action]}"
            required = frozenset(schema["properties"] if action == "get" else schema.get("required", ()))
            yield from self._type(name, schema, required=required)
            bases.append(f"{KINDS[action]}[{name}]")
        bases += ["Deletes"] if entity.can_delete else []
        yield from ("", "", f"class {base}Calls({', '.join(bases)}):")
        yield f'    """The calls of the entity {entity.name}."""'

    def _type(self, name: str, schema: Mapping[str, Any], *, required: frozenset[str]) -> Iterator[str]:
        """A ``TypedDict``, written as a call: names of properties may be keywords."""
        if "properties" not in schema:
            yield from ("", "", f"{name} = {self._of(schema)}")
            return
        yield from ("", "", f"{name} = TypedDict(", f"    {name!r},", "    {")
        for member, each in schema["properties"].items():
            shown = self._of(each)
            shown = shown if member in required else f"NotRequired[{shown}]"
            note = f"  # {comment(each['description'])}" if each.get("description") else ""
            yield f"        {member!r}: {shown!r},{note}"
        yield from ("    },", ")")

    def _of(self, schema: Mapping[str, Any]) -> str:
        """The type of a schema."""
        if "$ref" in schema:
            return self._named.get(schema["$ref"], "Any")
        if "enum" in schema:
            literal = all(value is None or isinstance(value, str | int) for value in schema["enum"])
            return f"Literal[{', '.join(map(repr, schema['enum']))}]" if literal else "float | None"
        if "anyOf" in schema:
            return " | ".join(dict.fromkeys(map(self._of, schema["anyOf"]))) or "Any"
        kinds = schema.get("type")
        if kinds is None:
            return "Any"
        shown = [self._simple(kind, schema) for kind in ([kinds] if isinstance(kinds, str) else kinds)]
        return " | ".join(dict.fromkeys(shown))

    def _simple(self, kind: str, schema: Mapping[str, Any]) -> str:
        if kind == "array":
            return f"list[{self._of(schema.get('items', {}))}]"
        if kind == "object":
            more = schema.get("additionalProperties")
            return f"dict[str, {self._of(more)}]" if isinstance(more, Mapping) else "dict[str, Any]"
        return SIMPLE[kind]

    def _endpoints(self) -> Iterator[str]:
        yield from ("", "", "class CustomCalls_(EndpointCalls):", '    """The custom endpoints."""')
        taken: set[str] = set()
        for endpoint in self._model.endpoints:
            yield from self._endpoint(endpoint, unique_name(endpoint.name, taken, RESERVED))

    def _endpoint(self, endpoint: EndpointModel, name: str) -> Iterator[str]:
        taken: set[str] = set()
        arguments = {member: unique_name(member, taken, RESERVED) for member in endpoint.parameters}
        declared = [
            f"{arguments[member]}: {self._of(schema)}"
            + ("" if member in endpoint.required else " | None = None" if self._of(schema) != "Any" else " = None")
            for member, schema in endpoint.parameters.items()
        ]
        star = ", *, " if declared else ""
        yield from ("", f"    def {name}(self{star}{', '.join(declared)}) -> {self._of(endpoint.answer)}:")
        yield f"        # {comment(endpoint.about or endpoint.name)}"
        sent = ", ".join(f"{member!r}: {argument}" for member, argument in arguments.items())
        yield f"        return self._run({endpoint.name!r}, {{{sent}}})  # type: ignore[no-any-return,unused-ignore]"

    def _client(self) -> Iterator[str]:
        name = unique_name(f"{identifier(self._model.title, 'Application')}Client", self._taken, RESERVED)
        yield from ("", "", f"class {name}:", '    """Every call that the rules grant, sent through ``client``."""', "")
        yield "    def __init__(self, client: Client) -> None:"
        yield "        self.client = client"
        yield "        self.custom = CustomCalls_(client)"
        taken: set[str] = set()
        for entity in self._model.entities:
            attribute = unique_name(entity.name, taken, RESERVED)
            yield f"        self.{attribute} = {self._bases[entity.name]}Calls(client, {entity.name!r})"
