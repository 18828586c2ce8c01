"""The only error type that reaches callers, with its codes and its JSON form.

Source of codes and messages: ``docs/reference/protocol/errors.md`` sections 1 and 2. Storage errors are separate
(``apilane.storage.errors``); services turn them into these.
"""

from __future__ import annotations

import math
from enum import StrEnum

import msgspec

__all__ = [
    "ApilaneError",
    "Code",
    "ConfigurationError",
    "DatabaseBusyError",
    "OperatorsOnlyError",
    "PluginFault",
    "RateLimitedError",
    "continued",
    "unauthorized",
]


class Code(StrEnum):
    """Every code that may appear on the wire, with its cause. Clients accept only these."""

    ERROR = "ERROR"
    """Other failures, such as wrong credentials of a sign-in; for unexpected failures, operators get the cause."""
    UNAUTHORIZED = "UNAUTHORIZED"
    """No rule grants the call, the call needs a user, or a signature does not verify."""
    UNCONFIRMED_EMAIL = "UNCONFIRMED_EMAIL"
    """A login before the e-mail is confirmed, in an application that requires this."""
    REQUIRED = "REQUIRED"
    """A required value is null or absent."""
    NOT_FOUND = "NOT_FOUND"
    """The record does not exist or the caller may not access it, or the endpoint or path does not exist."""
    INVALID_FILTER_PARAMETER = "INVALID_FILTER_PARAMETER"
    """The filter is unreadable, does not fit its property, or names a property that the caller may not read."""
    INVALID_SORT_PARAMETER = "INVALID_SORT_PARAMETER"
    """The sort is unreadable, or names a property that the caller may not read."""
    INVALID_GROUPBY_PARAMETER = "INVALID_GROUPBY_PARAMETER"
    """The grouping of statistics is unreadable."""
    NO_PROPERTIES_PROVIDED = "NO_PROPERTIES_PROVIDED"
    """Post or Put names no property that the caller may write."""
    EMPTY_BODY = "EMPTY_BODY"
    """The body is missing or is not JSON."""
    NO_ID_PROVIDED = "NO_ID_PROVIDED"
    """A Put without a valid `ID`."""
    NO_RECORDS_FOUND_TO_DELETE = "NO_RECORDS_FOUND_TO_DELETE"
    """A Delete without a valid ID."""
    FILE_NOT_FOUND = "FILE_NOT_FOUND"
    """The file does not exist."""
    VALIDATION = "VALIDATION"
    """A value breaks a rule of its property; the message says which."""
    UNIQUE_CONSTRAINT_VIOLATION = "UNIQUE_CONSTRAINT_VIOLATION"
    """Another record already has these values."""
    FOREIGN_KEY_CONSTRAINT_VIOLATION = "FOREIGN_KEY_CONSTRAINT_VIOLATION"
    """The record that a value refers to does not exist, or another record refers to this one."""
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"
    """The application is offline, refuses this address or needs a plugin, or its database is busy or down."""
    RATE_LIMIT_EXCEEDED = "RATE_LIMIT_EXCEEDED"
    """Too many uses or failed sign-ins; `Retry-After` is the number of seconds to wait."""


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


class _OperatorsOnlyBody(_Body, rename="pascal"):
    error: str


_encode = msgspec.json.Encoder().encode


class ApilaneError(Exception):
    """An error response, as the caller reads it.

    ``message`` None means the default message of the code. ``status`` is the HTTP status; the default is 401 for
    UNAUTHORIZED and 400 for all other codes. Errors of paths, methods and content types pass 404, 405 or 415.
    ``told``: what was found and expected, which operators read after the message, and other callers do not.
    """

    def __init__(
        self,
        code: Code,
        message: str | None = None,
        *,
        property: str | None = None,
        entity: str | None = None,
        status: int | None = None,
        told: str | None = None,
    ) -> None:
        self.code = code
        self.message = DEFAULT_MESSAGES[code] if message is None else message
        self.property = property
        self.entity = entity
        self.told = told
        self.status = status or (401 if code is Code.UNAUTHORIZED else 400)
        super().__init__(f"{code}: {self.message}")

    def body(self) -> bytes:
        """The standard JSON body, UTF-8 (docs/reference/protocol/errors.md section 1.1)."""
        return _encode(_Body(self.code.value, self.message, self.property, self.entity))


class RateLimitedError(ApilaneError):
    """Too many requests; ``retry_after_s`` is sent in the header ``Retry-After``, rounded up to whole seconds."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(Code.RATE_LIMIT_EXCEEDED)
        self.retry_after_s = max(1, math.ceil(retry_after_s))


class DatabaseBusyError(ApilaneError):
    """The database is down or busy, so the same request may succeed later; ``retry_after_s`` as above."""

    def __init__(self, retry_after_s: int = 1) -> None:
        super().__init__(Code.SERVICE_UNAVAILABLE)
        self.retry_after_s = retry_after_s


class OperatorsOnlyError(ApilaneError):
    """The caller of an operators' call is no operator of the application.

    The body also has the key ``Error``, which the protocol uses in the place of ``Code`` there (B-E1).
    """

    def __init__(self) -> None:
        super().__init__(Code.UNAUTHORIZED)

    def body(self) -> bytes:
        code = self.code.value
        return _encode(_OperatorsOnlyBody(code, self.message, self.property, self.entity, code))


def continued(code: Code, more: str) -> str:
    """The default message of a code, continued with what was found and what is possible (B-E8)."""
    return f"{DEFAULT_MESSAGES[code]}: {more}"


def unauthorized(entity: str | None = None) -> ApilaneError:
    """No access: the same error for a missing rule, a missing user and a wrong credential."""
    return ApilaneError(Code.UNAUTHORIZED, entity=entity)


class PluginFault(Exception):
    """An object of a plugin failed or gave a wrong result. ``subject``: the object; the log names its plugin."""

    def __init__(self, subject: object, what: str) -> None:
        super().__init__(what)
        self.subject = subject


class ConfigurationError(Exception):
    """Start-up or a command cannot continue. The text names the problem, the value and what to do."""
