"""A client of the Apilane wire protocol: ``Client``, and ``AsyncClient`` with the same methods.

It works with any server of the protocol. It needs httpx (the extra ``client``) and no module of the server.
"""

from __future__ import annotations

try:
    import httpx as _httpx  # noqa: F401 -- checked here once, before the modules below import it
except ImportError as error:
    raise ImportError("apilane.client needs httpx: pip install 'apilane[client]'") from error

from apilane.client.account import Login, UserData
from apilane.client.bulk import ImportReport, RefusedLine, StoppedImport
from apilane.client.call import Call, Credentials, Record
from apilane.client.clients import AsyncClient, Client
from apilane.client.data import Page
from apilane.client.errors import (
    ApilaneError,
    ConnectionFailed,
    EmptyBody,
    FileNotFound,
    ForeignKeyViolation,
    InvalidFilter,
    InvalidGroupBy,
    InvalidRequest,
    InvalidSort,
    NoIdProvided,
    NoPropertiesProvided,
    NotFound,
    NothingToDelete,
    RateLimited,
    RequiredMissing,
    ServiceUnavailable,
    SignInStepRequired,
    Unauthorized,
    UnconfirmedEmail,
    UnexpectedAnswer,
    UniqueViolation,
    ValidationFailed,
)
from apilane.client.files import Download, Link, Received
from apilane.client.filters import F, Filter
from apilane.client.operations import Custom, Delete, OperationResult, Post, Put, TransactionResult, ref
from apilane.client.typed import Changes, Creates, Deletes, EndpointCalls, Reads

__all__ = [
    "ApilaneError",
    "AsyncClient",
    "Call",
    "Changes",
    "Client",
    "ConnectionFailed",
    "Creates",
    "Credentials",
    "Custom",
    "Delete",
    "Deletes",
    "Download",
    "EmptyBody",
    "EndpointCalls",
    "F",
    "FileNotFound",
    "Filter",
    "ForeignKeyViolation",
    "ImportReport",
    "InvalidFilter",
    "InvalidGroupBy",
    "InvalidRequest",
    "InvalidSort",
    "Link",
    "Login",
    "NoIdProvided",
    "NoPropertiesProvided",
    "NotFound",
    "NothingToDelete",
    "OperationResult",
    "Page",
    "Post",
    "Put",
    "RateLimited",
    "Reads",
    "Received",
    "Record",
    "RefusedLine",
    "RequiredMissing",
    "ServiceUnavailable",
    "SignInStepRequired",
    "StoppedImport",
    "TransactionResult",
    "Unauthorized",
    "UnconfirmedEmail",
    "UnexpectedAnswer",
    "UniqueViolation",
    "UserData",
    "ValidationFailed",
    "ref",
]
