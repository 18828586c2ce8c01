"""User tokens, sent or signed with (``docs/reference/protocol/security.md`` section 6); without this plugin everybody
is anonymous.
"""

from __future__ import annotations

from apilane.plugin import Authenticator, Counters, hookimpl
from apilane_auth.bearer import BearerAuthenticator
from apilane_auth.signature import SignatureAuthenticator

__all__ = ["apilane_register_authenticators"]


@hookimpl
def apilane_register_authenticators(counters: Counters) -> list[Authenticator]:
    """Bearer tokens and signatures; a request carries one or the other."""
    return [BearerAuthenticator(), SignatureAuthenticator(counters)]
