"""Sign-in steps: what a user proves after the right password, before a token is issued
(``apilane_register_sign_in_steps``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from msgspec import Struct

if TYPE_CHECKING:
    from apilane.plugin.identity import ApplicationView

__all__ = ["SignInStep", "SigningIn"]


class SigningIn(Struct, frozen=True, kw_only=True):
    """A user whose password was right and who has no token yet, as stored now."""

    user_id: int
    email: str
    username: str | None
    roles: str | None
    application: ApplicationView | None
    """The application of the user; None when a portal user signs in."""


@runtime_checkable
class SignInStep(Protocol):
    """One step of a sign-in, such as a code of a device.

    A method that raises, or takes longer than 10 seconds, refuses the sign-in. An ``ApilaneError`` is sent as the
    answer, any other failure is logged with the plugin. The methods must not block the event loop.
    """

    kind: str
    """What clients read as ``Kind``, unique among all plugins; 100 characters at most."""

    async def applies(self, user: SigningIn) -> bool:
        """Whether this user needs the step. Asked at Login, and again after each earlier step."""
        ...

    async def challenge(self, user: SigningIn) -> Mapping[str, Any]:
        """What the client needs to show, as a JSON object. The user reads it; keys ``Challenge`` and ``Kind`` are
        taken.
        """
        ...

    async def verify(self, user: SigningIn, answer: object, asked: Mapping[str, Any]) -> bool:
        """Whether the answer is right. ``answer``: any JSON value, unchecked. ``asked``: the result of ``challenge``.

        The core limits the guesses, and accepts a right answer to a challenge once.
        """
        ...
