"""``apilane owner-token``: a token for the owner channel, for scripts and tests. Stdout has only the token."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import rich_click as click

from apilane.cli.instance import command_instance
from apilane.cli.options import common_options, settings_from
from apilane.services.operator_sign_in import operator_token
from apilane.settings import Settings

__all__ = ["owner_token"]

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST_S = 365 * 86400
_duration = re.compile(r"([0-9]{1,9})([smhd])").fullmatch


def _seconds(_context: click.Context, _option: click.Parameter, text: str) -> int:
    found = _duration(text)
    seconds = int(found[1]) * _UNITS_S[found[2]] if found else 0
    if not 0 < seconds <= _LONGEST_S:
        raise click.BadParameter(f"expected a time such as 90s, 30m, 1h or 7d, up to 365d; got {text!r}")
    return seconds


@click.command("owner-token")
@click.argument("email")
@click.option(
    "--expires",
    metavar="TIME",
    default="1h",
    show_default=True,
    callback=_seconds,
    help="Lifetime of the token: 90s, 30m, 1h, 7d. It ends earlier after 12 hours without use.",
)
@common_options
def owner_token(email: str, *, expires: int, config: Path | None, **overrides: str | None) -> None:
    """Print a token of the portal user EMAIL for calls as an owner.

    Send it as "Authorization: Bearer TOKEN" together with "x-client-id: portal". EMAIL is the instance admin or a
    collaborator of an application.
    """
    click.echo(asyncio.run(_token(email, settings_from(config, **overrides), expires * 1000)))


async def _token(email: str, settings: Settings, life_ms: int) -> str:
    async with command_instance(settings) as instance:
        return await operator_token(instance.store, email, life_ms)
