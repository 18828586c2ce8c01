"""IP addresses and CIDR ranges in settings and manifests, IPv4 and IPv6. Pure."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network

__all__ = ["parse_range", "range_advice"]

_MAPPED_BITS = 96
"""The length of the prefix of IPv4-mapped IPv6 addresses (::ffff:0:0/96)."""


def parse_range(text: str) -> IPv4Network | IPv6Network | None:
    """An address or range; IPv4-mapped ones become IPv4, and host bits are ignored. None: it is neither."""
    try:
        network = ip_network(text.strip(), strict=False)
    except ValueError:
        return None
    if isinstance(network, IPv6Network) and network.prefixlen >= _MAPPED_BITS:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))
    return network


def range_advice(text: str) -> str | None:
    """What an operator should correct in an entry of an IP list; None: the entry means what it says.

    An entry with host bits, such as 203.0.113.5/24, may be meant as one address or as the range.
    """
    network = parse_range(text)
    if network is None:
        return f"{text} is no IP address or range, so it matches no client; write one such as 203.0.113.0/24"
    try:
        ip_network(text.strip(), strict=True)
    except ValueError:
        address = text.strip().partition("/")[0]
        return f"{text} means all addresses of {network}; write {network}, or {address} for one address"
    return None
