"""The data that the control store returns. Pure data."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from apilane.control.secrets import Secrets
from apilane.model.definition import ApplicationDefinition
from apilane.model.migration import Renames

__all__ = ["ApplicationName", "AuditRecord", "PendingChange", "PortalUser", "StoredApplication", "audit_record"]


class StoredApplication(Struct, frozen=True, kw_only=True):
    """The last published definition of an application, with its secrets. ``version`` grows by 1 with every published
    change.
    """

    definition: ApplicationDefinition
    secrets: Secrets
    version: int


class ApplicationName(NamedTuple):
    """The entry of an application in lists."""

    token: str
    name: str
    version: int


class PendingChange(Struct, frozen=True, kw_only=True):
    """A change between begin and publish; ``version`` is the version that it gets."""

    definition: ApplicationDefinition
    secrets: Secrets
    version: int
    actor: str
    renames: Renames = Renames()


class AuditRecord(Struct, frozen=True, kw_only=True):
    """One published change, or one write of an operator to the application's data.

    ``before`` (None for a new application) and ``after``: JSON of the definition, masked. For a write to data both are
    None, ``actor`` is an e-mail address, and ``changes`` are the request and, once known, its result.
    """

    version: int
    actor: str
    created: int
    """Unix milliseconds."""
    changes: tuple[str, ...]
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    id: int = 0
    token: str = ""
    """Of the application; empty for records about the instance."""


class PortalUser(Struct, frozen=True, kw_only=True):
    """A person who may sign in to the Portal."""

    id: int
    email: str
    password_hash: str
    """Argon2id, for ``apilane.security.passwords``. Empty if no password was set; no password matches it."""
    is_admin: bool
    created: int = 0
    """Unix milliseconds; 0 where it was not asked for."""


def audit_record(row: tuple[Any, ...], *, id: int = 0) -> AuditRecord:
    """A record from the columns of its row, without the key."""
    token, version, actor, created, changes, before, after = row
    return AuditRecord(
        id=id,
        token=token,
        version=abs(version),
        actor=actor,
        created=created,
        changes=msgspec.json.decode(changes, type=tuple[str, ...]),
        before=msgspec.json.decode(before),
        after=msgspec.json.decode(after),
    )
