"""The section ``Plugins``: the settings of plugins for one application, read by the Struct of each plugin."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple, get_type_hints

import msgspec
from msgspec import Struct
from msgspec.inspect import AnyType, DictType, StrType, StructType, Type, type_info

from apilane.model.definition import ApplicationDefinition
from apilane.model.manifest.capabilities import Capabilities
from apilane.model.manifest.environment import report_missing
from apilane.model.manifest.nodes import UNUSABLE, Node
from apilane.model.manifest.problems import Problems, nearest
from apilane.model.manifest.read import plain_scalar
from apilane.model.sections import (
    MARK,
    fields_of,
    holds_secret,
    is_list,
    is_secret,
    marks_in,
    plain_type,
    read_section,
    section_key,
    without_value,
)

__all__ = ["PluginSections", "resolve_plugins"]

_ANYTHING = AnyType()


class PluginSections(NamedTuple):
    """``secrets``: the secrets that change; None removes one. ``literals``: secrets that the manifest contains as plain
    text.
    """

    sections: dict[str, Any]
    enforced: tuple[str, ...]
    secrets: dict[str, str | None]
    literals: tuple[str, ...]


def resolve_plugins(
    section: Node | None,
    after: ApplicationDefinition,
    *,
    capabilities: Capabilities,
    stored: Mapping[str, str],
    problems: Problems,
) -> PluginSections:
    """The sections by plugin. ``stored``: the secrets that the application has.

    A section that does not change is accepted without its plugin.
    """
    reader = _Reader(stored, problems)
    sections = after.plugins
    if section is not None:
        sections = {}
        for name, node in section.value.items():
            struct = capabilities.plugin_sections.get(name)
            existing = after.plugins.get(name) or {}
            if struct is None:
                sections[name] = reader.unchanged(name, node, after.plugins.get(name), capabilities)
            else:
                sections[name] = reader.section(name, node, struct, existing)
    kept = set(marks_in(sections))
    gone = {key: None for key in stored if key.startswith(section_key("")) and key not in kept}
    parts = {name: section_key(name) for name in sections}
    enforced = (
        part
        for name, part in parts.items()
        if part in (capabilities.enforces if name in capabilities.plugin_sections else after.enforced)
    )
    return PluginSections(sections, tuple(sorted(enforced)), {**reader.changed, **gone}, tuple(reader.literals))


class _Reader:
    """Reads values by their types and replaces secrets by marks."""

    def __init__(self, stored: Mapping[str, str], problems: Problems) -> None:
        self.changed: dict[str, str | None] = {}
        self.literals: list[str] = []
        self._stored = stored
        self._problems = problems
        self._seen: set[str] = set()
        self._is_loaded = True

    def section(self, name: str, node: Node, struct: type[Struct], existing: Mapping[str, Any]) -> dict[str, Any]:
        """The section of a loaded plugin; absent keys keep the application's values."""
        known, hints = fields_of(struct), get_type_hints(struct, include_extras=True)
        made = {key: value for key, value in existing.items() if key in known}
        hides = holds_secret(type_info(struct))
        before = len(self._problems.found)
        for key, child in node.value.items():
            if key not in known:
                self._unknown(child, key, known)
                continue
            found = len(self._problems.found)
            made[key] = self._value(child, known[key].type, f"{section_key(name)}.{key}")
            if len(self._problems.found) == found:
                self._convert(child, made[key], hints[known[key].name], name, hides)
        if len(self._problems.found) == before:
            self._convert(node, made, struct, name, hides)
        return made

    def unchanged(self, name: str, node: Node, existing: Any, capabilities: Capabilities) -> dict[str, Any]:
        """The section of a plugin that is not loaded; it must equal the application's section."""
        self._is_loaded = False
        made = {**(existing or {}), **self._value(node, _ANYTHING, section_key(name))}
        self._is_loaded = True
        if made != existing or any(key in self._changed_of(name) for key in marks_in(made)):
            meant = nearest(name, capabilities.plugin_sections)
            self._problems.add(
                node.line,
                node.path,
                f"the plugin {name[:100]} is not loaded or has no section in manifests",
                f"did you mean {meant}?" if meant else f"install and enable {name[:100]}, or remove the section",
            )
        return made

    def _changed_of(self, name: str) -> set[str]:
        return {key for key in self.changed if key.startswith(f"{section_key(name)}.")}

    def _unknown(self, node: Node, key: str, known: Mapping[str, object]) -> None:
        meant = nearest(key, known)
        hint = f"did you mean {meant}?" if meant else f"known keys: {', '.join(known)}"
        self._problems.add(node.line, node.path, f"unknown key {key[:100]}", hint)

    def _convert(self, node: Node, value: Any, kind: Any, plugin: str, hides: bool) -> None:
        """Report a value that does not fit ``kind``. ``hides``: the value may be a secret in the wrong place."""
        try:
            read_section(value, kind, {**self._stored, **self.changed})  # type: ignore[dict-item]
        except msgspec.ValidationError as error:
            message, _, path = (without_value(error) if hides else str(error)).partition(" - at `$")
            place = _below(node, path.rstrip("`"))
            self._problems.add(place.line, place.path, message, f"see the settings of the plugin {plugin}")

    def _value(self, node: Node, info: Type, path: str) -> Any:
        kind = plain_type(info)
        if node.value is None:
            return None
        if is_secret(kind) or (not self._is_loaded and path in self._stored):
            return self._secret(node, path)
        if node.value is UNUSABLE:
            if node.reference is not None:
                report_missing(node, self._problems)
            return None
        if isinstance(node.value, dict):
            return self._mapping(node, kind, path)
        if isinstance(node.value, list):
            return self._items(node, kind.item_type if is_list(kind) else _ANYTHING, path)  # type: ignore[attr-defined]
        if node.reference is not None and not isinstance(kind, StrType | AnyType):
            return plain_scalar(node.value)  # like an unquoted scalar
        return node.value

    def _mapping(self, node: Node, kind: Type, path: str) -> dict[str, Any]:
        if MARK in node.value:
            self._problems.add(node.line, node.path, f"{MARK} cannot be a key", "write a secret as ${NAME}")
        fields = fields_of(kind) if isinstance(kind, StructType) else None
        made = {}
        for key, child in node.value.items():
            info: Type = kind.value_type if isinstance(kind, DictType) else _ANYTHING
            if fields is not None and key in fields:
                info = fields[key].type
            elif fields is not None and key != kind.tag_field:  # type: ignore[attr-defined]
                self._unknown(child, key, fields)
            made[key] = self._value(child, info, f"{path}.{key}")
        return made

    def _items(self, node: Node, info: Type, path: str) -> list[Any]:
        made = []
        for position, child in enumerate(node.items()):
            label = _name_of(child)
            if label is None and holds_secret(info):
                self._problems.add(
                    child.line, child.path, "an item with a secret needs a Name", "give each item a different Name"
                )
            made.append(self._value(child, info, f"{path}[{position if label is None else label}]"))
        return made

    def _secret(self, node: Node, path: str) -> dict[str, str]:
        if path in self._seen:
            self._problems.add(node.line, node.path, "two items have the same Name", "give each item a different Name")
        self._seen.add(path)
        if node.value is UNUSABLE:
            if node.reference is not None and path not in self._stored:
                report_missing(node, self._problems)
        elif not isinstance(node.value, str) or not node.value:
            self._problems.add(node.line, node.path, "a secret is text that is not empty", "write ${NAME}")
        else:
            if node.value != self._stored.get(path):
                self.changed[path] = node.value
            if node.reference is None:
                self.literals.append(path)
        return {MARK: path}


def _name_of(item: Node) -> str | None:
    """The Name of an item; None when it has no Name that is text."""
    found = (item.read(key) for key in ("Name", "name")) if isinstance(item.value, dict) else ()
    return next((name for name in found if isinstance(name, str) and name), None)


def _below(node: Node, path: str) -> Node:
    """The node at a path such as ``.Servers[0].Port``; if it is missing, its nearest existing parent."""
    for step in re.findall(r"\.([^.\[\]]+)|\[(\d+)\]", path):
        key, index = step
        if key and isinstance(node.value, dict) and key in node.value:
            node = node.value[key]
        elif index and isinstance(node.value, list) and int(index) < len(node.value):
            node = node.value[int(index)]
        else:
            break
    return node
