"""The tables of the control store, described as entities, so that every driver can create and use them.

Pure data. A new or changed table raises ``SCHEMA_VERSION``; existing stores are upgraded when they are opened
(``apilane.control.upgrade``).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from msgspec.structs import replace

from apilane.model.definition import Entity, ForeignKey, Index, OnDelete, Property, PropertyType, Unique

__all__ = [
    "APPLICATIONS",
    "AUDIT",
    "CONTROL_TABLES",
    "CURRENT_SCHEMA",
    "DELETED_APPLICATIONS",
    "FIRST_CONTROL_TABLES",
    "INSTANCE",
    "JOB_RUNS",
    "OPERATOR_TOKENS",
    "OUTBOX_MARKS",
    "PENDING_CHANGES",
    "PORTAL_USERS",
    "SCHEMA_VERSION",
    "ControlSchema",
]

SCHEMA_VERSION: Final = 3


def _text(name: str, maximum: int | None = None) -> Property:
    return Property(name=name, maximum=maximum, required=True, is_system=True)


def _number(name: str, *, required: bool = True) -> Property:
    return Property(name=name, type=PropertyType.Number, decimal_places=0, required=required, is_system=True)


def _date(name: str, *, required: bool = True) -> Property:
    return Property(name=name, type=PropertyType.Date, required=required, is_system=True)


def _table(name: str, description: str, *properties: Property, **more: object) -> Entity:
    key = Property(
        name="ID", type=PropertyType.Number, decimal_places=0, required=True, is_primary_key=True, is_system=True
    )
    return Entity(name=name, description=description, is_system=True, properties=(key, *properties), **more)  # type: ignore[arg-type]


INSTANCE: Final = _table(
    "Instance",
    "One row, ID 1: values of the whole instance",
    _number("SchemaVersion"),
    _text("KeyCheck", 400),  # a known text, encrypted: detects a wrong master key before anything is decrypted
    _number("Sequence"),  # grows with every published change
    _date("Created"),
)

APPLICATIONS: Final = _table(
    "Applications",
    "Each application's last whole definition",
    _text("Token", 36),
    _text("Name", 100),
    _number("Version"),
    _text("Definition"),  # JSON
    _text("Secrets"),  # JSON, encrypted with the master key, bound to the token
    _number("Sequence"),  # the instance's number when this version was published
    _date("Updated"),
    constraints=(Unique(properties=("Token",)),),
    indexes=(Index(("Name",)), Index(("Sequence",))),
)

PENDING_CHANGES: Final = _table(
    "PendingChanges",
    "Changes between begin and publish; at most one for each application",
    _text("Token", 36),
    _number("Version"),
    _text("Definition"),
    _text("Secrets"),
    _text("Actor", 100),
    _text("Changes"),  # this and the next two columns become the audit record, masked
    _text("MaskedBefore"),
    _text("MaskedAfter"),
    constraints=(Unique(properties=("Token",)),),
)

AUDIT: Final = _table(
    "Audit",
    "Every published change of a definition: actor, time and changes; never a secret",
    _text("Token", 36),
    _number("Version"),
    _text("Actor", 100),
    _date("Created"),
    _text("Changes"),  # JSON array of plan lines
    _text("MaskedBefore"),  # JSON of the definition, "null" for a new application
    _text("MaskedAfter"),
    indexes=(Index(("Token",)),),
)

PORTAL_USERS: Final = _table(
    "PortalUsers",
    "People who operate applications or the instance",
    _text("Email", 100),
    _text("EmailFold", 100),  # apilane.model.text.fold: addresses that differ in letter case are one user
    _text("PasswordHash", 400),
    Property(name="IsAdmin", type=PropertyType.Boolean, required=True, is_system=True),
    _date("Created"),
    constraints=(Unique(properties=("EmailFold",)),),
)

FIRST_OPERATOR_TOKENS: Final = _table(
    "OwnerTokens",
    "Sign-ins of portal users, one row each; tokens only as hashes (B-S12)",
    _text("TokenHash", 64),
    _number("UserID"),
    _date("Created"),
    _date("LastUsed"),
    _date("Expires", required=False),  # null: it expires only when it is not used
    constraints=(
        Unique(properties=("TokenHash",)),
        ForeignKey(property="UserID", entity="PortalUsers", on_delete=OnDelete.Cascade),
    ),
)

OPERATOR_TOKENS: Final = replace(
    FIRST_OPERATOR_TOKENS,
    properties=(
        *FIRST_OPERATOR_TOKENS.properties,
        Property(name="Kind", maximum=20, is_system=True),  # null: a token of the command line
        Property(name="Name", maximum=200, is_system=True),  # of the token, or the browser of a session
        Property(name="Address", maximum=100, is_system=True),  # from which the session began
        Property(name="Application", maximum=36, is_system=True),  # the only one that the token may use
        Property(name="Permissions", maximum=400, is_system=True),  # with commas; null: all of the user
    ),
)

DELETED_APPLICATIONS: Final = _table(
    "DeletedApplications",
    "Applications that were deleted, so that every process detects it",
    _text("Token", 36),
    _number("Sequence"),
    constraints=(Unique(properties=("Token",)),),
    indexes=(Index(("Sequence",)),),
)

OUTBOX_MARKS: Final = _table(
    "OutboxMarks",
    "Applications that may have undelivered messages; the leader looks into their outboxes",
    _text("Token", 36),
    _number("Touches"),  # grows with every mark, so that the leader removes none that was just set
    constraints=(Unique(properties=("Token",)),),
)

JOB_RUNS: Final = _table(
    "JobRuns",
    "The last start of each job",
    _text("Name", 100),
    _date("Started"),
    constraints=(Unique(properties=("Name",)),),
)

FIRST_CONTROL_TABLES: Final = (INSTANCE, APPLICATIONS, PENDING_CHANGES, AUDIT, PORTAL_USERS, FIRST_OPERATOR_TOKENS)
"""The tables of schema version 1; never changed."""

CONTROL_TABLES: Final = (*FIRST_CONTROL_TABLES[:-1], OPERATOR_TOKENS, OUTBOX_MARKS, JOB_RUNS, DELETED_APPLICATIONS)
"""A new or changed table is listed here, together with the unchanged ones of ``FIRST_CONTROL_TABLES``."""


class ControlSchema(NamedTuple):
    """The schema version and the tables that a program needs in the control store."""

    version: int
    tables: tuple[Entity, ...]


CURRENT_SCHEMA: Final = ControlSchema(SCHEMA_VERSION, CONTROL_TABLES)
