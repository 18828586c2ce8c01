"""User tokens in the ``Authorization`` header (``spec/security.md`` section 6.1); without it all are anonymous."""

from __future__ import annotations

from apilane.hookspecs import hookimpl
from apilane_auth.bearer import BearerAuthenticator

__all__ = ["apilane_register_authenticators"]


@hookimpl
def apilane_register_authenticators() -> list[BearerAuthenticator]:
    """The authenticators of this plugin."""
    return [BearerAuthenticator()]
