"""Values at the limits of their types, which are stored and read unchanged."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from apilane.storage.errors import NumberOutOfRange, UniqueViolation, ValueTooLong
from apilane.testing.conformance.case import Database
from apilane.testing.conformance.tables import THINGS

__all__ = ["Types"]

MAX_INT64 = 2**63 - 1


class Types:
    """The tests that the module docstring describes."""

    @pytest.mark.parametrize("number", [0, -1, MAX_INT64, -MAX_INT64 - 1])
    def test_integers_of_64_bits(self, db: Database, number: int) -> None:
        """A Number without decimals and a Date store every 64-bit integer."""
        db.insert(Count=number, Made=number)
        assert db.rows("Count", "Made") == [(number, number)]

    def test_integers_beyond_64_bits(self, db: Database) -> None:
        """A larger integer is refused as out of range."""
        with pytest.raises(NumberOutOfRange):
            db.insert(Count=MAX_INT64 + 1)
        assert db.rows("ID") == []

    @pytest.mark.parametrize("text", ["0.01", "-0.01", "1.5", "2", "9999999999999.99", "-9999999999999.99"])
    def test_decimals_of_15_digits(self, db: Database, text: str) -> None:
        """15 significant digits are stored on every provider."""
        db.insert(Price=db.number(text))
        ((price,),) = db.rows("Price")
        assert float(price) == float(text)

    @pytest.mark.parametrize("value", [True, False, None])
    def test_booleans(self, db: Database, value: bool | None) -> None:
        """A Boolean is read as a Python bool, null as None."""
        db.insert(Active=value)
        assert db.rows("Active")[0][0] is value

    @pytest.mark.parametrize(
        "value", ["", " ", "a" * 100_000, "é", "ß", "日本", "😀", "e\u0301", "a\r\n\tb", "'\"\\%_"]
    )
    def test_text(self, db: Database, value: str) -> None:
        """Text is read unchanged: blanks, long texts, characters beyond the BMP, without normalisation."""
        db.insert(Note=value)
        assert db.rows("Note") == [(value,)]

    @pytest.mark.parametrize("value", ["a" * 50, "é" * 50, "日" * 50, "😀" * 25, " " * 50, "e\u0301" * 25])
    def test_longest_text(self, db: Database, value: str) -> None:
        """A String with a maximum stores that many characters of any kind; those beyond the BMP may count twice."""
        db.insert(Code=value)
        assert db.rows("Code") == [(value,)]
        assert len(db.found("Code", "equal", value)) == 1

    @pytest.mark.parametrize("value", ["a" * 51, "é" * 51, "😀" * 51])
    def test_longer_text(self, db: Database, value: str) -> None:
        """A text that is longer than its column is refused or stored completely, and not cut."""
        try:
            db.insert(Code=value)
        except ValueTooLong:
            assert db.rows("ID") == []
        else:
            assert db.rows("Code") == [(value,)]

    def test_empty_text_is_not_null(self, db: Database) -> None:
        """The empty text is a value: filters find it, unique constraints count it, and required columns accept it."""
        empty, null = db.insert(Name="", Code=""), db.insert(Name="", Code=None)
        assert db.rows("Name", "Code") == [("", ""), ("", None)]
        assert db.found("Code", "equal", "") == [empty]
        assert db.found("Code", "equal", None) == [null]
        with pytest.raises(UniqueViolation):
            db.insert(Code="")

    @pytest.mark.parametrize("made", [-62135596800000, -1, 2**31, 2**31 * 1000, 4102444800000, 253402300799999])
    def test_dates_of_every_century(self, db: Database, made: int) -> None:
        """Dates are ms of any year, including years before 1970, after 2038 and after 2106."""
        id = db.insert(Made=made)
        db.insert(Made=made + 1)
        assert db.found("Made", "lessorequal", made) == [id]
        assert db.rows("Made") == [(made,), (made + 1,)]

    @pytest.mark.parametrize(
        ("text", "shown"), [("12.50", "12.5"), ("3.00", "3"), ("0.00", "0"), ("-0.10", "-0.1"), ("100", "100")]
    )
    def test_decimals_are_written_alike(self, db: Database, text: str, shown: str) -> None:
        """Trailing zeros of decimals are not shown, even if the column stores them; 100 stays 100."""
        db.insert(Price=db.number(text))
        ((price,),) = db.rows("Price")
        assert msgspec.json.encode(price).decode().strip('"') in {shown, f"{shown}.0"}
        if db.driver.features.exact_decimals:
            assert str(price) == shown

    def test_decimals_beyond_the_column(self, db: Database) -> None:
        """A number with more digits than its column is refused as out of range, or stored."""
        try:
            db.insert(Price=db.number("1e17"))
        except NumberOutOfRange:
            assert db.rows("ID") == []
        else:
            assert float(db.rows("Price")[0][0]) == 1e17

    def test_exact_decimals_in_filters(self, db: Database) -> None:
        """Numbers with decimals are found by their value, in comparisons and in lists."""
        ids = [db.insert(Price=db.number(text)) for text in ("0.1", "0.10", "2", "12345.67", "-3.5")]
        for value, found in (("0.1", ids[:2]), ("2.00", ids[2:3]), ("12345.67", ids[3:4])):
            assert db.found("Price", "equal", Decimal(value)) == found
        assert db.found("Price", "less", Decimal("0.1")) == ids[4:]
        assert db.found("Price", "greater", 2) == ids[3:4]
        assert db.found("Price", "contains", (Decimal("0.1"), 2, Decimal("-3.50"))) == [*ids[:3], ids[4]]

    def test_nulls(self, db: Database) -> None:
        """Every column that is not required accepts null."""
        columns = ("Note", "Code", "Count", "Price", "Exact", "Active", "Made", "Maker")
        db.write(db.inserting(THINGS, **dict.fromkeys(columns)))
        assert db.rows(*columns) == [(None,) * len(columns)]
