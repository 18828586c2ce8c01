"""Whom counters take a client address for. Pure."""

from __future__ import annotations

from ipaddress import ip_network

__all__ = ["network_of"]


def network_of(address: str) -> str:
    """An IPv4 address itself; the /64 of an IPv6 one, whose holder has 2^64 addresses to choose from."""
    return address if ":" not in address else str(ip_network((address, 64), strict=False))
