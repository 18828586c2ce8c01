"""What the control store gives out. Pure data."""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec import Struct

from apilane.control.secrets import Secrets
from apilane.model.definition import ApplicationDefinition

__all__ = ["ApplicationName", "AuditRecord", "PendingChange", "PortalUser", "StoredApplication"]


class StoredApplication(Struct, frozen=True, kw_only=True):
    """An application's last whole definition with its secrets. ``version`` grows by 1 with every published change."""

    definition: ApplicationDefinition
    secrets: Secrets
    version: int


class ApplicationName(NamedTuple):
    """An application for lists."""

    token: str
    name: str
    version: int


class PendingChange(Struct, frozen=True, kw_only=True):
    """A change between begin and publish; ``version`` is the one it will have."""

    definition: ApplicationDefinition
    secrets: Secrets
    version: int
    actor: str


class AuditRecord(Struct, frozen=True, kw_only=True):
    """One published change, or one write to the application's data by an owner.

    ``before`` (None for a new application) and ``after``: JSON of the definition, masked. Both are None for a write to
    data, whose ``actor`` is an e-mail and whose ``changes`` are what was asked and, once known, what came of it.
    """

    version: int
    actor: str
    created: int
    """Unix milliseconds."""
    changes: tuple[str, ...]
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class PortalUser(Struct, frozen=True, kw_only=True):
    """Somebody who may sign in to the Portal."""

    id: int
    email: str
    password_hash: str
    """Argon2id, for ``apilane.security.passwords``; empty, which no password fits: none was set yet."""
    is_admin: bool
