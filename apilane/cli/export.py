"""``apilane export``: the manifest of an application, without its secrets."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

import rich_click as click

from apilane.cli.instance import command_instance, one_application
from apilane.cli.options import common_options, print_or_write, settings_from
from apilane.cli.remote import Remote, remote_options
from apilane.errors import ConfigurationError
from apilane.model.manifest.write import export_manifest
from apilane.plugin.manage import ApplicationCard
from apilane.services.manifest_plans import stored_secrets
from apilane.settings import Settings

__all__ = ["export"]


@click.command()
@click.argument("application", metavar="APP")
@click.option(
    "--format", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True, help="Format of the manifest."
)
@click.option("--output", type=click.Path(path_type=Path), help="File to write. Default: the manifest is printed.")
@remote_options
@common_options
def export(
    application: str,
    *,
    format: Literal["yaml", "json"],
    output: Path | None,
    server: str | None,
    token: str | None,
    config: Path | None,
    **overrides: str | None,
) -> None:
    """Print the manifest of APP, a name or token. Secrets are written as ${...} references."""
    if server is not None:
        text = _export_remotely(application, Remote(server, token), format)
    else:
        text = asyncio.run(_export(application, settings_from(config, **overrides), format))
    print_or_write(text, output)


def _export_remotely(name: str, remote: Remote, format: Literal["yaml", "json"]) -> str:
    cards = remote.call("GET", "/applications", list[ApplicationCard])
    found = [card for card in cards if name.lower() == card.token] or [card for card in cards if name == card.name]
    if len(found) != 1:
        tokens = f" Give a token: {', '.join(card.token for card in found)}." if found else ""
        raise ConfigurationError(f"There are {len(found)} applications {name} at {remote.url}.{tokens}")
    return remote.text(f"/applications/{found[0].token}/definition", f"application/{format}")


async def _export(name: str, settings: Settings, format: Literal["yaml", "json"]) -> str:
    async with command_instance(settings, create=False) as instance:
        stored = await one_application(name, instance.store)
        return export_manifest(stored.definition, format, secrets=stored_secrets(stored))
