"""The mistakes of manifests, collected so that all are reported together."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

from msgspec import Struct

__all__ = ["ManifestError", "ManifestErrors", "Problems", "nearest"]

ERRORS_MAX: Final = 1000
SIMILARITY: Final = 0.7
"""The least similarity of a suggestion. A wrong suggestion is worse than none: ``Items`` and ``Files`` have 0.6."""


class ManifestError(Struct, frozen=True, kw_only=True):
    """One mistake: its place, a message, and a hint on how to correct it."""

    file: str
    line: int | None
    """1-based; None where the format gives no line (TOML)."""
    key: str
    """Path of the key, such as ``Entities[Products].Properties[Price].Maximum``; empty for the whole document."""
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        where = f"{place}: {self.key}" if self.key else place
        return f"{where}: {self.message}" + (f"; {self.hint}" if self.hint else "")


class ManifestErrors(Exception):
    """All mistakes that were found. ``str()`` gives one line for each."""

    def __init__(self, errors: Iterable[ManifestError]) -> None:
        self.errors = tuple(sorted(errors, key=lambda error: (error.file, error.line or 0)))
        super().__init__("\n".join(map(str, self.errors)))


class Problems:
    """Collects the mistakes of one file; after 1000 it raises them as ManifestErrors."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.found: list[ManifestError] = []
        self.new_names: dict[str, list[str]] = {}
        """The new names of entities and properties, by old name in lower case (``RenamedFrom`` of the manifest)."""

    def add(self, line: int | None, key: str, message: str, hint: str = "") -> None:
        self.found.append(ManifestError(file=self.file, line=line, key=key[:300], message=message[:1000], hint=hint))
        if len(self.found) >= ERRORS_MAX:
            self.raise_if_any()

    def raise_if_any(self) -> None:
        """Raises ManifestErrors."""
        if self.found:
            raise ManifestErrors(self.found)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that resembles ``name`` most, ignoring letter case; None when none is probably meant."""
    by_fold = {each.lower(): each for each in known}
    matches = get_close_matches(name[:200].lower(), by_fold, n=1, cutoff=SIMILARITY)
    return by_fold[matches[0]] if matches else None
