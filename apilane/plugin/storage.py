"""The imports of storage drivers: the contract, the statements that Apilane makes, and code that drivers share.

The contract is ``Driver`` and ``Session``. ``PooledDriver`` and ``PooledSession`` implement it for a client library
that opens connections. ``docs/howto/write-a-driver.md`` explains all of it.
"""

from __future__ import annotations

from apilane.model.definition import Entity, ForeignKey, OnDelete, Property, PropertyType
from apilane.model.migration import Migration
from apilane.model.privileges import is_private, may_delete, may_insert, may_update, reads_as_null
from apilane.model.statistics import AggregateFunction, DatePart
from apilane.model.system import HELPER_TABLES, HIDDEN_COLUMNS, system_entities
from apilane.model.text import fold, utf16_length
from apilane.settings import Settings
from apilane.sql import changes
from apilane.sql.changes import Change
from apilane.sql.ddl import (
    Names,
    bounded_name,
    folded_columns,
    foreign_keys,
    plain_indexes,
    quoted_name,
    quoted_text,
    references,
    tenant_key,
    unique_columns,
    visible_uniques,
)
from apilane.sql.dialect import CLOCK_PARTS, Dialect, any_or_none, within_years
from apilane.sql.differ import BETWEEN, Traits, differences
from apilane.sql.limits import Limits
from apilane.sql.numbers import plain_number, plain_result
from apilane.sql.script import Script, ScriptNotes, named_placeholder, read_script
from apilane.sql.statement import Statement, StatementKind, Value, compile_statement
from apilane.sql.structure import Column, Default, Index, IndexColumn, Reference, Table
from apilane.sql.tables import stored_properties
from apilane.storage.connection_strings import ServerAddress, connect_timeout_s, parse_address
from apilane.storage.errors import (
    ConnectionLost,
    ConnectionRefused,
    Deadlock,
    ForeignKeyViolation,
    MissingObject,
    NotNullViolation,
    NumberOutOfRange,
    Raised,
    StatementTimeout,
    StorageError,
    Unavailable,
    UniqueViolation,
    Unsupported,
    ValueTooLong,
)
from apilane.storage.forks import forget_in_children
from apilane.storage.limits import TimeLimits, share_of
from apilane.storage.name_lock import name_lock
from apilane.storage.patience import Patience
from apilane.storage.pool import Pool, PoolGroup
from apilane.storage.pooled import (
    NothingHappened,
    PooledSession,
    ServerConnection,
    SharesInserts,
    SharesReads,
    in_transaction,
    repeated,
)
from apilane.storage.pooled_driver import PooledDriver
from apilane.storage.protocol import (
    Driver,
    Features,
    Finding,
    Load,
    ReportsLoad,
    Result,
    ResultSet,
    Row,
    ScriptStep,
    Session,
    Step,
    Unit,
    UnitWithScripts,
)
from apilane.storage.result_budget import ResultBudget
from apilane.storage.units import drive, drive_async

__all__ = [
    "BETWEEN",
    "CLOCK_PARTS",
    "HELPER_TABLES",
    "HIDDEN_COLUMNS",
    "AggregateFunction",
    "Change",
    "Column",
    "ConnectionLost",
    "ConnectionRefused",
    "DatePart",
    "Deadlock",
    "Default",
    "Dialect",
    "Driver",
    "Entity",
    "Features",
    "Finding",
    "ForeignKey",
    "ForeignKeyViolation",
    "Index",
    "IndexColumn",
    "Limits",
    "Load",
    "Migration",
    "MissingObject",
    "Names",
    "NotNullViolation",
    "NothingHappened",
    "NumberOutOfRange",
    "OnDelete",
    "Patience",
    "Pool",
    "PoolGroup",
    "PooledDriver",
    "PooledSession",
    "Property",
    "PropertyType",
    "Raised",
    "Reference",
    "ReportsLoad",
    "Result",
    "ResultBudget",
    "ResultSet",
    "Row",
    "Script",
    "ScriptNotes",
    "ScriptStep",
    "ServerAddress",
    "ServerConnection",
    "Session",
    "Settings",
    "SharesInserts",
    "SharesReads",
    "Statement",
    "StatementKind",
    "StatementTimeout",
    "Step",
    "StorageError",
    "Table",
    "TimeLimits",
    "Traits",
    "Unavailable",
    "UniqueViolation",
    "Unit",
    "UnitWithScripts",
    "Unsupported",
    "Value",
    "ValueTooLong",
    "any_or_none",
    "bounded_name",
    "changes",
    "compile_statement",
    "connect_timeout_s",
    "differences",
    "drive",
    "drive_async",
    "fold",
    "folded_columns",
    "foreign_keys",
    "forget_in_children",
    "in_transaction",
    "is_private",
    "may_delete",
    "may_insert",
    "may_update",
    "name_lock",
    "named_placeholder",
    "parse_address",
    "plain_indexes",
    "plain_number",
    "plain_result",
    "quoted_name",
    "quoted_text",
    "read_script",
    "reads_as_null",
    "references",
    "repeated",
    "share_of",
    "stored_properties",
    "system_entities",
    "tenant_key",
    "unique_columns",
    "utf16_length",
    "visible_uniques",
    "within_years",
]
