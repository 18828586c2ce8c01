"""Every accepted form of a date."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apilane.model.dates import MAX_MS, MIN_MS, parse_date
from apilane.model.json import JsonNumber

DAY = 1_769_817_600_000  # 2026-01-31


@pytest.mark.better("B-W3")
@pytest.mark.parametrize(
    ("value", "ms"),
    [
        ("1769817600", DAY),
        ("1769817600123", DAY + 123),
        ("0001769817600", DAY),
        ("00000001769817600123", DAY + 123),
        ("2026-01-31", DAY),
        ("2026-01-31 10:20", DAY + 37_200_000),
        ("2026-01-31 10:20:30", DAY + 37_230_000),
        ("2026-01-31 10:20:30.456", DAY + 37_230_456),
        ("1969-12-31 23:59:59.999", -1),
        ("0001-01-01", MIN_MS),
        ("9999-12-31 23:59:59.999", MAX_MS),
        ("2024-02-29", 1_709_164_800_000),
        (" 2026-01-31", DAY),
        ("2026-01-31\n", DAY),
        ("\t2026-01-31 10:20\u00a0\u2003", DAY + 37_200_000),
        (" 2026-01-31T10:20Z ", DAY + 37_200_000),
        (" 1769817600 ", DAY),
        ("\n1769817600123\r\n", DAY + 123),
        ("2026-01-31T10:20", DAY + 37_200_000),
        ("2026-01-31T10:20Z", DAY + 37_200_000),
        ("2026-01-31T10:20:30", DAY + 37_230_000),
        ("2026-01-31T10:20:30Z", DAY + 37_230_000),
        ("2026-01-31t10:20:30z", DAY + 37_230_000),
        ("2026-01-31T10:20:30.4Z", DAY + 37_230_400),
        ("2026-01-31T10:20:30.4567891Z", DAY + 37_230_456),
        ("2026-01-31T10:20:30+02:00", DAY + 30_030_000),
        ("2026-01-31T10:20:30-0530", DAY + 57_030_000),
        ("2026-01-31T10:20:30.5+02", DAY + 30_030_500),
        (1769817600, DAY),
        (1769817600123, DAY + 123),
        (100, 100),
        (0, 0),
        (-1, -1),
        (-1_000_000_000_000, -1_000_000_000_000),
        (123456789012, 123456789012),
        (JsonNumber("1769817600.0"), DAY),
        (JsonNumber("1.7698176e12"), DAY),
    ],
)
def test_dates_become_unix_milliseconds(value: object, ms: int) -> None:
    """The forms of docs/reference/protocol/wire-api.md section 1.4 and B-W3 are read as UTC."""
    assert parse_date(value) == ms


@pytest.mark.better("B-W3")
@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "yesterday",
        "0",
        "123456789012",
        "12345678901234",
        "-1769817600",
        "17698176.5",
        "2026-1-31",
        "2026-02-30",
        "2025-02-29",
        "0000-01-01",
        "2026-13-01",
        "2026-01-31 24:00",
        "2026-01-31 10",
        "2026-01-31 10:20:60",
        "2026-01-31 10:20:30.4",
        "2026-01-31 10:20:30Z",
        "2026-01-31T",
        "2026-01-31T10:20:30+",
        "2026-01-31T10:20:30+02:",
        "2026-01-31T10:20:30+25:00",
        "2026-01-31T10:20:30.Z",
        "2026 -01-31",
        "\u200b2026-01-31",
        "17698176 00",
        "31/01/2026",
        "\u0662\u0660\u0662\u0666-\u0660\u0661-\u0663\u0661",
        "\u0661" * 10,
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        MAX_MS + 1,
        MIN_MS - 1,
        10**30,
        True,
        False,
        None,
        [],
        {},
        JsonNumber("1.5"),
        JsonNumber("1e999999999"),
        JsonNumber("1e-999999999"),
        JsonNumber("1e99999999999999999999"),
    ],
)
def test_everything_else_is_no_date(value: object) -> None:
    """Other texts, impossible days, times outside the years 1 to 9999, booleans and containers are refused."""
    assert parse_date(value) is None


@given(st.integers(MIN_MS, MAX_MS))
def test_what_is_printed_as_iso_is_read_back(ms: int) -> None:
    """The ISO text of any time is read back as the same time."""
    days, rest = divmod(ms, 86_400_000)
    day = date.fromordinal(days + 719_163).isoformat()
    hours, rest = divmod(rest, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    seconds, fraction = divmod(rest, 1000)
    clock = f"{hours:02}:{minutes:02}:{seconds:02}.{fraction:03}"
    assert parse_date(f"{day} {clock}") == parse_date(f"{day}T{clock}Z") == ms


@given(st.text() | st.integers() | st.from_regex(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?"))
def test_no_value_raises(value: object) -> None:
    """Any value becomes a time within bounds or None."""
    ms = parse_date(value)
    assert ms is None or MIN_MS <= ms <= MAX_MS
