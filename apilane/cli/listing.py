"""``apilane plugins``, ``hooks`` and ``drivers``: what is installed, and the order of the hooks' plugins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import rich_click as click

from apilane.cli.options import common_options, settings_from

__all__ = ["drivers", "hooks", "plugins", "print_table"]


@click.command()
@common_options
def plugins(config: Path | None, **options: Any) -> None:
    """List the loaded plugins: name, version, source and the hooks they implement."""
    from apilane.plugins import load_plugins

    rows = [
        (plugin.name, plugin.version or "-", plugin.source, ", ".join(plugin.hooks) or "-")
        for plugin in load_plugins(settings_from(config, **options)).describe()
    ]
    print_table(("NAME", "VERSION", "SOURCE", "HOOKS"), rows)


@click.command()
@common_options
def hooks(config: Path | None, **options: Any) -> None:
    """List every hook with its policy and its plugins, in the order in which they are called."""
    from apilane.dispatch import hook_order
    from apilane.plugins import load_plugins

    rows = [
        (hook.name, hook.combine, hook.on_error, ", ".join(hook.plugins) or "-")
        for hook in hook_order(load_plugins(settings_from(config, **options)))
    ]
    print_table(("HOOK", "COMBINE", "ON ERROR", "PLUGINS IN ORDER"), rows)


@click.command()
@common_options
def drivers(config: Path | None, **options: Any) -> None:
    """List the storage drivers: provider name, version and features."""
    from apilane.dispatch import freeze
    from apilane.plugins import load_plugins

    settings = settings_from(config, **options)
    rows = []
    for driver in freeze(load_plugins(settings), settings).drivers.values():
        features = [name for name, value in msgspec.structs.asdict(driver.features).items() if value is True]
        rows.append((driver.name, driver.version, ", ".join(features) or "-"))
    print_table(("PROVIDER", "VERSION", "FEATURES"), rows)


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns two spaces apart. The last one is not padded, so that lines have no blanks at the end."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head) - 1)]
    for row in (head, *rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        click.echo("  ".join([*cells, row[-1]]))
