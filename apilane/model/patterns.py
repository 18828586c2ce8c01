"""Validation patterns of application developers, run on callers' text in bounded time (B-D6).

A pattern may match anywhere in the text. RE2 runs in linear time and handles most patterns. Two cases go to ``regex``
with a time limit: patterns that RE2 does not support (look-around, back references), and ``\\w \\d \\s \\b`` on text
with letters outside ASCII, which need their Unicode meaning. Known differences from .NET: a letter outside the basic
plane is one character, ``[a-z-[aeiou]]`` does not subtract, and ``(?'name'...)`` is an invalid pattern.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import re2
import regex

__all__ = ["TIMEOUT_S", "compile_pattern"]

TIMEOUT_S = 0.1

_has_unicode_class = re.compile(r"\\[wWdDsSbB]").search
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False  # the caller of this module handles invalid patterns; RE2 must not print them to stderr


def compile_pattern(text: str) -> Callable[[str], bool]:
    """A function that tells whether the pattern occurs in a text. Invalid patterns and time-outs never match."""
    try:
        linear = re2.compile(text, _OPTIONS).search
    except (re2.error, UnicodeError):
        return _timed(text)
    if _has_unicode_class(text) is None:
        return lambda value: linear(value) is not None
    unicode = _timed(text)
    return lambda value: linear(value) is not None if value.isascii() else unicode(value)


def _timed(text: str) -> Callable[[str], bool]:
    try:
        search = regex.compile(text).search
    except (regex.error, ValueError, OverflowError, RecursionError):
        return lambda value: False

    def matches(value: str) -> bool:
        try:
            return search(value, timeout=TIMEOUT_S) is not None
        except TimeoutError:
            return False

    return matches
