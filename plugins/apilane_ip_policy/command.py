"""``apilane ip-check``: whether an application's IP list admits an address, and why."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address

import click

from apilane.plugin import CommandContext, ConfigurationError, IPPolicy, parse_range
from apilane_ip_policy.policy import answer_of

__all__ = ["ip_check"]


@click.command("ip-check")
@click.argument("application", metavar="APP")
@click.argument("address")
@click.pass_obj
def ip_check(context: CommandContext, application: str, address: str) -> None:
    """Tell whether the IP list of APP, a name or token, admits ADDRESS, and which entry matches."""
    click.echo(asyncio.run(_verdict(context, application, address)))


async def _verdict(context: CommandContext, name: str, text: str) -> str:
    client = parse_range(text)
    if client is None or client.num_addresses != 1:
        raise ConfigurationError(f"{text!r} is not an IP address, such as 203.0.113.7 or 2001:db8::1.")
    async with context.application(name) as application:
        policy = application.definition.ip_policy
    if policy is None or not policy.addresses:
        return "admitted: the application has no IP list"
    address = str(client.network_address)
    verdict = "admitted" if answer_of(policy)(address) is None else "refused"
    entry = _entry_of(policy, address)
    return f"{verdict}: {policy.logic} list, {f'entry {entry}' if entry else 'no entry'} matches {address}"


def _entry_of(policy: IPPolicy, address: str) -> str | None:
    """The first entry of the list that contains the address."""
    found = ip_address(address)
    for entry in policy.addresses:
        network = parse_range(entry)
        if network is not None and network.version == found.version and found in network:
            return entry
    return None
