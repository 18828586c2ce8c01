"""The letters that ``lower`` of the collation "C" leaves as they are: all outside ASCII. Pure."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from hashlib import blake2s

from apilane.plugin.storage import fold

__all__ = ["fold_function", "letters_of", "make_fold_function", "unique_key"]

_CASED_BELOW = 0x1F000
"""Code points from here on have no letter case (see ``fold``)."""


@cache
def _variants() -> dict[str, str]:
    """The letters outside ASCII that fold to another letter, by that letter."""
    found: defaultdict[str, str] = defaultdict(str)
    for code in range(0x80, _CASED_BELOW):
        letter = chr(code)
        if not 0xD800 <= code < 0xE000 and (folded := fold(letter)) != letter:
            found[folded] += letter
    return dict(found)


def letters_of(folded: str) -> tuple[str, str]:
    """The arguments of ``translate``: the letters that fold to a letter of ``folded``, and their replacements."""
    sources, targets = "", ""
    for letter in dict.fromkeys(folded):
        if not letter.isascii() and (others := _variants().get(letter)):
            sources += others
            targets += letter * len(others)
    return sources, targets


def unique_key(column: str) -> str:
    """SQL of the folded text of ``column`` (SQL too), with the letters of all scripts."""
    sources, targets = letters_of("".join(_variants()))
    return f"translate(lower({column}), '{sources}', '{targets}')"


@cache
def fold_function() -> str:
    """Name of the function of ``unique_key``, for indexes: their catalog has no room for the letters. A newer table of
    letters has another name, so that an index never changes its meaning.
    """
    return f"apilane_fold_{blake2s(unique_key('$1').encode(), digest_size=4).hexdigest()}"


def make_fold_function() -> str:
    """The statement that creates the function, if it does not exist."""
    return (
        f"CREATE OR REPLACE FUNCTION {fold_function()}(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE "
        f"AS $fold$SELECT {unique_key('$1')}$fold$"
    )
