"""How text is compared, trimmed and measured, the same on every provider.

Letter case folds one letter at a time and accents are compared (B-Q3): ``É`` equals ``é`` and differs from ``e``. No
letter outside ASCII folds to an ASCII letter, so a database can compare an ASCII value by ASCII rules and use an index.
"""

from __future__ import annotations

__all__ = ["WHITE_SPACE", "fold", "trim", "utf16_length"]

WHITE_SPACE = "".join(chr(code) for code in range(0x3001) if chr(code).isspace() and code not in range(0x1C, 0x20))
"""White space on the wire: the white space of Unicode, which is that of Python without U+001C to U+001F."""


def _fold_table() -> dict[int, int]:
    """The letters whose lower case is a single letter; letters outside ASCII never fold into ASCII. No letter above
    U+1EFFF has case.

    Runs at every start-up. It is faster to process only the few blocks that have letters with case.
    """
    table: dict[int, int] = {}
    for start in range(0, 0x1F000, 0x100):
        letters = "".join(map(chr, range(start, start + 0x100))).replace("İ", "i")  # its lower case is two letters
        lowered = letters.lower()
        if lowered != letters:
            pairs = zip(letters, lowered, strict=True)
            table |= {ord(one): ord(low) for one, low in pairs if one != low and (one.isascii() or not low.isascii())}
    table[ord("ς")] = ord("σ")  # final sigma is the same letter
    return table


_FOLD = _fold_table()


def fold(text: str) -> str:
    """``text`` with letter case folded; its length does not change."""
    return text.lower() if text.isascii() else text.translate(_FOLD)


def utf16_length(text: str) -> int:
    """Length in UTF-16 units, the unit of lengths on the wire."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def trim(text: str) -> str:
    """``text`` without white space at its ends."""
    return text.strip(WHITE_SPACE)
