"""Filters have the same results on every provider (docs/reference/protocol/query-language.md section 1.3, B-Q3,
B-Q4)."""

from __future__ import annotations

import pytest

from apilane.model.filter import Group, Leaf, Logic, Operator
from apilane.model.text import fold
from apilane.testing.conformance.case import Database
from apilane.testing.conformance.tables import THINGS

__all__ = ["Filters"]

NOTES = ("Cup", "cups", "tea CUP", "100%", "1000", "a_b", "aXb", "Émile", "émilE", "Emile", "Straße", "[x]", "", None)

TEXT_CASES = [
    ("equal", "cup", ["Cup"]),
    ("equal", "ÉMILE", ["Émile", "émilE"]),
    ("equal", "emile", ["Emile"]),
    ("equal", "", [""]),
    ("equal", "a_b", ["a_b"]),
    ("equal", "strasse", []),
    ("notequal", "cup", [n for n in NOTES if n not in {"Cup", None}]),
    ("notequal", "émile", [n for n in NOTES if n not in {"Émile", "émilE", None}]),
    ("startswith", "CUP", ["Cup", "cups"]),
    ("startswith", "é", ["Émile", "émilE"]),
    ("startswith", "@", []),
    ("startswith", "z", []),
    ("startswith", "[", ["[x]"]),
    ("startswith", "", [n for n in NOTES if n is not None]),
    ("endswith", "cup", ["Cup", "tea CUP"]),
    ("endswith", "MILE", ["Émile", "émilE", "Emile"]),
    ("endswith", "ÉMILE", ["Émile", "émilE"]),
    ("endswith", "much longer than any of them", []),
    ("endswith", "", [n for n in NOTES if n is not None]),
    ("contains", "%", ["100%"]),
    ("contains", "_", ["a_b"]),
    ("contains", "UP", ["Cup", "cups", "tea CUP"]),
    ("contains", "AßE", ["Straße"]),
    ("contains", "", [n for n in NOTES if n is not None]),
    ("notcontains", "u", [n for n in NOTES if n is not None and "u" not in n.lower()]),
    ("notcontains", "É", [n for n in NOTES if n not in {"Émile", "émilE", None}]),
    ("notcontains", "", []),
    ("equal", None, [None]),
    ("notequal", None, [n for n in NOTES if n is not None]),
    ("contains", ("CUP", "émile"), ["Cup", "Émile", "émilE"]),
    ("notcontains", ("CUP", "émile", "a_b"), [n for n in NOTES if n not in {"Cup", "Émile", "émilE", "a_b", None}]),
]


class Filters:
    """The tests that the module docstring describes."""

    @pytest.mark.parametrize(("operator", "value", "expected"), TEXT_CASES)
    def test_filter_text(self, db: Database, operator: str, value: object, expected: list[str | None]) -> None:
        """Letter case is ignored, accents are compared, wildcards are plain characters, and nulls match only a test for
        null."""
        db.write(*(db.inserting(Note=note) for note in NOTES))
        notes = dict(db.rows("ID", "Note"))
        assert [notes[id] for id in db.found("Note", operator, value)] == expected

    @pytest.mark.parametrize(
        "text", ["İzmir é", "izmir é", "\u212aelvin é", "kelvin é", "Ⱥlpha", "ᲓᲐ", "Ꟶ", "𐐀𐐁", "𐕰", "ΣΑΣ", "ÀÉ"]
    )
    def test_filter_letters_of_any_script(self, db: Database, text: str) -> None:
        """Every operator folds a letter as ``fold`` does, and in no other way: ``İ`` is not ``i``."""
        others = [
            "İzmir é",
            "izmir é",
            "IZMIR É",
            "\u212aelvin é",
            "kelvin é",
            "Ⱥlpha",
            "და",
            "Ꟶ",
            "𐐀𐐁",
            "𐐨𐐩",
            "𐕰",
            "σας",
        ]
        notes = list(dict.fromkeys([*others, text, fold(text)]))
        ids = {db.insert(Note=note, Name=note): fold(note) for note in notes}
        wanted = fold(text)
        for property in ("Note", "Name"):
            assert db.found(property, "equal", text) == [id for id, note in ids.items() if note == wanted]
            assert db.found(property, "notequal", text) == [id for id, note in ids.items() if note != wanted]
            for operator in ("startswith", "endswith", "contains"):
                assert db.found(property, operator, text) == [id for id, note in ids.items() if note == wanted]
            assert db.found(property, "startswith", text[0]) == [
                id for id, note in ids.items() if note.startswith(wanted[0])
            ]

    def test_every_code_point_folds_as_the_product_does(self, db: Database) -> None:
        """A database folds each code point as ``fold`` does, whatever its own rule: texts of 512 letters equal their
        folded forms."""
        codes = [code for code in range(1, 0x20000) if not 0xD800 <= code < 0xE000]
        lines = ["".join(map(chr, codes[start : start + 512])) for start in range(0, len(codes), 512)]
        db.write(*(db.inserting(Note=line) for line in lines))
        ids = {note: id for id, note in db.rows("ID", "Note")}
        assert [line for line in lines if db.found("Note", "equal", fold(line)) != [ids[line]]] == []

    @pytest.mark.parametrize(
        ("operator", "value", "expected"),
        [
            ("equal", 2, [2]),
            ("notequal", 2, [-1, 7]),
            ("greater", 2, [7]),
            ("greaterorequal", 2, [2, 7]),
            ("less", 2, [-1]),
            ("lessorequal", 2, [2, -1]),
            ("contains", (7, -1, 5), [-1, 7]),
            ("notcontains", (7, 5), [2, -1]),
            ("contains", (), []),
            ("notcontains", (), [2, -1, None, 7]),
            ("equal", None, [None]),
            ("notequal", None, [2, -1, 7]),
        ],
    )
    def test_filter_numbers(self, db: Database, operator: str, value: object, expected: list[int | None]) -> None:
        """Numbers are compared by value, a list matches any of its items, and nulls match only a test for null."""
        db.write(*(db.inserting(Count=count) for count in (2, -1, None, 7)))
        counts = dict(db.rows("ID", "Count"))
        assert [counts[id] for id in db.found("Count", operator, value)] == expected

    def test_filter_booleans(self, db: Database) -> None:
        """A stored null counts as false."""
        yes, no, null = (db.insert(Active=value) for value in (True, False, None))
        assert db.found("Active", "equal", True) == db.found("Active", "notequal", False) == [yes]
        assert db.found("Active", "equal", False) == db.found("Active", "notequal", True) == [no, null]

    def test_filter_groups(self, db: Database) -> None:
        """Nested groups of AND and OR keep their brackets."""
        ids = {(a, b): db.insert(Count=a, Grade=b) for a in (1, 2) for b in (1, 2)}
        count, grade = THINGS.property("Count"), THINGS.property("Grade")
        assert count is not None
        assert grade is not None
        either = Group(Logic.OR, (Leaf(count, Operator.EQUAL, 1), Leaf(grade, Operator.EQUAL, 1)))
        both = Group(Logic.AND, (either, Leaf(grade, Operator.EQUAL, 2)))
        assert db.matching(either) == [ids[1, 1], ids[1, 2], ids[2, 1]]
        assert db.matching(both) == [ids[1, 2]]
