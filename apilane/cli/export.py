"""``apilane export``: the manifest of an application, without its secrets."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

import rich_click as click

from apilane.cli.instance import command_instance, one_application
from apilane.cli.options import common_options, settings_from
from apilane.errors import ConfigurationError
from apilane.model.manifest.write import export_manifest
from apilane.services.manifest_plans import stored_secrets
from apilane.settings import Settings

__all__ = ["export"]


@click.command()
@click.argument("application", metavar="APP")
@click.option(
    "--format", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True, help="Format of the manifest."
)
@click.option("--output", type=click.Path(path_type=Path), help="File to write. Default: the manifest is printed.")
@common_options
def export(
    application: str,
    *,
    format: Literal["yaml", "json"],
    output: Path | None,
    config: Path | None,
    **overrides: str | None,
) -> None:
    """Print the manifest of APP, a name or token. Secrets are written as ${...} references."""
    text = asyncio.run(_export(application, settings_from(config, **overrides), format))
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{output} cannot be written: {error.strerror or error}.") from None


async def _export(name: str, settings: Settings, format: Literal["yaml", "json"]) -> str:
    async with command_instance(settings, create=False) as instance:
        stored = await one_application(name, instance.store)
        return export_manifest(stored.definition, format, secrets=stored_secrets(stored))
