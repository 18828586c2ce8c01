"""Letters that a server folds in another way than ``apilane.model.text.fold``. Pure; the test compares all code points.

Both servers make ASCII letters of U+0130 and the Kelvin sign. MySQL's LOWER lacks the capitals of newer versions of
Unicode and breaks on two that become longer. MariaDB's LIKE tells capitals of some newer scripts from small letters.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from apilane.plugin.storage import fold

__all__ = ["ALWAYS", "CAPITALS", "folded_bytes", "kept", "script_of", "unique_key"]

_KEPT: Final = {"\u0130": "\U0010fffe", "\u212a": "\U0010ffff"}
"""Letters that stay as they are, and what stands for them while LOWER runs; no text has these code points."""

ALWAYS: Final = {**_KEPT, "\u023a": "\u2c65", "\u023e": "\u2c66"}
"""What is replaced before every LOWER."""


def _capitals(codes: Iterable[int]) -> dict[str, str]:
    return {chr(code): fold(chr(code)) for code in codes if fold(chr(code)) != chr(code)}


CAPITALS: Final = {
    "georgian": _capitals(range(0x1C90, 0x1CC0)),
    "latin": _capitals([0x2C2F, *range(0xA7B8, 0xA7DD), 0xA7F5]),
    "rare": _capitals([*range(0x10400, 0x10428), *range(0x104B0, 0x104D4)])
    | _capitals([*range(0x10570, 0x10596), *range(0x16E40, 0x16E60)]),
}
"""Capitals that a server does not fold or does not find by an index, with their small letters, by script."""

_SCRIPTS: Final = {small: script for script, letters in CAPITALS.items() for small in letters.values()}


def kept(folded: str) -> str:
    """A folded value with the same stand-ins as the column."""
    return (
        folded if folded.isascii() else folded.translate({ord(letter): stand_in for letter, stand_in in _KEPT.items()})
    )


def script_of(folded: str) -> str | None:
    """The script of ``CAPITALS`` with letters of a folded value; ``all`` for several, None for the common letters."""
    scripts = {_SCRIPTS[letter] for letter in folded if letter in _SCRIPTS}
    return None if not scripts else scripts.pop() if len(scripts) == 1 else "all"


def folded_bytes(column: str, variant: str) -> str:
    """SQL of the folded text of ``column`` (SQL too) as bytes. ``variant``: as in ``Dialect.text_operand``; ``all``
    folds every letter.
    """
    if variant == "ascii":
        # As Latin letters of one byte each: only ASCII letters change. Unicode's LOWER makes an ASCII k of K (Kelvin).
        return f"CAST(LOWER(CONVERT(CAST({column} AS BINARY) USING latin1)) AS BINARY)"
    scripts = CAPITALS if variant == "all" else {variant} & CAPITALS.keys()
    for letter, stand_in in {**ALWAYS, **{k: v for script in scripts for k, v in CAPITALS[script].items()}}.items():
        column = f"REPLACE({column}, '{letter}', '{stand_in}')"
    # MariaDB's LOWER follows the collation. The bytewise collation lacks 700 letters.
    lower = f"LOWER({column} /*M!101001 COLLATE utf8mb4_uca1400_as_ci */)"
    if variant != "folded":
        lower = f"REPLACE({lower}, 'ς', 'σ')"
    return f"CAST({lower} AS BINARY)"


def unique_key(column: str) -> str:
    """SQL of what a unique constraint compares: the folded bytes; a text in ASCII is folded in a faster way."""
    is_ascii = f"LENGTH({column}) = CHAR_LENGTH({column})"
    return f"IF({is_ascii}, {folded_bytes(column, 'ascii')}, {folded_bytes(column, 'all')})"
