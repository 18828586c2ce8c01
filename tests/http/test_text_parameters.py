"""Texts for custom SQL that no database stores, on every provider alike."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from apilane.testing.client import Client, WireError, error_of
from tests.http.conftest import NewClient

MANIFEST: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "Texts"},
    "CustomEndpoints": [
        {"Name": "Echo", "Query": "SELECT {S} AS s", "Parameters": {"S": "String"}, "Methods": ["GET", "POST"]}
    ],
    "Security": [{"CustomEndpoint": "Echo", "Role": "ANONYMOUS"}],
}
REFUSED = WireError(
    "VALIDATION",
    "Invalid text: the parameter S contains a NUL character or half of a surrogate pair, which databases cannot store",
    "S",
    "Echo",
)


@pytest.fixture(scope="module")
def texts(new_application: NewClient) -> Client:
    """An application with an endpoint that returns its parameter."""
    return new_application(MANIFEST)


def _in_query(client: Client, text: str) -> httpx.Response:
    return client.get("Custom/Echo", S=text)


def _in_body(client: Client, text: str) -> httpx.Response:
    return client.post("Custom/Echo", {"S": text})


def _in_transaction(client: Client, text: str) -> httpx.Response:
    operation = {"Action": "Custom", "Entity": "Echo", "Data": {"S": text}}
    return client.post("Data/TransactionOperations", {"Operations": [operation]})


@pytest.mark.parametrize("send", [_in_query, _in_body, _in_transaction])
def test_nul(texts: Client, send: Any) -> None:
    """A NUL character in a text parameter is VALIDATION with reason and name; other control characters arrive."""
    for text in ("\0", "a\0b"):
        assert error_of(send(texts, text)) == REFUSED
    assert "a\\u0001b" in send(texts, "a\1b").text
