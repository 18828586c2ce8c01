"""Parts of a definition that a plugin must enforce, so that nothing fails open (docs/reference/protocol/security.md
B-S13).

The table below names the parts that the core defines. A plugin adds a part by registering settings with
``enforced=True``: ``apply`` then writes ``Plugins.<name>`` into ``ApplicationDefinition.enforced``. If no loaded plugin
enforces a part that an application needs, ``apply`` refuses the manifest and the application answers
SERVICE_UNAVAILABLE.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from apilane.model.definition import ApplicationDefinition

__all__ = ["ENFORCED_PARTS", "EnforcedPart", "needs_enforcing"]


class EnforcedPart(NamedTuple):
    """``plugin``: the shipped plugin that enforces the part; messages name it as advice."""

    name: str
    plugin: str
    is_asked: Callable[[ApplicationDefinition], bool]


ENFORCED_PARTS: Final = (
    EnforcedPart("IPPolicy", "ip_policy", lambda it: it.ip_policy is not None and bool(it.ip_policy.addresses)),
    EnforcedPart("RateLimit", "rate_limit", lambda it: any(rule.rate_limit is not None for rule in it.rules)),
)


def needs_enforcing(definition: ApplicationDefinition) -> frozenset[str]:
    """The names of the parts that plugins must enforce for this definition."""
    return frozenset(part.name for part in ENFORCED_PARTS if part.is_asked(definition)) | frozenset(definition.enforced)
