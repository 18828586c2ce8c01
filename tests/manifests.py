"""The sample manifests in ``tests/data``."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"
SHOP = DATA / "shop.json"
"""Users, categories, products and notes, with rules and one rate limit."""
LAB = DATA / "lab.json"
"""Properties of every kind, open to every caller."""


def read_manifest(file: Path) -> dict[str, Any]:
    """A new copy of a manifest."""
    manifest: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return manifest


def unlimited_shop() -> dict[str, Any]:
    """The shop without its rate limit, which would count calls of other tests on the same server."""
    manifest = read_manifest(SHOP)
    for rule in manifest["Security"]:
        rule.pop("RateLimit", None)
    return manifest


def with_new_token(manifest: dict[str, Any], **application: Any) -> dict[str, Any]:
    """The manifest for a new application; ``application`` replaces keys of its section ``Application``."""
    return {**manifest, "Application": {**manifest["Application"], "Token": str(uuid.uuid4()), **application}}
