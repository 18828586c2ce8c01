"""Cursors of Data Get: reading on from a place (docs/reference/protocol/wire-api.md section 4.1), against a plain list.

The oracle keeps the records in a Python list and sorts it; it shares no code with the server.
"""

from __future__ import annotations

import json
import random
from functools import cmp_to_key
from typing import Any

import pytest

from apilane.testing.client import Client, error_of
from tests.http.conftest import AsOperator, NewClient

KEYS = ("Text", "Whole", "Money", "Flag", "Moment")
MANIFEST: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "Cursors"},
    "Entities": [
        {
            "Name": "Marks",
            "DefaultOrder": [{"Property": "Rank", "Direction": "DESC"}],
            "Properties": [
                {"Name": "Text", "Type": "String"},
                {"Name": "Whole", "Type": "Number"},
                {"Name": "Money", "Type": "Number", "DecimalPlaces": 2},
                {"Name": "Flag", "Type": "Boolean"},
                {"Name": "Moment", "Type": "Date"},
                {"Name": "Rank", "Type": "Number"},
                {"Name": "Must", "Type": "Number", "Required": True},
            ],
        },
        {"Name": "Owned", "Properties": [{"Name": "Text", "Type": "String"}]},
        {"Name": "Hidden", "Properties": [{"Name": "Text", "Type": "String"}]},
    ],
    "Security": [
        {"Entity": "Marks", "Role": "ANONYMOUS", "Action": "get", "Properties": [*KEYS, "Must"]},
        {"Entity": "Marks", "Role": "ANONYMOUS", "Action": "post", "Properties": "*"},
        {"Entity": "Marks", "Role": "ANONYMOUS", "Action": "put", "Properties": "*"},
        {"Entity": "Marks", "Role": "ANONYMOUS", "Action": "delete"},
        {"Entity": "Owned", "Role": "AUTHENTICATED", "Action": "get", "Properties": "*", "Record": "Owned"},
        {"Entity": "Owned", "Role": "AUTHENTICATED", "Action": "post", "Properties": "*"},
    ],
}


@pytest.fixture(scope="module")
def marks(new_application: NewClient) -> Client:
    """A new application with random records: few values, so many ties, and nulls everywhere."""
    client = new_application(MANIFEST)
    chance = random.Random(18)
    for start in range(0, 150, 50):
        client.add("Marks", *(mark(chance) for _ in range(start, start + 50)))
    return client


def mark(chance: random.Random) -> dict[str, Any]:
    """A random record. Texts are small letters and digits, which every collation orders in the same way."""
    values: dict[str, Any] = {
        "Text": chance.choice(["", "a", "ab", "b", "ba", "zz9", "x" * 500]),
        "Whole": chance.choice([-(10**14), -1, 0, 1, 2, 10**14]),
        "Money": chance.choice([-0.01, 0, 0.1, 0.3, 12.5, 99999.99]),
        "Flag": chance.choice([True, False]),
        "Moment": chance.choice(["1969-12-31", "1970-01-01", "2026-02-03 04:05:06.789"]),
        "Rank": chance.randrange(6),
    }
    kept = {name: value for name, value in values.items() if chance.random() < 0.8}
    return {**kept, "Must": chance.randrange(4)}


def ordered(records: list[dict[str, Any]], sort: list[tuple[str, bool]]) -> list[dict[str, Any]]:
    """The records in the order of ``sort``: names, and whether they descend; nulls are the least, then by ID."""

    def compare(left: dict[str, Any], right: dict[str, Any]) -> int:
        for name, descends in (*sort, ("ID", False)):
            a, b = left[name], right[name]
            if a != b:
                less = a is None or (b is not None and a < b)
                return (1 if less else -1) if descends else (-1 if less else 1)
        return 0

    return sorted(records, key=cmp_to_key(compare))


def sort_text(sort: list[tuple[str, bool]]) -> str:
    """``sort`` on the wire."""
    return json.dumps([{"Property": name, "Direction": "DESC" if down else "ASC"} for name, down in sort])


def page(client: Client, after: str | None, **query: Any) -> tuple[list[dict[str, Any]], str | None]:
    """The records of one page and its ``Next``."""
    more = {} if after is None else {"after": after}
    answer = client.get("Data/Get", entity="Marks", cursor="true", **query, **more)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert list(body) == ["Data", "Next"]
    return body["Data"], body["Next"]


def walk(client: Client, **query: Any) -> list[dict[str, Any]]:
    """All records by cursors."""
    found, after = page(client, None, **query)
    while after is not None:
        records, after = page(client, after, **query)
        assert records, "a Next leads to at least one record"
        found += records
    return found


def everything(client: Client) -> list[dict[str, Any]]:
    """All records by one page without cursor."""
    records = client.records("Marks", pageSize=1000)
    assert len(records) < 1000
    return records


@pytest.mark.better("B-X3")
@pytest.mark.parametrize("seed", range(12))
def test_random_orders(marks: Client, seed: int) -> None:
    """Pages by cursor have all records in the order of a plain sort: ties, nulls, one key or several, any direction."""
    chance = random.Random(seed)
    names = chance.sample([*KEYS, "Must"], chance.choice([1, 1, 2, 3]))
    if chance.random() < 0.2:
        names.append("ID")
    sort = [(name, chance.random() < 0.5) for name in names]
    expected = ordered(everything(marks), sort)
    size = chance.choice([1, 3, 7, 50])
    if size == 1:
        expected = expected[:40]
        found, after = page(marks, None, sort=sort_text(sort), pageSize=1)
        while len(found) < 40:
            records, after = page(marks, after, sort=sort_text(sort), pageSize=1)
            found += records
        assert found == expected
    else:
        assert walk(marks, sort=sort_text(sort), pageSize=size) == expected


@pytest.mark.better("B-X3")
def test_filter_and_selection(marks: Client) -> None:
    """A filter and a selection of properties without the sort key hold on every page."""
    filter = {"Property": "Whole", "Operator": "greaterorequal", "Value": 0}
    expected = [record for record in everything(marks) if record["Whole"] is not None and record["Whole"] >= 0]
    sort = [("Money", True), ("Moment", False)]
    found = walk(marks, filter=json.dumps(filter), sort=sort_text(sort), properties="Whole", pageSize=9)
    assert found == [{"ID": each["ID"], "Whole": each["Whole"]} for each in ordered(expected, sort)]


@pytest.mark.better("B-X3")
def test_default_order(marks: Client) -> None:
    """Without a sort the pages follow the default order, by a property that the caller may not read; no answer shows
    it."""
    expected = everything(marks)
    assert walk(marks, pageSize=11) == expected
    assert "Rank" not in expected[0]


@pytest.mark.better("B-X3")
def test_last_page(marks: Client) -> None:
    """``Next`` is null exactly when no record follows, also after a page that is full."""
    count = len(everything(marks))
    assert page(marks, None, pageSize=count)[1] is None
    assert page(marks, None, pageSize=count - 1)[1] is not None
    assert page(marks, None, filter='{"Property":"ID","Operator":"equal","Value":-1}') == ([], None)


@pytest.mark.better("B-X3")
def test_total_and_index(marks: Client) -> None:
    """``Total`` counts all pages; a cursor may begin at any page, and ``pageIndex`` does not count after it."""
    query = {"entity": "Marks", "sort": sort_text([("ID", False)]), "properties": "ID", "pageSize": 10}
    answer = marks.get("Data/Get", **query, pageIndex=2, getTotal="true", cursor="true").json()
    ids = sorted(record["ID"] for record in everything(marks))
    assert (answer["Total"], [record["ID"] for record in answer["Data"]]) == (len(ids), ids[10:20])
    after = marks.get("Data/Get", **query, pageIndex=5, getTotal="true", after=answer["Next"]).json()
    assert (after["Total"], [record["ID"] for record in after["Data"]]) == (len(ids), ids[20:30])
    assert after["Next"] is not None


@pytest.mark.better("B-X3")
@pytest.mark.parametrize("sort", [[("Whole", False)], [("Text", True), ("Must", False)], [("Money", True)]])
def test_records_come_and_go(new_application: NewClient, sort: list[tuple[str, bool]]) -> None:
    """While others store and delete records, every record that exists all the time is read once, and none twice."""
    client, chance = new_application(MANIFEST), random.Random(str(sort))
    client.add("Marks", *(mark(chance) for _ in range(60)))
    stays = {record["ID"]: record for record in everything(client) if record["ID"] % 2}
    found, after = page(client, None, sort=sort_text(sort), pageSize=5)
    while after is not None:
        last = found[-1]["ID"]
        goes = [record["ID"] for record in everything(client) if record["ID"] not in stays]
        gone = [last] if last not in stays else []
        client.delete("Data/Delete", entity="Marks", ids=",".join(map(str, {*gone, *chance.sample(goes, 3)})))
        client.add("Marks", *(mark(chance) for _ in range(2)))
        records, after = page(client, after, sort=sort_text(sort), pageSize=5)
        found += records
    ids = [record["ID"] for record in found]
    assert len(ids) == len(set(ids))
    kept = [record for record in found if record["ID"] in stays]
    assert kept == ordered(list(stays.values()), sort)


@pytest.mark.better("B-X3")
def test_wrong_cursors(marks: Client) -> None:
    """A cursor of another filter, sort or entity, a changed one, and any other text are refused; none tells why."""
    sort = sort_text([("Whole", False)])
    _, after = page(marks, None, sort=sort, pageSize=3)
    assert after is not None
    other = '{"Property":"Whole","Operator":"less","Value":5}'
    same_shape = '{"Property":"Whole","Operator":"less","Value":6}'
    _, filtered = page(marks, None, sort=sort, filter=other, pageSize=3)
    changed = after[:20] + ("A" if after[20] != "A" else "B") + after[21:]
    wrong: list[dict[str, Any]] = [
        {"sort": sort_text([("Whole", True)]), "after": after},
        {"sort": sort_text([("Whole", False), ("Moment", False)]), "after": after},
        {"after": after},
        {"sort": sort, "after": after, "filter": other},
        {"sort": sort, "after": filtered},
        {"sort": sort, "after": filtered, "filter": same_shape},
        {"sort": sort, "after": after[3:]},
        {"sort": sort, "after": changed},
        *({"sort": sort, "after": text} for text in ("x", "v1:", "v1:AAAA", "null", "é" * 300, after * 3, "\x00")),
    ]
    messages = set()
    for query in wrong:
        error = error_of(marks.get("Data/Get", entity="Marks", **query))
        assert (error.code, error.entity) == ("INVALID_SORT_PARAMETER", "Marks"), query
        messages.add(error.message)
    assert len(messages) == 1
    assert page(marks, filtered, sort=sort, filter=other)[0]


@pytest.mark.better("B-X3")
def test_cursors_belong_to_an_application(marks: Client, new_application: NewClient) -> None:
    """A cursor of one application does not open in another with the same definition."""
    _, after = page(marks, None, pageSize=3)
    other = new_application(MANIFEST)
    assert error_of(other.get("Data/Get", entity="Marks", after=after)).code == "INVALID_SORT_PARAMETER"


@pytest.mark.better("B-X3")
def test_reach(new_application: NewClient, as_operator: AsOperator) -> None:
    """A cursor shows no record out of the caller's reach, and does not open for a caller with another reach."""
    client = new_application(MANIFEST)
    anna, bobby = client.signed_in("anna"), client.signed_in("bobby")
    mine = anna.add("Owned", *({"Text": str(number)} for number in range(5)))
    theirs = bobby.add("Owned", *({"Text": str(number)} for number in range(5)))
    answer = anna.get("Data/Get", entity="Owned", pageSize=2, cursor="true").json()
    rest = anna.get("Data/Get", entity="Owned", after=answer["Next"]).json()
    assert [record["ID"] for record in (*answer["Data"], *rest["Data"])] == mine
    assert [each["ID"] for each in bobby.get("Data/Get", entity="Owned", after=answer["Next"]).json()["Data"]] == theirs
    operator = as_operator(client)
    error = error_of(operator.get("Data/Get", entity="Owned", after=answer["Next"]))
    assert error.code == "INVALID_SORT_PARAMETER"
    hidden = client.get("Data/Get", entity="Hidden", after=answer["Next"])
    assert error_of(hidden).code == "UNAUTHORIZED"


@pytest.mark.better("B-X3")
def test_long_texts(new_application: NewClient) -> None:
    """A text of 500 characters fits into a cursor; a longer one as a sort value of the last record is refused."""
    client = new_application(MANIFEST)
    client.add("Marks", {"Text": "a" * 500, "Must": 1}, {"Text": "b" * 501, "Must": 1}, {"Text": "c", "Must": 1})
    sort = sort_text([("Text", False)])
    _, after = page(client, None, sort=sort, pageSize=1)
    error = error_of(client.get("Data/Get", entity="Marks", sort=sort, pageSize=1, after=after, cursor="true"))
    assert error.code == "INVALID_SORT_PARAMETER"
    assert "at most 500 characters" in error.message
    assert [each["ID"] for each in page(client, after, sort=sort, pageSize=2)[0]] == [2, 3]


@pytest.mark.better("B-X3")
def test_texts_of_every_alphabet(new_application: NewClient) -> None:
    """Whatever the database's order of texts is, pages by cursor have the order of one page."""
    client = new_application(MANIFEST)
    texts = ["é", "E", "e", "É", "ß", "ss", "SS", "σ", "ς", "Σ", "İ", "i", "ı", "I", "a b", "a-b", "ab", "A", "_", "%"]
    client.add("Marks", *({"Text": text, "Must": 1} for text in texts * 2))
    for down in (False, True):
        sort = sort_text([("Text", down)])
        assert walk(client, sort=sort, pageSize=3) == client.records("Marks", sort=sort, pageSize=100)


@pytest.mark.better("B-X3")
def test_without_cursor(marks: Client) -> None:
    """An answer has ``Next`` only on request; blank and unknown values are no request."""
    for query in ({}, {"cursor": "false"}, {"cursor": "yes"}, {"after": ""}):
        assert list(marks.get("Data/Get", entity="Marks", **query).json()) == ["Data"]


@pytest.mark.better("B-X3")
def test_files(new_application: NewClient) -> None:
    """Files/Get has cursors too."""
    manifest = {**MANIFEST, "Security": [*MANIFEST["Security"], FILES_GET]}
    client = new_application(manifest)
    assert client.get("Files/Get", cursor="true").json() == {"Data": [], "Next": None}


FILES_GET = {"Entity": "Files", "Role": "ANONYMOUS", "Action": "get", "Properties": "*"}
