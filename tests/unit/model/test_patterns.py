"""Validation patterns: their matches, and their time limit."""

from __future__ import annotations

import time

import pytest

from apilane.model.patterns import TIMEOUT_S, compile_pattern


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        (r"^[A-Z]{3}$", "DLP", True),
        (r"^[A-Z]{3}$", "abc", False),
        (r"[A-Z]{3}", "..ABC..", True),
        (r"[^@]+@[^\.]+\..+", "ann@example.com", True),
        (r"[^@]+@[^\.]+\..+", "ann@example", False),
        (r"^[a-z\,]{2,}$", "admin,editor", True),
        (r"^\w+$", "Φως", True),
        (r"^\w+$", "abc_1", True),
        (r"^\w+$", "a b", False),
        (r"^\d+$", "٣", True),
        (r"\bπ\b", "a π b", True),
        (r"^.{1,3}$", "Φως", True),
        (r"^\p{Lu}", "Éa", True),
        (r"(?i)^desk$", "DESK", True),
        (r"^(?=.*\d)(?=.*[a-z]).{8,}$", "passw0rd", True),
        (r"^(?=.*\d)(?=.*[a-z]).{8,}$", "password", False),
        (r"^(\w)\1$", "aa", True),
        (r"^(?<year>\d{4})$", "2026", True),
        (r"^a{2000}$", "a" * 2000, True),
        (r"\Aabc\Z", "abc", True),
        (r"", "", True),
        (r"^$", "", True),
        (r"(", "(", False),
        (r"[", "[", False),
        (r"*", "*", False),
        (r"(?'n'a)", "a", False),
    ],
)
def test_patterns_search_like_on_the_wire(pattern: str, text: str, matches: bool) -> None:
    """A pattern matches anywhere unless anchored, letters are Unicode's, an invalid pattern fails every value."""
    assert compile_pattern(pattern)(text) is matches


@pytest.mark.better("B-D6")
@pytest.mark.parametrize(
    "pattern", [r"(a+)+$", r"^(a|aa)+$", r"(a+)+\1x$", r"^(\w+\s?)*$", r"^(?=(a+)+$)x", r"(.*)*\1y"]
)
@pytest.mark.parametrize("text", ["a" * 5000 + "!", "a" * 5000 + "é!"])
def test_no_pattern_hangs(pattern: str, text: str) -> None:
    """Patterns that explode in other engines give a result or an error within the time limit."""
    matches = compile_pattern(pattern)
    start = time.perf_counter()
    assert matches(text) is False
    assert time.perf_counter() - start < TIMEOUT_S * 5
