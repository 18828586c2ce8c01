"""The plugin API: everything that a plugin imports. Only the names in ``__all__`` are stable.

A plugin is a module with functions named like hooks and marked with ``hookimpl``; ``apilane.hookspecs`` describes each
hook. Authors of storage drivers import ``apilane.plugin.storage`` too, tests ``apilane.testing``.
"""

from __future__ import annotations

from apilane.errors import ApilaneError, Code, ConfigurationError, RateLimitedError, unauthorized
from apilane.hookspecs import hookimpl
from apilane.model.dates import parse_date
from apilane.model.definition import (
    Action,
    ApplicationDefinition,
    Endpoint,
    Entity,
    ForeignKey,
    Index,
    IPPolicy,
    Property,
    PropertyType,
    RateLimit,
    Rule,
    Unique,
)
from apilane.model.ip_ranges import parse_range
from apilane.model.json import decode_json, encode_json
from apilane.model.numbers import parse_number
from apilane.model.text import fold, trim
from apilane.model.values import is_storable_text
from apilane.plugin.access import Access, Account, CustomEndpoint, Data, Open, Operator, PerOperation, Schema
from apilane.plugin.calls import AccessView, CallView, EntityView, WireCall, Write
from apilane.plugin.commands import CommandContext
from apilane.plugin.counters import Counters
from apilane.plugin.endpoints import EndpointAction, EndpointKind, ResultSets
from apilane.plugin.files import FileContent, FileStore, StoredName
from apilane.plugin.gates import AvailabilityCheck, Limiter, RequestCheck, SignInEvent, Throttle
from apilane.plugin.identity import (
    ANONYMOUS,
    Actor,
    ActorKind,
    ApplicationView,
    Authenticator,
    RequestView,
    Signer,
    TokenDirectory,
)
from apilane.plugin.pages import Page, PageCall
from apilane.plugin.records import RecordsView
from apilane.plugin.replies import PLAIN, FileBody, Header, Reply
from apilane.plugin.settings import PluginSettings, Secret
from apilane.plugin.tables import HelperTable, column
from apilane.security.signatures import WINDOW_MS, SignatureHeaders, verifies
from apilane.security.tokens import bearer_token
from apilane.settings import Settings
from apilane.sql.dialect import Dialect
from apilane.sql.statement import Value
from apilane.storage.errors import StorageError
from apilane.storage.protocol import Driver

__all__ = [
    "ANONYMOUS",
    "PLAIN",
    "WINDOW_MS",
    "Access",
    "AccessView",
    "Account",
    "Action",
    "Actor",
    "ActorKind",
    "ApilaneError",
    "ApplicationDefinition",
    "ApplicationView",
    "Authenticator",
    "AvailabilityCheck",
    "CallView",
    "Code",
    "CommandContext",
    "ConfigurationError",
    "Counters",
    "CustomEndpoint",
    "Data",
    "Dialect",
    "Driver",
    "Endpoint",
    "EndpointAction",
    "EndpointKind",
    "Entity",
    "EntityView",
    "FileBody",
    "FileContent",
    "FileStore",
    "ForeignKey",
    "Header",
    "HelperTable",
    "IPPolicy",
    "Index",
    "Limiter",
    "Open",
    "Operator",
    "Page",
    "PageCall",
    "PerOperation",
    "PluginSettings",
    "Property",
    "PropertyType",
    "RateLimit",
    "RateLimitedError",
    "RecordsView",
    "Reply",
    "RequestCheck",
    "RequestView",
    "ResultSets",
    "Rule",
    "Schema",
    "Secret",
    "Settings",
    "SignInEvent",
    "SignatureHeaders",
    "Signer",
    "StorageError",
    "StoredName",
    "Throttle",
    "TokenDirectory",
    "Unique",
    "Value",
    "WireCall",
    "Write",
    "bearer_token",
    "column",
    "decode_json",
    "encode_json",
    "fold",
    "hookimpl",
    "is_storable_text",
    "parse_date",
    "parse_number",
    "parse_range",
    "trim",
    "unauthorized",
    "verifies",
]
