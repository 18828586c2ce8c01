"""The definition of one application: entities, properties, constraints, rules, endpoints, settings.

Pure data (msgspec Structs), without I/O and secrets: connection strings, mail passwords and keys are stored encrypted
by ``apilane.control``. Wire names are PascalCase, so the JSON of a Struct is close to the documents of
``docs/reference/protocol/data-model.md``. Names in code follow PEP 8.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from functools import cached_property
from typing import Any

import msgspec
from msgspec import Struct

from apilane.model.portal_roles import Collaborator

__all__ = [
    "Action",
    "ApplicationDefinition",
    "Constraint",
    "Direction",
    "EmailTemplate",
    "Endpoint",
    "Entity",
    "ForeignKey",
    "IPPolicy",
    "Index",
    "Mail",
    "OnDelete",
    "Property",
    "PropertyType",
    "RateLimit",
    "RecordScope",
    "Rule",
    "RuleKind",
    "SortKey",
    "Unique",
]


class PropertyType(IntEnum):
    """Types of properties: ``TypeID`` on the wire."""

    String = 1
    Number = 2
    Boolean = 3
    Date = 4


class OnDelete(StrEnum):
    """The action of a foreign key when the referenced record is deleted."""

    NoAction = "NoAction"
    SetNull = "SetNull"
    Cascade = "Cascade"


class Direction(StrEnum):
    """The direction of a sort key."""

    ASC = "ASC"
    DESC = "DESC"


class Action(StrEnum):
    """Actions a rule can grant."""

    get = "get"
    post = "post"
    put = "put"
    delete = "delete"


class RuleKind(StrEnum):
    """The kind of object that a rule grants access to."""

    Entity = "Entity"
    CustomEndpoint = "CustomEndpoint"
    Schema = "Schema"


class RecordScope(StrEnum):
    """The records that a rule covers."""

    All = "All"
    Owned = "Owned"


class Property(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """One property of an entity. ``minimum``/``maximum``: value of a Number, length (UTF-16 units) of a String."""

    name: str
    type: PropertyType = PropertyType.String
    description: str | None = None
    required: bool = False
    minimum: int | None = None
    maximum: int | None = None
    decimal_places: int | None = None
    """Number only; None means 0."""
    validation_regex: str | None = None
    encrypted: bool = False
    default: str | int | float | bool | None = None
    """What Post and Register store for a property that is absent; ``Now`` for a Date. Json: as JSON text."""
    values: tuple[str | int | float, ...] = ()
    """String and Number: the admitted values; empty: all."""
    format: str | None = None
    """String only: one of ``apilane.model.formats.FORMATS``."""
    is_primary_key: bool = False
    is_system: bool = False


class Unique(Struct, frozen=True, kw_only=True, rename="pascal", tag_field="Type", tag="Unique", omit_defaults=True):
    """No two records have the same values of ``properties``."""

    properties: tuple[str, ...]
    per_tenant: bool = False
    """No two records of one tenant; the records without a tenant count as one tenant."""
    is_system: bool = False


class ForeignKey(
    Struct, frozen=True, kw_only=True, rename="pascal", tag_field="Type", tag="ForeignKey", omit_defaults=True
):
    """``property`` refers to the ``ID`` of ``entity``."""

    property: str
    entity: str
    on_delete: OnDelete = OnDelete.NoAction
    within_reach: bool = False
    """A caller can refer only to records that the caller may get."""
    is_system: bool = False


Constraint = Unique | ForeignKey


class Index(Struct, frozen=True, rename="pascal"):
    """An index that the application declares, in addition to the automatic ones."""

    properties: tuple[str, ...]


class SortKey(Struct, frozen=True, rename="pascal"):
    """One property of a sort order."""

    property: str
    direction: Direction = Direction.ASC


class Entity(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True, dict=True):
    """An entity with *all* its properties, system properties first, in schema order."""

    name: str
    description: str | None = None
    change_tracking: bool = False
    differentiation: bool = False
    """Whether the entity has the differentiation property."""
    is_system: bool = False
    is_read_only: bool = False
    properties: tuple[Property, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    """System constraints included."""
    default_order: tuple[SortKey, ...] = ()
    indexes: tuple[Index, ...] = ()
    """Only the declared indexes; dialects add the automatic ones."""
    condition_indexes: tuple[tuple[str, ...], ...] = ()
    """The indexes for conditions of rules: property and ``ID``, with the tenant between them where there is one."""

    def property(self, name: str) -> Property | None:
        """The property with that name; letter case is ignored."""
        return self._by_name.get(name.lower())

    @cached_property
    def tenant(self) -> str | None:
        """The differentiation property; None: the records belong to no tenant."""
        if not self.differentiation:
            return None
        return next((p.name for p in self.properties if p.is_system and p.name.endswith("_ID")), None)

    @cached_property
    def _by_name(self) -> dict[str, Property]:
        return {p.name.lower(): p for p in reversed(self.properties)}


class RateLimit(Struct, frozen=True, rename="pascal"):
    """At most ``max_requests`` in a sliding window of one unit."""

    max_requests: int
    per: str
    """Second, Minute or Hour."""


class Rule(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """A stored access rule (docs/reference/protocol/security.md section 2); ``name`` of a Schema rule is ``Schema``."""

    kind: RuleKind
    name: str
    role: str
    action: Action = Action.get
    record: RecordScope = RecordScope.All
    properties: tuple[str, ...] = ()
    rate_limit: RateLimit | None = None
    where: str | None = None
    """A filter tree as JSON text: the records within reach must meet it."""
    check: str | None = None
    """A filter tree as JSON text: a record must meet it after a post or put."""


class Endpoint(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """A custom endpoint: ``query`` in the language of its ``kind``. ``methods``: GET, and POST if it is allowed."""

    name: str
    query: str
    description: str | None = None
    kind: str = "sql"
    parameters: dict[str, str] = {}
    methods: tuple[str, ...] = ("GET",)


class EmailTemplate(Struct, frozen=True, kw_only=True, rename="pascal"):
    """A mail of the application: ``subject`` and HTML ``content`` with placeholders."""

    event: str
    active: bool = False
    subject: str = ""
    content: str = ""


class IPPolicy(Struct, frozen=True, kw_only=True, rename="pascal"):
    """Client addresses that are blocked (``Block``), or the only ones that are allowed (``Allow``)."""

    logic: str = "Block"
    addresses: tuple[str, ...] = ()


class Mail(Struct, frozen=True, kw_only=True, rename="pascal"):
    """Mail settings without the password, which is a secret of the application."""

    server: str | None = None
    port: int | None = None
    from_address: str | None = None
    from_display_name: str | None = None
    security: str = "StartTls"
    user_name: str | None = None


class ApplicationDefinition(Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True, dict=True):
    """Everything about one application except its secrets. ``entities``: stored order, system ones included."""

    token: str
    """In canonical form: lower case with hyphens."""
    name: str
    storage_provider: str = "SQLite"
    differentiation_entity: str | None = None
    online: bool = True
    allow_user_register: bool = True
    allow_login_unconfirmed_email: bool = True
    force_single_login: bool = False
    auth_token_expire_minutes: int = 60
    history_retention_days: int | None = None
    """Snapshots of the history are deleted after this time. None: never."""
    max_allowed_file_size_in_kb: int = msgspec.field(default=100, name="MaxAllowedFileSizeInKB")
    email_confirmation_redirect_url: str | None = None
    ip_policy: IPPolicy | None = msgspec.field(default=None, name="IPPolicy")
    mail: Mail | None = None
    entities: tuple[Entity, ...] = ()
    rules: tuple[Rule, ...] = msgspec.field(default=(), name="Security")
    custom_endpoints: tuple[Endpoint, ...] = ()
    reports: tuple[dict[str, Any], ...] = ()
    email_templates: tuple[EmailTemplate, ...] = ()
    collaborators: tuple[str | Collaborator, ...] = ()
    """Portal users who operate the application: addresses of managers, and others with their roles."""
    plugins: dict[str, Any] = {}
    enforced: tuple[str, ...] = ()
    """Sections of ``plugins`` that need a loaded plugin (``apilane.model.enforcement``), such as ``Plugins.mfa``."""

    def entity(self, name: str) -> Entity | None:
        """The entity with that name; letter case is ignored."""
        return self._by_name.get(name.lower())

    @cached_property
    def _by_name(self) -> dict[str, Entity]:
        # Cached: while a manifest is read, thousands of entities look each other up.
        return {e.name.lower(): e for e in reversed(self.entities)}
