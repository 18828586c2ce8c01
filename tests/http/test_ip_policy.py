"""IP lists over real HTTP (docs/reference/protocol/security.md section 5, B-S7, B-S8).

The address of the tests is 127.0.0.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from apilane.testing.client import Client, WireError, error_of
from apilane.testing.server import CHEAP_PASSWORDS, Server


def policy(logic: str, *addresses: str) -> dict[str, Any]:
    """The keys of the manifest for an IP list."""
    return {"IPPolicy": {"Logic": logic, "Addresses": list(addresses)}}


@pytest.mark.better("B-S8")
@pytest.mark.parametrize(
    ("logic", "addresses", "admitted"),
    [
        ("Block", ["127.0.0.1"], False),
        ("Block", ["127.0.0.0/8"], False),
        ("Block", ["::ffff:127.0.0.1"], False),
        ("Block", ["::ffff:127.0.0.0/104"], False),
        ("Block", [" 127.0.0.1 "], False),
        ("Block", ["203.0.113.7", "2001:db8::/32"], True),
        ("Block", [], True),
        ("Allow", ["127.0.0.1"], True),
        ("Allow", ["203.0.113.7"], False),
        ("Allow", ["::1"], False),
        ("Allow", ["0.0.0.0/0"], True),
        ("Allow", ["::/0"], False),
        ("Allow", [], True),
    ],
)
def test_lists(
    new_application: Any, shop_manifest: dict[str, Any], logic: str, addresses: list[str], admitted: bool
) -> None:
    """Block refuses listed addresses, Allow all others; ranges work for IPv4 and IPv6; an empty list admits all."""
    client = new_application(shop_manifest, **policy(logic, *addresses))
    answer = client.get("Data/Get", entity="Products")
    if admitted:
        assert answer.status_code == 200
    else:
        expected = WireError("SERVICE_UNAVAILABLE", "Not allowed access from this IP '127.0.0.1'")
        assert error_of(answer) == expected


@pytest.mark.better("B-S7")
def test_spoofed_header(new_application: Any, shop_manifest: dict[str, Any]) -> None:
    """X-Forwarded-For has no effect unless a trusted proxy sends it."""
    client = new_application(shop_manifest, **policy("Allow", "203.0.113.7"))
    answer = client.send("GET", "/api/Data/Get?entity=Products", headers={"X-Forwarded-For": "203.0.113.7"})
    assert error_of(answer).code == "SERVICE_UNAVAILABLE"


def test_the_list_comes_before_everything_else(new_application: Any, shop_manifest: dict[str, Any]) -> None:
    """For a refused address an unknown entity, a malformed body and a wrong signature are not examined."""
    client = new_application(shop_manifest, **policy("Block", "127.0.0.1"))
    assert error_of(client.get("Data/Get", entity="Nope")).code == "SERVICE_UNAVAILABLE"
    assert error_of(client.get("Account/Confirm", token="x")).code == "SERVICE_UNAVAILABLE"
    signed = {"x-auth-keyid": "1", "x-auth-timestamp": "1", "x-auth-signature": "AA=="}
    assert error_of(client.send("GET", "/api/Data/Get?entity=Nope", headers=signed)).code == "SERVICE_UNAVAILABLE"


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[Server]:
    """A server behind a trusted proxy on this machine."""
    settings = {**CHEAP_PASSWORDS, "trusted_proxies": "127.0.0.0/8", "definition_poll_s": 0.05}
    with Server(tmp_path / "data", settings=settings) as running:
        yield running


@pytest.mark.better("B-S7")
def test_trusted_proxy(proxied: Server, http: httpx.Client, shop_manifest: dict[str, Any]) -> None:
    """Behind a trusted proxy the right-most untrusted address is the caller's."""
    application = {**shop_manifest["Application"], **policy("Allow", "203.0.113.7")}
    client = Client(http, proxied.url, proxied.apply({**shop_manifest, "Application": application}))

    def status(forwarded: str) -> int:
        headers = {"X-Forwarded-For": forwarded}
        return client.send("GET", "/api/Data/Get?entity=Products", headers=headers).status_code

    assert status("203.0.113.7") == 200
    assert status("198.51.100.1, 203.0.113.7, 127.0.0.9") == 200
    assert status("203.0.113.7, 198.51.100.1") == 400
    assert error_of(client.get("Data/Get", entity="Products")).message == "Not allowed access from this IP '127.0.0.1'"


@pytest.mark.better("B-S13")
def test_without_the_plugin(tmp_path: Path, http: httpx.Client, shop_manifest: dict[str, Any]) -> None:
    """Without the plugin an application with an IP list is closed; one without a list is served (B-S13)."""
    folder = tmp_path / "data"
    listed = {**shop_manifest["Application"], "Name": "Listed", **policy("Block", "203.0.113.7")}
    with Server(folder, settings=CHEAP_PASSWORDS) as whole:
        closed = whole.apply({**shop_manifest, "Application": listed})
        served = whole.apply(shop_manifest)
        assert Client(http, whole.url, closed).get("Data/Get", entity="Products").status_code == 200
    with Server(folder, settings={**CHEAP_PASSWORDS, "plugins": "auth,counter_file"}) as bare:
        expected = WireError("SERVICE_UNAVAILABLE", "Service unavailable")
        assert error_of(Client(http, bare.url, closed).get("Data/Get", entity="Products")) == expected
        assert Client(http, bare.url, served).get("Data/Get", entity="Products").status_code == 200
