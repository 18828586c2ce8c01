"""Who calls: actors, and what an authenticator sees of a request and of an application."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar, runtime_checkable

import sqlalchemy as sa
from cryptography.hazmat.primitives.hmac import HMAC
from msgspec import Struct

from apilane.model.definition import ApplicationDefinition
from apilane.security.signatures import SignatureHeaders
from apilane.sql.dialect import Dialect
from apilane.storage.protocol import Session

__all__ = [
    "ANONYMOUS",
    "Actor",
    "ActorKind",
    "ApplicationView",
    "Authenticator",
    "RequestView",
    "Signer",
    "TokenDirectory",
]

if TYPE_CHECKING:
    from apilane.plugin.endpoints import EndpointKind

S = TypeVar("S", bound=Struct)

ActorKind = Literal["anonymous", "user", "program", "operator"]
"""``user``: of the application, in a session. ``program``: with an API token, of a user or of the application itself.
``operator``: a portal user on the owner channel. ``anonymous``: every other caller."""


class Actor(Struct, frozen=True, kw_only=True, gc=False):
    """A caller. Only ``kind`` says which sort of caller it is; the other fields may be empty for several kinds."""

    kind: ActorKind = "anonymous"
    user_id: int | None = None
    """Row of ``Users``: the user, or the user that a program acts for."""
    roles: frozenset[str] = frozenset()
    """The caller's own roles, without ANONYMOUS and AUTHENTICATED."""
    tenant: int | None = None
    """Value of the differentiation property."""
    session_id: int | None = None
    """Row of ``AuthTokens`` that proved the identity; renew and logout act on it."""
    credential: str | None = None
    """What proved the identity, for audit and counters: ``session 42``, or the e-mail address of an operator. Never a
    secret."""
    scopes: frozenset[str] | None = None
    """What the credential is limited to, such as ``Orders:get``; None: everything that the roles grant."""


ANONYMOUS = Actor()


class RequestView(Protocol):
    """What a plugin may see of a request."""

    method: str
    """Upper case."""
    headers: dict[bytes, bytes]
    """Lower-case names; the last of a repeated header."""
    signature: SignatureHeaders | None
    """The headers of a signed request, which the core has read; None when it is not signed."""

    @property
    def client_address(self) -> str:
        """The caller's IP address in canonical form; behind trusted proxies only."""
        ...

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
    """What a plugin may use of an application, at one version of its definition."""

    token: str
    definition: ApplicationDefinition
    dialect: Dialect
    session: Session
    endpoint_kinds: Mapping[str, EndpointKind]
    """Every loaded kind of custom endpoints, by its name in lower case."""

    @property
    def tokens(self) -> TokenDirectory:
        """Who a token stands for."""
        ...

    def options(self, kind: type[S]) -> S:
        """The plugin's section of this application's manifest, as the Struct that the plugin registered for it.

        An application without the section gives the defaults. Raises LookupError for any other Struct.
        """
        ...

    def table(self, name: str) -> sa.Table:
        """A helper table that a plugin registered, for statements of SQLAlchemy; LookupError for any other name.

        ``apilane.plugin.storage.compile_statement`` makes a statement of them, and ``session`` runs it.
        """
        ...

    def records_changed(self) -> None:
        """Tell that records were written around the Data calls: what is kept of users and tokens no longer counts."""
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
