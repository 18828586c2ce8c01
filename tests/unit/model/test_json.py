"""Strict reading of JSON bodies and exact writing of nested values."""

from __future__ import annotations

import contextlib
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apilane.model.json import MAX_DEPTH, JsonNumber, MalformedJson, decode_json, json_text


@pytest.mark.better("B-E7")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"Title":',
        b'{"a":1,}',
        b"[1,]",
        b"{'a':1}",
        b"1 2",
        b"// no comments\n1",
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"01",
        b"1.",
        b".5",
        b"+1",
        b"\xef\xbb\xbf{}",
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"\\ud800"',
        b'"\\udc00"',
        b'"a\\ud800b"',
        b'"a\\ud800\\u0041b"',
        b'"\\ud800\\ud800"',
        b'"\\udc00\\ud800"',
        b'{"\\ud800":1}',
        b'"\x00"',
        b'"a\nb"',
        b'"\\x41"',
        b"[" * 101 + b"]" * 101,
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 101 + b"1" + b"}" * 101,
        b"9" * 5000 + b"x",
        b"0" * 5000,
    ],
)
def test_what_is_no_json_counts_as_missing(body: bytes) -> None:
    """Everything that B-E7 calls malformed raises MalformedJson."""
    with pytest.raises(MalformedJson):
        decode_json(body)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"null", None),
        (b"1", 1),
        (b"-0", 0),
        (b"123456789012345678901234567890", 123456789012345678901234567890),
        (b"1.50", JsonNumber("1.50")),
        (b"1E+5", JsonNumber("1E+5")),
        (b"1e999999999", JsonNumber("1e999999999")),
        (b'{"b":1,"a":2,"b":3}', {"b": 3, "a": 2}),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"\\u0000"', "\0"),
        (b' [true, false, "x"] ', [True, False, "x"]),
        (b"9" * 5000, JsonNumber("9" * 5000)),
        (b'{"a":[-' + b"9" * 5000 + b', 1.5, "x"]}', {"a": [JsonNumber("-" + "9" * 5000), JsonNumber("1.5"), "x"]}),
        (b'["' + b"9" * 5000 + b'",' + b"9" * 5000 + b"]", ["9" * 5000, JsonNumber("9" * 5000)]),
        (b'["a\\"' + b"1" * 5000 + b'\\\\",' + b"9" * 5000 + b"]", ['a"' + "1" * 5000 + "\\", JsonNumber("9" * 5000)]),
        (b"[" + b"9" * 5000 + b"," + b"9" * 5000 + b".5]", [JsonNumber("9" * 5000), JsonNumber("9" * 5000 + ".5")]),
        (b"[" + b"9" * 5000 + b",1e-" + b"9" * 5000 + b"]", [JsonNumber("9" * 5000), JsonNumber("1e-" + "9" * 5000)]),
        (b"[" + b"9" * 5000 + b",0." + b"9" * 5000 + b"]", [JsonNumber("9" * 5000), JsonNumber("0." + "9" * 5000)]),
        (b"[" + b"[]," * 500 + b"[]]", [[] for _ in range(501)]),
        (b'"' + b"[" * 200 + b'"', "[" * 200),
    ],
)
def test_json_is_read_exactly(body: bytes, value: object) -> None:
    """Integers are exact, fractions keep their text, and the last of a repeated key counts."""
    assert decode_json(body) == value


def test_nesting_up_to_the_limit_is_read() -> None:
    """One hundred nested arrays are accepted, also mixed with objects."""
    assert decode_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    assert decode_json(b'[{"a":' * (MAX_DEPTH // 2) + b"1" + b"}]" * (MAX_DEPTH // 2))


def test_key_order_is_kept() -> None:
    """Keys keep the order in which they were sent."""
    assert list(decode_json(b'{"z":1,"a":2,"m":3}')) == ["z", "a", "m"]  # type: ignore[call-overload]


def test_long_integers_are_cheap() -> None:
    """The time for integers of many digits grows with their length only, also beside many short ones and quotes."""
    body = (
        b"["
        + b",".join([b"9" * 4299, b'"' + b'\\"' * 2000 + b'"', b"1," * 2000 + b"1"] * 300)
        + b","
        + b"9" * 3_000_000
    )
    start = time.perf_counter()
    decode_json(body + b"]")
    with contextlib.suppress(MalformedJson):
        decode_json(body + b',"')
    assert time.perf_counter() - start < 5


def test_a_large_flat_body_is_cheap() -> None:
    """The check of the depth does not slow down a body of many records."""
    body = b"[" + b",".join([b'{"a":[1,2,3],"b":"text","c":1.5}'] * 20_000) + b"]"
    start = time.perf_counter()
    decode_json(body)
    assert time.perf_counter() - start < 10


@given(st.binary(max_size=60))
def test_any_bytes_give_a_value_or_malformed_json(body: bytes) -> None:
    """Any bytes give a value or MalformedJson."""
    with contextlib.suppress(MalformedJson):
        decode_json(body)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=("Cs",))), inner)
    ),
    max_leaves=15,
)


@given(plain)
def test_json_text_gives_the_value_back(value: object) -> None:
    """Written JSON is read as the same value again, also by another reader."""
    text = json_text(value)
    assert decode_json(text.encode()) == value
    assert json.loads(text) == value


def test_json_text_keeps_fractions_as_they_were_sent() -> None:
    """A number inside a list or object keeps its text."""
    assert json_text(decode_json(b'{"a": [1.50, 1E+5, 1]}')) == '{"a":[1.50,1E+5,1]}'
