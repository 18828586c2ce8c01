"""Code and docs avoid the words of ``words.toml``, except in the files that are not rewritten yet."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

LIST = "tests/repo/words.toml"
CHECKED_NAMES = ("*.py", "*.md", "Makefile", "pyproject.toml")
LEFT_OUT = "tests/repo/test_words.py"
"""This file contains such words, to test the search."""


class Rule(NamedTuple):
    """Words that are avoided for one reason."""

    words: list[str]
    reason: str
    instead: str


class Words(NamedTuple):
    """The whole list."""

    rules: list[Rule]
    not_yet: list[str]


class Finding(NamedTuple):
    """A word that a file should avoid."""

    place: str
    line: int
    text: str
    rule: Rule

    def __str__(self) -> str:
        return f"{self.place}:{self.line}: {self.text!r}. {self.rule.reason} Write instead: {self.rule.instead}"


@pytest.fixture(scope="module")
def words(repository: Path) -> Words:
    """The list of the file."""
    read = tomllib.loads((repository / LIST).read_text(encoding="utf-8"))
    return Words([Rule(**rule) for rule in read["avoid"]], read["not_yet"])


@pytest.fixture(scope="module")
def findings(repository: Path, words: Words) -> list[Finding]:
    """Every avoided word of the repository, also in the files that are not rewritten yet."""
    return [
        finding
        for path in checked_files(repository)
        for finding in search(path.read_text(encoding="utf-8"), path.relative_to(repository).as_posix(), words.rules)
    ]


def checked_files(repository: Path) -> Iterator[Path]:
    """Code and docs, without generated files."""
    for top in sorted(repository.iterdir()):
        if top.name.startswith(".") or top.name in {"build", "dist"}:
            continue
        files = [top] if top.is_file() else sorted(top.rglob("*"))
        for path in files:
            if any(path.match(name) for name in CHECKED_NAMES) and path != repository / LEFT_OUT:
                yield path


def pattern_of(words: list[str]) -> re.Pattern[str]:
    """A pattern for whole words, across line breaks and comment marks, but not inside addresses."""
    each = [r"[\s#>*]+".join(map(re.escape, word.split())) for word in words]
    return re.compile(rf"(?<![\w@./-])(?:{'|'.join(each)})(?![\w@-])", re.IGNORECASE)


def search(text: str, place: str, rules: list[Rule]) -> Iterator[Finding]:
    """The findings in a text."""
    for rule in rules:
        for found in pattern_of(rule.words).finditer(text):
            yield Finding(place, text.count("\n", 0, found.start()) + 1, found[0], rule)


def is_below(place: str, entry: str) -> bool:
    """Whether a file is the entry itself or is in that folder."""
    return place == entry or place.startswith(f"{entry.rstrip('/')}/")


def test_prose_avoids_the_words(words: Words, findings: list[Finding]) -> None:
    """No file has an avoided word, except those that ``not_yet`` names."""
    wrong = [str(finding) for finding in findings if not any(is_below(finding.place, entry) for entry in words.not_yet)]
    assert not wrong, "\n".join(wrong)


def test_not_yet_only_gets_shorter(words: Words, findings: list[Finding]) -> None:
    """An entry of ``not_yet`` without findings must be removed."""
    done = [entry for entry in words.not_yet if not any(is_below(finding.place, entry) for finding in findings)]
    assert not done, f"These are clean now; remove them from not_yet in {LIST}: {', '.join(done)}"


def test_the_list_can_be_maintained(words: Words) -> None:
    """Every rule has words, a reason and an alternative; no word and no file is listed twice."""
    for rule in words.rules:
        assert rule.words
        assert rule.reason
        assert rule.instead
    listed = [word.lower() for rule in words.rules for word in rule.words]
    assert sorted(listed) == sorted(set(listed))
    assert sorted(words.not_yet) == sorted(set(words.not_yet))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Nobody waits.", ["Nobody"]),
        ("built by the\n    # house", ["the\n    # house"]),
        ("> the\n> house", ["the\n> house"]),
        ("nobody@example.com, test_nobody_waits, nobody-else, /nobody", []),
        ("the houses and a household", []),
    ],
)
def test_search(text: str, found: list[str]) -> None:
    """Whole words are found in any letter case and across line breaks, but not inside names and addresses."""
    rules = [Rule(["nobody", "the house"], "reason", "alternative")]
    assert [finding.text for finding in search(text, "file", rules)] == found
