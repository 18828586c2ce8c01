"""``apilane serve``: start the server of a data dir."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

from apilane.cli.options import common_options, setting_option, settings_from

__all__ = ["serve"]


@click.command()
@setting_option("host")
@setting_option("port")
@setting_option("portal_port")
@setting_option("workers")
@setting_option("role")
@setting_option("log_level")
@common_options
def serve(config: Path | None, **options: Any) -> None:
    """Serve the API, and the Portal on its own port, until SIGTERM or Ctrl-C.

    The data dir is created if it does not exist. As long as the instance admin has no password, the start prints a
    one-time link to set it. SIGHUP restarts the workers one by one.
    """
    from apilane.server import serve as run

    run(settings_from(config, **options))
