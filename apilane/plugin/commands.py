"""Commands: the context of a plugin's ``click`` command (``apilane_register_commands``)."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from apilane.plugin.identity import ApplicationView
from apilane.settings import Settings

__all__ = ["CommandContext"]


class CommandContext(Protocol):
    """The object that ``click.pass_obj`` passes to a plugin's command. The common options are applied already."""

    settings: Settings

    def application(self, name_or_token: str) -> AbstractAsyncContextManager[ApplicationView]:
        """The application of that name or token, open inside ``async with``. Raises ConfigurationError."""
        ...
