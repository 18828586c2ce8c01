"""Two applications with portal users in every role, and calls as each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from httpx import Response
from litestar.testing import TestClient

from apilane.model.portal_roles import PortalRole

API = "/api/manage/v1"
PASSWORD = "a long password"
ADMIN = "admin@example.com"


def shop(name: str) -> dict[str, Any]:
    """A manifest with one entity, one rule and one endpoint."""
    return {
        "Apilane": 1,
        "Application": {"Name": name},
        "Entities": [
            {"Name": "Products", "Properties": [{"Name": "Title", "Type": "String", "Required": True, "Maximum": 50}]}
        ],
        "Security": [{"Entity": "Products", "Role": "ANONYMOUS", "Action": "get", "Properties": ["Title"]}],
        "CustomEndpoints": [{"Name": "Titles", "Query": "SELECT Title FROM Products"}],
    }


class Person:
    """A portal user in a session. ``call`` sends the CSRF value with every request."""

    def __init__(self, client: TestClient, email: str, password: str = PASSWORD) -> None:
        self._client = client
        self.email = email
        client.cookies.clear()
        answer = client.post(f"{API}/session", json={"Email": email, "Password": password})
        assert answer.status_code == 200, answer.text
        self.csrf = answer.json()["Csrf"]
        self.cookie = answer.cookies["apilane_portal"]
        client.cookies.clear()

    def call(self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None) -> Response:
        """A call in the session."""
        sent = {"x-csrf-token": self.csrf, "cookie": f"apilane_portal={self.cookie}", **(headers or {})}
        answer = self._client.request(method, API + path, json=body, headers=sent)
        self._client.cookies.clear()
        return answer


class World:
    """``ours`` and ``theirs``: tokens of applications. ``people``: by role in ours. ``outsider`` has no role."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.admin = Person(client, ADMIN)
        self.ours = self.apply(shop("Our shop"))
        self.theirs = self.apply(shop("Their shop"))
        self.people = {role.value: self.invited(f"{role.value}@example.com") for role in PortalRole}
        self.outsider = self.invited("outsider@example.com")
        entries = [{"Email": f"{role.value}@example.com", "Role": role.value} for role in PortalRole]
        answer = self.admin.call(
            "PUT", f"/applications/{self.ours}/collaborators", entries, headers=self.match(self.ours)
        )
        assert answer.status_code == 200, answer.text

    def apply(self, manifest: Mapping[str, Any]) -> str:
        """Apply a manifest as the admin; the token of the application."""
        import json

        body = {"Files": [{"Name": "m.json", "Content": json.dumps(manifest)}]}
        answer = self.admin.call("POST", "/manifests", body)
        assert answer.status_code == 200, answer.text
        token: str = answer.json()[0]["Token"]
        return token

    def invited(self, email: str) -> Person:
        """A new portal user who used the one-time link."""
        code = self.admin.call("POST", "/users", {"Email": email}).json()["Token"]
        answer = self.client.post(f"{API}/link", json={"Code": code, "Email": email, "Password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return Person(self.client, email)

    def version(self, token: str) -> int:
        """The version of an application."""
        version: int = self.admin.call("GET", f"/applications/{token}").json()["Version"]
        return version

    def match(self, token: str) -> dict[str, str]:
        """The header for a change of the present version."""
        return {"if-match": f'"{self.version(token)}"'}

    def token_of(self, person: Person, **limits: Any) -> str:
        """A new operator token."""
        answer = person.call("POST", "/tokens", {"Name": "a script", **limits})
        assert answer.status_code == 201, answer.text
        token: str = answer.json()["Token"]
        return token

    def audit(self) -> list[dict[str, Any]]:
        """The newest records of the audit."""
        found: list[dict[str, Any]] = self.admin.call("GET", "/audit?limit=200").json()
        return found


def prepare(client: TestClient) -> World:
    """The world of a new instance."""
    return World(client)
