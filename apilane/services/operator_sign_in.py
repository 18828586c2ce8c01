"""Creates a token of a portal user (``apilane owner-token``). Access to the data folder is the only right that the
command needs."""

from __future__ import annotations

from apilane.control.store import ControlStore
from apilane.errors import ConfigurationError
from apilane.model.text import trim

__all__ = ["operator_token"]


async def operator_token(store: ControlStore, email: str, life_ms: int | None) -> str:
    """A new owner token of the portal user with that e-mail address, in any letter case.

    A portal user without a password is created for a collaborator of an application. Raises
    ConfigurationError for any other address.
    """
    email = trim(email)
    user = await store.portal_user(email)
    if user is None and await store.collaborates(email):
        user = await store.portal_users.create(email)
    if user is None:
        raise ConfigurationError(
            f"There is no portal user {email}, and no application lists that address under Collaborators. "
            "Give the e-mail of the instance admin (APILANE_ADMIN_EMAIL) or of a collaborator."
        )
    return await store.operator_tokens.create(user.id, life_ms)
