"""An application is closed when it demands a check that no loaded plugin performs
(docs/reference/protocol/security.md B-S13).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from apilane.control.store import ControlStore
from apilane.dispatch import Hooks
from apilane.model.definition import IPPolicy, RateLimit
from apilane.testing.client import Client, WireError, bare_error_of, error_of
from apilane.testing.server import CHEAP_PASSWORDS, Server

CLOSED = WireError("SERVICE_UNAVAILABLE", "Service unavailable")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without any plugin."""
    settings = {**CHEAP_PASSWORDS, "definition_poll_s": 0.05, "plugins": ""}
    with Server(tmp_path_factory.mktemp("bare") / "data", settings=settings) as running:
        yield running


@pytest.fixture
def client(bare: Server, http: httpx.Client, shop_manifest: dict[str, Any]) -> Client:
    """A shop on that server, open to anonymous callers."""
    return Client(http, bare.url, bare.apply(shop_manifest))


def _rewrite(server: Server, token: str, **changes: Any) -> None:
    """Publish a definition that ``apply`` would refuse on this server."""

    async def work(store: ControlStore, _hooks: Hooks) -> None:
        stored = await store.application(token)
        assert stored is not None
        definition = msgspec.structs.replace(stored.definition, **changes)
        await store.begin(definition, stored.secrets, stored, "tests")
        await store.publish(token)

    server.with_store(work)
    server.settle(token)


CALLS = [
    ("GET", "Data/Get?entity=Categories"),
    ("GET", "Account/UserData"),
    ("GET", "Data/Schema"),
    ("GET", "Data/Get"),
]


def _answers(client: Client) -> list[WireError | None]:
    responses = [client.send(method, f"/api/{target}") for method, target in CALLS]
    return [None if response.status_code == 200 else error_of(response) for response in responses]


@pytest.mark.better("B-S13")
def test_rate_limit(bare: Server, client: Client) -> None:
    """An application with a rate limit answers SERVICE_UNAVAILABLE to every call, and opens again without the limit."""
    before = _answers(client)
    stored_rules = _rules(bare, client.token)
    limited = msgspec.structs.replace(stored_rules[0], rate_limit=RateLimit(100, "Minute"))
    _rewrite(bare, client.token, rules=(limited, *stored_rules[1:]))
    assert _answers(client) == [CLOSED] * len(CALLS)
    _rewrite(bare, client.token, rules=stored_rules)
    assert _answers(client) == before


def _rules(server: Server, token: str) -> tuple[Any, ...]:
    async def work(store: ControlStore, _hooks: Hooks) -> tuple[Any, ...]:
        stored = await store.application(token)
        assert stored is not None
        return stored.definition.rules

    return server.with_store(work)


@pytest.mark.better("B-S13")
@pytest.mark.parametrize("logic", ["Block", "Allow"])
def test_ip_policy(bare: Server, client: Client, logic: str) -> None:
    """An application with an IP list answers SERVICE_UNAVAILABLE; an empty list admits every address."""
    _rewrite(bare, client.token, ip_policy=IPPolicy(logic=logic, addresses=("203.0.113.7",)))
    assert _answers(client) == [CLOSED] * len(CALLS)
    _rewrite(bare, client.token, ip_policy=IPPolicy(logic=logic))
    assert _answers(client)[0] is None
    _rewrite(bare, client.token, ip_policy=None)


def test_offline_is_told_first(bare: Server, client: Client) -> None:
    """An offline application answers that it is offline, even when it also demands a missing check."""
    _rewrite(bare, client.token, online=False, ip_policy=IPPolicy(addresses=("203.0.113.7",)))
    assert _answers(client) == [WireError("SERVICE_UNAVAILABLE", "Application offline.")] * len(CALLS)
    _rewrite(bare, client.token, online=True, ip_policy=None)


@pytest.mark.better("B-S13", "B-S10")
@pytest.mark.parametrize("signature", ["", "x", "AAAA", "q3wdq6o8ufsMo87/rwZOtwBTF6+UUwLB50VyNF9gyxA="])
def test_signed(client: Client, signature: str) -> None:
    """A request with signature headers that no plugin can verify is 401, also where anonymous access is granted."""
    headers = {"x-auth-signature": signature, "x-auth-keyid": "1", "x-auth-timestamp": "1750000000000"}
    for method, target in CALLS:
        assert error_of(client.send(method, f"/api/{target}", headers=headers)).code == "UNAUTHORIZED"


@pytest.mark.parametrize(
    ("key", "timestamp", "message"),
    [
        ("", "1750000000000", "Incomplete signed-request headers"),
        ("1", "", "Incomplete signed-request headers"),
        (None, None, "Incomplete signed-request headers"),
        ("x", "1750000000000", "Invalid signed-request headers"),
        ("1", "1.5", "Invalid signed-request headers"),
        ("9223372036854775808", "1", "Invalid signed-request headers"),
    ],
)
def test_malformed_signature_headers(client: Client, key: str | None, timestamp: str | None, message: str) -> None:
    """Unreadable signature headers get an error that states the mistake."""
    headers = {"x-auth-signature": "AAAA", "x-auth-keyid": key, "x-auth-timestamp": timestamp}
    sent = {name: value for name, value in headers.items() if value is not None}
    response = client.send("GET", "/api/Data/Get?entity=Categories", headers=sent)
    assert error_of(response) == WireError("UNAUTHORIZED", message)


def test_tokens_identify_no_user(client: Client) -> None:
    """Without the plugin that reads user tokens every caller is anonymous, also right after a login."""
    assert client.signed_in("unheard").is_anonymous()


def test_custom_endpoint(client: Client) -> None:
    """A custom endpoint of a kind without a plugin is kept and answers 404."""
    response = client.get("Custom/CheapProducts", MaxPrice=5)
    assert response.status_code == 404
    assert bare_error_of(response) == WireError("NOT_FOUND", "Not found")


def test_key_without_signature(client: Client) -> None:
    """Only the signature header selects signing; the other two alone have no effect."""
    response = client.send("GET", "/api/Data/Get?entity=Categories", headers={"x-auth-keyid": "x"})
    assert response.status_code == 200


@pytest.mark.better("B-S13")
def test_without_the_auth_plugin_alone(tmp_path: Path, http: httpx.Client, shop_manifest: dict[str, Any]) -> None:
    """With all plugins except auth, a signed request is refused, and a bearer token identifies no user."""
    settings = {**CHEAP_PASSWORDS, "plugins": "ip_policy,rate_limit,custom_endpoints,counter_file"}
    with Server(tmp_path / "data", settings=settings) as running:
        client = Client(http, running.url, running.apply(shop_manifest))
        signed = {"x-auth-keyid": "1", "x-auth-timestamp": "1", "x-auth-signature": "AA=="}
        answer = client.send("GET", "/api/Data/Get?entity=Products", headers=signed)
        assert (answer.status_code, error_of(answer).code) == (401, "UNAUTHORIZED")
        assert client.signed_in("anna").is_anonymous()
        assert client.get("Data/Get", entity="Products").status_code == 200
