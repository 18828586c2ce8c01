"""Roles of portal users in an application, and the permissions that each role has. Pure data.

The same table holds for the management API, the Portal and the owner channel of the wire.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from apilane.model.text import fold

__all__ = ["MANAGER", "PERMISSIONS", "Collaborator", "Permission", "PortalRole", "email_of", "role_in", "role_of"]


class Permission(StrEnum):
    """One right of a portal user in one application."""

    view_definition = "view_definition"
    """Read the model, the rules and the endpoints."""
    edit_definition = "edit_definition"
    """Change the model, the endpoints and the settings, and take the application on or off line."""
    view_data = "view_data"
    """Read records, history and exports."""
    edit_data = "edit_data"
    """Create, change and delete records, and run endpoints."""
    manage_access = "manage_access"
    """Change the rules."""
    manage_collaborators = "manage_collaborators"
    """Change the collaborators."""
    view_audit = "view_audit"
    """Read the audit."""
    delete_application = "delete_application"
    """Delete the application with its data."""


class PortalRole(StrEnum):
    """The role of a collaborator."""

    manager = "manager"
    developer = "developer"
    editor = "editor"
    viewer = "viewer"


MANAGER: Final = PortalRole.manager
"""The role of a collaborator that is listed without one."""

_VIEWER: Final = frozenset({Permission.view_definition, Permission.view_data})
_EDITOR: Final = _VIEWER | {Permission.edit_data}
_DEVELOPER: Final = _EDITOR | {Permission.edit_definition, Permission.manage_access, Permission.view_audit}

PERMISSIONS: Final[Mapping[PortalRole, frozenset[Permission]]] = MappingProxyType(
    {
        PortalRole.manager: frozenset(Permission),
        PortalRole.developer: _DEVELOPER,
        PortalRole.editor: _EDITOR,
        PortalRole.viewer: _VIEWER,
    }
)
"""The permissions of each role. An instance admin has all of them in every application."""


class Collaborator(Struct, frozen=True, kw_only=True, rename="pascal"):
    """A collaborator with another role than manager. Managers are listed by their address alone."""

    email: str
    role: PortalRole


def email_of(collaborator: str | Collaborator) -> str:
    """The e-mail address of an entry of ``ApplicationDefinition.collaborators``."""
    return collaborator if isinstance(collaborator, str) else collaborator.email


def role_of(collaborator: str | Collaborator) -> PortalRole:
    """The role of an entry of ``ApplicationDefinition.collaborators``."""
    return MANAGER if isinstance(collaborator, str) else collaborator.role


def role_in(collaborators: Iterable[str | Collaborator], email: str) -> PortalRole | None:
    """The role of an address, in any letter case, among collaborators; None when it is not listed."""
    wanted = fold(email)
    return next((role_of(each) for each in collaborators if fold(email_of(each)) == wanted), None)
