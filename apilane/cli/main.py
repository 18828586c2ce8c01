"""The command ``apilane``: its subcommands, and a one-line message for every expected failure.

Each subcommand is in a separate module, which is imported on use. Plugins register further commands. Plugins are loaded
for a command name that the core does not have, and for the list of all commands.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import click
import rich_click

from apilane.errors import ApilaneError, ConfigurationError
from apilane.storage.errors import StorageError

__all__ = ["COMMANDS", "cli", "main"]

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "serve": "apilane.cli.serve",
        "apply": "apilane.cli.apply",
        "export": "apilane.cli.export",
        "data": "apilane.cli.data",
        "types": "apilane.cli.types",
        "owner-token": "apilane.cli.owner_token",
        "plugins": "apilane.cli.listing",
        "hooks": "apilane.cli.listing",
        "drivers": "apilane.cli.listing",
        "outbox": "apilane.cli.outbox",
        "doctor": "apilane.cli.doctor",
        "new": "apilane.cli.new",
    }
)
"""The module of each command. It has the click command under the command's name, with ``_`` for ``-``."""


def _plugin_commands() -> Mapping[str, click.Command]:
    from apilane.cli.plugin_commands import plugin_commands

    return plugin_commands(tuple(COMMANDS))


def _listed_plugin_commands() -> Iterable[str]:
    """The names of the plugins' commands. The help must work also when a plugin or a setting is broken."""
    try:
        return _plugin_commands()
    except ConfigurationError as error:
        click.echo(f"Commands of plugins are not listed: {error}", err=True)
        return ()


_LISTED = f"{__name__}.listed"
"""Key of the names of all commands in the ``meta`` of a context."""


class _Commands(rich_click.RichGroup):
    """Imports subcommands on use, and turns expected failures into a message and exit code 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        if _LISTED not in ctx.meta:  # the help asks twice
            ctx.meta[_LISTED] = [*COMMANDS, *_listed_plugin_commands()]
        names: list[str] = ctx.meta[_LISTED]
        return names

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            command: click.Command = getattr(importlib.import_module(COMMANDS[cmd_name]), cmd_name.replace("-", "_"))
            return command
        return _plugin_commands().get(cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (ConfigurationError, StorageError, ApilaneError) as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(1)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="apilane")
def cli() -> None:
    """Serve application backends and manage them.

    Settings come from options, then from APILANE_<NAME> in the environment, then from apilane.toml.
    """


def main() -> None:
    """Run the command line of this process."""
    cli.main(prog_name="apilane")
