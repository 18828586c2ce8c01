"""Values in requests and answers (docs/reference/protocol/wire-api.md section 1.4,
docs/reference/protocol/data-model.md section 4.2).
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from apilane.testing.client import Client, WireError, error_of

JSON = {"Content-Type": "application/json"}
SMILE = "\N{GRINNING FACE}"


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


STORED: list[tuple[str, str, Any]] = [
    # property, JSON sent, value read
    ("Text", '"  abc\\t "', "abc"),
    ("Text", '""', ""),
    ("Text", '"   "', ""),
    ("Text", "null", None),
    ("Text", "5", "5"),
    ("Text", "1.50", "1.50"),
    ("Text", "123456789012345678901234567890", "123456789012345678901234567890"),
    ("Text", "true", "true"),
    ("Text", "false", "false"),
    ("Text", '"Φως ☀️ 日本"', "Φως ☀️ 日本"),
    ("Text", '"\\u03a6\\ud83d\\ude00"', f"Φ{SMILE}"),
    ("Text", '"a\\"b\\\\c\\nd"', 'a"b\\c\nd'),
    ("Text", '"\'; DROP TABLE Values; --"', "'; DROP TABLE Values; --"),
    ("Short", '"ab"', "ab"),
    ("Short", '" abcde "', "abcde"),
    ("Short", f'"{SMILE}"', SMILE),
    ("Short", "12", "12"),
    ("Code", '"ABC"', "ABC"),
    ("Code", '"xxABC"', "xxABC"),
    ("Secret", '" top "', "top"),
    ("Secret", "null", None),
    ("Secret", '""', ""),
    ("Whole", "7", 7),
    ("Whole", '"7"', 7),
    ("Whole", '" 7 "', 7),
    ("Whole", "7.9", 7),
    ("Whole", "-7.9", -7),
    ("Whole", '"-7.9"', -7),
    ("Whole", "-0.5", 0),
    ("Whole", "1e2", 100),
    ("Whole", '"1E+2"', 100),
    ("Whole", "12.5e1", 125),
    ("Whole", '"+5"', 5),
    ("Whole", "0", 0),
    ("Whole", "null", None),
    ("Whole", "123456789012345678", 123456789012345678),
    ("Whole", "-123456789012345678", -123456789012345678),
    ("Whole", "123456789012345678.9", 123456789012345678),
    ("Bounded", "10", 10),
    ("Bounded", "-5", -5),
    ("Money", "19.999", 19.99),
    ("Money", "-19.999", -19.99),
    ("Money", '"0.1"', 0.1),
    ("Money", "120", 120),
    ("Money", "0.009", 0),
    ("Money", "1234567890123.45", 1234567890123.45),
    ("Money", "1234567890123.45999", 1234567890123.45),
    ("Fine", "0.123456789", 0.12345678),
    ("Fine", "1e-8", 0.00000001),
    *(("Flag", text, True) for text in ("true", "1", '"true"', '"1"', '"on"', '"TRUE"', '"True"', '"On"', '"oN"')),
    *(("Flag", text, False) for text in ("false", "0", '"false"', '"0"', '"off"', '"yes"', '""', "2", "{}", "[]")),
    *(("Flag", text, False) for text in ('"FALSE"', '"Off"', '"TRUE1"', '" true "', '"1 "')),
    ("Flag", "null", None),
    ("Moment", "1750000000", 1750000000000),
    ("Moment", '"1750000000"', 1750000000000),
    ("Moment", "1750000000123", 1750000000123),
    ("Moment", '"1750000000123"', 1750000000123),
    ("Moment", '"0001750000000"', 1750000000000),
    ("Moment", "999999999999", 999999999999),
    ("Moment", "0", 0),
    ("Moment", "5", 5),
    ("Moment", '"1970-01-01"', 0),
    ("Moment", '"2026-01-31"', _ms("2026-01-31")),
    ("Moment", '"2026-01-31 10:20"', _ms("2026-01-31 10:20")),
    ("Moment", '"2026-01-31 10:20:30"', _ms("2026-01-31 10:20:30")),
    ("Moment", '"2026-01-31 10:20:30.123"', _ms("2026-01-31 10:20:30.123")),
    ("Moment", '"2024-02-29"', _ms("2024-02-29")),
    ("Moment", '" 2026-01-31\\n"', _ms("2026-01-31")),
    ("Moment", '"\\t2026-01-31 10:20\\u00a0"', _ms("2026-01-31 10:20")),
    ("Moment", '" 2026-01-31T10:20:30Z "', _ms("2026-01-31 10:20:30")),
    ("Moment", '" 1750000000 "', 1750000000000),
    ("Moment", '"2026-01-31T10:20:30Z"', _ms("2026-01-31 10:20:30")),
    ("Moment", '"2026-01-31T10:20:30.123Z"', _ms("2026-01-31 10:20:30.123")),
    ("Moment", '"2026-01-31T12:20:30+02:00"', _ms("2026-01-31 10:20:30")),
    ("Moment", '"1950-06-01"', _ms("1950-06-01")),
    ("Moment", "null", None),
]


@pytest.mark.better("B-W3", "B-D14")
@pytest.mark.parametrize(("name", "sent", "read"), STORED, ids=lambda value: str(value)[:30])
def test_stored(lab: Client, name: str, sent: str, read: Any) -> None:
    """An accepted value reads back as the tables state, after Post, after Put and in a list."""
    response = lab.send("POST", "/api/Data/Post?entity=Values", f'{{"{name}":{sent}}}'.encode(), JSON)
    assert response.status_code == 200, response.text
    (posted,) = response.json()
    (blank,) = lab.add("Values", {})
    response = lab.send("PUT", "/api/Data/Put?entity=Values", f'{{"ID":{blank},"{name}":{sent}}}'.encode(), JSON)
    assert response.text == "1"
    wanted = f'{{"Property":"ID","Operator":"equal","Value":{blank}}}'
    for found in (lab.record("Values", posted), lab.record("Values", blank), *lab.records("Values", filter=wanted)):
        assert (type(found[name]) is bool) is (type(read) is bool)
        assert found[name] == read


@pytest.mark.parametrize("value", [{"a": 1, "b": [True, None, "x"]}, [1, 2.5, {"c": "é"}], {}, []])
def test_json_as_text(lab: Client, value: Any) -> None:
    """Objects and lists in a String property are stored as their JSON text."""
    (id,) = lab.add("Values", {"Text": value})
    assert json.loads(lab.record("Values", id)["Text"]) == value


def test_a_long_integer_as_text(lab: Client) -> None:
    """A number of 5,000 digits is stored in a String property as it was sent, like a shorter one."""
    sent = f'{{"Text":[1,{"9" * 5000},"{"9" * 5000}"]}}'.encode()
    (id,) = lab.send("POST", "/api/Data/Post?entity=Values", sent, JSON).json()
    assert lab.record("Values", id)["Text"] == f'[1,{"9" * 5000},"{"9" * 5000}"]'


BAD_NUMBERS = ['""', '" "', "true", "false", '"abc"', '"1,5"', '"1,234.5"', '"NaN"', '"Infinity"', "{}", "[]", "[1]"]
BAD_NUMBERS += ['"0x10"', '"1_000"', '"１２"', '"."', '"-"', '"1 2"', '"1e"', '"1.2.3"', '"--5"', '"$5"', '"5%"']
BAD_NUMBERS += ["1234567890123456789", "12345678901234567891", "1e400", '"1e999999999999"', "9" * 4000]
BAD_NUMBERS += ["9" * 5000, "-" + "9" * 5000, "9" * 1_000_000]
BAD_DATES = ['"yesterday"', '""', '"2026-13-01"', '"2026-02-30"', "true", '"31/01/2026"', "[]", "{}", '"999999999999"']
BAD_DATES += ['"12345"', '"2026-01-31 25:00"', '"2026-1-1"', '"-1750000000"', '"1750000000.5"', '"١٧٥٠٠٠٠٠٠٠"']
NOT_A_DATE = "The value provided is not a valid unix timestamp or date in format yyyy-MM-dd HH:mm:ss.fff"
NO_MATCH = "The value provided does not match regex [A-Z]{3}$"

FIFTEEN = pytest.mark.sqlite_only("others keep 18 digits")

REFUSED: list[tuple[str, str, str]] = [
    ("Text", '"a\\u0000b"', "Invalid text"),
    ("Text", '"\\u0000"', "Invalid text"),
    ("Secret", '"\\u0000"', "Invalid text"),
    ("Short", '"a"', "Minimum 2 characters"),
    ("Short", '""', "Minimum 2 characters"),
    ("Short", '"   a   "', "Minimum 2 characters"),
    ("Short", "5", "Minimum 2 characters"),
    ("Short", '"abcdef"', "Maximum 5 characters"),
    ("Short", f'"{SMILE * 3}"', "Maximum 5 characters"),
    ("Code", '"abc"', NO_MATCH),
    ("Code", '""', NO_MATCH),
    ("Code", '"ABCd"', NO_MATCH),
    ("Secret", f'"{"x" * 21}"', "Maximum 20 characters"),
    *(("Whole", text, "Invalid number") for text in BAD_NUMBERS),
    ("Bounded", "11", "Maximum allowed value 10"),
    ("Bounded", "10.5", "Maximum allowed value 10"),
    ("Bounded", "-6", "Minimum allowed value -5"),
    ("Bounded", "-5.9", "Minimum allowed value -5"),
    pytest.param("Money", "12345678901234.56", "Invalid number", marks=FIFTEEN),
    ("Money", '"1,5"', "Invalid number"),
    pytest.param("Fine", "12345678.12345678", "Invalid number", marks=FIFTEEN),
    ("Bounded", "9" * 5000, "Maximum allowed value 10"),
    ("Money", "9" * 5000, "Invalid number"),
    ("Moment", "9" * 5000, NOT_A_DATE),
    *(("Moment", text, NOT_A_DATE) for text in BAD_DATES),
]


@pytest.mark.better("B-D5", "B-D16", "B-E7")
@pytest.mark.parametrize(("name", "sent", "message"), REFUSED, ids=lambda value: str(value)[:30])
def test_refused(lab: Client, name: str, sent: str, message: str) -> None:
    """A value that does not fit is a VALIDATION error with property and entity, in Post and in Put."""
    (id,) = lab.add("Values", {})
    expected = WireError("VALIDATION", message, name, "Values")
    posted = lab.send("POST", "/api/Data/Post?entity=Values", f'{{"{name}":{sent}}}'.encode(), JSON)
    assert error_of(posted) == expected
    put = lab.send("PUT", "/api/Data/Put?entity=values", f'{{"ID":{id},"{name}":{sent}}}'.encode(), JSON)
    assert error_of(put) == expected


def test_first_in_schema_order(lab: Client) -> None:
    """Of several invalid values the first in schema order is reported, in any order of the body."""
    body = {"Moment": "x", "Bounded": 99, "Whole": "x", "Short": "x"}
    for present in ("Short", "Whole", "Bounded", "Moment"):
        assert error_of(lab.post("Data/Post", body, entity="Values")).property == present
        del body[present]


def test_decimal_text(lab: Client) -> None:
    """A number has at most the fraction digits of its property, and an integer has none."""
    record = {"Money": 0.1, "Fine": 1e-8, "Whole": 100}
    (id,) = lab.add("Values", record)
    raw = lab.get("Data/GetByID", entity="Values", id=id).text
    for name, digits in (("Money", r"0\.10?"), ("Fine", r"(0\.00000001|1e-0?8)"), ("Whole", "100")):
        assert re.search(rf'"{name}":{digits}[,}}]', raw, re.IGNORECASE), raw


@pytest.mark.better("B-D16")
def test_sums_of_cents_read_as_typed(lab: Client) -> None:
    """Decimals of up to 15 digits read back exactly as they were sent."""
    texts = ["0.29", "1.15", "4.35", "19.99", "1023.03", "9999999999999.99", "-0.07", "8.41", "0.57"]
    body = "[" + ",".join('{"Money":' + text + "}" for text in texts) + "]"
    ids = lab.send("POST", "/api/Data/Post?entity=Values", body.encode(), JSON).json()
    for id, text in zip(ids, texts, strict=True):
        raw = lab.get("Data/GetByID", entity="Values", id=id, properties="Money").text
        assert re.search(rf'"Money":{re.escape(text)}0*}}', raw), raw


def test_server_fills_its_own(lab: Client) -> None:
    """ID, Owner and Created in the body of a Post are ignored."""
    (id,) = lab.add("Values", {"ID": 12345, "Owner": 7, "Created": 1, "Text": "x"})
    record = lab.record("Values", id)
    assert id != 12345
    assert record["Owner"] is None
    assert record["Created"] > 1_600_000_000_000
    assert error_of(lab.put("Data/Put", {"ID": id, "Created": 1}, entity="Values")).code == "NO_PROPERTIES_PROVIDED"
