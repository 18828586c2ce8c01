"""Errors of the client: one class per error code of the wire (``docs/reference/protocol/errors.md`` section 2).

``apilane.errors`` has the errors that a server sends; these are the errors that a client receives. Their texts contain
no token, password, query string or body.
"""

from __future__ import annotations

from typing import Any

from apilane.errors import Code

__all__ = [
    "ApilaneError",
    "ConnectionFailed",
    "EmptyBody",
    "FileNotFound",
    "ForeignKeyViolation",
    "InvalidFilter",
    "InvalidGroupBy",
    "InvalidRequest",
    "InvalidSort",
    "NoIdProvided",
    "NoPropertiesProvided",
    "NotFound",
    "NothingToDelete",
    "RateLimited",
    "RequiredMissing",
    "ServiceUnavailable",
    "SignInStepRequired",
    "Unauthorized",
    "UnconfirmedEmail",
    "UnexpectedAnswer",
    "UniqueViolation",
    "ValidationFailed",
    "wire_error",
]


class ApilaneError(Exception):
    """A call failed. This base class is raised for the code ``ERROR`` and for codes that this version does not define.

    ``code``, ``message``, ``property`` and ``entity`` come from the server; ``property`` and ``entity`` may be None.
    ``status`` is the HTTP status.
    """

    def __init__(
        self, code: str, message: str, property: str | None = None, entity: str | None = None, status: int = 0
    ) -> None:
        super().__init__(code, message, property, entity, status)  # all arguments, so that the error can be pickled
        self.code = code
        self.message = message
        self.property = property
        self.entity = entity
        self.status = status

    def __str__(self) -> str:
        place = ".".join(filter(None, (self.entity, self.property)))
        return f"{self.code}: {self.message}" + (f" ({place})" if place else "")


class Unauthorized(ApilaneError):
    """No rule allows the call, no user is signed in, or a signature did not verify."""


class SignInStepRequired(ApilaneError):
    """The password was right, and the application asks for one more step: give the answer to ``answer_step``.

    ``step``: ``Challenge``, ``Kind`` and what the step adds. It is no part of the text of the error.
    """

    def __init__(  # noqa: PLR0917 -- the arguments of the base class
        self,
        code: str,
        message: str,
        property: str | None = None,
        entity: str | None = None,
        status: int = 0,
        step: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(code, message, property, entity, status)
        self.step: dict[str, Any] = step or {}

    @property
    def challenge(self) -> str:
        """The text for ``answer_step``."""
        return str(self.step.get("Challenge", ""))

    @property
    def kind(self) -> str:
        """What the application asks for."""
        return str(self.step.get("Kind", ""))


class UnconfirmedEmail(ApilaneError):
    """Login of a user whose e-mail is not confirmed, where the application requires it."""


class RequiredMissing(ApilaneError):
    """A required value is missing; ``property`` names it."""


class NotFound(ApilaneError):
    """The record, custom endpoint or path does not exist, or the caller may not see it."""


class FileNotFound(NotFound):
    """No such file."""


class InvalidFilter(ApilaneError):
    """The filter cannot be read, or names a property that the caller may not read."""


class InvalidSort(ApilaneError):
    """The sort cannot be read, or names a property that the caller may not read."""


class InvalidGroupBy(ApilaneError):
    """The grouping of an aggregate cannot be read."""


class NoPropertiesProvided(ApilaneError):
    """The body has no property that the caller may write."""


class EmptyBody(ApilaneError):
    """The server received no body."""


class NoIdProvided(ApilaneError):
    """A change of a record without its ``ID``."""


class NothingToDelete(ApilaneError):
    """A deletion without a usable ID."""


class ValidationFailed(ApilaneError):
    """The property does not accept the value; ``property`` names it."""


class UniqueViolation(ApilaneError):
    """The value exists already; ``property`` has the names, separated by commas."""


class ForeignKeyViolation(ApilaneError):
    """The record refers to one that does not exist, or others refer to it."""


class ServiceUnavailable(ApilaneError):
    """The application is offline, does not admit this address, or its database does not answer."""


class RateLimited(ApilaneError):
    """Too many requests. ``retry_after_s``: the wait in seconds; None when the server sent none."""

    def __init__(
        self,
        code: str,
        message: str,
        property: str | None = None,
        entity: str | None = None,
        status: int = 0,
        *,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(code, message, property, entity, status)
        self.retry_after_s = retry_after_s


class UnexpectedAnswer(ApilaneError):
    """The answer is not one of an Apilane server to this call, such as a page of a proxy; or ``base_url`` is wrong.

    ``code`` is empty. ``content``: the body as received; it is not part of the message.
    """

    def __init__(self, message: str, status: int, content: bytes = b"") -> None:
        super().__init__("", message, status=status)
        self.args = (message, status, content)
        self.content = content

    def __str__(self) -> str:
        return self.message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r}, {self.status})"


class ConnectionFailed(ApilaneError):
    """No answer: the connection failed or was lost, or a timeout expired. The server may have done the work.

    ``code`` is empty, ``status`` 0; the cause is the error of httpx.
    """

    def __init__(self, message: str) -> None:
        super().__init__("", message)
        self.args = (message,)

    def __str__(self) -> str:
        return self.message


class InvalidRequest(ApilaneError, ValueError):
    """The call cannot be sent, and nothing was sent: a value cannot be written as JSON or in a URL, or the URL is
    longer than 64 KiB. ``code`` is empty, ``status`` 0; the cause says more.
    """

    def __init__(self, message: str) -> None:
        super().__init__("", message)
        self.args = (message,)

    def __str__(self) -> str:
        return self.message


_BY_CODE: dict[str, type[ApilaneError]] = {
    Code.UNAUTHORIZED: Unauthorized,
    Code.UNCONFIRMED_EMAIL: UnconfirmedEmail,
    Code.REQUIRED: RequiredMissing,
    Code.NOT_FOUND: NotFound,
    Code.FILE_NOT_FOUND: FileNotFound,
    Code.INVALID_FILTER_PARAMETER: InvalidFilter,
    Code.INVALID_SORT_PARAMETER: InvalidSort,
    Code.INVALID_GROUPBY_PARAMETER: InvalidGroupBy,
    Code.NO_PROPERTIES_PROVIDED: NoPropertiesProvided,
    Code.EMPTY_BODY: EmptyBody,
    Code.NO_ID_PROVIDED: NoIdProvided,
    Code.NO_RECORDS_FOUND_TO_DELETE: NothingToDelete,
    Code.VALIDATION: ValidationFailed,
    Code.UNIQUE_CONSTRAINT_VIOLATION: UniqueViolation,
    Code.FOREIGN_KEY_CONSTRAINT_VIOLATION: ForeignKeyViolation,
    Code.SERVICE_UNAVAILABLE: ServiceUnavailable,
}


def wire_error(
    code: str,
    message: str,
    property: str | None = None,
    entity: str | None = None,
    status: int = 0,
    *,
    retry_after_s: float | None = None,
) -> ApilaneError:
    """The error for a standard error body."""
    if code == Code.RATE_LIMIT_EXCEEDED:
        return RateLimited(code, message, property, entity, status, retry_after_s=retry_after_s)
    return _BY_CODE.get(code, ApilaneError)(code, message, property, entity, status)
