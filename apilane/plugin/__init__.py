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
    EmailTemplate,
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
from apilane.model.email_addresses import is_email
from apilane.model.hints import kind_of
from apilane.model.ip_ranges import parse_range
from apilane.model.json import decode_json, encode_json, json_text
from apilane.model.numbers import parse_number
from apilane.model.scopes import read_scopes
from apilane.model.text import fold, trim
from apilane.model.values import is_storable_text
from apilane.plugin.access import Access, Account, CustomEndpoint, Data, Open, Operator, PerOperation, Program, Schema
from apilane.plugin.accounts import Accounts, MailedAccount, MailKind
from apilane.plugin.call_records import RecordsView
from apilane.plugin.calls import AccessView, CallView, EntityView, WireCall, Write
from apilane.plugin.commands import CommandContext
from apilane.plugin.counters import Counters
from apilane.plugin.data import ApplicationData, Create, Delete, RecordPage, Records, RunEndpoint, Update, ref
from apilane.plugin.descriptions import (
    PAGE_PARAMETERS,
    RECORD,
    RECORD_PAGE,
    CallDescription,
    DescribedKind,
    EndpointDescription,
    JsonSchema,
    Parameter,
    component,
    list_of,
    nullable,
)
from apilane.plugin.endpoints import (
    CarefulEndpointKind,
    EndpointAction,
    EndpointKind,
    JsonResult,
    ResultSets,
    TransactionAction,
)
from apilane.plugin.files import FileContent, FileStore, StoredName
from apilane.plugin.functions import EndpointCall, EndpointFunction
from apilane.plugin.gates import AvailabilityCheck, BatchLimiter, Limiter, RequestCheck, SignInEvent, Throttle
from apilane.plugin.identity import (
    ANONYMOUS,
    Actor,
    ActorKind,
    Answered,
    ApplicationView,
    Authenticator,
    RequestView,
    Signer,
    TokenDirectory,
    TrustedCredentials,
)
from apilane.plugin.jobs import Applications, Job
from apilane.plugin.mail import Mailer, MailMessage
from apilane.plugin.observers import (
    CacheUse,
    Observer,
    OutboxState,
    ProcessView,
    SeenDelivery,
    SeenRequest,
    SeenStatement,
)
from apilane.plugin.outbox import Outbox, OutboxHandler, OutboxMessage, OutboxUnit, PermanentFailure, RetryLater
from apilane.plugin.pages import Page, PageCall
from apilane.plugin.records import RecordAction, RecordChange, RecordEvent, RecordEvents, RecordHandler
from apilane.plugin.replies import PLAIN, FileBody, Header, Reply
from apilane.plugin.settings import PluginSettings, Secret
from apilane.plugin.sign_in import SigningIn, SignInStep
from apilane.plugin.tables import HelperTable, column
from apilane.security.signatures import WINDOW_MS, SignatureHeaders, verifies
from apilane.security.tokens import bearer_token
from apilane.settings import Settings
from apilane.sql.dialect import Dialect
from apilane.sql.statement import Value
from apilane.storage.errors import StorageError
from apilane.storage.protocol import Driver, Load

__all__ = [
    "ANONYMOUS",
    "PAGE_PARAMETERS",
    "PLAIN",
    "RECORD",
    "RECORD_PAGE",
    "WINDOW_MS",
    "Access",
    "AccessView",
    "Account",
    "Accounts",
    "Action",
    "Actor",
    "ActorKind",
    "Answered",
    "ApilaneError",
    "ApplicationData",
    "ApplicationDefinition",
    "ApplicationView",
    "Applications",
    "Authenticator",
    "AvailabilityCheck",
    "BatchLimiter",
    "CacheUse",
    "CallDescription",
    "CallView",
    "CarefulEndpointKind",
    "Code",
    "CommandContext",
    "ConfigurationError",
    "Counters",
    "Create",
    "CustomEndpoint",
    "Data",
    "Delete",
    "DescribedKind",
    "Dialect",
    "Driver",
    "EmailTemplate",
    "Endpoint",
    "EndpointAction",
    "EndpointCall",
    "EndpointDescription",
    "EndpointFunction",
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
    "Job",
    "JsonResult",
    "JsonSchema",
    "Limiter",
    "Load",
    "MailKind",
    "MailMessage",
    "MailedAccount",
    "Mailer",
    "Observer",
    "Open",
    "Operator",
    "Outbox",
    "OutboxHandler",
    "OutboxMessage",
    "OutboxState",
    "OutboxUnit",
    "Page",
    "PageCall",
    "Parameter",
    "PerOperation",
    "PermanentFailure",
    "PluginSettings",
    "ProcessView",
    "Program",
    "Property",
    "PropertyType",
    "RateLimit",
    "RateLimitedError",
    "RecordAction",
    "RecordChange",
    "RecordEvent",
    "RecordEvents",
    "RecordHandler",
    "RecordPage",
    "Records",
    "RecordsView",
    "Reply",
    "RequestCheck",
    "RequestView",
    "ResultSets",
    "RetryLater",
    "Rule",
    "RunEndpoint",
    "Schema",
    "Secret",
    "SeenDelivery",
    "SeenRequest",
    "SeenStatement",
    "Settings",
    "SignInEvent",
    "SignInStep",
    "SignatureHeaders",
    "Signer",
    "SigningIn",
    "StorageError",
    "StoredName",
    "Throttle",
    "TokenDirectory",
    "TransactionAction",
    "TrustedCredentials",
    "Unique",
    "Update",
    "Value",
    "WireCall",
    "Write",
    "bearer_token",
    "column",
    "component",
    "decode_json",
    "encode_json",
    "fold",
    "hookimpl",
    "is_email",
    "is_storable_text",
    "json_text",
    "kind_of",
    "list_of",
    "nullable",
    "parse_date",
    "parse_number",
    "parse_range",
    "read_scopes",
    "ref",
    "trim",
    "unauthorized",
    "verifies",
]
