"""Accounts for plugins that send mail: look-up, confirmation and reset tokens, limits (``application.accounts``)."""

from __future__ import annotations

from typing import Literal, Protocol

from msgspec import Struct

__all__ = ["Accounts", "MailKind", "MailedAccount"]

MailKind = Literal["UserRegisterConfirmation", "UserForgotPassword"]
"""The event that a mail is about, as templates name it."""


class MailedAccount(Struct, frozen=True, kw_only=True):
    """The part of an account that a mail shows."""

    id: int
    email: str
    username: str
    email_confirmed: bool

    def __repr__(self) -> str:
        return f"MailedAccount(id={self.id})"


class Accounts(Protocol):
    """The accounts of one application."""

    async def find(self, *, id: int | None = None, email: str | None = None) -> MailedAccount | None:
        """The account with that ID, or with that address in any letter case; None when there is none."""
        ...

    async def admit_mail(self, kind: MailKind, email: str, address: str) -> None:
        """Count a request for a mail; ``address``: of the client. Raises RATE_LIMIT_EXCEEDED.

        Addresses without an account count too, so that an answer does not show which ones exist.
        """
        ...

    async def confirmation_token(self, user_id: int) -> str:
        """A new token for Account/Confirm, valid for an hour, stored as a hash."""
        ...

    async def reset_token(self, user_id: int) -> str:
        """A new token for ``reset_password``, valid for an hour, stored as a hash."""
        ...

    async def knows_reset(self, token: str) -> bool:
        """Whether a reset token is valid now."""
        ...

    async def reset_password(self, token: str, email: str, password: str, address: str) -> bool:
        """Set the password, if ``email`` is the address of the token's user; False for an unknown token.

        The token and all sessions of the user end. True also for another address, which counts as a failed sign-in of
        the client at ``address``. Raises RATE_LIMIT_EXCEEDED, and the error of a record handler that refuses.
        """
        ...
