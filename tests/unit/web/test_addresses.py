"""The caller's address, behind trusted and untrusted proxies."""

from __future__ import annotations

import pytest

from apilane.errors import ConfigurationError
from apilane.web.client_addresses import client_addresses

PROXIES = ("10.0.0.0/8", "2001:db8::/32")


def address(peer: str, *forwarded: str, trusted: tuple[str, ...] = PROXIES) -> str:
    """The caller's address for a peer and its X-Forwarded-For headers."""
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    return client_addresses(trusted)({"client": (peer, 1234), "headers": headers})


@pytest.mark.better("B-S7")
@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", ("203.0.113.9",), "192.0.2.1"),
        ("10.1.2.3", ("203.0.113.9",), "203.0.113.9"),
        ("10.1.2.3", ("198.51.100.1, 203.0.113.9",), "203.0.113.9"),
        ("10.1.2.3", ("198.51.100.1, 203.0.113.9, 10.9.9.9",), "203.0.113.9"),
        ("10.1.2.3", ("198.51.100.1", "203.0.113.9, 10.9.9.9"), "203.0.113.9"),
        ("10.1.2.3", ("10.9.9.9",), "10.9.9.9"),
        ("10.1.2.3", ("203.0.113.9, garbage",), "10.1.2.3"),
        ("10.1.2.3", ("",), "10.1.2.3"),
        ("10.1.2.3", (), "10.1.2.3"),
        ("::ffff:10.1.2.3", ("::ffff:203.0.113.9",), "203.0.113.9"),
        ("2001:db8::1", ("[2001:470::9]:443",), "2001:470::9"),
        ("10.1.2.3", ("203.0.113.9:8080",), "203.0.113.9"),
    ],
)
def test_client_address(peer: str, forwarded: tuple[str, ...], client: str) -> None:
    """The right-most address that is not a trusted proxy is used, and only if the peer is trusted."""
    assert address(peer, *forwarded) == client


@pytest.mark.better("B-S7")
def test_no_proxy_is_trusted_by_default() -> None:
    """Without trusted proxies the header has no effect."""
    assert address("127.0.0.1", "203.0.113.9", trusted=()) == "127.0.0.1"


def test_no_client() -> None:
    """A request without a peer address (a Unix socket) gets an address that no list contains."""
    assert client_addresses(())({"client": None, "headers": []}) == "0.0.0.0"


def test_setting_that_is_no_address() -> None:
    """An invalid entry of trusted_proxies stops start-up with its text."""
    with pytest.raises(ConfigurationError, match=r"trusted_proxies.*'proxy\.local'"):
        client_addresses(("proxy.local",))


@pytest.mark.parametrize(
    ("entry", "peer"),
    [
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("::ffff:127.0.0.1", "::ffff:127.0.0.1"),
        ("::ffff:10.0.0.0/104", "10.9.9.9"),
        ("127.0.0.1", "::ffff:127.0.0.1"),
        ("::ffff:7f00:1", "127.0.0.1"),
    ],
)
def test_mapped_proxies(entry: str, peer: str) -> None:
    """An IPv4-mapped address or range of a proxy means the IPv4 one."""
    assert address(peer, "203.0.113.9", trusted=(entry,)) == "203.0.113.9"
    assert address("192.0.2.1", "203.0.113.9", trusted=(entry,)) == "192.0.2.1"


def test_a_proxy_range_with_host_bits_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """An entry that may be meant as one address or as a range is served as the range, and logged."""
    assert address("10.9.9.9", "203.0.113.9", trusted=("10.0.0.5/8",)) == "203.0.113.9"
    assert "10.0.0.5/8 means all addresses of 10.0.0.0/8; write 10.0.0.0/8, or 10.0.0.5 for one" in caplog.text
