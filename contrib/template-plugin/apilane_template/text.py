"""Endpoints of kind ``text``: a text with marks such as ``{Name}``, filled with what the caller sends."""

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
    """Checks such endpoints when a manifest is applied, and makes them ready to run."""

    name = "text"
    """What a manifest writes as ``Kind``."""

    def check(self, endpoint: Endpoint, definition: ApplicationDefinition, dialect: Dialect) -> list[str]:
        """What is wrong, one sentence each; ``apilane apply`` refuses the manifest and prints them."""
        rest = MARK.sub("", endpoint.query)
        return [f"there is a '{brace}' that belongs to no mark" for brace in "{}" if brace in rest]

    def compile(self, endpoint: Endpoint, application: ApplicationView) -> TextAction:
        """Runs once for each version of an application; ``application`` has its definition and its database."""
        return TextAction(endpoint)


class TextAction:
    """One endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._text = endpoint.query
        self._marks = set(MARK.findall(endpoint.query))

    async def run(self, parameters: Mapping[str, str], actor: Actor, *, keep: bool = True) -> ResultSets:
        """One result of one row. The core has checked already that the caller may call."""
        missing = sorted(self._marks - set(parameters))
        if missing:
            raise ApilaneError(Code.REQUIRED, property=missing[0])
        return [[{"Text": MARK.sub(lambda mark: parameters[mark[1]], self._text)}]]
