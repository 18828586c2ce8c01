"""Schemas of Python types, and the collection of named schemas of a document."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

__all__ = ["Schemas", "safe_name"]

_unsafe = re.compile(r"[^A-Za-z0-9_-]")


def safe_name(text: str) -> str:
    """A text as a part of a component's name or of an operation's ID."""
    return _unsafe.sub("_", text) or "_"


class Schemas:
    """The named schemas of a document."""

    def __init__(self) -> None:
        self.components: dict[str, Any] = {}

    def of(self, type: Any, owner: str) -> dict[str, Any]:
        """The schema of a Python type, or a JSON schema as it is. ``owner`` begins the names of nested types.

        A type that cannot be described has the schema of any value.
        """
        if isinstance(type, Mapping):
            return dict(type)
        template = f"#/components/schemas/{owner}.{{name}}"
        try:
            (schema,), found = msgspec.json.schema_components([type], ref_template=template)
        except (TypeError, ValueError, NameError, RecursionError):
            return {}
        for name, each in found.items():
            self.components[f"{owner}.{name}"] = each
        return schema
