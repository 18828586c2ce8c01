"""The page of settings, from ``apilane/settings.py``."""

from __future__ import annotations

from apilane.settings import describe_settings
from generators.tables import table


def page() -> str:
    """One row per setting."""
    rows = []
    for row in describe_settings():
        kind = row.type.replace("|", "or")
        default = f"`{row.default}`" if row.default else "unset"
        secret = " Secret." if row.secret else ""
        rows.append((f"`{row.name}`", f"`{row.environment}`", kind, default, row.help + secret))
    intro = (
        "# Settings\n\nAn option of a command wins over the environment, which wins over `apilane.toml` in the\n"
        'working directory (or `--config FILE`). A value in the file may be `{env = "NAME"}` or `{file = "PATH"}`;\n'
        "a secret must be. In the environment lists are separated by commas.\n\n"
    )
    return intro + table(("setting", "environment", "type", "default", ""), rows)
