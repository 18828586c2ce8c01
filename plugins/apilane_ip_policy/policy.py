"""Addresses and ranges, IPv4 and IPv6: listed ones are refused (Block), or nobody else is admitted (Allow)."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from apilane.model.definition import ApplicationDefinition
from apilane.model.gates import AddressCheck

__all__ = ["IPPolicyCheck"]


class IPPolicyCheck:
    """An ``AvailabilityCheck``; it keeps nothing, all its state is in the closures it prepares."""

    enforces = frozenset({"IPPolicy"})

    def prepare(self, definition: ApplicationDefinition) -> AddressCheck | None:
        """The check for one version of an application; None when its list is empty and admits everybody."""
        policy = definition.ip_policy
        if policy is None or not policy.addresses:
            return None
        networks = [network for text in policy.addresses if (network := parse_range(text)) is not None]
        admits_listed = policy.logic == "Allow"

        def check(client: str) -> str | None:
            address = ip_address(client)  # the core gives canonical text, IPv4-mapped addresses as IPv4
            is_listed = any(address in network for network in networks)
            return None if is_listed == admits_listed else f"Not allowed access from this IP '{client}'"

        return check


def parse_range(text: str) -> IPv4Network | IPv6Network | None:
    """An address or CIDR range, IPv4-mapped ones as IPv4; None when it is neither, which then admits nobody (B-S8)."""
    try:
        network = ip_network(text.strip(), strict=False)
    except ValueError:
        return None
    if isinstance(network, IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, network.prefixlen - 96))
    return network
