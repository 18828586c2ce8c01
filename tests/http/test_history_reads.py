"""Reading and deleting the history (docs/reference/protocol/wire-api.md sections 4.3 and 9;
docs/reference/protocol/data-model.md section 7).
"""

from __future__ import annotations

import io
import json
import time
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from apilane.testing.client import Client, WireError, error_of
from apilane.testing.server import CHEAP_PASSWORDS, Server

HISTORY = '"H_Entity_Change_Tracking"'
DAY_MS = 86_400_000
NOT_FOUND = WireError("NOT_FOUND", "Record not found")
MANIFEST: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "Archive", "DifferentiationEntity": "Company"},
    "Entities": [
        {"Name": "Company", "Properties": [{"Name": "Title"}]},
        {"Name": "Users", "Properties": [{"Name": "Firstname"}]},
        {
            "Name": "Letters",
            "ChangeTracking": True,
            "Differentiation": True,
            "Properties": [
                {"Name": "Title", "Maximum": 50},
                {"Name": "Price", "Type": "Number", "DecimalPlaces": 2},
                {"Name": "Sent", "Type": "Boolean"},
                {"Name": "Moment", "Type": "Date"},
                {"Name": "Secret", "Encrypted": True},
                {"Name": "Hidden"},
            ],
        },
    ],
    "Security": [
        {"Entity": "Letters", "Role": "AUTHENTICATED", "Action": "post", "Properties": "*"},
        {"Entity": "Letters", "Role": "AUTHENTICATED", "Action": "put", "Properties": "*"},
        {"Entity": "Letters", "Role": "AUTHENTICATED", "Action": "delete"},
        {
            "Entity": "Letters",
            "Role": "AUTHENTICATED",
            "Action": "get",
            "Record": "Owned",
            "Properties": ["Title", "Price", "Sent", "Moment", "Secret"],
        },
        {"Entity": "Users", "Role": "AUTHENTICATED", "Action": "get", "Record": "Owned", "Properties": ["Username"]},
    ],
}
FIRST = {"Title": "a", "Price": 1.5, "Sent": True, "Moment": 1769854800000, "Secret": "wax", "Hidden": "cellar"}


@pytest.fixture(scope="module")
def archive(new_application) -> Client:  # type: ignore[no-untyped-def]
    """An anonymous caller."""
    client: Client = new_application(MANIFEST)
    return client


@pytest.fixture(scope="module")
def writer(archive: Client) -> Client:
    """A user with letters."""
    return archive.signed_in("writer", Firstname="W")


@pytest.fixture(scope="module")
def owner(archive: Client, as_operator) -> Client:  # type: ignore[no-untyped-def]
    """The operator."""
    client: Client = as_operator(archive)
    return client


def _history(client: Client, id: int, **query: Any) -> Any:
    answer = client.get("Data/GetHistoryByID", entity="letters", id=id, **query)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.better("B-W5", "B-D10")
def test_a_caller_reads_what_the_rules_allow(writer: Client) -> None:
    """Newest first, with the readable properties as before the change; encrypted ones in clear, others left out."""
    (id,) = writer.add("Letters", FIRST)
    assert _history(writer, id) == {"Total": 0, "Data": []}
    before = writer.record("Letters", id)
    writer.change("Letters", {"ID": id, "Title": "b", "Secret": None, "Price": None})
    writer.change("Letters", {"ID": id, "Title": "c"})
    found = _history(writer, id)
    newest, oldest = found["Data"]
    assert found["Total"] == 2
    user = writer.get("Account/UserData").json()["User"]["ID"]
    assert oldest.pop("History_Record_Owner") == newest.pop("History_Record_Owner") == user
    assert abs(oldest.pop("History_Record_Created") - time.time() * 1000) < 60_000
    newest.pop("History_Record_Created")
    assert oldest == before
    assert newest == {**before, "Title": "b", "Secret": None, "Price": None}
    assert "Hidden" not in newest


@pytest.mark.better("B-W5")
def test_pages(writer: Client) -> None:
    """10 items by default; an index below 1 is the first page; a size that is blank or outside 1 to 1000 is 1000."""
    (id,) = writer.add("Letters", {"Title": "0"})
    for number in range(1, 13):
        writer.change("Letters", {"ID": id, "Title": str(number)})

    def titles(**query: Any) -> list[str]:
        found = _history(writer, id, **query)
        assert found["Total"] == 12
        return [item["Title"] for item in found["Data"]]

    every = [str(number) for number in range(11, -1, -1)]
    assert titles() == titles(pageIndex=0) == titles(pageSize="x") == every[:10]
    assert titles(pageIndex=2) == every[10:]
    assert titles(pageSize=5, pageIndex=2) == every[5:10]
    for size in ("", "0", "-1", "1001"):
        assert titles(pageSize=size) == every
    assert titles(pageIndex=99) == []


@pytest.mark.better("B-W5", "B-S4")
def test_the_live_record_decides(archive: Client, writer: Client, owner: Client, server: Server) -> None:
    """History of a record that is gone, of another owner or of another tenant is NOT_FOUND; operators reach it all."""
    (id,) = writer.add("Letters", {"Title": "mine"})
    writer.change("Letters", {"ID": id, "Title": "changed"})
    other = archive.signed_in("reader")
    query = {"entity": "Letters", "id": id}
    assert error_of(other.get("Data/GetHistoryByID", **query)) == NOT_FOUND
    denied = WireError("UNAUTHORIZED", "Unauthorized", None, "Letters")
    assert error_of(archive.get("Data/GetHistoryByID", **query)) == denied
    assert [item["Hidden"] for item in _history(owner, id)["Data"]] == [None]
    (company,) = owner.add("Company", {"Title": "x"})
    owner.change("Letters", {"ID": id, "Company_ID": company})
    assert error_of(writer.get("Data/GetHistoryByID", **query)) == NOT_FOUND
    owner.change("Letters", {"ID": id, "Company_ID": None})
    assert _history(writer, id)["Total"] == 3
    writer.delete("Data/Delete", entity="Letters", ids=id)
    assert error_of(writer.get("Data/GetHistoryByID", **query)) == NOT_FOUND
    for wrong in ({"id": "x"}, {"id": 0}, {"id": -1}, {}):
        assert error_of(writer.get("Data/GetHistoryByID", entity="Letters", **wrong)) == NOT_FOUND
    unknown = writer.get("Data/GetHistoryByID", entity="Nope", id=1)
    assert error_of(unknown).message.startswith("Entity Nope does not exist")
    assert error_of(writer.get("Data/GetHistoryByID", entity="files", id=1)).message.startswith("Use 'Files'")


@pytest.mark.better("B-W5", "B-D10", "B-D3")
def test_no_passwords(server: Server, archive: Client, owner: Client) -> None:
    """A password never appears, not even when a stored snapshot has one."""
    user = archive.signed_in("keeper", Firstname="one")
    id = user.get("Account/UserData").json()["User"]["ID"]
    user.put("Account/Update", {"Firstname": "two"})
    (text,) = server.sql(archive.token, f'SELECT "Data" FROM {HISTORY} WHERE "Entity" = ?', ("Users",))[-1]
    planted = json.dumps({**json.loads(text), "Password": "$argon2id$planted", "password": "small"})
    server.sql(archive.token, f'UPDATE {HISTORY} SET "Data" = ? WHERE "Entity" = ?', (planted, "Users"))
    for client in (user, owner):
        answer = client.get("Data/GetHistoryByID", entity="Users", id=id)
        assert answer.json()["Total"] == 1
        assert "assword" not in answer.text
    kept = owner.get("EntityHistory/Get", entity="Users", recordID=id)
    assert "planted" not in kept.text
    assert json.loads(kept.json()["Data"][0]["Data"])["Firstname"] == "one"


def test_values_of_dropped_properties(server: Server, writer: Client, owner: Client) -> None:
    """A snapshot that the server did not write, or whose value has another type now, gives nulls and no failure."""
    (id,) = writer.add("Letters", {"Title": "odd"})
    for _ in range(3):
        writer.change("Letters", {"ID": id, "Title": "odd"})
    odd = {"Title": 5, "Price": "cheap", "Sent": 1, "Moment": True, "Secret": "v1:nonsense", "Gone": "kept"}
    for text, number in ((json.dumps(odd), 0), ("no json", 1), ("[1]", 2)):
        rows = server.sql(writer.token, f'SELECT "ID" FROM {HISTORY} WHERE "RecordID" = ? ORDER BY "ID"', (id,))
        server.sql(writer.token, f'UPDATE {HISTORY} SET "Data" = ? WHERE "ID" = ?', (text, rows[number][0]))
    items = _history(writer, id)["Data"]
    assert len(items) == 3
    names = ("Title", "Price", "Sent", "Moment", "Secret")
    assert all(item[name] is None for item in items for name in names)
    kept = [
        json.loads(item["Data"])
        for item in owner.get("EntityHistory/Get", entity="Letters", recordID=id).json()["Data"]
    ]
    assert kept == [{}, {}, odd]


# --- operators ------------------------------------------------------------------------------------------------------


def test_operators_list_and_delete(server: Server, writer: Client, owner: Client) -> None:
    """EntityHistory/Get lists the rows of a record, also of a deleted one; Delete removes those of one record."""
    first, second = writer.add("Letters", {"Title": "first", "Secret": "wax"}, {"Title": "second"})
    for id in (first, first, second):
        writer.change("Letters", {"ID": id, "Title": "x"})
    writer.delete("Data/Delete", entity="Letters", ids=first)
    found = owner.get("EntityHistory/Get", entity="letters", recordID=first).json()
    assert found["Total"] == 3
    assert [set(item) for item in found["Data"]] == [{"ID", "Entity", "RecordID", "Owner", "Data", "Created"}] * 3
    assert [item["ID"] for item in found["Data"]] == sorted((item["ID"] for item in found["Data"]), reverse=True)
    assert {(item["Entity"], item["RecordID"]) for item in found["Data"]} == {("Letters", first)}
    assert json.loads(found["Data"][-1]["Data"]) == {
        **json.loads(found["Data"][-1]["Data"]),
        "Secret": "wax",
        "Hidden": None,
    }
    assert (
        len(owner.get("EntityHistory/Get", entity="Letters", recordID=first, pageSize=2, pageIndex=2).json()["Data"])
        == 1
    )
    every = owner.get("EntityHistory/Get", entity="Letters").json()["Total"]
    assert every >= 4
    assert owner.get("EntityHistory/Get", entity="Letters", recordID="x").json() == {"Total": 0, "Data": []}
    answer = owner.delete("EntityHistory/Delete", entity="Letters", recordID=first)
    assert (answer.status_code, answer.json()) == (200, "OK")
    assert owner.get("EntityHistory/Get", entity="Letters", recordID=first).json()["Total"] == 0
    assert owner.get("EntityHistory/Get", entity="Letters").json()["Total"] == every - 3
    counted = owner.get("Stats/CountDataAndHistory", entity="Letters").json()
    assert counted == {"Data": len(owner.records("Letters", pageSize=1000)), "History": every - 3}


def test_a_typing_error_deletes_nothing(writer: Client, owner: Client) -> None:
    """A recordID that is no ID, and an entity without history that does not exist, are refused."""
    (id,) = writer.add("Letters", {"Title": "safe"})
    writer.change("Letters", {"ID": id, "Title": "x"})
    for typed in ("x", "0", "-1", "1.5", "1,2"):
        error = error_of(owner.delete("EntityHistory/Delete", entity="Letters", recordID=typed))
        assert (error.code, error.property) == ("VALIDATION", "recordID")
    for call in (owner.delete, owner.get):
        name = "Delete" if call == owner.delete else "Get"
        assert error_of(call(f"EntityHistory/{name}", entity="Nope")) == WireError(
            "ERROR", "Entity Nope does not exist"
        )
        missing = WireError("ERROR", "Something went wrong: the parameter entity is missing", None, "")
        assert error_of(call(f"EntityHistory/{name}")) == missing
    assert error_of(owner.get("Stats/CountDataAndHistory")) == missing
    assert error_of(owner.get("Stats/CountDataAndHistory", entity="Nope")).code == "ERROR"
    assert owner.get("EntityHistory/Get", entity="Letters", recordID=id).json()["Total"] == 1


def test_the_whole_history_of_an_entity(server: Server, new_application: Any, as_operator: Any) -> None:
    """Without a recordID the snapshots of all records go, in several units, and those of other entities stay."""
    client = as_operator(new_application(MANIFEST))
    (id,) = client.add("Letters", {"Title": "x"})
    text = f'INSERT INTO {HISTORY} ("Entity", "RecordID", "Data", "Created") VALUES (?, ?, ?, ?)'
    for number in range(3):
        server.sql(client.token, text, ("Letters", number + 1, "{}", 1))
    server.sql(client.token, text, ("Dropped", 7, '{"Name":"x"}', 1))
    client.change("Letters", [{"ID": id, "Title": str(number)} for number in range(1500)])
    assert client.get("Stats/CountDataAndHistory", entity="Letters").json() == {"Data": 1, "History": 1503}
    assert client.delete("EntityHistory/Delete", entity="letters").json() == "OK"
    assert client.get("EntityHistory/Get", entity="Letters").json() == {"Total": 0, "Data": []}
    dropped = client.get("EntityHistory/Get", entity="Dropped").json()
    assert [(item["RecordID"], item["Data"]) for item in dropped["Data"]] == [(7, '{"Name":"x"}')]
    assert client.delete("EntityHistory/Delete", entity="Dropped").json() == "OK"
    assert server.sql(client.token, f"SELECT COUNT(*) FROM {HISTORY}") == [(0,)]


@pytest.mark.better("B-D10")
def test_history_follows_renames(server: Server, new_application: Any, as_operator: Any) -> None:
    """After a rename of entity and property, callers read the old snapshots under the new names."""
    client = new_application(MANIFEST)
    user = client.signed_in("renamer")
    (id,) = user.add("Letters", FIRST)
    user.change("Letters", {"ID": id, "Title": "b", "Secret": "glue"})
    renamed = json.loads(json.dumps(MANIFEST).replace('"Letters"', '"Mails"').replace('"Secret"', '"Seal"'))
    renamed["Application"]["Token"] = client.token
    renamed["Entities"][2]["RenamedFrom"] = "Letters"
    renamed["Entities"][2]["Properties"][4]["RenamedFrom"] = "Secret"
    server.apply(renamed)
    (item,) = user.get("Data/GetHistoryByID", entity="Mails", id=id).json()["Data"]
    assert (item["Title"], item["Seal"], "Secret" in item) == ("a", "wax", False)


@pytest.mark.better("B-D10")
@pytest.mark.parametrize("way", ["created", "renamed"])
def test_a_dropped_entity_leaves_no_history_to_the_next(
    server: Server, new_application: Any, as_operator: Any, way: str
) -> None:
    """Callers of an entity never read snapshots of a dropped entity of the same name; operators still find them."""
    client = new_application(MANIFEST)
    writer, operator = client.signed_in("first"), as_operator(client)
    (id,) = writer.add("Letters", FIRST)
    writer.change("Letters", {"ID": id, "Title": "b"})
    *others, letters = MANIFEST["Entities"]
    *rules, of_users = MANIFEST["Security"]
    other = {**letters, "Name": "Other"}
    of_other = [{**rule, "Entity": "Other"} for rule in rules]

    def apply(entities: list[Any], rules: list[Any]) -> None:
        named = {**MANIFEST["Application"], "Token": client.token}
        server.apply({**MANIFEST, "Application": named, "Entities": [*others, *entities], "Security": rules})

    apply([letters, other], [*rules, *of_other, of_users])
    assert writer.add("Other", {"Title": "other"}) == [id]
    writer.change("Other", {"ID": id, "Title": "changed"})
    apply([other], [*of_other, of_users])
    (found,) = operator.get("EntityHistory/Get", entity="Letters", recordID=id).json()["Data"]
    assert (found["Entity"], json.loads(found["Data"])["Secret"]) == ("Letters (earlier)", "wax")
    if way == "created":
        apply([letters, other], [*rules, *of_other, of_users])
        reader, expected = client.signed_in("next"), []
        assert reader.add("Letters", {"Title": "new"}) == [id]
    else:
        apply([{**letters, "RenamedFrom": "Other"}], [*rules, of_users])
        reader, expected = writer, ["other"]
    assert [item["Title"] for item in _history(reader, id)["Data"]] == expected
    kept = operator.get("EntityHistory/Get", entity="Letters (earlier)").json()
    assert [json.loads(item["Data"])["Title"] for item in kept["Data"]] == ["a"]
    assert operator.delete("EntityHistory/Delete", entity="Letters (earlier)").json() == "OK"
    assert operator.get("EntityHistory/Get", entity="Letters").json()["Total"] == len(expected)


@pytest.mark.better("B-W5", "B-D10")
def test_an_imported_record_has_no_history_of_a_deleted_one(archive: Client, writer: Client, owner: Client) -> None:
    """A record imported with the ID of a deleted one shows its new owner and tenant no snapshots of the deleted one."""
    first, second = writer.add("Letters", {"Title": "private", "Secret": "wax"}, {"Title": "kept"})
    for id in (first, second):
        writer.change("Letters", {"ID": id, "Title": "changed"})
    writer.delete("Data/Delete", entity="Letters", ids=first)
    other = archive.signed_in("importer")
    user = other.get("Account/UserData").json()["User"]["ID"]
    body = [{"ID": first, "Title": "imported", "Created": 1, "Owner": user}]
    assert owner.post("Application/ImportData", body, Entity="Letters").json() == [first]
    assert _history(other, first) == {"Total": 0, "Data": []}
    other.change("Letters", {"ID": first, "Title": "mine"})
    assert [item["Title"] for item in _history(other, first)["Data"]] == ["imported"]
    assert [item["Title"] for item in _history(writer, second)["Data"]] == ["kept"]
    kept = owner.get("EntityHistory/Get", entity="Letters (earlier)", recordID=first).json()
    assert [json.loads(item["Data"])["Title"] for item in kept["Data"]] == ["changed", "private"]
    refused = [{"ID": second, "Title": "again", "Created": 1, "Owner": user}]
    assert owner.post("Application/ImportData", refused, Entity="Letters").status_code == 400
    assert _history(writer, second)["Total"] == 1


@pytest.mark.better("B-W5")
def test_a_property_that_was_encrypted(server: Server, new_application: Any, as_operator: Any) -> None:
    """A property that replaces an encrypted one of the same name shows callers no ciphertext in old snapshots."""
    client = new_application(MANIFEST)
    user, operator = client.signed_in("keeper"), as_operator(client)
    (id,) = user.add("Letters", FIRST)
    user.change("Letters", {"ID": id, "Secret": "glue"})
    changed = json.loads(json.dumps(MANIFEST))
    changed["Application"]["Token"] = client.token
    properties = changed["Entities"][2]["Properties"]
    secret = properties.pop(4)
    rules, listed = changed["Security"], changed["Security"][3]["Properties"]
    rules[3]["Properties"] = [name for name in listed if name != "Secret"]
    server.apply(changed)
    properties.append({**secret, "Encrypted": False})
    rules[3]["Properties"] = listed
    server.apply(changed)
    user.change("Letters", {"ID": id, "Secret": "v1:typed by a user"})
    user.change("Letters", {"ID": id, "Secret": "c"})
    assert [item["Secret"] for item in _history(user, id)["Data"]] == ["v1:typed by a user", None, None]
    kept = operator.get("EntityHistory/Get", entity="Letters", recordID=id).json()["Data"]
    assert [json.loads(item["Data"])["Secret"] for item in kept] == ["v1:typed by a user", None, "wax"]


@pytest.mark.sqlite_only("other databases refuse such values")
@pytest.mark.better("B-D14")
def test_values_that_other_programs_stored(server: Server, writer: Client, owner: Client) -> None:
    """A text that is not UTF-8 and bytes in an encrypted column read as null; the record can be changed and deleted."""
    broken, other = writer.add("Letters", FIRST, {"Title": "after"})
    for column, value in (("Title", "CAST(x'ff41' AS TEXT)"), ("Secret", "x'ff'")):
        server.sql(writer.token, f'UPDATE "Letters" SET "{column}" = {value} WHERE "ID" = ?', (broken,))
        record = writer.record("Letters", broken)
        assert record[column] is None
        assert (record["Price"], record["Sent"]) == (FIRST["Price"], FIRST["Sent"])
    listed = {record["ID"]: record for record in writer.records("Letters", pageSize=1000)}
    assert (listed[broken]["Title"], listed[broken]["Secret"], listed[other]["Title"]) == (None, None, "after")
    assert len(writer.get("Stats/Distinct", entity="Letters", property="Title").json()) >= 2
    exported = owner.get("Application/Export")
    with zipfile.ZipFile(io.BytesIO(exported.content)) as archive:
        assert archive.testzip() is None
        records = json.loads(archive.read("data/Letters.json"))
    assert [record["Secret"] for record in records if record["ID"] == broken] == [None]
    assert writer.change("Letters", {"ID": broken, "Price": 9}) == 1
    (kept,) = _history(writer, broken)["Data"]
    assert (kept["Title"], kept["Secret"], kept["Price"]) == (None, None, FIRST["Price"])
    assert writer.delete("Data/Delete", entity="Letters", ids=broken).json() == [broken]


# --- retention ------------------------------------------------------------------------------------------------------


def test_old_snapshots_are_deleted(tmp_path: Path, http: httpx.Client) -> None:
    """Snapshots older than HistoryRetentionDays go, in batches; without the setting they stay for ever."""
    settings = {**CHEAP_PASSWORDS, "definition_poll_s": 0.05, "housekeeping_s": 0.2}
    with Server(tmp_path / "data", settings=settings) as running:
        kept = Client(http, running.url, running.apply(MANIFEST))
        named = {**MANIFEST["Application"], "Name": "Limited", "HistoryRetentionDays": 30}
        limited = {**MANIFEST, "Application": named}
        short = Client(http, running.url, running.apply(limited))
        now = int(time.time() * 1000)
        old, recent = now - 31 * DAY_MS, now - 29 * DAY_MS
        values = [(1, old)] * 700 + [(2, recent)] * 2 + [(3, old)] * 2
        for client in (kept, short):
            for start in range(0, len(values), 100):
                some = values[start : start + 100]
                rows = ", ".join("(?, ?, ?, ?)" for _ in some)
                text = f'INSERT INTO {HISTORY} ("Entity", "RecordID", "Data", "Created") VALUES {rows}'
                running.sql(client.token, text, [each for id, at in some for each in ("Letters", id, "{}", at)])
            client.get("Data/Get", entity="Letters")

        def left(client: Client) -> list[Any]:
            return running.sql(client.token, f'SELECT "RecordID" FROM {HISTORY} ORDER BY "ID"')

        deadline = time.monotonic() + 20
        while left(short) != [(2,), (2,)] and time.monotonic() < deadline:
            time.sleep(0.05)
        assert left(short) == [(2,), (2,)]
        assert len(left(kept)) == 704
        assert short.get("Data/Get", entity="Letters").status_code == 401
