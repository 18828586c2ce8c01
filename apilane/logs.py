"""Lines of the log: for people or as JSON, with the ID of the request, and without secrets.

A formatter hides the values of secret names in every line, also in texts of exceptions. That is the second defence: the
first is that no line of the server contains a value of a record or a credential.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from functools import lru_cache
from itertools import count
from typing import Any, Final

import msgspec

__all__ = [
    "HIDDEN",
    "JsonFormatter",
    "RequestIds",
    "TextFormatter",
    "protect_names",
    "redacted",
    "request_id",
]

HIDDEN: Final = "***"
DEPTH_MAX: Final = 20
NAMES_MAX: Final = 10_000
"""Names of encrypted properties that are kept."""

request_id: ContextVar[str | None] = ContextVar("apilane_request_id", default=None)
"""The ID of the request that is being served."""

_NAMES: Final = r"password|passwd|passphrase|secret|token|credential|authorization|cookie|signature"
_is_secret = re.compile(rf"{_NAMES}|(?:^|[-_. ])key|key$|Key(?![a-z])", re.IGNORECASE).search
_IDENTIFIERS: Final = frozenset({"apptoken", "x-application-token", "application_token", "credential_id"})
"""Names that sound secret and are not: an application token names an application, a credential ID is
such as ``session 42``."""
_in_text = re.compile(
    r"((?:password|passwd|passphrase|secret|(?<!app)(?<!application-)(?<!application_)token|credential|authorization"
    r"|cookie|signature|[-_]key|apikey)[\"']?\s{0,3}[:=]\s{0,3}(?:(?:bearer|basic)\s{1,3})?[\"']?)([^\s\"'&,;)}]+)",
    re.IGNORECASE,
).sub
_HIDE: Final = rf"\1{HIDDEN}"
_is_control = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]").sub
_is_request_id = re.compile(rb"[A-Za-z0-9._:+/=@-]{1,128}").fullmatch
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})
_encode = msgspec.json.Encoder(enc_hook=str).encode
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def redacted(value: object, protected: Iterable[str] = (), depth: int = 0) -> Any:
    """A copy of a value of mappings and lists in which the values of secret names are hidden, at any depth.

    ``protected``: further names, in lower case.
    """
    if type(value) in _PLAIN:  # most values; the checks of an abstract class cost 1 us
        return value
    if depth > DEPTH_MAX:
        return HIDDEN
    if isinstance(value, Mapping):
        return {
            name: HIDDEN if _hides(name, protected) else redacted(each, protected, depth + 1)
            for name, each in value.items()
        }
    if isinstance(value, (list, tuple, set, frozenset)):
        return [redacted(each, protected, depth + 1) for each in value]
    if isinstance(value, msgspec.Struct):
        return redacted(msgspec.structs.asdict(value), protected, depth + 1)
    return value


def _hides(name: object, protected: Iterable[str]) -> bool:
    text = name if type(name) is str else str(name)
    return _sounds_secret(text) or bool(protected and text.lower() in protected)


@lru_cache(1024)  # lines have the same few names: 0.1 us instead of 0.8 us each
def _sounds_secret(name: str) -> bool:
    return name.lower() not in _IDENTIFIERS and _is_secret(name) is not None


@lru_cache(4)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


class _Formatter(logging.Formatter):
    """``protected``: names of encrypted properties, in lower case."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.protected: set[str] = set()

    def _message(self, record: logging.LogRecord) -> str:
        """The text in one line: a value with line breaks cannot look like another line."""
        arguments: Any = record.args
        text = record.msg
        if arguments or type(text) is not str:
            text = str(redacted(text, self.protected)) if _is_nested(text) else str(text)
            if isinstance(arguments, Mapping):
                text = text % redacted(arguments, self.protected)
            elif arguments:
                text = text % tuple(redacted(each, self.protected) if _is_nested(each) else each for each in arguments)
        return _one_line(text)

    def _failure(self, record: logging.LogRecord) -> str | None:
        """The traceback of a failure."""
        if not record.exc_info:
            return None
        return _in_text(_HIDE, self.formatException(record.exc_info))

    def _fields(self, record: logging.LogRecord) -> dict[str, Any]:
        """What the line says beside its text (``extra``)."""
        protected = self.protected
        return {
            name: HIDDEN if _hides(name, protected) else value if type(value) in _PLAIN else redacted(value, protected)
            for name, value in vars(record).items()
            if name not in _STANDARD
        }


def _is_nested(value: object) -> bool:
    return isinstance(value, (Mapping, list, tuple, set, frozenset, msgspec.Struct))


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def _one_line(text: str) -> str:
    """The text with escaped control characters, and without secrets."""
    if not text.isprintable():
        text = _is_control(_escaped, text)
    return _in_text(_HIDE, text) if "=" in text or ":" in text else text


class TextFormatter(_Formatter):
    """Lines for people: time, level, logger, process, text, and the ID of the request."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the lines of a traceback."""
        id = request_id.get()
        line = (
            f"{self.formatTime(record)} {record.levelname} {record.name} [{record.process}] {self._message(record)}"
            f"{f' (request {id})' if id else ''}"
        )
        fields = self._fields(record)
        if fields:
            shown = " ".join(f"{name}={value}" for name, value in fields.items() if value is not None)
            line = f"{line} {_is_control(_escaped, shown)}"
        failure = self._failure(record)
        return line if failure is None else f"{line}\n{failure}"


class JsonFormatter(_Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The object: ``time``, ``level``, ``logger``, ``process``, ``message``, and what the line adds."""
        seconds, rest = divmod(record.created, 1)
        found: dict[str, Any] = {
            "time": f"{_second(int(seconds))}.{int(rest * 1000):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": self._message(record),
        }
        id = request_id.get()
        if id is not None:
            found["request_id"] = id
        for name, value in self._fields(record).items():
            found.setdefault(name, value)
        failure = self._failure(record)
        if failure is not None:
            found["exception"] = failure
        return _encode(found).decode()


def protect_names(names: Iterable[str]) -> None:
    """Hide the values of these names, of encrypted properties, in the log of this process."""
    for handler in logging.getLogger().handlers:
        formatter = handler.formatter
        if isinstance(formatter, _Formatter) and len(formatter.protected) < NAMES_MAX:
            formatter.protected.update(name.lower() for name in names)


class RequestIds:
    """Gives IDs to requests: that of the caller if it is fit for a log, else a new one."""

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(8)
        self._numbers = count(1)

    def of(self, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """The ID of a request with these headers: letters, digits and ``._:+/=@-``, at most 128."""
        for name, value in headers:
            if name == b"x-request-id" and _is_request_id(value):
                return value.decode("ascii")
        return f"{self._prefix}-{next(self._numbers):x}"
