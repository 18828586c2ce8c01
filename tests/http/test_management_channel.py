"""The calls of operators on data (docs/reference/protocol/wire-api.md section 9, B-O2, B-O3, B-E1)."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from typing import Any

import pytest

from apilane.control.store import ControlStore
from apilane.dispatch import Hooks
from apilane.testing.client import PASSWORD, Client, WireError, error_of
from apilane.testing.server import Server
from apilane.web.operators import GONE
from tests.http.conftest import PROVIDER
from tests.http.test_import_data import MANIFEST

OTHER = "other@example.com"
REFUSED = {
    "Code": "UNAUTHORIZED",
    "Message": "Unauthorized",
    "Property": None,
    "Entity": None,
    "Error": "UNAUTHORIZED",
}
CALLS = (
    ("GET", "EntityHistory/Get?entity=Parts&recordID=1"),
    ("DELETE", "EntityHistory/Delete?entity=Parts"),
    ("GET", "Stats/CountDataAndHistory?entity=Parts"),
    ("GET", "Application/GetStorageUsed"),
    ("GET", "Application/ClearCache"),
    ("GET", "Application/Export"),
    ("POST", "Application/ImportData?Entity=Parts"),
    ("POST", "Custom/Any"),
)


@pytest.fixture(scope="module")
def application(new_application) -> Client:  # type: ignore[no-untyped-def]
    """An anonymous caller."""
    client: Client = new_application(MANIFEST)
    return client


@pytest.fixture(scope="module")
def owner(application: Client, as_operator) -> Client:  # type: ignore[no-untyped-def]
    """The operator."""
    client: Client = as_operator(application)
    return client


def _exported(client: Client) -> dict[str, Any]:
    """The files of an export by name, as JSON."""
    answer = client.get("Application/Export")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == f'attachment; filename="{client.token}.zip"'
    assert "no-store" in answer.headers["cache-control"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        return {name: json.loads(archive.read(name)) for name in archive.namelist()}


# --- who may call ---------------------------------------------------------------------------------------------------


@pytest.mark.better("B-E1", "B-O2", "B-O3", "B-Q9", "B-S11")
@pytest.mark.parametrize("call", [*CALLS, *GONE], ids=lambda call: call[1].partition("?")[0])
def test_other_callers(application: Client, owner: Client, new_application: Any, as_operator: Any, call: Any) -> None:
    """Everybody but an operator of this application gets 401 in both vocabularies, also without an application."""
    method, target = call
    foreign = as_operator(new_application({**MANIFEST, "Collaborators": [OTHER]}), OTHER)
    assert foreign.get("Data/Schema").status_code == 200
    callers = (
        application,
        application.as_user(owner.user),
        application.as_operator(foreign.user),
        Client(application.http, application.url, ""),
        Client(application.http, application.url, "c0ffee00-0000-4000-8000-00000000ffff"),
    )
    for client in callers[:3] if target.startswith("Custom/") else callers:  # an endpoint may be open to callers
        answer = client.send(method, f"/api/{target}", headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()) == (401, REFUSED)


@pytest.mark.better("B-O3")
@pytest.mark.parametrize(("method", "path"), GONE)
def test_calls_that_do_not_exist_here(owner: Client, method: str, path: str) -> None:
    """A call that changes a model by numeric IDs answers operators with 404 and names the management API."""
    answer = owner.send(method, f"/api/{path}?ID=1&Entity=Parts&NewName=x")
    assert answer.status_code == 404
    error = error_of(answer)
    assert error.code == "NOT_FOUND"
    assert error.message.startswith("Not found: ")
    assert "/api/manage/v1" in error.message


@pytest.mark.better("B-E7")
def test_an_offline_application(new_application: Any, as_operator: Any) -> None:
    """Operators reach an offline application; other callers of their calls get the 401 and not its state."""
    client = new_application({**MANIFEST, "Application": {**MANIFEST["Application"], "Online": False}})
    assert as_operator(client).get("Application/ClearCache").json() == "OK"
    assert client.get("Application/ClearCache").json() == REFUSED


# --- numbers and caches ---------------------------------------------------------------------------------------------


def test_storage_and_cache(server: Server, new_application: Any, as_operator: Any) -> None:
    """GetStorageUsed is MB: the sizes of the files, and the file of an embedded database. ClearCache answers OK."""
    client = as_operator(new_application(MANIFEST))
    before = client.get("Application/GetStorageUsed").json()
    on_disk = server.database(client.token).stat().st_size / 1_048_576 if PROVIDER == "sqlite" else 0
    assert before >= round(on_disk, 6)
    assert (before > 0) == (PROVIDER == "sqlite")
    text = 'INSERT INTO "Files" ("Name", "UID", "Size", "Created") VALUES (?, ?, ?, ?)'
    for number in range(2):
        server.sql(client.token, text, (f"{number}.txt", f"{number}", 250.25, 1))
    after = client.get("Application/GetStorageUsed").json()
    assert 500.5 <= after - before < 502
    assert client.get("Application/ClearCache").json() == "OK"
    assert client.get("Data/Get", entity="Parts").json() == {"Data": []}


# --- export ---------------------------------------------------------------------------------------------------------


@pytest.mark.better("B-D1", "B-D3", "B-D4", "B-D13")
def test_an_export_has_everything_but_secrets(server: Server, new_application: Any, as_operator: Any) -> None:
    """The definition is a manifest that ``apply`` accepts; records come with encrypted values in clear; no password,
    token, hash or key is in it.
    """
    application = new_application(MANIFEST)
    client = as_operator(application)
    user = application.signed_in("exported", Firstname="E")
    (kind,) = client.add("Kinds", {"Title": "k"})
    first, second = client.add(
        "Parts",
        {"Title": "One", "Amount": 3, "Price": 1.25, "Done": True, "Moment": 1769854800000, "Secret": "wax"},
        {"Title": "Two", "KindID": kind},
    )
    client.change("Parts", {"ID": first, "Secret": "glue"})
    files = _exported(client)
    names = {f"data/{name}.json" for name in ("Company", "Users", "Files", "Parts", "Kinds")}
    assert set(files) == {"application.json", "history.json", *names}
    assert files["data/Parts.json"] == [client.record("Parts", first), client.record("Parts", second)]
    assert files["data/Parts.json"][0]["Secret"] == "glue"
    (exported,) = files["data/Users.json"]
    assert (exported["Username"], exported["Firstname"], "Password" in exported) == ("exported", "E", False)
    assert [(item["Entity"], json.loads(item["Data"])["Secret"]) for item in files["history.json"]] == [
        ("Parts", "wax")
    ]
    text = json.dumps(files)
    for secret in (
        PASSWORD,
        "$argon2",
        user.user,
        client.user,
        '"Token": "v1:',
        "H_Email_Fold",
        "mysql://",
        "postgresql://",
    ):
        assert secret not in text, secret
    stored = server.sql(client.token, 'SELECT "Password" FROM "Users"')
    assert stored[0][0] not in text
    manifest = files["application.json"]
    assert manifest["Application"]["Token"] == client.token
    manifest["Application"].pop("ConnectionString", None)
    assert server.apply(manifest) == client.token


@pytest.mark.better("B-D13")
def test_an_export_can_be_imported(new_application: Any, as_operator: Any) -> None:
    """The files of an export are bodies of ImportData; a second export of the copy equals the first one."""
    source, copy = (as_operator(new_application(MANIFEST)) for _ in range(2))
    source.as_user(None).register("mover")
    parts = source.add("Parts", *({"Title": f"Part {number}", "Secret": "s", "Price": 0.1} for number in range(1200)))
    source.change("Parts", {"ID": parts[0], "ParentID": parts[-1]})
    before = _exported(source)
    for name in ("Company", "Users", "Kinds", "Parts"):
        body = json.dumps(before[f"data/{name}.json"]).encode()
        answer = copy.send(
            "POST", f"/api/Application/ImportData?Entity={name}", body, {"Content-Type": "application/json"}
        )
        assert answer.json() == [record["ID"] for record in before[f"data/{name}.json"]], answer.text
    after = _exported(copy)
    assert {name: file for name, file in after.items() if name.startswith("data/")} == {
        name: file for name, file in before.items() if name.startswith("data/")
    }


def test_an_export_while_writes_go_on(server: Server, new_application: Any, as_operator: Any) -> None:
    """Each file is one snapshot: of two records that are stored together, it has both or none."""
    client = as_operator(new_application(MANIFEST))
    client.add("Parts", *({"Title": f"Row {number}"} for number in range(3000)))
    stop, failures = threading.Event(), []

    def write() -> None:
        number = 0
        while not stop.is_set():
            answer = client.post(
                "Data/Post", [{"Title": f"Left {number}"}, {"Title": f"Right {number}"}], entity="Parts"
            )
            if answer.status_code != 200:
                failures.append(answer.text)
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        exports = [_exported(client)["data/Parts.json"] for _ in range(4)]
    finally:
        stop.set()
        writer.join()
    assert failures == []
    for records in exports:
        titles = {record["Title"] for record in records}
        assert len(titles) == len(records) >= 3000
        pairs = [{title.partition(" ")[2] for title in titles if title.startswith(side)} for side in ("Left", "Right")]
        assert pairs[0] == pairs[1]


def test_a_client_that_leaves_an_export(server: Server, owner: Client) -> None:
    """An export that its client does not read to the end frees its snapshot, and the application works on."""
    owner.add("Parts", *({"Title": f"Left alone {number}"[:20]} for number in range(5000)))
    for _ in range(5):
        with owner.http.stream("GET", f"{owner.url}/api/Application/Export", headers=owner.headers()) as answer:
            assert next(answer.iter_raw(100))
    assert len(_exported(owner)["data/Parts.json"]) >= 5000
    owner.delete("Data/Delete", entity="Parts", ids=owner.records("Parts", pageSize=1)[0]["ID"])


def test_exports_are_on_record(server: Server, owner: Client) -> None:
    """An export leaves a record in the audit before it begins; calls that only read numbers leave none."""

    async def read(store: ControlStore, _hooks: Hooks) -> list[Any]:
        return [tuple(record.changes) for record in await store.audit(owner.token, 100) if record.after is None]

    before = server.with_store(read)
    _exported(owner)
    for call in ("GetStorageUsed", "ClearCache"):
        owner.get(f"Application/{call}")
    after = server.with_store(read)
    assert after[: len(after) - len(before)] == [("Application/Export", "begun")]
    owner.delete("EntityHistory/Delete", entity="Parts", recordID=12345)
    assert server.with_store(read)[0] == ("EntityHistory/Delete Parts: ID 12345", "0 snapshots deleted")


# --- the test query -------------------------------------------------------------------------------------------------


@pytest.mark.better("B-Q9")
def test_a_test_query(owner: Client) -> None:
    """Its writes are rolled back, ``{Owner}`` takes the parameter Owner, and schema statements are refused."""
    (kind,) = owner.add("Kinds", {"Title": "kept"})
    quoted = (lambda name: f"`{name}`") if PROVIDER == "mysql" else (lambda name: f'"{name}"')
    table = quoted("Kinds")
    update = f"UPDATE {table} SET {quoted('Title')} = 'changed'; SELECT {quoted('Title')} FROM {table}"
    for query, found in ((update, [[{"Title": "changed"}]]), ("SELECT {Owner} AS id", [[{"id": 7}]])):
        answer = owner.post("Custom/Anything", {"Name": "x", "Query": query, "Other": 1}, Owner="7")
        assert answer.json() == found, answer.text
    for query in (f"DROP TABLE {table}", f"CREATE TABLE {quoted('Extra')} (a INTEGER)", "COMMIT"):
        assert error_of(owner.post("Custom/Anything", {"Query": query})).code == "ERROR"
    assert owner.record("Kinds", kind)["Title"] == "kept"
    assert error_of(owner.post("Custom/Anything", {"Query": " "})) == WireError("REQUIRED", "Required", "Query")
