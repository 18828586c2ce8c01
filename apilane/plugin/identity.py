"""Callers: actors, and the views of a request and of an application that an authenticator gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, runtime_checkable

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
    "Answered",
    "ApplicationView",
    "Authenticator",
    "RequestView",
    "Signer",
    "TokenDirectory",
    "TrustedCredentials",
]

if TYPE_CHECKING:
    from apilane.plugin.accounts import Accounts
    from apilane.plugin.data import ApplicationData
    from apilane.plugin.endpoints import EndpointKind
    from apilane.plugin.outbox import Outbox
    from apilane.security.secret import Secret

S = TypeVar("S", bound=Struct)

ActorKind = Literal["anonymous", "user", "program", "operator"]
"""``user``: a user of the application, in a session. ``program``: an API token of a user or of the application.
``operator``: a portal user on the owner channel. ``anonymous``: every other caller."""


class Actor(Struct, frozen=True, kw_only=True, gc=False):
    """A caller. Only ``kind`` identifies the kind of caller; other fields may be empty for several kinds."""

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
    """Name of the credential, without secrets, for audit and counters: ``session 42``, or an operator's e-mail
    address."""
    scopes: frozenset[str] | None = None
    """The limits of the credential, such as ``Orders:get``; None: everything that the roles grant."""


ANONYMOUS = Actor()


class RequestView(Protocol):
    """The part of a request that a plugin may read."""

    method: str
    """Upper case."""
    headers: dict[bytes, bytes]
    """By name in lower case. If a header is repeated, its last value is used."""
    signature: SignatureHeaders | None
    """The parsed signature headers of a signed request; None when it is not signed."""

    @property
    def client_address(self) -> str:
        """The caller's IP address in canonical form. Forwarded headers count only from trusted proxies."""
        ...

    @property
    def raw_target(self) -> bytes:
        """Path and query exactly as on the request line."""
        ...

    @property
    def has_body(self) -> bool:
        """Whether there may be a body to read."""
        ...

    is_second_try: bool
    """The request is admitted again, because the definition changed during its first try. It was counted already."""
    entity_name: str | None
    """Schema name of the entity that the request is about, as soon as it is known."""
    answered: Answered | None
    """None until an authenticator sets it: called once, when the answer of a wire call is known, before it is sent."""

    async def body(self) -> bytes:
        """The raw body. It is read once and kept for the action."""
        ...


Answered = Callable[[RequestView, str, int], None]
"""Takes a request, the path of the call as it was declared, and the HTTP status of the answer. It does no I/O and must
not fail."""


class Signer(Struct, frozen=True, gc=False):
    """The caller that signs with a token, and the token as a key (``apilane.security.signatures.signing_key``)."""

    actor: Actor
    key: HMAC


class TokenDirectory(Protocol):
    """The user tokens and the users of one application."""

    async def find_signer(self, key_id: int) -> Signer | None:
        """The signer of the token with that ID; None when the token does not exist or has expired."""
        ...

    async def find(self, token: str) -> Actor | None:
        """The user of a token; None when it is unknown or expired. ``token`` is a GUID in canonical form."""
        ...

    async def find_user(
        self, *, id: int | None = None, email: str | None = None, name: str | None = None
    ) -> Actor | None:
        """The user with that ID, e-mail or user name, as an actor without a session; None when there is none.

        For authenticators that prove an identity without a token of Apilane, such as a certificate or a header of a
        trusted proxy. Give exactly one argument. E-mail and name ignore letter case as a login does. A user whose
        e-mail is not confirmed is not found by e-mail where the application requires confirmed ones for a login. A
        result is trusted for one second.
        """
        ...


class TrustedCredentials(Protocol):
    """Credentials that were read from the database, each trusted for one second at most.

    A credential that is changed or revoked is therefore refused within one second by every process, and at once by the
    process that calls ``ApplicationView.records_changed``. Do not cache unknown credentials.
    """

    def get(self, key: str) -> Any:
        """The credential, if it is still trusted, or None."""
        ...

    def begin(self, key: str) -> tuple[int, float]:
        """Call this before reading a credential; ``keep`` needs its result."""
        ...

    def keep(self, key: str, value: Any, begun: tuple[int, float], left_s: float) -> None:
        """Trust a credential, for at most ``left_s`` seconds, from the start of its read."""
        ...


class ApplicationView(Protocol):
    """The part of an application that a plugin may use, at one version of its definition."""

    token: str
    definition: ApplicationDefinition
    dialect: Dialect
    session: Session
    endpoint_kinds: Mapping[str, EndpointKind]
    """Every loaded endpoint kind, by its name in lower case."""

    @property
    def data(self) -> ApplicationData:
        """The records of the application, for code in Python."""
        ...

    @property
    def tokens(self) -> TokenDirectory:
        """The lookup of users by their tokens."""
        ...

    @property
    def accounts(self) -> Accounts:
        """The accounts, for plugins that send mail."""
        ...

    @property
    def mail_password(self) -> Secret | None:
        """``Application.Mail.Password`` of the manifest."""
        ...

    @property
    def outbox(self) -> Outbox:
        """Messages that are stored with a change and delivered afterwards."""
        ...

    def options(self, kind: type[S]) -> S:
        """The plugin's section of this application's manifest, as the Struct that the plugin registered for it.

        Without the section it has the defaults. Raises LookupError for any other Struct.
        """
        ...

    def table(self, name: str) -> sa.Table:
        """A helper table that a plugin registered, for statements of SQLAlchemy; LookupError for any other name.

        ``apilane.plugin.storage.compile_statement`` makes a statement of them, and ``session`` runs it.
        """
        ...

    def trusted(self, purpose: str) -> TrustedCredentials:
        """A cache of credentials for one purpose; always the same one for this object."""
        ...

    def key(self, purpose: str) -> bytes:
        """32 secret bytes of this application for one purpose, such as ``files: links``; always the same for it."""
        ...

    def records_changed(self) -> None:
        """Report writes of records outside the Data calls. Cached users, tokens and credentials are dropped."""
        ...


@runtime_checkable
class Authenticator(Protocol):
    """Identifies callers by one kind of credential.

    ``scheme``: authenticators with ``signature`` are called only for requests with ``x-auth-signature``, all others
    only for requests without it. A signed request that none of them identifies is refused. Those with ``bearer`` are
    called only for requests with the header ``Authorization``, those with ``query`` only for requests without it.
    """

    scheme: str

    async def authenticate(self, request: RequestView, application: ApplicationView) -> Actor | None:
        """The caller; None when the request has no credential of this kind or an unknown one.

        Raises ``ApilaneError`` to refuse the request.
        """
        ...
