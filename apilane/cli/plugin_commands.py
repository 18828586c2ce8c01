"""Commands that plugins register, with the options that every command has (``apilane_register_commands``)."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager
from copy import copy
from functools import cache
from typing import Any

import click

from apilane.cli.options import common_options, settings_from
from apilane.dispatch import Registered, commands_of
from apilane.errors import ApilaneError, ConfigurationError
from apilane.plugin.identity import ApplicationView
from apilane.plugins import PluginError, load_plugins
from apilane.settings import Settings
from apilane.storage.errors import StorageError

__all__ = ["Context", "plugin_commands"]

EXPECTED = (
    *(ConfigurationError, StorageError, ApilaneError),
    *(click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError),
)
"""Exceptions that end a command with their own message, or with none."""


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
    settings = settings_from(None)
    commands: dict[str, click.Command] = {}
    for registered in commands_of(load_plugins(settings), settings):
        command: click.Command = registered.item
        problem = _problem(command, taken)
        if problem is not None:
            raise PluginError(registered.plugin, problem, hook=registered.hook)
        commands[str(command.name)] = _with_settings(registered)
    return commands


def _problem(command: click.Command, taken: Collection[str]) -> str | None:
    """The problem of a plugin's command; None when there is none."""
    if command.name in taken:
        return f"the core has a command {command.name!r}; choose another name."
    for parameter in command.params:
        for added in _common_parameters():
            if parameter.name == added.name or {*parameter.opts, *parameter.secondary_opts} & {*added.opts}:
                what = f"the command {command.name!r} has a parameter {parameter.name!r}"
                return f"{what}, and the core adds the option {added.opts[0]} to every command; rename the parameter."
    for path, each in _with_subcommands(command, str(command.name)):
        if inspect.iscoroutinefunction(_without_click(each.callback)):
            return f"the command {path!r} must be written with 'def'; call asyncio.run in it."
    return None


def _common_parameters() -> list[click.Parameter]:
    """``--data-dir``, ``--plugins-dir`` and ``--config`` in this order."""
    return click.command(common_options(lambda: None)).params


def _with_subcommands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            yield from _with_subcommands(each, f"{path} {name}")


def _without_click(function: Callable[..., Any] | None) -> Any:
    """The function that decorators such as ``click.pass_obj`` wrap; other decorators may run a coroutine."""
    while getattr(function, "__globals__", {}).get("__name__") == "click.decorators":
        function = getattr(function, "__wrapped__", None)
    return function


def _with_settings(registered: Registered) -> click.Command:
    """A copy of the command with the common options, from which its context is made. A failure names the plugin."""
    original: click.Command = registered.item
    added = _common_parameters()

    def invoke(ctx: click.Context) -> Any:
        settings = settings_from(**{str(each.name): ctx.params.pop(str(each.name)) for each in added})
        ctx.obj = Context(settings)
        try:
            answer = original.invoke(ctx)
            if inspect.iscoroutine(answer):
                answer.close()
                raise TypeError("it returned a coroutine; call asyncio.run in it")
        except EXPECTED:
            raise
        except Exception as error:
            if settings.log_level == "debug":
                click.echo(traceback.format_exc(), err=True, nl=False)
            what = " ".join(f"{type(error).__name__}: {error}".split())
            what = f"the command {original.name!r} failed with {what}"
            raise PluginError(registered.plugin, what, hook=registered.hook) from error
        return answer

    command = copy(original)
    command.params = [*original.params, *added]
    command.invoke = invoke  # type: ignore[method-assign]
    return command
