"""Operators who call with an operator token, and the applications they may operate
(``docs/reference/protocol/security.md`` section 7).

A sign-in read from the control store is trusted for one second. Unknown tokens are not cached.
"""

from __future__ import annotations

from apilane.control.operator_tokens import OperatorTokens, SignedIn
from apilane.model.definition import ApplicationDefinition
from apilane.model.text import fold
from apilane.runtime.trust import Trusted

__all__ = ["Operators", "operates"]

SIGN_INS_KEPT = 1_000


def operates(user: SignedIn, definition: ApplicationDefinition) -> bool:
    """Whether a portal user may operate an application: the instance admin and the application's collaborators may.

    E-mail addresses ignore letter case.
    """
    if user.is_admin:
        return True
    wanted = fold(user.email)
    return any(fold(email) == wanted for email in definition.collaborators)


class Operators:
    """Cache of the portal users whose tokens this process has seen."""

    def __init__(self, tokens: OperatorTokens) -> None:
        self._tokens = tokens
        self._known: Trusted[str, SignedIn] = Trusted(SIGN_INS_KEPT)

    async def find(self, token: str) -> SignedIn | None:
        """The portal user of a canonical token; None when the token is unknown, revoked or expired."""
        known = self._known.get(token)
        if known is not None:
            return known
        begun = self._known.begin(token)
        user = await self._tokens.find(token)
        if user is not None:
            self._known.keep(token, user, begun, user.left_ms / 1000)
        return user
