"""A unique constraint and the filter ``equal`` agree about every pair of texts, on every provider (B-Q3).

Where ``Features.unique_folds_every_letter`` is not set, they agree about texts whose other letters are the same.
"""

from __future__ import annotations

import string
import unicodedata
from typing import Final

import pytest
from msgspec.structs import replace

from apilane.model.text import fold
from apilane.storage.errors import UniqueViolation
from apilane.testing.conformance.case import Database
from apilane.testing.conformance.tables import ENTITIES, THINGS

__all__ = ["UniqueTexts"]

PAIRS: Final = (
    ("Apple", "apple"),
    ("ÉMILE", "émile"),
    ("émile", "emile"),
    ("か", "カ"),
    ("カ", "ｶ"),
    ("か", "が"),
    ("m2", "m²"),
    ("fi", "ﬁ"),
    ("é", "e\u0301"),
    ("Å", "A\u030a"),
    ("Å", "\u212b"),
    ("A", "Ａ"),
    ("Ａ", "ａ"),
    ("1", "１"),
    ("ß", "ss"),
    ("ß", "ẞ"),
    ("SS", "ẞ"),
    ("i", "İ"),
    ("I", "ı"),
    ("i", "ı"),
    ("İ", "i\u0307"),
    ("k", "\u212a"),
    ("K", "\u212a"),
    ("s", "ſ"),
    ("σ", "ς"),
    ("Σ", "ς"),
    ("ΣΑΣ", "σας"),
    ("µ", "μ"),
    ("Ω", "\u2126"),
    ("ω", "\u2126"),
    ("Ⱥ", "ⱥ"),
    ("ა", "Ა"),
    ("Ꟶ", "ꟶ"),
    ("𐐀", "𐐨"),
    ("æ", "ae"),
    ("Ǆ", "ǆ"),
    ("ǅ", "ǆ"),
    ("DŽ", "Ǆ"),
    ("x", "x "),
    ("x", "x  "),
    ("x", " x"),
    ("x", "x\t"),
    ("x ", "X "),
    ("x", "x\u00a0"),
    ("x", "x\u200b"),
    ("x", "x\u00ad"),
    ("", " "),
    ("a-b", "ab"),
    ("a\u2010b", "a-b"),
    ("½", "1⁄2"),
    ("№", "No"),
    ("①", "1"),
    ("ﷺ", "صلى الله عليه وسلم"),
    ("한", "\u1112\u1161\u11ab"),
    ("😀", "😁"),
    ("😀", "😀\ufe0f"),
)


def _key(db: Database, text: str) -> str:
    """What a unique constraint compares."""
    return fold(text) if db.driver.features.unique_folds_every_letter else text.translate(_ASCII)


_ASCII: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def _letters() -> list[str]:
    """Every letter that folds to another one, and those that Unicode calls compatible with another text."""
    codes = [code for code in range(0x80, 0x1F000) if not 0xD800 <= code < 0xE000]
    letters = map(chr, codes)
    return [one for one in letters if fold(one) != one or unicodedata.normalize("NFKC", one.casefold()) != one]


class UniqueTexts:
    """The tests that the module docstring describes."""

    @pytest.mark.parametrize("length", [50, 300])
    def test_unique_agrees_with_equal(self, db: Database, length: int) -> None:
        """Of two texts the second violates a unique constraint exactly if a filter finds the first as equal."""
        properties = (replace(p, maximum=length) if p.name == "Code" else p for p in THINGS.properties)
        things = replace(THINGS, properties=tuple(properties))
        db.migrate((*ENTITIES[:-2], things, ENTITIES[-1]))
        for first, second in PAIRS:
            id = db.insert(things, Name="n", Code=first)
            equal = db.found("Code", "equal", second, things) == [id]
            assert equal == (fold(first) == fold(second)), (first, second)
            if _key(db, first) == _key(db, second):
                with pytest.raises(UniqueViolation) as caught:
                    db.insert(things, Name="n", Code=second)
                assert caught.value.columns == ("Code",)
                db.write(db.deleting(id, things))
            else:
                other = db.insert(things, Name="n", Code=second)
                with pytest.raises(UniqueViolation):
                    db.write(db.updating(other, things, Code=first), single=True)
                db.write(db.deleting(id, things), db.deleting(other, things))

    def test_unique_folds_every_letter(self, db: Database) -> None:
        """Letters that fold to each other violate a unique constraint, and no other letters do. The letters are all
        those with a case or a compatible form; one of each folded form is stored."""
        letters = _letters()
        codes = {_key(db, letter): letter for letter in letters}
        db.write(*(db.inserting(Code=letter) for letter in codes.values()))
        assert len(db.rows("ID")) == len(codes)
        missed = []
        for letter in letters:
            if letter not in codes.values():
                try:
                    db.insert(Code=letter)
                except UniqueViolation:
                    continue
                missed.append(letter)
        assert missed == []

    def test_several_unique_texts_agree_with_equal(self, db: Database) -> None:
        """In a constraint of several properties every text folds, and a null or another value makes it different."""
        db.insert(Kind="Élan", Grade=1)
        for kind, grade in (("elan", 1), ("ÉLAN", 2), ("élan", None), (None, 1), ("Élan ", 1)):
            db.insert(Kind=kind, Grade=grade)
        for kind in ("ÉLAN", "ELAN", *(["élan"] if db.driver.features.unique_folds_every_letter else [])):
            with pytest.raises(UniqueViolation) as caught:
                db.insert(Kind=kind, Grade=1)
            assert sorted(caught.value.columns) == ["Grade", "Kind"]
