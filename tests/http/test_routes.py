"""Every route of the core and of plugins refuses callers without rights and counts against the limit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from apilane.app import create_app
from apilane.plugin.access import Account, CustomEndpoint, Data, Open, Operator, PerOperation, Program, Schema
from apilane.plugin.calls import WireCall
from apilane.settings import Settings
from apilane.testing.client import Client, WireError, error_of
from tests.http.uploads import FORM, body, part

LIMIT = {"MaxRequests": 1, "Per": "Hour"}
RULE = {"Role": "AUTHENTICATED", "RateLimit": LIMIT}
MANIFEST: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "Routes"},
    "Entities": [{"Name": "Books", "Properties": [{"Name": "Title"}]}],
    "CustomEndpoints": [{"Name": "Titles", "Query": "SELECT Title FROM Books"}],
    "Security": [
        {"Entity": "Books", "Action": "delete", **RULE},
        *({"Entity": "Books", "Action": action, "Properties": "*", **RULE} for action in ("get", "post", "put")),
        {"Entity": "Files", "Action": "get", "Properties": "*", **RULE},
        *({"Entity": "Files", "Action": action, **RULE} for action in ("post", "delete")),
        {"CustomEndpoint": "Titles", **RULE},
        {"Schema": True, **RULE},
    ],
}
BODIES = {
    "/api/account/changepassword": {"Password": "Old-Passw0rd", "NewPassword": "New-Passw0rd"},
    "/api/account/update": {"Firstname": "x"},
    "/api/data/transaction": {"Post": [{"Entity": "Books", "Data": {"Title": "x"}}]},
    "/api/data/transactionoperations": {"Operations": [{"Action": "Post", "Entity": "Books", "Data": {"Title": "x"}}]},
}
"""Bodies for routes that check the body before the user, or whose body names the entity."""


def calls() -> list[WireCall]:
    """Every wire call of the core and of the plugins in this repository."""
    return [each.call for each in create_app(Settings(data_dir=Path("never-made"))).routes]


def title(call: WireCall) -> str:
    return f"{call.method} {call.path}"


@pytest.fixture
def application(new_application) -> Client:  # type: ignore[no-untyped-def]
    """An application in which every rule admits one use an hour."""
    client: Client = new_application(MANIFEST)
    return client


def send(client: Client, call: WireCall) -> Any:
    """Send a request to the route, with an empty object as its JSON body."""
    path = call.path + ("Titles" if call.path.endswith("/") else "")
    target = f"{path}?entity=Books&id=1&ids=1"
    if call.body == "multipart":
        return client.send(call.method, target, body(part(b"x")), FORM)
    if call.body != "json":
        return client.send(call.method, target)
    content = json.dumps(BODIES.get(path.lower(), {})).encode()
    return client.send(call.method, target, content, {"Content-Type": "application/json"})


@pytest.mark.better("B-S6")
@pytest.mark.parametrize("call", calls(), ids=title)
def test_each_route_asks_for_its_rights(application: Client, call: WireCall) -> None:
    """A route refuses callers without the rights it declares, and counts one use of callers with them."""
    user = application.signed_in("member")
    match call.access:
        case CustomEndpoint(posted=True):  # without POST in its Methods, the endpoint is closed to callers
            for client in (application, user):
                assert error_of(send(client, call)) == WireError("UNAUTHORIZED", "Unauthorized")
        case Data() | CustomEndpoint() | Schema() | PerOperation():
            subjects = {"CustomEndpoint": "Titles", "Schema": "Schema"}
            subject = getattr(call.access, "entity", None) or subjects.get(type(call.access).__name__, "Books")
            assert error_of(send(application, call)) == WireError("UNAUTHORIZED", "Unauthorized", None, subject)
            first = send(user, call)
            assert first.status_code == 200 or error_of(first).code not in {"UNAUTHORIZED", "RATE_LIMIT_EXCEEDED"}
            assert error_of(send(user, call)).code == "RATE_LIMIT_EXCEEDED"
        case Account(user=True):
            assert error_of(send(application, call)) == WireError("UNAUTHORIZED", "Unauthorized")
            first = send(user, call)
            assert first.status_code == 200 or error_of(first).code != "UNAUTHORIZED"
        case Operator() | Program():
            for client in (application, user):
                assert error_of(send(client, call)) == WireError("UNAUTHORIZED", "Unauthorized")
        case Open():  # a link is its own permission, and this request has none
            assert call.path == "/api/Files/Linked"
            assert error_of(send(user, call)).code == "UNAUTHORIZED"
        case Account():
            answer = send(application, call)
            assert answer.status_code in {200, 302} or error_of(answer).code != "UNAUTHORIZED"
        case _:
            pytest.fail(f"{title(call)} declares {call.access}, which this test does not know")


@pytest.mark.parametrize("call", [call for call in calls() if call.method != "GET"], ids=title)
def test_each_change_is_on_record(call: WireCall) -> None:
    """A route that changes data audits operators' calls, unless it is for users or programs, or changes nothing."""
    is_for_users = isinstance(call.access, Account) and call.access.user
    is_for_programs = isinstance(call.access, Program)
    is_undone = isinstance(call.access, CustomEndpoint) and call.access.posted
    assert call.audited or is_for_users or is_for_programs or is_undone


def test_nothing_is_made_by_looking(tmp_path: Path) -> None:
    """The table of routes exists before an instance is opened, and building it creates no file."""
    create_app(Settings(data_dir=tmp_path / "data"))
    assert list(tmp_path.iterdir()) == []
