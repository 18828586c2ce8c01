"""Management of an instance for pages of the Portal: the same services as the management API, with the same checks.

A page gets a ``Management``, which acts for the signed-in portal user. Every method raises ``ApilaneError``: NOT_FOUND
for an application in which the user has no role, and UNAUTHORIZED when the role does not permit the call.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal, Protocol

from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import SkipValidation
from msgspec import Struct

from apilane.model.definition import ApplicationDefinition
from apilane.model.portal_roles import Permission, PortalRole
from apilane.plugin.data import Records
from apilane.plugin.endpoints import JsonResult, ResultSets

__all__ = [
    "ApplicationCard",
    "ApplicationManagement",
    "AuditEntry",
    "CredentialView",
    "EntityRights",
    "FindingView",
    "GrantView",
    "Management",
    "ManagementPage",
    "MenuEntry",
    "OperatorView",
    "Permission",
    "PlanLineView",
    "PlanView",
    "PluginView",
    "PortalPage",
    "PortalRole",
    "PortalUserView",
    "Subject",
]


class PlanLineView(Struct, frozen=True, kw_only=True, rename="pascal"):
    """One line of a plan. ``records``: how many lose or change a value; None where none can."""

    kind: Literal["added", "changed", "removed", "warning"]
    path: str
    detail: str = ""
    loses_data: bool = False
    records: int | None = None
    misfits: int = 0
    """Stored records that do not fit the change."""


class PlanView(Struct, frozen=True, kw_only=True, rename="pascal"):
    """A plan for people and programs: what ``apilane apply --dry-run`` prints."""

    name: str
    token: str
    is_new: bool
    version: int
    """The version that the plan starts from; 0 for a new application."""
    lines: tuple[PlanLineView, ...]
    misfits: tuple[str, ...]
    """Why the plan cannot be applied; one sentence for each kind of record that does not fit."""
    loses_data: bool
    has_warnings: bool
    is_empty: bool


class ApplicationCard(Struct, frozen=True, kw_only=True, rename="pascal"):
    """An application in a list. ``role`` None: the caller is an instance admin."""

    token: str
    name: str
    version: int
    online: bool
    storage_provider: str
    entities: int
    endpoints: int
    collaborators: int
    role: PortalRole | None
    permissions: tuple[Permission, ...]
    differentiation_entity: str | None = None


class AuditEntry(Struct, frozen=True, kw_only=True, rename="pascal"):
    """One record of the audit. ``created``: Unix milliseconds. ``token``: empty for the instance."""

    id: int
    created: int
    actor: str
    token: str
    version: int
    changes: tuple[str, ...]


class CredentialView(Struct, frozen=True, kw_only=True, rename="pascal"):
    """A session or token of the caller, without its secret. Times are Unix milliseconds."""

    id: int
    kind: str
    name: str
    address: str
    created: int
    last_used: int
    expires: int
    is_current: bool
    application: str | None = None
    permissions: tuple[Permission, ...] | None = None


class PortalUserView(Struct, frozen=True, kw_only=True, rename="pascal"):
    """A portal user. ``last_seen``: None when the user has no valid session or token."""

    id: int
    email: str
    is_admin: bool
    created: int
    has_password: bool
    last_seen: int | None = None


class PluginView(Struct, frozen=True, kw_only=True, rename="pascal"):
    """A loaded plugin: its hooks with the number of objects that it registered; 0 for those that are asked later."""

    name: str
    version: str
    hooks: dict[str, int]


class FindingView(Struct, frozen=True, kw_only=True, rename="pascal"):
    """A finding of ``apilane doctor``."""

    place: str
    text: str
    advice: str
    serious: bool


class GrantView(Struct, frozen=True, kw_only=True, rename="pascal"):
    """What a subject may do with one action, and the rules that say so. ``granted`` False: no rule grants it."""

    action: str
    granted: bool
    properties: tuple[str, ...] = ()
    reach: str = ""
    """Which records: a sentence."""
    rules: tuple[str, ...] = ()
    """The rules in force, such as ``ANONYMOUS: all records; Name, Population``."""
    limit: str = ""


class EntityRights(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The rights of a subject on one entity or endpoint."""

    kind: str
    name: str
    grants: tuple[GrantView, ...]


class Subject(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The caller whose rights are shown: one role, or a user of the application by ID."""

    role: str | None = None
    user_id: int | None = None


class OperatorView(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The signed-in portal user. ``csrf``: the value that a form sends as ``csrf``; empty for tokens."""

    email: str
    is_admin: bool
    csrf: str = ""


class MenuEntry(Struct, frozen=True):
    """An entry of the Portal's navigation. ``path`` of an application's page contains ``{token}``."""

    label: str
    path: str
    group: Literal["Data", "Design", "Operate", "Instance"]
    needs: Permission | None = None
    """The entry is shown to operators with this permission."""


class PortalPage(Struct, frozen=True):
    """A Litestar handler that listens with the Portal, not with the API (``apilane_register_portal_pages``).

    ``signed_in``: a request without a session is sent to the sign-in page, and the handler's parameter
    ``management: ManagementPage`` acts for the user; without it the parameter acts for no user. Every request
    that changes something needs the field ``csrf`` of a form or the header ``X-CSRF-Token``.
    """

    handler: HTTPRouteHandler
    signed_in: bool = True
    entry: MenuEntry | None = None


class ApplicationManagement(Protocol):
    """One application, for the caller."""

    token: str
    definition: ApplicationDefinition
    version: int
    permissions: frozenset[Permission]

    def may(self, permission: Permission) -> bool:
        """Whether the caller has a permission here."""
        ...

    def manifest(self) -> dict[str, Any]:
        """The manifest as a document that may be changed and planned."""
        ...

    def manifest_text(self, format: Literal["yaml", "json"] = "yaml") -> str:
        """The manifest, without secrets."""
        ...

    async def plan(self, document: Mapping[str, Any]) -> PlanView:
        """The plan from the stored definition to a manifest. Raises VALIDATION for a manifest with mistakes."""
        ...

    async def apply(self, document: Mapping[str, Any], *, version: int, accepts_loss: bool = False) -> PlanView:
        """Apply a manifest if the application still has that version; else an error with HTTP status 412."""
        ...

    async def records(self, *, edit: bool = False) -> Records:
        """The records, without rules. Writes need ``edit``, and are on record before they begin."""
        ...

    async def count(self, entity: str) -> int:
        """The number of records of an entity."""
        ...

    async def history(self, entity: str, record: int) -> Sequence[Mapping[str, Any]]:
        """The newest snapshots of a record: ``Created``, ``Owner`` and ``Data`` (a mapping)."""
        ...

    async def export(self) -> AsyncIterator[bytes]:
        """The definition and the data as a zip, in chunks."""
        ...

    async def try_endpoint(
        self, name: str, query: str, kind: str, parameters: Mapping[str, str], values: Mapping[str, str]
    ) -> ResultSets | JsonResult:
        """Run the text of an endpoint; everything it writes is rolled back. ``parameters``: names with types."""
        ...

    async def rights(self, subject: Subject) -> Sequence[EntityRights]:
        """The rights of a role or user, with the rules that give them."""
        ...

    async def records_of(self, subject: Subject) -> Records:
        """The records that a role or user may use, under the rules."""
        ...

    async def audit(self, before: int | None = None, limit: int = 50) -> Sequence[AuditEntry]:
        """Records of the audit, newest first."""
        ...

    async def delete(self, name: str, password: str | None = None) -> None:
        """Delete the application with its data. ``name``: as typed; ``password``: of a caller in a session."""
        ...


class Management(Protocol):
    """The instance, for the caller. ``entries``: the navigation entries of plugins."""

    entries: Sequence[MenuEntry]

    @property
    def operator(self) -> OperatorView | None:
        """The signed-in user; None on pages that do not need one."""
        ...

    async def applications(self) -> Sequence[ApplicationCard]:
        """The applications in which the caller has a role, sorted by name."""
        ...

    async def application(self, token: str, permission: Permission = Permission.view_definition) -> Any:
        """An ``ApplicationManagement``."""
        ...

    def providers(self) -> Sequence[str]:
        """The storage providers that a new application can have; one that needs no connection string first."""
        ...

    async def create(self, document: Mapping[str, Any]) -> str:
        """Create an application from a manifest and return its token. For instance admins."""
        ...

    async def sign_in(self, email: str, password: str, client: str, address: str) -> str:
        """Start a session and return its secret. Raises UNAUTHORIZED, and RATE_LIMIT_EXCEEDED while locked out."""
        ...

    async def sign_out(self) -> None:
        """End the session."""
        ...

    async def link_user(self, link: str) -> str | None:
        """The e-mail address of the user of a one-time link; None when it is used or expired."""
        ...

    async def use_link(self, link: str, email: str, password: str, client: str, address: str) -> str:
        """Set the password of the link's user, start a session and return its secret."""
        ...

    async def change_password(self, current: str, new: str) -> None:
        """Change the caller's password and end the caller's other sessions."""
        ...

    async def credentials(self) -> Sequence[CredentialView]:
        """The caller's sessions and tokens."""
        ...

    async def revoke(self, id: int) -> None:
        """End one of the caller's sessions or tokens."""
        ...

    async def create_token(
        self, name: str, days: int, application: str | None = None, permissions: Sequence[Permission] | None = None
    ) -> str:
        """A new operator token, which only this call returns."""
        ...

    async def users(self) -> Sequence[PortalUserView]:
        """All portal users. For instance admins, like the following methods."""
        ...

    async def invite(self, email: str, *, is_admin: bool = False) -> str:
        """Create a user, or find it, and return the secret of a one-time link with which it sets its password."""
        ...

    async def set_admin(self, id: int, *, is_admin: bool) -> None:
        """Make a user an instance admin or not. The caller cannot change itself."""
        ...

    async def delete_user(self, id: int) -> None:
        """Delete a user with all sessions and tokens. The caller cannot delete itself."""
        ...

    async def audit(self, before: int | None = None, limit: int = 50) -> Sequence[AuditEntry]:
        """Records of the audit of everything, newest first."""
        ...

    def plugins(self) -> Sequence[PluginView]:
        """The loaded plugins."""
        ...

    async def findings(self) -> Sequence[FindingView]:
        """The findings of the doctor."""
        ...


ManagementPage = NamedDependency[SkipValidation[Management]]
"""The type of a page's parameter ``management``."""
