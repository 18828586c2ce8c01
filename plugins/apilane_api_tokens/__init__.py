"""API tokens: credentials of programs, with scopes, limits, an expiry and a log (docs/howto/api-tokens.md).

``authenticator.py`` identifies programs, ``form.py`` has the form of tokens, ``service.py`` manages them for commands,
calls and other plugins, ``usage.py`` counts their uses, ``introspection.py`` is for other servers, and ``tables.py``
stores all of it.
"""

from __future__ import annotations

import click

from apilane.plugin import Authenticator, Counters, HelperTable, Job, PluginSettings, WireCall, hookimpl
from apilane_api_tokens.authenticator import QueryRefuser, TokenAuthenticator
from apilane_api_tokens.calls import self_service_calls
from apilane_api_tokens.introspection import introspection_calls
from apilane_api_tokens.jobs import clean_up_job
from apilane_api_tokens.options import ApiTokenSection, ApiTokenSettings
from apilane_api_tokens.tables import CALLS, DAYS, TOKENS
from apilane_api_tokens.usage import Usage

__all__ = [
    "apilane_register_authenticators",
    "apilane_register_calls",
    "apilane_register_commands",
    "apilane_register_jobs",
    "apilane_register_settings",
    "apilane_register_tables",
]


@hookimpl
def apilane_register_settings() -> list[PluginSettings]:
    """Intervals of the server, and the limits of each application."""
    return [PluginSettings(instance=ApiTokenSettings, application=ApiTokenSection)]


@hookimpl(trylast=True)
def apilane_register_authenticators(counters: Counters, options: ApiTokenSettings) -> list[Authenticator]:
    """After the tokens of sessions, so that requests of sessions pay nothing."""
    return [TokenAuthenticator(counters, Usage(options.flush_s)), QueryRefuser()]


@hookimpl
def apilane_register_tables() -> list[HelperTable]:
    """Tokens, their counts per day, and their log."""
    return [TOKENS, DAYS, CALLS]


@hookimpl
def apilane_register_commands() -> list[click.Command]:
    """``apilane token``."""
    from apilane_api_tokens.commands import token

    return [token]


@hookimpl
def apilane_register_calls() -> list[WireCall]:
    """The calls below ``/api/ApiTokens/``."""
    return [*self_service_calls(), *introspection_calls()]


@hookimpl
def apilane_register_jobs(options: ApiTokenSettings) -> list[Job]:
    """The clean-up."""
    return [clean_up_job(options)]
