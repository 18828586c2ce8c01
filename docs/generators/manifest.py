"""The page of manifest keys, from ``apilane/model/manifest/keys.py``; defaults come from the definition's Structs."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from typing import Any

import msgspec

from apilane.model import definition
from apilane.model.manifest import keys
from apilane.model.manifest.shapes import Key
from generators.tables import table

INTRO = """# Manifest keys

A manifest describes one application. It is written in YAML, JSON or TOML with the same keys; letter case counts. A
section that is absent changes nothing. A section that is present makes the application equal to it: items that it does
not list are removed. On a new item an absent key gets the value in the column *default*; on an existing item it keeps
its value. `${NAME}` is the value of an environment variable, `$${` is a literal `${`. Unknown and repeated keys are
errors.

"""

SECTIONS: tuple[tuple[str, str, Mapping[str, Key], type | None], ...] = (
    ("The document", "", keys.MANIFEST, None),
    ("Application", "", keys.APPLICATION, definition.ApplicationDefinition),
    ("Application.IPPolicy", "", keys.IP_POLICY, definition.IPPolicy),
    ("Application.Mail", "", keys.MAIL, definition.Mail),
    ("Entities", "Each item:", keys.ENTITY, definition.Entity),
    ("Entities.Properties", "Each item:", keys.PROPERTY, definition.Property),
    ("Entities.Constraints", "Each item:", keys.CONSTRAINT, definition.ForeignKey),
    ("Entities.DefaultOrder", "Each item:", keys.ORDER, definition.SortKey),
    ("Entities.Indexes", "Each item:", keys.INDEX, definition.Index),
    ("Security", "Each item:", keys.RULE, definition.Rule),
    ("Security.RateLimit", "", keys.RATE_LIMIT, definition.RateLimit),
    ("CustomEndpoints", "Each item:", keys.ENDPOINT, definition.Endpoint),
    ("Reports", "Each item:", keys.REPORT, None),
    ("Reports.Series", "Each item:", keys.SERIES, None),
    ("EmailTemplates", "Each item:", keys.EMAIL_TEMPLATE, definition.EmailTemplate),
)


def page() -> str:
    """One table per section."""
    parts = []
    for title, lead, section, struct in SECTIONS:
        known = defaults(struct) if struct else {}
        rows = [
            (f"`{name}`", key.check.kind, "required" if key.required else known.get(name, ""), key.about)
            for name, key in section.items()
        ]
        heading = title if title == "The document" else f"`{title}`"
        parts.append(
            f"## {heading}\n\n{lead}{chr(10) * 2 if lead else ''}{table(('key', 'value', 'default', ''), rows)}"
        )
    return INTRO + "\n".join(parts)


def defaults(struct: type) -> dict[str, str]:
    """Default values of a definition's fields by wire name, without fields that are required or computed."""
    found = {}
    for field in msgspec.structs.fields(struct):
        if field.default is not msgspec.NODEFAULT:
            found[field.encode_name] = f"`{shown(field.default)}`"
        elif field.default_factory is not msgspec.NODEFAULT:
            found[field.encode_name] = f"`{shown(field.default_factory())}`"
    return found


def shown(value: Any) -> str:
    """A value as a manifest writes it."""
    if isinstance(value, enum.Enum):
        return value.name
    return value if isinstance(value, str) and value else json.dumps(value)
