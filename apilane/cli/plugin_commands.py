"""Commands that plugins register, with the options that every command has (``apilane_register_commands``)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import click

from apilane.cli.options import common_options, settings_from
from apilane.dispatch import commands_of
from apilane.errors import ConfigurationError
from apilane.plugin.identity import ApplicationView
from apilane.plugins import PluginError, load_plugins
from apilane.settings import Settings

__all__ = ["Context", "plugin_commands"]


class Context:
    """``CommandContext`` of a command."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @asynccontextmanager
    async def application(self, name_or_token: str) -> AsyncIterator[ApplicationView]:
        """The application of that name or token, open inside ``async with``. Raises ConfigurationError."""
        from apilane.cli.instance import command_instance, one_application

        async with command_instance(self.settings, create=False) as instance:
            stored = await one_application(name_or_token, instance.store)
            application = await instance.applications.find(stored.definition.token)
            if application is None:
                raise ConfigurationError(f"Application {name_or_token} was removed.")
            yield application


@cache
def plugin_commands(taken: Collection[str]) -> dict[str, click.Command]:
    """The commands of the installed plugins by name. ``taken``: names of the core's commands.

    The settings in the environment and in ``apilane.toml`` select the plugins to load.
    """
    commands: dict[str, click.Command] = {}
    for plugin, hook, command in commands_of(load_plugins(settings_from(None))):
        if command.name in taken:
            raise PluginError(plugin, f"the core has a command {command.name!r}; choose another name.", hook=hook)
        commands[command.name] = _with_settings(command)
    return commands


def _with_settings(command: click.Command) -> click.Command:
    """The command with ``--data-dir``, ``--plugins-dir`` and ``--config``, from which its context is made."""
    run = command.callback

    @common_options
    def callback(
        *arguments: Any, config: Path | None, data_dir: str | None, plugins_dir: str | None, **options: Any
    ) -> Any:
        settings = settings_from(config, data_dir=data_dir, plugins_dir=plugins_dir)
        click.get_current_context().obj = Context(settings)
        return run(*arguments, **options) if run is not None else None

    command.params = [*command.params, *reversed(callback.__click_params__)]  # type: ignore[attr-defined]
    command.callback = callback
    return command
