"""The network that counters use for a client address. Pure."""

from __future__ import annotations

from ipaddress import ip_network

__all__ = ["network_of"]


def network_of(address: str) -> str:
    """An IPv4 address unchanged; for an IPv6 address its /64, because one client usually controls all 2^64 addresses of
    it.
    """
    return address if ":" not in address else str(ip_network((address, 64), strict=False))
