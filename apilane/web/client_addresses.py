"""The client's IP address; forwarded headers count only from trusted proxies (``docs/reference/protocol/security.md``
B-S7).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from apilane.errors import ConfigurationError
from apilane.model.ip_ranges import parse_range, range_advice
from apilane.web.call import Scope

__all__ = ["client_addresses"]

UNKNOWN = "0.0.0.0"  # noqa: S104 -- the address of a client that has none, such as a Unix socket
log = logging.getLogger("apilane.web")

Address = IPv4Address | IPv6Address

TEXTS_KEPT = 1024
"""Parsed addresses kept by text: parsing one takes 4.4 us, as much as authentication and access plan together."""


def parse_address(text: str) -> Address | None:
    """Parse an address with an optional port or brackets; IPv4-mapped ones become IPv4. None when it is invalid."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def client_addresses(trusted: Iterable[str]) -> Callable[[Scope], str]:
    """The function from a request to its client's address.

    When the peer is a trusted proxy, the address is the right-most entry of ``X-Forwarded-For`` that is not a trusted
    proxy. Raises ConfigurationError for an entry of ``trusted_proxies`` that is not an address or range.
    """
    networks = []
    for entry in trusted:
        network = parse_range(entry)
        if network is None:
            raise ConfigurationError(
                f"Setting trusted_proxies: {entry!r} is not an IP address or CIDR range, such as 10.0.0.0/8."
            )
        if advice := range_advice(entry):
            log.warning("setting trusted_proxies: %s", advice)
        networks.append(network)

    def is_trusted(address: Address) -> bool:
        return any(address.version == network.version and address in network for network in networks)

    @lru_cache(TEXTS_KEPT)
    def read(text: str) -> tuple[Address, str] | None:
        address = parse_address(text)
        return None if address is None else (address, str(address))

    def client_address(scope: Scope) -> str:
        client = scope.get("client")
        found = read(client[0]) if client else None
        if found is None:
            return UNKNOWN
        peer, text = found
        if not networks or not is_trusted(peer):
            return text
        values = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
        nearest = peer
        for entry in reversed(b",".join(values).decode("latin-1").split(",")):
            address = parse_address(entry)
            if address is None:
                break  # entries further left cannot be trusted: the last valid address is used
            nearest = address
            if not is_trusted(address):
                break
        return str(nearest)

    return client_address
