"""Value rules: the stored value, or the message that refuses it."""

from __future__ import annotations

import contextlib
import time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apilane.errors import ApilaneError, Code
from apilane.model.definition import Property, PropertyType
from apilane.model.json import JsonNumber, decode_json
from apilane.model.values import value_reader


def read(value: object, *, exact_decimals: bool = False, **rules: Any) -> object:
    """Read one value with the rules given."""
    return value_reader("Products", Property(name="Field", **rules), exact_decimals=exact_decimals)(value)


def refusal(value: object, *, exact_decimals: bool = False, **rules: Any) -> str:
    """The message that refuses a value; this helper checks the rest of the error."""
    with pytest.raises(ApilaneError) as caught:
        read(value, exact_decimals=exact_decimals, **rules)
    error = caught.value
    assert (error.code, error.property, error.entity) == (Code.VALIDATION, "Field", "Products")
    return error.message


@pytest.mark.parametrize("type", list(PropertyType))
def test_null_is_always_null(type: PropertyType) -> None:
    """Null passes every rule; the database checks required columns."""
    assert read(None, type=type, minimum=5, maximum=6, validation_regex="x", required=True) is None


@pytest.mark.parametrize(
    ("body", "stored"),
    [
        ('"  Desk lamp "', "Desk lamp"),
        ('"\\u00a0\\u2003\\u3000x\\u0085\\t\\r\\n"', "x"),
        ('"\\u001cx\\u200b"', "\x1cx\u200b"),
        ('""', ""),
        ('"   "', ""),
        ("7", "7"),
        ("1.50", "1.50"),
        ("1e5", "1e5"),
        ("true", "true"),
        ("false", "false"),
        ('{"b": [1.0, "é"], "a": null}', '{"b":[1.0,"é"],"a":null}'),
        ("[]", "[]"),
        ('["\\u0000"]', '["\\u0000"]'),
    ],
)
def test_strings_are_trimmed_json_text(body: str, stored: str) -> None:
    """Texts are trimmed of Unicode white space; other values become their JSON text."""
    assert read(decode_json(body.encode())) == stored


@pytest.mark.parametrize(
    ("value", "rules", "message"),
    [
        ("x", {"minimum": 2}, "Minimum 2 characters"),
        (" x ", {"minimum": 2}, "Minimum 2 characters"),
        ("", {"minimum": 1}, "Minimum 1 characters"),
        ("xxx", {"maximum": 2}, "Maximum 2 characters"),
        ("\U0001f600\U0001f600", {"maximum": 3}, "Maximum 3 characters"),
        ("abc", {"validation_regex": "^[A-Z]{3}$"}, "The value provided does not match regex ^[A-Z]{3}$"),
        ("", {"validation_regex": "^[A-Z]{3}$"}, "The value provided does not match regex ^[A-Z]{3}$"),
        ("x", {"validation_regex": "("}, "The value provided does not match regex ("),
        ("x", {"minimum": 2, "validation_regex": "^[A-Z]+$"}, "Minimum 2 characters"),
        ("a\0b", {}, "Invalid text"),
        ("a\ud800b", {}, "Invalid text"),
    ],
)
def test_strings_that_break_a_rule(value: str, rules: dict[str, Any], message: str) -> None:
    """The first rule that fails is reported: text, lengths in UTF-16 units, pattern."""
    assert refusal(value, **rules) == message


@pytest.mark.parametrize(
    ("value", "rules"), [("\U0001f600", {"minimum": 2, "maximum": 2}), ("x", {"validation_regex": ""})]
)
def test_strings_that_keep_the_rules(value: str, rules: dict[str, Any]) -> None:
    """A character beyond the basic plane counts twice; a blank pattern is ignored."""
    assert read(value, **rules) == value


@pytest.mark.parametrize(
    ("value", "places", "stored"),
    [
        (7, None, 7),
        ("7", 0, 7),
        (" 7 ", 0, 7),
        ("+7", 0, 7),
        ("-007", 0, -7),
        ("7.", 0, 7),
        (".5", 2, 0.5),
        (JsonNumber("1.9"), 0, 1),
        (JsonNumber("-1.9"), None, -1),
        (JsonNumber("-0.9"), 0, 0),
        (JsonNumber("1e3"), 0, 1000),
        ("1E+3", 0, 1000),
        (JsonNumber("19.999"), 2, 19.99),
        (JsonNumber("-19.999"), 2, -19.99),
        ("0.1234567891", 8, 0.12345678),
        (5, 2, 5.0),
        (JsonNumber("1e-999999999"), 2, 0.0),
        (JsonNumber("0e999999999"), 2, 0.0),
        (999_999_999_999_999_999, 0, 999_999_999_999_999_999),
        (-999_999_999_999_999_999, 0, -999_999_999_999_999_999),
        (1_000_000_000_000_000_000, 0, 1_000_000_000_000_000_000),
        (JsonNumber("123456789012345678.999999"), 0, 123456789012345678),
        (JsonNumber("1234567890123.456"), 2, 1234567890123.45),
        ("0." + "1" * 4000, 2, 0.11),
    ],
)
def test_numbers_are_cut_toward_zero(value: object, places: int | None, stored: float) -> None:
    """JSON numbers and numeric texts are cut to the decimal places, and zero has no sign."""
    got = read(value, type=PropertyType.Number, decimal_places=places)
    assert got == stored
    assert type(got) is type(stored)
    assert str(got) == str(stored)


@pytest.mark.better("B-D5")
@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "abc",
        "1,5",
        "1,234.5",
        "1 000",
        "1_000",
        "--1",
        "1e",
        "e5",
        ".",
        "0x10",
        "NaN",
        "Infinity",
        "-Infinity",
        "١٢",
        "1\n2",
        True,
        False,
        [],
        [1],
        {},
        1234567890123456789,
        9223372036854775807,
        10**19,
        10**4000,
        "9" * 5000,
        "1e19",
        "-1e19",
        "9223372036854775808",
        JsonNumber("1e999999999"),
        JsonNumber("-1e999999999"),
        JsonNumber("1e99999999999999999999"),
    ],
)
@pytest.mark.parametrize("places", [0, 2])
def test_invalid_numbers(value: object, places: int) -> None:
    """A value that is not a number, has over 18 digits, or exceeds the column is refused, without delay."""
    start = time.perf_counter()
    assert refusal(value, type=PropertyType.Number, decimal_places=places) == "Invalid number"
    assert time.perf_counter() - start < 1.0


@pytest.mark.better("B-D5", "B-D16")
@pytest.mark.parametrize(
    ("text", "exact", "valid"),
    [
        ("1234567890123.45", False, True),
        ("12345678901234.56", False, False),
        ("12345678901234.560", False, False),
        ("12345678901234.509", False, True),
        ("1234567890123.459", False, True),
        ("12345678901234.56", True, True),
        ("1234567890123456.78", True, True),
        ("12345678901234567.8", True, False),
        ("9999999999999999.99", True, True),
        ("10000000000000000", True, False),
        ("10000000000000000", False, False),
    ],
)
def test_digits_of_decimals(text: str, exact: bool, valid: bool) -> None:
    """15 digits without exact decimals, otherwise 18, after cutting, without trailing zeros (B-D16, B-D5)."""
    rules: dict[str, Any] = {"type": PropertyType.Number, "decimal_places": 2}
    for number in (text, JsonNumber(text)):
        if valid:
            assert read(number, exact_decimals=exact, **rules) is not None
        else:
            assert refusal(number, exact_decimals=exact, **rules) == "Invalid number"


def test_exact_providers_get_decimals() -> None:
    """A provider with exact decimals gets Decimal, and int where there are no decimal places."""
    got = read(JsonNumber("1234567890123456.789"), type=PropertyType.Number, decimal_places=2, exact_decimals=True)
    assert type(got) is Decimal
    assert got == Decimal("1234567890123456.78")
    assert type(read(JsonNumber("7.9"), type=PropertyType.Number, exact_decimals=True)) is int


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (-1, "Minimum allowed value 0"),
        (JsonNumber("-0.001"), "Minimum allowed value 0"),
        (11, "Maximum allowed value 10"),
        (JsonNumber("10.001"), "Maximum allowed value 10"),
        (JsonNumber("1e999999999"), "Maximum allowed value 10"),
        (10**1000, "Maximum allowed value 10"),
    ],
)
@pytest.mark.parametrize("places", [0, 2])
def test_bounds_are_compared_before_cutting(value: object, message: str, places: int) -> None:
    """Minimum and maximum are compared with the number as sent."""
    assert refusal(value, type=PropertyType.Number, minimum=0, maximum=10, decimal_places=places) == message


@given(
    st.decimals(allow_nan=False, allow_infinity=False),
    st.integers(0, 8),
    st.booleans(),
)
def test_a_stored_number_is_the_number_cut(number: Decimal, places: int, exact: bool) -> None:
    """A stored number differs from the sent one by less than one step and is never further from zero."""
    rules: dict[str, Any] = {"type": PropertyType.Number, "decimal_places": places}
    try:
        stored = read(JsonNumber(str(number)), exact_decimals=exact, **rules)
    except ApilaneError:
        return
    back = Decimal(repr(stored)) if isinstance(stored, float) else Decimal(stored)  # type: ignore[arg-type]
    assert abs(back) <= abs(number)
    assert abs(number - back) < Decimal(1).scaleb(-places)


@pytest.mark.parametrize("value", [True, 1, "true", "1", "on", "TRUE", "True", "tRuE", "On", "ON", "oN"])
def test_values_that_are_true(value: object) -> None:
    """These values are read as true."""
    assert read(value, type=PropertyType.Boolean) is True


@pytest.mark.parametrize(
    "value",
    [False, 0, "false", "0", "off", "FALSE", "OFF", "", "yes", "on.", "\uff4fn", 2, -1, [], {}, [1], JsonNumber("1.5")],
)
def test_everything_else_is_false(value: object) -> None:
    """All other values are false; a Boolean is never an error."""
    assert read(value, type=PropertyType.Boolean) is False


def test_dates() -> None:
    """Dates become milliseconds, minimum and maximum do not apply, and the message is the protocol's."""
    assert read("2026-01-31 10:20", type=PropertyType.Date, minimum=0, maximum=1) == 1769854800000
    assert refusal("yesterday", type=PropertyType.Date) == (
        "The value provided is not a valid unix timestamp or date in format yyyy-MM-dd HH:mm:ss.fff"
    )


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.from_regex(r"-?\d{1,4}\.\d{1,4}e-?\d{1,9}", fullmatch=True).map(JsonNumber),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=("Cs",))), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(anything, st.sampled_from(PropertyType), st.sampled_from([None, 0, 3]), st.booleans())
def test_no_value_raises_anything_else(value: object, type: PropertyType, places: int | None, exact: bool) -> None:
    """Any value is stored or refused with ApilaneError."""
    with contextlib.suppress(ApilaneError):
        read(
            value,
            type=type,
            minimum=-5,
            maximum=5,
            decimal_places=places,
            exact_decimals=exact,
            validation_regex=r"^\w*$",
        )
