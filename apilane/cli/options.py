"""Options that several commands share, and the settings made from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from apilane.errors import ConfigurationError
from apilane.settings import Settings, describe_settings, load_settings

__all__ = ["common_options", "print_or_write", "setting_option", "settings_from"]

F = TypeVar("F", bound=Callable[..., Any])


def setting_option(name: str) -> Callable[[F], F]:
    """An option that overrides one setting, with its help. The settings check its value, not click."""
    row = next(row for row in describe_settings() if row.name == name)
    default = f" Default: {row.default.strip(chr(34))}." if row.default else ""
    metavar = {"path": "PATH", "whole number": "N", "text": "TEXT"}.get(row.type.removesuffix(" | unset"))
    flag = f"--{name.replace('_', '-')}"
    return click.option(
        flag, name, metavar=metavar or row.type.replace('"', "").replace(" ", ""), help=row.help + default
    )


def common_options(command: F) -> F:
    """``--data-dir``, ``--plugins-dir`` and ``--config``: the options of every command that reads settings."""
    config = click.option("--config", type=click.Path(path_type=Path), help="Settings file. Default: apilane.toml.")
    return setting_option("data_dir")(setting_option("plugins_dir")(config(command)))


def settings_from(config: Path | None, **overrides: Any) -> Settings:
    """The settings of a command; ``overrides`` are its options, None where not given."""
    return load_settings(overrides, file=config)


def print_or_write(text: str, output: Path | None) -> None:
    """Print the result of a command, or write it to the file ``output``. Raises ``ConfigurationError``."""
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{output} cannot be written: {error.strerror or error}.") from None
