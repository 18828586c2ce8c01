"""The one error type that reaches a caller, its codes and its JSON shape.

Source of codes and messages: ``docs/reference/protocol/errors.md`` sections 1 and 2. Storage failures are another
family (``apilane.storage.errors``); services turn them into these.
"""

from __future__ import annotations

import math
from enum import StrEnum

import msgspec

__all__ = ["ApilaneError", "Code", "ConfigurationError", "RateLimitedError", "unauthorized"]


class Code(StrEnum):
    """Every code that may appear on the wire, and when; clients know exactly these."""

    ERROR = "ERROR"
    """All that has no code of its own, such as wrong credentials of a sign-in; unexpected failures tell owners what."""
    UNAUTHORIZED = "UNAUTHORIZED"
    """No rule grants the call, the call needs a user, or a signature does not verify."""
    UNCONFIRMED_EMAIL = "UNCONFIRMED_EMAIL"
    """Login, where the application asks for a confirmed e-mail."""
    REQUIRED = "REQUIRED"
    """A value that may not be null or absent is."""
    NOT_FOUND = "NOT_FOUND"
    """The record is missing or out of reach, or there is no such endpoint or path."""
    INVALID_FILTER_PARAMETER = "INVALID_FILTER_PARAMETER"
    """The filter cannot be read, does not fit its property, or names one out of reach."""
    INVALID_SORT_PARAMETER = "INVALID_SORT_PARAMETER"
    """The sort cannot be read, or names a property out of reach."""
    INVALID_GROUPBY_PARAMETER = "INVALID_GROUPBY_PARAMETER"
    """The grouping of statistics cannot be read."""
    NO_PROPERTIES_PROVIDED = "NO_PROPERTIES_PROVIDED"
    """Post or Put names no property that the caller may write."""
    EMPTY_BODY = "EMPTY_BODY"
    """There is no body, or it is no JSON."""
    NO_ID_PROVIDED = "NO_ID_PROVIDED"
    """Put without a usable `ID`."""
    NO_RECORDS_FOUND_TO_DELETE = "NO_RECORDS_FOUND_TO_DELETE"
    """Delete without a usable ID."""
    FILE_NOT_FOUND = "FILE_NOT_FOUND"
    """There is no such file."""
    VALIDATION = "VALIDATION"
    """A value breaks a rule of its property; the message says which."""
    UNIQUE_CONSTRAINT_VIOLATION = "UNIQUE_CONSTRAINT_VIOLATION"
    """Another record has these values already."""
    FOREIGN_KEY_CONSTRAINT_VIOLATION = "FOREIGN_KEY_CONSTRAINT_VIOLATION"
    """The record that a value refers to is missing, or another record refers to this one."""
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"
    """The application is offline, does not admit this address, needs a plugin, or its database is busy or down."""
    RATE_LIMIT_EXCEEDED = "RATE_LIMIT_EXCEEDED"
    """Too many uses, or failed sign-ins; `Retry-After` says how many seconds to wait."""


DEFAULT_MESSAGES: dict[Code, str] = {
    Code.ERROR: "Something went wrong",
    Code.UNAUTHORIZED: "Unauthorized",
    Code.UNCONFIRMED_EMAIL: "Unconfirmed email",
    Code.REQUIRED: "Required",
    Code.NOT_FOUND: "Not found",
    Code.INVALID_FILTER_PARAMETER: "Invalid filter parameter",
    Code.INVALID_SORT_PARAMETER: "Invalid sort parameter",
    Code.INVALID_GROUPBY_PARAMETER: "Invalid group by parameter",
    Code.NO_PROPERTIES_PROVIDED: "No properties provided",
    Code.EMPTY_BODY: "Empty body",
    Code.NO_ID_PROVIDED: "No ID provided",
    Code.NO_RECORDS_FOUND_TO_DELETE: "No records found to delete",
    Code.FILE_NOT_FOUND: "File not found",
    Code.VALIDATION: "Validation error",
    Code.UNIQUE_CONSTRAINT_VIOLATION: "Value already exists",
    Code.FOREIGN_KEY_CONSTRAINT_VIOLATION: "Foreign key constraint violation",
    Code.SERVICE_UNAVAILABLE: "Service unavailable",
    Code.RATE_LIMIT_EXCEEDED: "Too many requests",
}


class _Body(msgspec.Struct, rename="pascal"):
    code: str
    message: str
    property: str | None
    entity: str | None


_encode = msgspec.json.Encoder().encode


class ApilaneError(Exception):
    """An answer that is not a success, as the caller will read it.

    ``message`` None means the code's default text. ``status`` is the HTTP status: 401 for UNAUTHORIZED, 400 for
    everything else unless given (the 404, 405, 413, 415 of paths and bodies).
    """

    def __init__(
        self,
        code: Code,
        message: str | None = None,
        *,
        property: str | None = None,
        entity: str | None = None,
        status: int | None = None,
    ) -> None:
        self.code = code
        self.message = DEFAULT_MESSAGES[code] if message is None else message
        self.property = property
        self.entity = entity
        self.status = status or (401 if code is Code.UNAUTHORIZED else 400)
        super().__init__(f"{code}: {self.message}")

    def body(self) -> bytes:
        """The standard JSON body, UTF-8 (docs/reference/protocol/errors.md section 1.1)."""
        return _encode(_Body(self.code.value, self.message, self.property, self.entity))


class RateLimitedError(ApilaneError):
    """Too many requests; ``retry_after_s`` goes into the header ``Retry-After``, rounded up to whole seconds."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(Code.RATE_LIMIT_EXCEEDED)
        self.retry_after_s = max(1, math.ceil(retry_after_s))


def unauthorized(entity: str | None = None) -> ApilaneError:
    """No access: the one answer for a missing rule, a missing user and a bad credential."""
    return ApilaneError(Code.UNAUTHORIZED, entity=entity)


class ConfigurationError(Exception):
    """Start-up or a command cannot go on; the text is for the operator: what, which value, what to do next."""
