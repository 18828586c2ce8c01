"""Commands: what a plugin's ``click`` command gets from the command line (``apilane_register_commands``)."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from apilane.plugin.identity import ApplicationView
from apilane.settings import Settings

__all__ = ["CommandContext"]


class CommandContext(Protocol):
    """``click.pass_obj`` of a plugin's command; ``--data-dir``, ``--plugins-dir`` and ``--config`` are read already."""

    settings: Settings

    def application(self, name_or_token: str) -> AbstractAsyncContextManager[ApplicationView]:
        """The application of that name or token, open inside ``async with``. Raises ConfigurationError."""
        ...
