"""Signed requests over real HTTP (docs/reference/protocol/security.md section 6.2, B-S10)."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from apilane.security.signatures import canonical_text, sign
from apilane.testing.client import PASSWORD, Client, error_of


class Signer:
    """A signed-in user who signs requests instead of sending the token."""

    def __init__(self, client: Client, name: str) -> None:
        client.register(name)
        answer = client.post("Account/Login", {"Username": name, "Password": PASSWORD}).json()
        self.token, self.key_id, self.client = answer["AuthToken"], answer["AuthTokenID"], client

    def headers(self, method: str, target: str, body: bytes = b"", **changed: Any) -> dict[str, str]:
        """The three headers; ``shift_ms`` moves the clock, ``token`` and ``key_id`` replace the valid ones."""
        now = int(time.time() * 1000) + changed.get("shift_ms", 0)
        key_id = changed.get("key_id", self.key_id)
        text = canonical_text(key_id, method, target.encode(), now, body)
        signature = sign(changed.get("token", self.token), text).decode()
        return {"x-auth-keyid": str(key_id), "x-auth-timestamp": str(now), "x-auth-signature": signature}

    def call(self, method: str, target: str, content: bytes = b"", **changed: Any) -> httpx.Response:
        """Sign and send a request."""
        headers = self.headers(method, target, content, **changed)
        if content:
            headers["Content-Type"] = "application/json"
        return self.client.send(method, target, content or None, headers)


@pytest.fixture(scope="module")
def signer(shop: Client) -> Signer:
    """A user of the shop."""
    return Signer(shop, "signer")


def test_every_method(signer: Signer) -> None:
    """Signed GET, POST, PUT and DELETE requests identify the user, also with non-ASCII bodies and escaped queries."""
    body = json.dumps({"Text": "signed ✓"}, ensure_ascii=False).encode()
    created = signer.call("POST", "/api/Data/Post?entity=Notes", body)
    assert created.status_code == 200, created.text
    (note,) = created.json()
    changed = json.dumps({"ID": note, "Text": "Καφές"}, ensure_ascii=False).encode()
    assert signer.call("PUT", "/api/Data/Put?entity=Notes", changed).json() == 1
    condition = quote(json.dumps({"Property": "Text", "Operator": "equal", "Value": "Καφές"}, ensure_ascii=False))
    target = f"/api/Data/Get?entity=Notes&filter={condition}"
    assert [record["ID"] for record in signer.call("GET", target).json()["Data"]] == [note]
    assert signer.call("DELETE", f"/api/Data/Delete?entity=Notes&ids={note}").json() == [note]


@pytest.mark.parametrize("target", ["/api/Account/UserData", "/api/Account/UserData?"])
def test_question_mark(signer: Signer, target: str) -> None:
    """The signature of an empty query verifies in the forms of both clients."""
    assert signer.call("GET", target).status_code == 200


@pytest.mark.better("B-S10")
@pytest.mark.parametrize(
    "changed",
    [
        {"token": "3f2504e0-4f89-41d3-9a0c-0305e82c3301"},
        {"key_id": 999_999},
        {"key_id": -1},
        {"shift_ms": 130_000},
        {"shift_ms": -130_000},
        {"shift_ms": -7_200_000},
    ],
)
def test_what_does_not_verify_is_refused(signer: Signer, changed: dict[str, Any]) -> None:
    """A wrong secret, an unknown key or a wrong clock is 401, also where anonymous callers may read (B-S10)."""
    answer = signer.call("GET", "/api/Data/Get?entity=Products", **changed)
    assert answer.status_code == 401
    assert error_of(answer).code == "UNAUTHORIZED"


def test_clock_within_the_window(signer: Signer) -> None:
    """A clock that differs by less than two minutes is accepted."""
    assert signer.call("GET", "/api/Account/UserData", shift_ms=-110_000).status_code == 200


@pytest.mark.better("B-S10")
def test_tampering(signer: Signer) -> None:
    """A changed query, method or body fails verification."""
    headers = signer.headers("GET", "/api/Data/GetByID?entity=Notes&id=1")
    assert signer.client.send("GET", "/api/Data/GetByID?entity=Notes&id=2", headers=headers).status_code == 401
    body = b'{"Text":"a"}'
    headers = {**signer.headers("POST", "/api/Data/Post?entity=Notes", body), "Content-Type": "application/json"}
    assert signer.client.send("POST", "/api/Data/Post?entity=Notes", b'{"Text":"b"}', headers).status_code == 401


@pytest.mark.better("B-S10")
def test_replay(signer: Signer) -> None:
    """A signed change is accepted once, in any spelling of its base64; a signed read may be repeated."""
    target, body = "/api/Data/Post?entity=Notes", b'{"Text":"once"}'
    headers = {**signer.headers("POST", target, body), "Content-Type": "application/json"}
    assert signer.client.send("POST", target, body, headers).status_code == 200
    assert signer.client.send("POST", target, body, headers).status_code == 401
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    signature = headers["x-auth-signature"]
    twin = alphabet[alphabet.index(signature[-2]) ^ 1]  # the last two bits before the padding are ignored when decoding
    other = {**headers, "x-auth-signature": f"{signature[:-2]}{twin}="}
    assert signer.client.send("POST", target, body, other).status_code == 401
    read = signer.headers("GET", "/api/Account/UserData")
    assert [signer.client.send("GET", "/api/Account/UserData", headers=read).status_code for _ in range(2)] == [200] * 2


def test_bearer_is_ignored(signer: Signer, shop: Client) -> None:
    """A valid bearer token does not help a request whose signature is wrong."""
    headers = signer.headers("GET", "/api/Account/UserData", token="x" * 36)
    assert shop.as_user(signer.token).send("GET", "/api/Account/UserData", headers=headers).status_code == 401


@pytest.mark.better("B-S9")
def test_key_of_another_application(signer: Signer, new_application: Any, shop_manifest: dict[str, Any]) -> None:
    """A key of one application is not valid in another."""
    other = new_application(shop_manifest)
    headers = signer.headers("GET", "/api/Account/UserData")
    assert other.send("GET", "/api/Account/UserData", headers=headers).status_code == 401


def test_malformed_headers_come_first(signer: Signer) -> None:
    """Unreadable headers are reported before any other mistake of the call."""
    headers = {**signer.headers("GET", "/x"), "x-auth-keyid": "abc"}
    error = error_of(signer.client.send("GET", "/api/Data/Get?entity=Nope", headers=headers))
    assert (error.code, error.message) == ("UNAUTHORIZED", "Invalid signed-request headers")


def test_uploads_cannot_be_signed(signer: Signer) -> None:
    """A multipart request with a signature is refused with a separate message."""
    headers = {**signer.headers("POST", "/api/Data/Post"), "Content-Type": "multipart/form-data; boundary=x"}
    error = error_of(signer.client.send("POST", "/api/Data/Post?entity=Notes", b"--x--", headers))
    assert error.message == "Request signing is not supported for file uploads."


@pytest.mark.better("B-A5")
def test_renew_and_logout_act_on_the_signing_token(shop: Client) -> None:
    """Renew replaces the token that signed and returns the new ID; Logout ends it (B-A5)."""
    signer = Signer(shop, "renewing")
    renewed = signer.call("GET", "/api/Account/RenewAuthToken")
    assert renewed.headers["cache-control"] == "no-store"
    assert signer.call("GET", "/api/Account/UserData").status_code == 401
    signer.token, signer.key_id = renewed.json(), int(renewed.headers["x-auth-token-id"])
    assert signer.call("GET", "/api/Account/UserData").status_code == 200
    assert signer.call("GET", "/api/Account/Logout").json() == 1
    assert signer.call("GET", "/api/Account/UserData").status_code == 401
