"""The system entities of every application, with their helper tables and hidden columns
(docs/reference/protocol/data-model.md sections 2.4, 3, 11).

Pure data and small functions that create it; no database access.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from apilane.model.definition import Constraint, Entity, ForeignKey, Index, OnDelete, Property, PropertyType, Unique

__all__ = [
    "EMAIL_TEMPLATE_SEEDS",
    "FIRST_HELPER_TABLES",
    "HELPER_TABLES",
    "HELPER_VERSIONS",
    "HIDDEN_COLUMNS",
    "OUTBOX_TABLE",
    "RESERVED_TABLES",
    "HiddenColumn",
    "custom_entity",
    "differentiation_property",
    "helper_table",
    "is_secret",
    "system_entities",
]

_String, _Number, _Boolean, _Date = PropertyType.String, PropertyType.Number, PropertyType.Boolean, PropertyType.Date
MAX_INT64: Final = 9223372036854775807


def _id(description: str = "Primary key", decimal_places: int | None = 0) -> Property:
    return Property(
        name="ID",
        type=_Number,
        description=description,
        decimal_places=decimal_places,
        required=True,
        is_primary_key=True,
        is_system=True,
    )


def _system(name: str, type: PropertyType, description: str | None = None, **more: object) -> Property:
    return Property(name=name, type=type, description=description, is_system=True, **more)  # type: ignore[arg-type]


def _date(name: str, description: str, *, required: bool = True) -> Property:
    return _system(name, _Date, description, minimum=0, maximum=MAX_INT64, required=required)


def differentiation_property(entity: str) -> Property:
    """The tenant column for applications differentiated by ``entity``."""
    return _system(
        f"{entity}_ID", _Number, "The differentiation property", decimal_places=0, minimum=0, maximum=MAX_INT64
    )


def custom_entity(
    name: str, properties: tuple[Property, ...] = (), *, differentiation_entity: str | None = None
) -> Entity:
    """A custom entity: its system properties and constraints, followed by ``properties``.

    ``differentiation_entity`` None: the entity does not have the tenant column.
    """
    system = [
        _id(),
        _system("Owner", _Number, "The record owner", decimal_places=0),
        _date("Created", "Date created (UTC)"),
    ]
    constraints = [ForeignKey(property="Owner", entity="Users", is_system=True)]
    if differentiation_entity:
        system.append(differentiation_property(differentiation_entity))
        constraints.append(
            ForeignKey(property=f"{differentiation_entity}_ID", entity=differentiation_entity, is_system=True)
        )
    return Entity(
        name=name,
        differentiation=bool(differentiation_entity),
        properties=(*system, *properties),
        constraints=tuple(constraints),
    )


def system_entities(differentiation_entity: str | None = None) -> tuple[Entity, ...]:
    """The system entities of a new application, in stored order."""
    tenant_properties: tuple[Property, ...] = ()
    tenant_constraints: tuple[ForeignKey, ...] = ()
    first: tuple[Entity, ...] = ()
    if differentiation_entity:
        tenant_properties = (differentiation_property(differentiation_entity),)
        tenant_constraints = (
            ForeignKey(property=f"{differentiation_entity}_ID", entity=differentiation_entity, is_system=True),
        )
        first = (
            Entity(
                name=differentiation_entity,
                description="The differentiation entity",
                change_tracking=True,
                is_system=True,
                properties=(_id(), _date("Created", "Date created (UTC)")),
            ),
        )
    users = Entity(
        name="Users",
        description="Application users",
        change_tracking=True,
        differentiation=bool(differentiation_entity),
        is_system=True,
        properties=(
            _id(),
            _system(
                "Email",
                _String,
                "The user email",
                minimum=4,
                maximum=100,
                required=True,
                validation_regex=r"[^@]+@[^\.]+\..+",
            ),
            _system("Username", _String, "The user name", minimum=4, maximum=100, required=True),
            _date("Created", "Created (UTC)"),
            _date("LastLogin", "The date the user was last seen (UTC)", required=False),
            _system("EmailConfirmed", _Boolean, "True if the user email is verified", required=True),
            _system("Password", _String, "The user password", minimum=8, maximum=400, required=True, encrypted=True),
            _system(
                "Roles",
                _String,
                "The user roles comma separated",
                maximum=1000,
                validation_regex=r"^[a-z\,]{2,}$",
            ),
            *tenant_properties,
        ),
        constraints=(
            Unique(properties=("Email",), is_system=True),
            Unique(properties=("Username",), is_system=True),
            *tenant_constraints,
        ),
    )
    auth_tokens = Entity(
        name="AuthTokens",
        description="Stores the authentication tokens",
        is_system=True,
        is_read_only=True,
        properties=(
            _id(decimal_places=None),
            _system("Token", _String, "The authentication token (auto generated on login)", maximum=100, required=True),
            _system("Owner", _Number, "The owner", decimal_places=0, required=True),
            _date("Created", "Created (UTC)"),
        ),
        constraints=(
            Unique(properties=("Token",), is_system=True),
            ForeignKey(property="Owner", entity="Users", on_delete=OnDelete.Cascade, is_system=True),
        ),
    )
    files = Entity(
        name="Files",
        description="Stores the files",
        differentiation=bool(differentiation_entity),
        is_system=True,
        properties=(
            _id("The primary key", decimal_places=None),
            _system("Name", _String, "The file name", required=True),
            _system("UID", _String, "The file's unique identifier", maximum=400, required=True),
            _system("Size", _Number, "The file's size in MB", decimal_places=6, required=True),
            _system("Owner", _Number, "The file owner", decimal_places=0),
            _date("Created", "The date the file was uploaded (UTC)"),
            *tenant_properties,
        ),
        constraints=(
            Unique(properties=("UID",), is_system=True),
            ForeignKey(property="Owner", entity="Users", is_system=True),
            *tenant_constraints,
        ),
    )
    return (*first, users, auth_tokens, files)


class HiddenColumn(Struct, frozen=True, kw_only=True):
    """A column that only the server uses in a system table (B-D17); it never appears on the wire.

    The column enforces the uniqueness of the property ``shows``, and violations name that property. ``source`` names
    how its value is computed: ``fold`` (``apilane.model.text.fold``) or ``hash`` (keyed hash of a secret).
    """

    name: str
    shows: str
    source: str
    maximum: int = 400


_SECRETS: Final = frozenset({("Users", "Password"), ("AuthTokens", "Token")})


def is_secret(entity: Entity, property: Property) -> bool:
    """Whether a property is a secret: it reads as null for every caller and is left out of filters, sorts, statistics
    and history.

    Source: docs/reference/protocol/data-model.md B-D3, B-D4, B-D10.
    """
    return entity.is_system and (entity.name, property.name) in _SECRETS


HIDDEN_COLUMNS: Final[dict[str, tuple[HiddenColumn, ...]]] = {
    "Users": (
        HiddenColumn(name="H_Email_Fold", shows="Email", source="fold"),
        HiddenColumn(name="H_Username_Fold", shows="Username", source="fold"),
    ),
    "AuthTokens": (HiddenColumn(name="H_Token_Hash", shows="Token", source="hash", maximum=100),),
}
"""By entity name. All columns are Strings, required and unique."""


def helper_table(
    name: str,
    columns: tuple[Property, ...],
    constraints: tuple[Constraint, ...] = (),
    indexes: tuple[Index, ...] = (),
) -> Entity:
    """A helper table: the key ``ID``, followed by ``columns``."""
    return Entity(name=name, is_system=True, properties=(_id(), *columns), constraints=constraints, indexes=indexes)


def _token_table(name: str) -> Entity:
    return Entity(
        name=name,
        is_system=True,
        properties=(
            _id(),
            _system("Owner", _Number, decimal_places=0, required=True),
            _system("Token", _String, maximum=100, required=True),
            _system("Created", _Date, required=True),
        ),
        constraints=(
            ForeignKey(property="Owner", entity="Users", on_delete=OnDelete.Cascade, is_system=True),
            Unique(properties=("Token",), is_system=True),
        ),
    )


FIRST_HELPER_TABLES: Final[tuple[Entity, ...]] = (
    Entity(
        name="H_Entity_Change_Tracking",
        is_system=True,
        properties=(
            _id(),
            _system("Entity", _String, maximum=100, required=True),
            _system("RecordID", _Number, decimal_places=0, required=True),
            _system("Owner", _Number, decimal_places=0),
            _system("Data", _String, required=True),
            _system("Created", _Date, required=True),
        ),
    ),
    _token_table("H_Auth_Email_Confirmation_Tokens"),
    _token_table("H_Auth_Password_Reset_Tokens"),
    Entity(
        name="H_Email_Templates",
        is_system=True,
        properties=(
            _id(),
            _system("Description", _String),
            _system("Active", _Boolean, required=True),
            _system("EventCode", _String, maximum=100, required=True),
            _system("Subject", _String, maximum=2000),
            _system("Content", _String),
        ),
    ),
    Entity(
        name="H_Schema",
        description="One row: the version of the definition that the tables have",
        is_system=True,
        properties=(_id(), _system("Version", _Number, decimal_places=0, required=True)),
    ),
)
"""The helper tables of the first release: each exists in this form in every database whose ``H_Tables`` has no row for
it. Do not change this tuple. Custom SQL may use these tables.
"""

HELPER_TABLES: Final[tuple[Entity, ...]] = (
    *FIRST_HELPER_TABLES,
    Entity(
        name="H_Idempotency_Keys",
        description="Requests with an Idempotency-Key, and their answers",
        is_system=True,
        properties=(
            _id(),
            _system("Name", _String, maximum=64, required=True),
            _system("Request", _String, maximum=64, required=True),
            _system("Answer", _String),
            _system("Created", _Date, required=True),
        ),
        constraints=(Unique(properties=("Name",), is_system=True),),
    ),
    Entity(
        name="H_Fingerprint",
        description="One row: the fingerprint of the entities that the tables have, and their version",
        is_system=True,
        properties=(
            _id(),
            _system("Version", _Number, decimal_places=0, required=True),
            _system("Fingerprint", _String, maximum=64, required=True),
        ),
    ),
)
"""The helper tables in the application's own database. A new or changed table is listed here, together with the
unchanged ones of ``FIRST_HELPER_TABLES``; a changed table also needs a higher version in ``HELPER_VERSIONS``.
"""

HELPER_VERSIONS: Final[dict[str, int]] = {}
"""Versions by name of the helper table; 1 for tables that are not listed."""

OUTBOX_TABLE: Final = helper_table(
    "H_Outbox",
    (
        _system("Kind", _String, maximum=100, required=True),
        _system("MessageKey", _String, maximum=36, required=True),
        _system("Payload", _String, required=True),  # JSON, encrypted
        _system("Attempts", _Number, decimal_places=0, required=True),
        _system("Due", _Date, required=True),  # the next attempt; of a claimed message: the end of the claim
        _system("Dead", _Boolean, required=True),
        _system("Error", _String),  # of the last attempt, encrypted
        _system("Created", _Date, required=True),
    ),
    indexes=(Index(("Dead", "Due")),),
)
"""Messages to deliver; created where a plugin delivers messages. Custom SQL cannot use it."""

RESERVED_TABLES: Final[frozenset[str]] = frozenset(
    {
        "h_tables",  # apilane.storage.helper_tables
        "h_schema_progress",  # drivers/apilane_mysql
        OUTBOX_TABLE.name.lower(),
        *(table.name.lower() for table in (*FIRST_HELPER_TABLES, *HELPER_TABLES)),
        *(column.name.lower() for columns in HIDDEN_COLUMNS.values() for column in columns),
    }
)
"""Names, in lower case, that a plugin's table must not have."""

HELPER_INDEXES: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "H_Entity_Change_Tracking": (("Entity", "RecordID"),),
}

EMAIL_TEMPLATE_SEEDS: Final[tuple[tuple[int, str, str, str, str], ...]] = (
    (1, "UserRegisterConfirmation", "Email confirmation", "Welcome!", "<a href='{confirmation_url}'>Confirm</a>"),
    (2, "UserForgotPassword", "Reset password", "Reset Password", "<a href='{reset_password_url}'>Reset</a>"),
)
"""``(ID, EventCode, Description, Subject, Content)`` of the templates of a new application, all inactive."""
