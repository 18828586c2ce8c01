"""Values at the limits of their types, and letter for letter."""

from __future__ import annotations

import pytest

from apilane.storage.errors import NumberOutOfRange
from apilane.testing.conformance.case import Database
from apilane.testing.conformance.tables import THINGS

__all__ = ["Types"]

MAX_INT64 = 2**63 - 1


class Types:
    """See the module."""

    @pytest.mark.parametrize("number", [0, -1, MAX_INT64, -MAX_INT64 - 1])
    def test_integers_of_64_bits(self, db: Database, number: int) -> None:
        """A Number without decimals and a Date hold every 64-bit integer."""
        db.insert(Count=number, Made=number)
        assert db.rows("Count", "Made") == [(number, number)]

    def test_integers_beyond_64_bits(self, db: Database) -> None:
        """A larger integer is refused as out of range, in a write and in a read."""
        with pytest.raises(NumberOutOfRange):
            db.insert(Count=MAX_INT64 + 1)
        assert db.rows("ID") == []

    @pytest.mark.parametrize("text", ["0.01", "-0.01", "1.5", "2", "9999999999999.99", "-9999999999999.99"])
    def test_decimals_of_15_digits(self, db: Database, text: str) -> None:
        """15 significant digits survive on every provider."""
        db.insert(Price=db.number(text))
        ((price,),) = db.rows("Price")
        assert float(price) == float(text)

    @pytest.mark.parametrize("value", [True, False, None])
    def test_booleans(self, db: Database, value: bool | None) -> None:
        """A Boolean comes back as Python's own, null as None."""
        db.insert(Active=value)
        assert db.rows("Active")[0][0] is value

    @pytest.mark.parametrize(
        "value", ["", " ", "a" * 100_000, "é", "ß", "日本", "😀", "e\u0301", "a\r\n\tb", "'\"\\%_"]
    )
    def test_text(self, db: Database, value: str) -> None:
        """Text comes back letter for letter: blanks, long, beyond the BMP, not normalised."""
        db.insert(Note=value)
        assert db.rows("Note") == [(value,)]

    def test_nulls(self, db: Database) -> None:
        """Every column that is not required holds null."""
        columns = ("Note", "Code", "Count", "Price", "Exact", "Active", "Made", "Maker")
        db.write(db.inserting(THINGS, **dict.fromkeys(columns)))
        assert db.rows(*columns) == [(None,) * len(columns)]
