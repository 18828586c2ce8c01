"""Arrays of objects that arrive in parts: any cut gives the same objects, and broken text is named."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import pytest

from apilane.model.json import MalformedJson
from apilane.model.json_arrays import ObjectStream

LONGEST = 1000
OBJECTS: list[dict[str, Any]] = [
    {},
    {"ID": 1, "Text": 'a "quoted" [text] {with} \\ brackets, and a comma'},
    {"ID": 2, "Text": "Élan 🎈 \u2028", "Inner": {"List": [1, [2, {"a": None}]], "Open": "{"}},
    {"ID": 3, "Text": "x" * 400, "Price": 12.5},
]


def read(body: bytes, cuts: list[int]) -> list[dict[str, Any]]:
    """The objects of a body that arrives in parts."""
    stream = ObjectStream(LONGEST)
    found: list[dict[str, Any]] = []
    for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
        found += stream.feed(body[start:end])
    found += stream.end()
    assert stream.count == len(found)
    return found


def plain(objects: list[dict[str, Any]]) -> Any:
    """Objects with fractions as their text, like those of the stream."""
    return json.loads(json.dumps(objects, default=lambda number: number.text), parse_float=str)


@pytest.mark.parametrize("separators", [(",", ":"), (" ,\r\n\t", " : ")], ids=["dense", "spacious"])
def test_any_cut_gives_the_same_objects(separators: tuple[str, str]) -> None:
    """The objects do not depend on where the parts of the body end, also within a letter."""
    body = b" \n" + json.dumps(OBJECTS, separators=separators, ensure_ascii=False).encode() + b"\n "
    expected = plain(json.loads(body, parse_float=str))
    assert plain(read(body, [])) == expected
    assert plain(read(body, list(range(1, len(body))))) == expected
    chance = random.Random(7)
    for _ in range(200):
        cuts = sorted(chance.sample(range(1, len(body)), chance.randint(1, 6)))
        assert plain(read(body, cuts)) == expected, cuts


def test_an_empty_array() -> None:
    """An array without objects is complete."""
    assert read(b"[]", [1]) == []


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "it is empty"),
        (b"  \n", "it is empty"),
        (b'{"ID":1}', "where an array is expected"),
        (b"5", "where an array is expected"),
        (b"[", "it breaks off"),
        (b'[{"ID":1}', "it breaks off"),
        (b'[{"ID":1},', "it breaks off"),
        (b'[{"ID":1', "it breaks off"),
        (b'[{"ID":1},]', "where a record is expected"),
        (b"[,]", "where a record or ] is expected"),
        (b"[null]", "where a record or ] is expected"),
        (b"[[]]", "where a record or ] is expected"),
        (b'[{"ID":1} {"ID":2}]', "where , or ] is expected"),
        (b"[]]", "where the end is expected"),
        (b'[{"ID":1}]{', "where the end is expected"),
        (b'[{"ID":NaN}]', "malformed"),
        (b'[{"ID":"\xff"}]', "it is not UTF-8"),
        (b'[{"ID":"\xc3', "it is not UTF-8"),
        (b'[{"A":"' + b"x" * LONGEST + b'"', "longer than 1000 characters"),
        (b'[{"A":' + b"[" * 200 + b"]" * 200 + b"}]", "nested deeper than 100"),
        (b'[{"A":' + b"[" * 100_000, ""),
        (b'[{"A":' + b"1" * 5000 + b"}]", ""),
    ],
)
def test_broken_text(body: bytes, says: str) -> None:
    """Text that is no array of objects is refused, whole or in parts."""
    for cuts in ([], list(range(1, min(len(body), 2000)))):
        with pytest.raises(MalformedJson, match=None if says in {"", "malformed"} else says.replace("]", r"\]")):
            read(body, cuts)


def test_memory_is_one_object() -> None:
    """The time and memory of an object that is never complete are bounded by its limit."""
    stream = ObjectStream(LONGEST)
    parts = iter([b'[{"A":"', *[b"x" * 100] * 100])
    with pytest.raises(MalformedJson):
        list(itertools.chain.from_iterable(map(stream.feed, parts)))
    assert len(list(parts)) > 100 - 3 * LONGEST / 100
