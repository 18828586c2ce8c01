"""Authentication by user tokens, which are sent or used to sign (``docs/reference/protocol/security.md`` section 6).
Without this plugin every caller is anonymous.
"""

from __future__ import annotations

from apilane.plugin import Authenticator, Counters, hookimpl
from apilane_auth.bearer import BearerAuthenticator
from apilane_auth.signature import SignatureAuthenticator

__all__ = ["apilane_register_authenticators"]


@hookimpl
def apilane_register_authenticators(counters: Counters) -> list[Authenticator]:
    """Bearer tokens and signatures; a request uses one of them."""
    return [BearerAuthenticator(), SignatureAuthenticator(counters)]
