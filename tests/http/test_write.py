"""Data Post, Put and Delete: IDs, counts, constraints, all or nothing
(docs/reference/protocol/wire-api.md 4.4 to 4.6, docs/reference/protocol/errors.md section 4).
"""

from __future__ import annotations

import itertools
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from apilane.testing.client import Client, WireError, bare_error_of, error_of
from apilane.testing.server import Server
from tests.http.conftest import PROVIDER

UNIQUE = "Value already exists"
FOREIGN = "Foreign key constraint violation"


@pytest.fixture(scope="module")
def strict(lab: Client) -> list[int]:
    """A record whose values must be unique, and a second record."""
    return lab.add("Strict", {"Label": "taken", "First": 1, "Second": 2}, {"Label": "other"})


def _total(client: Client, entity: str) -> int:
    total: int = client.get("Data/Get", entity=entity, getTotal="true", pageSize=1).json()["Total"]
    return total


def test_put(lab: Client) -> None:
    """Put changes only the given properties, stores an explicit null, and counts identical values as matched."""
    (id,) = lab.add("Values", {"Text": "a", "Whole": 1, "Flag": True})
    assert lab.change("Values", {"ID": id, "Whole": None}) == 1
    assert lab.change("Values", {"ID": str(id), "Flag": True}) == 1
    record = lab.record("Values", id)
    assert (record["Text"], record["Whole"], record["Flag"]) == ("a", None, True)


def test_put_counts(lab: Client) -> None:
    """The result is the sum of matched rows; unknown IDs count 0, a repeated ID counts each time."""
    first, second = lab.add("Values", {}, {})
    bodies: list[tuple[Any, int]] = [
        ({"ID": 987654321, "Whole": 1}, 0),
        ([{"ID": first, "Whole": 1}, {"ID": 987654321, "Whole": 1}, {"ID": second, "Whole": 2}], 2),
        ([[{"ID": first, "Whole": 3}], None], 1),
        (json.dumps({"ID": first, "Whole": 4}), 1),
        ([{"ID": first, "Whole": 5}, {"ID": first, "Whole": 6}], 2),
        ([], 0),
        ({"ID": 9223372036854775807, "Whole": 1}, 0),
    ]
    for body, matched in bodies:
        response = lab.put("Data/Put", body, entity="Values")
        assert (response.status_code, response.text) == (200, str(matched)), body
    assert lab.record("Values", first)["Whole"] == 6


@pytest.mark.parametrize("id", [0, -1, "", "abc", None, True, [], {}, "1 2", "9223372036854775808", 1e300])
def test_put_without_id(lab: Client, id: Any) -> None:
    """An ID that is missing, not positive or not a number is NO_ID_PROVIDED."""
    response = lab.put("Data/Put", {"ID": id, "Text": "x"}, entity="values")
    assert bare_error_of(response) == WireError("NO_ID_PROVIDED", "No ID provided", None, "Values")


@pytest.mark.parametrize(
    "body", [{"ID": 1}, {"ID": 1, "Nope": 1}, {}, [{"ID": 1}], {"ID": 1, "Owner": 1, "Created": 1}]
)
def test_put_of_nothing(lab: Client, body: Any) -> None:
    """A body without a property that the caller may write is NO_PROPERTIES_PROVIDED."""
    response = lab.put("Data/Put", body, entity="values")
    assert bare_error_of(response) == WireError("NO_PROPERTIES_PROVIDED", "No properties provided", None, "Values")


def test_post_without_writable_properties(lab: Client) -> None:
    """A post rule without properties allows no post."""
    response = lab.post("Data/Post", {"Text": "x"}, entity="Unwritable")
    assert bare_error_of(response) == WireError("NO_PROPERTIES_PROVIDED", "No properties provided", None, "Unwritable")


def test_delete(lab: Client) -> None:
    """Delete returns the deleted IDs in ascending order; unreadable and unknown IDs are skipped."""
    ids = lab.add("Values", {}, {}, {})
    listed = f" {ids[2]},x,-1,0,,{ids[0]},{ids[0]},1.5,9223372036854775807,99999999999999999999,{ids[2]}"
    assert lab.delete("Data/Delete", entity="Values", ids=listed).json() == [ids[0], ids[2]]
    assert lab.delete("Data/Delete", entity="Values", ids=listed).json() == []
    assert lab.record("Values", ids[1])["ID"] == ids[1]


def test_delete_many(lab: Client) -> None:
    """A list of several hundred IDs is handled in one call."""
    ids = lab.add("Values", *({} for _ in range(300)))
    listed = ",".join(str(id) for id in reversed(ids))
    assert lab.delete("Data/Delete", entity="Values", ids=listed).json() == ids


@pytest.mark.parametrize("ids", [None, "", ",", "x", "0", "-5", "1.5", "٣"])
def test_delete_nothing(lab: Client, ids: str | None) -> None:
    """A call without a usable ID deletes nothing."""
    query = {} if ids is None else {"ids": ids}
    response = lab.delete("Data/Delete", entity="values", **query)
    expected = WireError("NO_RECORDS_FOUND_TO_DELETE", "No records found to delete", None, "Values")
    assert bare_error_of(response) == expected


@pytest.mark.better("B-E2", "B-E6")
@pytest.mark.parametrize(
    ("record", "error"),
    [
        ({"First": 1}, ("REQUIRED", "Required", "Label")),
        ({"Label": None}, ("REQUIRED", "Required", "Label")),
        ({"Label": "taken"}, ("UNIQUE_CONSTRAINT_VIOLATION", UNIQUE, "Label")),
        ({"Label": "x", "First": 1, "Second": 2}, ("UNIQUE_CONSTRAINT_VIOLATION", UNIQUE, "First,Second")),
        ({"Label": "x", "Parent": 999}, ("FOREIGN_KEY_CONSTRAINT_VIOLATION", FOREIGN, "Parent")),
        ({"First": 1, "Second": 2}, ("REQUIRED", "Required", "Label")),
    ],
)
def test_constraints(lab: Client, strict: list[int], record: dict[str, Any], error: tuple[str, str, str]) -> None:
    """A violated constraint is reported with the properties' schema names (B-E2, B-E6), in Post and Put."""
    _, other = strict
    expected = WireError(*error, "Strict")
    assert bare_error_of(lab.post("Data/Post", record, entity="strict")) == expected
    if record.keys() != {"First"} and "Label" in record:
        assert bare_error_of(lab.put("Data/Put", {"ID": other, **record}, entity="sTRICT")) == expected


def test_empty_text_is_a_value(lab: Client) -> None:
    """The empty string satisfies Required."""
    (id,) = lab.add("Strict", {"Label": ""})
    assert lab.record("Strict", id)["Label"] == ""
    assert lab.delete("Data/Delete", entity="Strict", ids=id).json() == [id]


@pytest.mark.better("B-D8")
def test_nulls_are_not_equal(lab: Client) -> None:
    """Several nulls satisfy a unique constraint (B-D8)."""
    ids = lab.add("Strict", {"Label": "n1", "First": 7}, {"Label": "n2", "First": 7})
    assert len(ids) == 2


def test_delete_of_a_referenced_record(lab: Client) -> None:
    """When one record is still referenced, no record of the call is deleted."""
    parent, child, free = lab.add("Strict", {"Label": "parent"}, {"Label": "child"}, {"Label": "free"})
    assert lab.change("Strict", {"ID": child, "Parent": parent}) == 1
    response = lab.delete("Data/Delete", entity="Strict", ids=f"{free},{parent}")
    assert error_of(response) == WireError("FOREIGN_KEY_CONSTRAINT_VIOLATION", FOREIGN, "Parent", "Strict")
    assert lab.record("Strict", free)["Label"] == "free"


@pytest.mark.better("B-W6")
def test_all_or_nothing(lab: Client) -> None:
    """One invalid record of an array undoes the others, in Post and Put (B-W6)."""
    (id,) = lab.add("Strict", {"Label": "kept"})
    before = _total(lab, "Strict")
    for last in ({"Label": "new"}, {"First": 5}, {"Label": "x" * 21}):
        response = lab.post("Data/Post", [{"Label": "new"}, last], entity="Strict")
        assert response.status_code == 400
    assert _total(lab, "Strict") == before
    changes = [{"ID": id, "First": 1}, {"ID": id, "Parent": 999}]
    assert lab.put("Data/Put", changes, entity="Strict").status_code == 400
    assert lab.record("Strict", id)["First"] is None


def test_set_null(shop: Client) -> None:
    """A foreign key with SetNull becomes null when its target is deleted."""
    user = shop.signed_in("setnull")
    (category,) = user.add("Categories", {"Title": "doomed"})
    (product,) = user.add("Products", {"Title": "orphan", "CategoryID": category})
    assert user.delete("Data/Delete", entity="Categories", ids=category).json() == [category]
    assert user.record("Products", product)["CategoryID"] is None


@pytest.mark.better("B-D8")
@pytest.mark.skipif(PROVIDER == "sqlserver", reason="a table cannot cascade to itself there (error 1785)")
def test_changed_delete_rule(server: Server, new_application: Any, lab_manifest: dict[str, Any]) -> None:
    """A change of the delete rule alone applies to the foreign key."""
    lab: Client = new_application(lab_manifest)
    parent, _ = lab.add("Strict", {"Label": "root"}, {"Label": "unrelated"})
    (child,) = lab.add("Strict", {"Label": "leaf", "Parent": parent})
    assert error_of(lab.delete("Data/Delete", entity="Strict", ids=parent)).message == FOREIGN
    changed: dict[str, Any] = json.loads(json.dumps(lab_manifest))
    strict = next(entity for entity in changed["Entities"] if entity["Name"] == "Strict")
    strict["Constraints"][2]["OnDelete"] = "Cascade"
    server.apply({**changed, "Application": {**changed["Application"], "Token": lab.token}})
    assert lab.delete("Data/Delete", entity="Strict", ids=parent).json() == [parent]
    assert error_of(lab.get("Data/GetByID", entity="Strict", id=child)).code == "NOT_FOUND"


def test_records_that_refer_to_each_other_go_together(lab: Client) -> None:
    """One call can delete records together with records that refer to them, in any number and order."""
    chain = lab.add("Strict", {"Label": "first of chain"})
    for number in range(1, 100):
        chain += lab.add("Strict", {"Label": f"link {number}", "Parent": chain[-1]})
    few = lab.add("Strict", *({"Label": f"few {number}"} for number in range(5)))
    for one, next_one in itertools.pairwise(few):
        lab.change("Strict", {"ID": one, "Parent": next_one})
    for ids in (chain, few):
        assert lab.delete("Data/Delete", entity="Strict", ids=",".join(map(str, ids))).json() == ids


def test_records_in_a_circle_go(lab: Client) -> None:
    """A record that refers to itself can be deleted, and a circle of records in one call, also of very many."""
    (alone,) = lab.add("Strict", {"Label": "circle alone"})
    two = lab.add("Strict", *({"Label": f"circle of two {n}"} for n in range(2)))
    many = lab.add("Strict", *({"Label": f"circle {n}"} for n in range(150)))
    for circle in ([alone], two, many):
        lab.put("Data/Put", [{"ID": one, "Parent": circle[at - 1]} for at, one in enumerate(circle)], entity="Strict")
        assert lab.delete("Data/Delete", entity="Strict", ids=",".join(map(str, circle))).json() == circle


def test_a_referred_record_of_a_circle_stays(lab: Client) -> None:
    """A circle that another record refers to is kept whole, with its references."""
    one, two = lab.add("Strict", *({"Label": f"kept circle {n}"} for n in range(2)))
    lab.put("Data/Put", [{"ID": one, "Parent": two}, {"ID": two, "Parent": one}], entity="Strict")
    (other,) = lab.add("Strict", {"Label": "refers to a circle", "Parent": one})
    response = lab.delete("Data/Delete", entity="Strict", ids=f"{one},{two}")
    assert error_of(response).message == FOREIGN
    assert [lab.record("Strict", id)["Parent"] for id in (one, two)] == [two, one]
    assert lab.delete("Data/Delete", entity="Strict", ids=f"{one},{two},{other}").json() == [one, two, other]


def test_arrays_in_opposite_orders(lab: Client) -> None:
    """Callers that put or delete the same records in different orders wait for each other, and all succeed."""
    ids = lab.add("Strict", *({"Label": f"crossed {n}"} for n in range(10)))

    def put(number: int) -> int:
        order = ids if number % 2 else ids[::-1]
        response = lab.put("Data/Put", [{"ID": id, "First": number} for id in order], entity="Strict")
        assert response.status_code == 200, response.text
        return int(response.text)

    with ThreadPoolExecutor(16) as threads:
        assert set(threads.map(put, range(64))) == {10}
    assert len({record["First"] for record in lab.records("Strict") if record["ID"] in ids}) == 1
    with ThreadPoolExecutor(8) as threads:
        text = [",".join(map(str, order)) for order in (ids, ids[::-1]) * 4]
        gone = list(threads.map(lambda each: lab.delete("Data/Delete", entity="Strict", ids=each).json(), text))
    assert sorted(gone) == [[]] * 7 + [ids]


@pytest.mark.better("B-W7")
def test_ids_of_64_bits(server: Server, lab: Client) -> None:
    """A record with an ID beyond 32 bits can be read, found, changed, referred to and deleted."""
    id = 10**18 - 2  # the largest that also fits a Number, which has 18 digits
    server.sql(lab.token, 'INSERT INTO "Strict" ("ID", "Label", "Created") VALUES (?, ?, 0)', (id, "far"))
    filter = json.dumps({"Property": "ID", "Operator": "equal", "Value": id})
    assert lab.record("Strict", id)["ID"] == id
    assert [record["ID"] for record in lab.records("Strict", filter=filter)] == [id]
    assert lab.change("Strict", {"ID": id, "First": 7}) == 1
    (next_id,) = lab.add("Strict", {"Label": "farther", "Parent": id})
    assert PROVIDER == "postgresql" or next_id == id + 1  # there only inserts of the server move the sequence
    assert lab.record("Strict", next_id)["Parent"] == id
    for each in (next_id, id):
        assert lab.delete("Data/Delete", entity="Strict", ids=each).json() == [each]


def test_ids_are_never_reused(lab: Client) -> None:
    """The ID of a deleted record is not used again."""
    (first,) = lab.add("Values", {})
    lab.delete("Data/Delete", entity="Values", ids=first)
    (second,) = lab.add("Values", {})
    assert second > first


@pytest.mark.better("B-D15")
def test_race_for_a_unique_value(lab: Client) -> None:
    """Of concurrent writes of a unique value exactly one succeeds; the others get the reason (B-D15)."""
    answers: list[int | str] = []

    def race() -> None:
        response = lab.post("Data/Post", {"Label": "the one"}, entity="Strict")
        answers.append(response.status_code if response.status_code == 200 else error_of(response).code)

    racers = [threading.Thread(target=race) for _ in range(16)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert sorted(answers, key=str) == [200] + ["UNIQUE_CONSTRAINT_VIOLATION"] * 15


def test_many_records(lab: Client) -> None:
    """A thousand records of one call get ascending IDs, and one page of a thousand returns them."""
    ids = lab.add("Values", *({"Whole": number} for number in range(1000)))
    assert ids == sorted(ids)
    wanted = json.dumps({"Property": "ID", "Operator": "greaterorequal", "Value": ids[0]})
    page = lab.records("Values", filter=wanted, pageSize=1000)
    assert [record["Whole"] for record in page] == list(range(1000))


def test_too_many_records(lab: Client) -> None:
    """A body of more than 100,000 records is refused as a whole, and other callers are served while it is read."""
    body = b"[" + b",".join([b'{"Label":null}'] * 100_001) + b"]"
    error = error_of(lab.post("Data/Post", body, entity="Strict"))
    assert (error.code, error.message) == ("ERROR", "At most 100000 records in one call")
