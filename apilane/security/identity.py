"""Who is calling: actors, and the objects that recognise them.

The core knows no credential; plugins register ``Authenticator`` objects (``apilane_register_authenticators``) and use
what a ``TokenDirectory`` offers to look tokens up.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from cryptography.hazmat.primitives.hmac import HMAC
from msgspec import Struct

from apilane.security.signatures import SignatureHeaders

__all__ = ["ANONYMOUS", "Actor", "ApplicationView", "Authenticator", "RequestView", "Signer", "TokenDirectory"]


class Actor(Struct, frozen=True, gc=False):
    """A caller. ``user_id`` None: anonymous, or an owner of the application on the portal channel."""

    user_id: int | None = None
    roles: frozenset[str] = frozenset()
    """The user's own roles, without ANONYMOUS and AUTHENTICATED."""
    tenant: int | None = None
    """Value of the differentiation property."""
    credential_id: int | None = None
    """Row of ``AuthTokens`` that proved the identity."""
    owner: str | None = None
    """E-mail of the portal user who owns the application and calls on the portal channel; nobody else has one."""


ANONYMOUS = Actor()


class RequestView(Protocol):
    """What an authenticator may see of a request."""

    method: str
    """Upper case."""
    headers: dict[bytes, bytes]
    """Lower-case names; the last of a repeated header."""
    signature: SignatureHeaders | None
    """The headers of a signed request, which the core has read; None when it is not signed."""

    @property
    def raw_target(self) -> bytes:
        """Path and query exactly as on the request line."""
        ...

    @property
    def has_body(self) -> bool:
        """Whether there may be a body to read."""
        ...

    async def body(self) -> bytes:
        """The raw body; read once, kept for the action."""
        ...


class Signer(Struct, frozen=True, gc=False):
    """Who may sign with a token, and the token as a key (``apilane.security.signatures.signing_key``)."""

    actor: Actor
    key: HMAC


class TokenDirectory(Protocol):
    """The user tokens of one application."""

    async def find_signer(self, key_id: int) -> Signer | None:
        """The holder of the token with that ID; None when there is none or it has expired."""
        ...

    async def find(self, token: str) -> Actor | None:
        """The user a token stands for; None when unknown or expired. ``token`` is a GUID in canonical form."""
        ...


class ApplicationView(Protocol):
    """What an authenticator may use of the application that the request names."""

    token: str

    @property
    def tokens(self) -> TokenDirectory:
        """Who a token stands for."""
        ...


@runtime_checkable
class Authenticator(Protocol):
    """Recognises one kind of credential.

    ``scheme``: ``signature`` objects are asked only when the request carries ``x-auth-signature``, all others only when
    it does not; a signed request that none of them recognises is refused.
    """

    scheme: str

    async def authenticate(self, request: RequestView, application: ApplicationView) -> Actor | None:
        """The caller; None when the request carries no credential of this kind or an unknown one.

        Raises ``ApilaneError`` to refuse the request.
        """
        ...
