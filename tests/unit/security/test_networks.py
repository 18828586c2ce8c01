"""The network that counters use for an address."""

from __future__ import annotations

import pytest

from apilane.security.networks import network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("::1", "::/64"),
    ],
)
def test_network_of(address: str, network: str) -> None:
    """An IPv4 address is counted alone, an IPv6 address by its /64, the usual size of a household's network."""
    assert network_of(address) == network
