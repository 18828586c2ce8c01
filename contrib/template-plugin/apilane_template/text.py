"""Endpoints of kind ``text``: a text with marks such as ``{Name}``, which the caller's parameters replace."""

from __future__ import annotations

import re
from collections.abc import Mapping

from apilane.plugin import (
    Actor,
    ApilaneError,
    ApplicationDefinition,
    ApplicationView,
    Code,
    Dialect,
    Endpoint,
    ResultSets,
)

__all__ = ["TextAction", "TextKind"]

MARK = re.compile(r"\{([A-Za-z_]+)\}")


class TextKind:
    """Checks such endpoints when a manifest is applied, and prepares them to run."""

    name = "text"
    """The value of ``Kind`` in a manifest."""

    def check(self, endpoint: Endpoint, definition: ApplicationDefinition, dialect: Dialect) -> list[str]:
        """The errors of an endpoint, one sentence each. ``apilane apply`` prints them and refuses the manifest."""
        rest = MARK.sub("", endpoint.query)
        return [f"there is a '{brace}' that belongs to no mark" for brace in "{}" if brace in rest]

    def compile(self, endpoint: Endpoint, application: ApplicationView) -> TextAction:
        """Called once for each version of an application. ``application`` has its definition and its database."""
        return TextAction(endpoint)


class TextAction:
    """One endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._text = endpoint.query
        self._marks = set(MARK.findall(endpoint.query))

    async def run(self, parameters: Mapping[str, str], actor: Actor, *, keep: bool = True) -> ResultSets:
        """Return one result with one row. The core has checked the caller's access already."""
        missing = sorted(self._marks - set(parameters))
        if missing:
            raise ApilaneError(Code.REQUIRED, property=missing[0])
        return [[{"Text": MARK.sub(lambda mark: parameters[mark[1]], self._text)}]]
