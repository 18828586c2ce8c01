"""Helpers of the manifest tests: capabilities, and functions that turn manifests into plans."""

from __future__ import annotations

from msgspec import Struct

from apilane.model.definition import ApplicationDefinition
from apilane.model.plan import Capabilities, ManifestError, ManifestErrors, Plan, plan, read_manifests
from tests import manifests

HEAD = "Apilane: 1\nApplication: {Name: Shop}\n"
"""Two lines, so that the text after it begins in line 3."""

SHOP = manifests.SHOP.read_text(encoding="utf-8")


class SomeSection(Struct, forbid_unknown_fields=True, rename="pascal"):
    any: str = ""


EVERYTHING = Capabilities(
    providers=frozenset({"SQLite", "MySQL"}),
    embedded=frozenset({"SQLite"}),
    enforces=frozenset({"IPPolicy", "RateLimit"}),
    plugin_sections={"some-plugin": SomeSection},
)
NOTHING_ENFORCED = Capabilities(providers=frozenset({"SQLite"}), embedded=frozenset({"SQLite"}))


def planned(
    text: str | bytes,
    before: ApplicationDefinition | None = None,
    *,
    filename: str = "a.yaml",
    capabilities: Capabilities = EVERYTHING,
    environ: dict[str, str] | None = None,
    secrets: dict[str, str] | None = None,
) -> Plan:
    """The plan of the single manifest in ``text``."""
    [manifest] = read_manifests(text, filename=filename, environ=environ or {})
    return plan(manifest, before, capabilities=capabilities, secrets=secrets)


def errors_of(text: str | bytes, before: ApplicationDefinition | None = None, **more: object) -> list[ManifestError]:
    """The mistakes of a manifest; empty when it is accepted."""
    try:
        planned(text, before, **more)  # type: ignore[arg-type]
    except ManifestErrors as errors:
        return list(errors.errors)
    return []
