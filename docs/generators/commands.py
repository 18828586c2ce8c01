"""The page of commands, from the commands themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from apilane.cli.main import cli
from generators.tables import table


def page() -> str:
    """One section per command with its usage, its text and every option."""
    context = click.Context(cli, info_name="apilane")
    sections = "\n".join(section(*found) for found in commands(cli, context))
    intro = f"# Commands\n\n{help_text(cli)}\n\nEvery command takes `--help`.\n\n"
    return f"{intro}{sections}"


def commands(group: click.Group, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    """Every command, in the order of declaration; a group is replaced by its commands."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        below = click.Context(command, parent=context, info_name=name)
        if isinstance(command, click.Group):
            yield from commands(command, below)
        else:
            yield command, below


def section(command: click.Command, context: click.Context) -> str:
    """The section of one command."""
    usage = " ".join(command.collect_usage_pieces(context))
    options = [option for option in command.params if isinstance(option, click.Option)]
    rows = [(f"`{'`, `'.join(option.opts)}`", value(option), told(option)) for option in options]
    return (
        f"## `{context.command_path}`\n\n```text\n{context.command_path} {usage}\n```\n\n{help_text(command)}\n\n"
        + table(("option", "value", ""), rows)
    )


def value(option: click.Option) -> str:
    """The value that follows the option."""
    if option.is_flag:
        return ""
    if option.metavar:
        return option.metavar
    return "|".join(option.type.choices) if isinstance(option.type, click.Choice) else option.type.name.upper()


def told(option: click.Option) -> str:
    """The help of an option with its default."""
    default = f" Default: {option.default}." if option.show_default else ""
    return f"{option.help}{default}"


def help_text(command: click.Command) -> str:
    """The help text of a command, with its paragraphs."""
    return inspect.cleandoc(command.help or "")
