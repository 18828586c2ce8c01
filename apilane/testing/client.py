"""A client of one application for tests: ``apilane.client`` with whole responses, including status and headers.

It needs ``httpx``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import httpx

import apilane.client
from apilane.errors import DEFAULT_MESSAGES

__all__ = ["PASSWORD", "Client", "WireError", "bare_error_of", "error_of"]

PASSWORD = "Passw0rd-of-tests"  # noqa: S105 -- the password of test users
JSON_TYPE = "application/json; charset=utf-8"
_ERROR_KEYS = {"Code", "Message", "Property", "Entity"}
_CONTINUED = {*DEFAULT_MESSAGES.values(), "Not allowed"}


class WireError(NamedTuple):
    """The standard error body (docs/reference/protocol/errors.md section 1.1)."""

    code: str
    message: str
    property: str | None = None
    entity: str | None = None


def error_of(response: httpx.Response) -> WireError:
    """The error of a response. Raises AssertionError when it is not the standard body with the matching status.

    An operators' call that refuses other callers repeats its code in the key ``Error`` (B-E1).
    """
    body = response.json()
    assert isinstance(body, dict), body
    assert body.pop("Error", body["Code"]) == body["Code"], body
    assert set(body) == _ERROR_KEYS, body
    assert response.headers["content-type"] == JSON_TYPE, response.headers["content-type"]
    expected = {401} if body["Code"] == "UNAUTHORIZED" else {400, 404, 405, 409, 415}
    assert response.status_code in expected, (response.status_code, body)
    return WireError(body["Code"], body["Message"], body["Property"], body["Entity"])


def bare_error_of(response: httpx.Response) -> WireError:
    """``error_of`` with only the exact beginning of a message that continues with hints (B-E8)."""
    error = error_of(response)
    begin, mark, _ = error.message.partition(": ")
    return error._replace(message=begin) if mark and begin in _CONTINUED else error


class Client:
    """Calls to the application of ``token`` at ``url``, anonymous or with the user token ``user``.

    With ``portal``, ``user`` is an owner token and calls go over the portal channel.

    Paths are relative to ``/api/``; keyword arguments become the query string in their order. A body that is not bytes
    is sent as JSON.
    """

    def __init__(
        self, http: httpx.Client, url: str, token: str, user: str | None = None, *, portal: bool = False
    ) -> None:
        self.http = http
        self.url = url
        self.token = token
        self.user = user
        self.portal = portal
        self.api = apilane.client.Client(url, token, user=user, portal=portal, http=http)

    def as_user(self, user: str | None) -> Self:
        """A client with another user token; None: anonymous."""
        return type(self)(self.http, self.url, self.token, user)

    def as_operator(self, token: str) -> Self:
        """A client of the same application with an owner token, on the portal channel."""
        return type(self)(self.http, self.url, self.token, token, portal=True)

    def headers(self) -> dict[str, str]:
        """The headers that identify the application and the caller."""
        headers = {"x-application-token": self.token}
        if self.user is not None:
            headers["Authorization"] = f"Bearer {self.user}"
        if self.portal:
            headers["x-client-id"] = "portal"
        return headers

    def send(
        self, method: str, target: str, content: Any = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Send a request unchanged: ``target`` is path and query, ``content`` bytes or an iterator of them."""
        return self.http.request(
            method, self.url + target, content=content, headers={**self.headers(), **(headers or {})}
        )

    def _call(self, method: str, path: str, query: Mapping[str, Any], body: Any = None) -> httpx.Response:
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        return self.api.respond(apilane.client.Call(method, f"/api/{path}", _value, dict(query), content))

    def get(self, path: str, **query: Any) -> httpx.Response:
        """GET."""
        return self._call("GET", path, query)

    def post(self, path: str, body: Any = None, **query: Any) -> httpx.Response:
        """POST."""
        return self._call("POST", path, query, body)

    def put(self, path: str, body: Any = None, **query: Any) -> httpx.Response:
        """PUT."""
        return self._call("PUT", path, query, body)

    def delete(self, path: str, **query: Any) -> httpx.Response:
        """DELETE."""
        return self._call("DELETE", path, query)

    # Frequent calls; each raises when the call fails.

    def add(self, entity: str, *records: Any) -> list[int]:
        """Data/Post; returns the new IDs."""
        return self.api.post(entity, list(records))

    def change(self, entity: str, record: Any) -> int:
        """Data/Put; returns how many rows matched."""
        return self.api.put(entity, record)

    def record(self, entity: str, id: int, **query: Any) -> dict[str, Any]:
        """Data/GetByID."""
        found: dict[str, Any] = _value(self.get("Data/GetByID", entity=entity, id=id, **query))
        return found

    def records(self, entity: str, **query: Any) -> list[dict[str, Any]]:
        """The ``Data`` of Data/Get."""
        page: dict[str, Any] = _value(self.get("Data/Get", entity=entity, **query))
        found: list[dict[str, Any]] = page["Data"]
        return found

    def register(self, name: str, password: str = PASSWORD, **properties: Any) -> int:
        """Account/Register of ``{name}@example.com``; returns the user ID."""
        user = {"Email": f"{name}@example.com", "Username": name, "Password": password, **properties}
        return self.api.register(user)

    def login(self, name: str, password: str = PASSWORD) -> str:
        """Account/Login by user name; returns the token."""
        return self.api.as_user(None).login(username=name, password=password).credentials.token

    def signed_in(self, name: str, password: str = PASSWORD, **properties: Any) -> Self:
        """Register and log in a user; returns the client of that user."""
        self.register(name, password, **properties)
        return self.as_user(self.login(name, password))

    def is_anonymous(self) -> bool:
        """Whether the server treats this client as anonymous."""
        return self.get("Account/UserData").status_code == 401


def _value(response: httpx.Response) -> Any:
    assert response.status_code == 200, f"{response.status_code} {response.text}"
    assert response.headers["content-type"] == JSON_TYPE, response.headers["content-type"]
    return response.json()
