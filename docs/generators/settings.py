"""The page of settings, from ``apilane/settings.py`` and the Structs of the shipped plugins."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import entry_points

from apilane.plugin_settings import option_rows
from apilane.plugins import PLUGINS_GROUP
from apilane.settings import SettingRow, describe_settings
from generators.tables import table

COLUMNS = ("setting", "environment", "type", "default", "")


def page() -> str:
    """One row per setting, and a section for each shipped plugin with settings."""
    intro = (
        "# Settings\n\n"
        "A setting is an option of a command, an environment variable, or a line of `apilane.toml` in the\n"
        "working directory (or of `--config FILE`). Priority: the option, the variable, the file.\n"
        'In the file a value may be a reference, `{env = "NAME"}` or `{file = "PATH"}`; a secret must be a reference.\n'
        "In a variable, commas separate the items of a list.\n\n"
    )
    return intro + table(COLUMNS, _rows(describe_settings())) + "".join(_plugins())


def _rows(settings: Iterable[SettingRow]) -> list[tuple[str, ...]]:
    rows = []
    for row in settings:
        kind = row.type.replace("|", "or")
        default = f"`{row.default}`" if row.default else "unset"
        secret = " Secret." if row.secret else ""
        rows.append((f"`{row.name}`", f"`{row.environment}`", kind, default, row.help + secret))
    return rows


def _plugins() -> Iterable[str]:
    """A section for each plugin, under the name of its section in ``apilane.toml``."""
    for point in sorted(entry_points(group=PLUGINS_GROUP), key=lambda point: point.name):
        if point.dist is None or point.dist.name != "apilane":
            continue
        register = getattr(point.load(), "apilane_register_settings", list)
        for registered in register():
            if registered.instance is not None:
                rows = option_rows(point.name, registered.instance).values()
                yield f"\n## `[plugins.{point.name}]`\n\nSettings of the plugin `{point.name}`.\n\n" + table(
                    COLUMNS, _rows(rows)
                )
