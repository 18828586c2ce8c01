"""Messages continue after their exact text with what was found and what is possible, as far as the caller may know it
(docs/reference/protocol/errors.md section 1.1, B-E8).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from apilane.testing.client import Client, error_of
from apilane.testing.server import CHEAP_PASSWORDS, Server

MANIFEST: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "Helpful", "Online": True},
    "Entities": [
        {
            "Name": "Notes",
            "Properties": [{"Name": "Text", "Type": "String"}, {"Name": "Hidden", "Type": "String"}],
        },
    ],
    "CustomEndpoints": [
        {"Name": "Totals", "Query": "SELECT 1 AS one"},
        {"Name": "Secrets", "Query": "SELECT 1 AS one"},
    ],
    "Security": [
        *(
            {"Entity": "Notes", "Role": "ANONYMOUS", "Action": action, "Properties": ["Text"]}
            for action in ("get", "post", "put")
        ),
        {"Entity": "Notes", "Role": "ANONYMOUS", "Action": "delete"},
        {"CustomEndpoint": "Totals", "Role": "ANONYMOUS"},
    ],
}


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """An application whose anonymous callers may write one of two properties and call one of two endpoints."""
    folder = tmp_path_factory.mktemp("helpful")
    with Server(folder / "data", settings=CHEAP_PASSWORDS) as server, httpx.Client(trust_env=False, timeout=30) as http:
        yield Client(http, server.url, server.apply(MANIFEST))


@pytest.mark.better("B-E8")
@pytest.mark.parametrize(
    ("method", "path", "body", "message"),
    [
        ("PUT", "Data/Put?entity=Notes", {"ID": 1, "Txet": "x"},
         "No properties provided: found 'Txet'; possible: Text (did you mean 'Text'?)"),
        ("PUT", "Data/Put?entity=Notes", {"ID": 1, "Hiden": "x"},
         "No properties provided: found 'Hiden'; possible: Text"),
        ("PUT", "Data/Put?entity=Notes", {"ID": 1}, "No properties provided: found no keys; possible: Text"),
        ("PUT", "Data/Put?entity=Notes", {"ID": 1, "p4ss word!": 1},
         "No properties provided: found a text; possible: Text"),
        ("PUT", "Data/Put?entity=Notes", {"ID": "x", "Text": "x"},
         "No ID provided: the body needs an ID above 0, found a text"),
        ("PUT", "Data/Put?entity=Notes", {"Text": "x"}, "No ID provided: the body needs an ID above 0, found none"),
        ("POST", "Data/Post?entity=Notes", None, "Empty body: expected a JSON object, or an array of objects"),
        ("DELETE", "Data/Delete?entity=Notes", None,
         "No records found to delete: the parameter ids is missing; expected IDs with commas, such as 1,2"),
        ("DELETE", "Data/Delete?entity=Notes&ids=x", None,
         "No records found to delete: no number above 0 in the parameter ids; expected IDs with commas, such as 1,2"),
        ("GET", "Data/Gett", None, "Not found: there is no such call (did you mean '/api/Data/Get'?)"),
        ("GET", "Nothing/Like/That", None, "Not found"),
        ("GET", "Archive/Get", None, "Not found"),
        ("GET", "Custom/Totls", None,
         "Custom endpoint not found: there is no endpoint of this name (did you mean 'Totals'?)"),
        ("GET", "Custom/Secret", None, "Custom endpoint not found"),
        ("POST", "Account/Login", {"Email": 1}, "Empty body: the value of email must be a text"),
        ("POST", "Account/Login", [], "Empty body: expected a JSON object, found an array"),
    ],
)  # fmt: skip
def test_what_was_found_and_what_is_possible(notes: Client, method: str, path: str, body: Any, message: str) -> None:
    """A message says what was found, what is possible and the nearest name, and never names what rules hide (B-E8)."""
    error = error_of(notes.send(method, f"/api/{path}", *([] if body is None else [_json(body), JSON])))
    assert error.message == message
    assert "Hidden" not in error.message
    assert "Secrets" not in error.message


JSON = {"Content-Type": "application/json"}


def _json(body: Any) -> bytes:
    return json.dumps(body).encode()
