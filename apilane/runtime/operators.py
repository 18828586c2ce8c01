"""Operators who call with an operator token, and the applications they may operate
(``docs/reference/protocol/security.md`` section 7).

A sign-in read from the control store is trusted for one second. Unknown tokens are not cached.
"""

from __future__ import annotations

from apilane.control.operator_tokens import OperatorTokens, SignedIn
from apilane.model.definition import ApplicationDefinition
from apilane.model.portal_roles import PERMISSIONS, Permission, role_in
from apilane.runtime.trust import Trusted

__all__ = ["NOTHING", "Operators", "permissions_in"]

SIGN_INS_KEPT = 1_000
NOTHING: frozenset[Permission] = frozenset()


def permissions_in(definition: ApplicationDefinition, user: SignedIn) -> frozenset[Permission]:
    """The permissions of a portal user in an application: all of an instance admin, those of a collaborator's role.

    The limits of the token apply too. E-mail addresses ignore letter case. Empty: the user is no operator here.
    """
    if user.application is not None and user.application != definition.token:
        return NOTHING
    if user.is_admin:
        held = frozenset(Permission)
    else:
        role = role_in(definition.collaborators, user.email)
        held = NOTHING if role is None else PERMISSIONS[role]
    return held if user.permissions is None else held & user.permissions


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
