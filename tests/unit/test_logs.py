"""Lines of the log: their forms, hidden secrets, and request IDs."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest
from msgspec import Struct

from apilane.logs import HIDDEN, JsonFormatter, RequestIds, TextFormatter, redacted, request_id

MARK = "m4rked-value"
FORMATTERS = [TextFormatter, JsonFormatter]


def line(formatter: type[logging.Formatter], message: str, *arguments: Any, **extra: Any) -> str:
    """The line of a record."""
    made = formatter()
    made.protected = {"supplier"}  # type: ignore[attr-defined]
    logger = logging.getLogger("apilane.tests")
    record = logger.makeRecord(logger.name, logging.INFO, "f", 1, message, arguments, None, extra=extra)
    return made.format(record)


class Nested(Struct):
    """A Struct with a secret."""

    api_key: str
    title: str = "shown"


@pytest.mark.parametrize("formatter", FORMATTERS)
@pytest.mark.parametrize(
    "name",
    [
        *("Password", "password_hash", "clientSecret", "AuthToken", "api_key", "ApiKey", "key", "X-Api-Key"),
        *("Credential", "Authorization", "cookie", "Supplier"),
    ],
)
def test_secret_names_are_hidden_at_any_depth(formatter: type[logging.Formatter], name: str) -> None:
    """The value of a secret name, or of an encrypted property, is hidden in arguments and fields, however deep."""
    value = {"list": [{"a": ({name: MARK, "title": "shown"},)}], name: {"inner": MARK}}
    for text in (line(formatter, "said %s", value), line(formatter, "said", fields=value)):
        assert MARK not in text
        assert "shown" in text
        assert HIDDEN in text


@pytest.mark.parametrize("formatter", FORMATTERS)
def test_deep_and_endless_values_end(formatter: type[logging.Formatter]) -> None:
    """A value that contains itself, and one of a thousand levels, are cut without an error and without the secret."""
    endless: dict[str, Any] = {"title": "shown", "secret": MARK}
    endless["again"] = endless
    deep: Any = MARK
    for _ in range(1000):
        deep = {"a": deep}
    for value in (endless, deep):
        assert MARK not in line(formatter, "%s", [value])


@pytest.mark.parametrize("formatter", FORMATTERS)
@pytest.mark.parametrize(
    "text",
    [
        f"password={MARK}",
        f'{{"Password": "{MARK}"}}',
        f"Server=x;Password={MARK};Port=1",
        f"Authorization: Bearer {MARK}",
        f"'client_secret': '{MARK}'",
        f"x-api-key: {MARK}",
        f"?token={MARK}&a=b",
    ],
)
def test_secrets_in_texts_are_hidden(formatter: type[logging.Formatter], text: str) -> None:
    """A secret that a library writes into a text or into the text of an exception is hidden."""
    assert MARK not in line(formatter, text.replace("%", "%%"))
    assert MARK not in line(formatter, "failed: %s", text)
    try:
        raise ValueError(text)
    except ValueError:
        record = logging.LogRecord("a", logging.ERROR, "f", 1, "failed", (), sys.exc_info())
    assert MARK not in formatter().format(record)


def test_other_names_are_shown() -> None:
    """Application tokens, IDs of credentials and ordinary properties are shown."""
    shown = {"apptoken": "a", "credential_id": "session 1", "Title": "x", "keyed": False}
    assert redacted(shown) | {"keyed": False} == shown
    assert redacted(Nested("x")) == {"api_key": HIDDEN, "title": "shown"}


@pytest.mark.parametrize("formatter", FORMATTERS)
def test_a_value_cannot_forge_a_line(formatter: type[logging.Formatter]) -> None:
    """Line breaks and control characters of a value stay inside of its line."""
    text = line(formatter, "name %s", "a\r\n2026-01-01 ERROR forged\x1b[2J\u2028b", path="/x\nforged")
    assert len(text.splitlines()) == 1
    assert "\x1b" not in text


@pytest.mark.parametrize("text", ["a-" * 200_000, "token" * 80_000, "x" * 400_000, "token:   " * 50_000])
def test_long_texts_take_no_long_time(text: str) -> None:
    """The search in a text of hundreds of kilobytes ends; a quadratic one would take minutes."""
    assert line(TextFormatter, "%s", text)


def test_json_lines() -> None:
    """A line in JSON has time, level, logger, process, text, fields and the ID of the request."""
    token = request_id.set("abc")
    try:
        found = json.loads(line(JsonFormatter, "%d of %s", 3, "x", status=200))
    finally:
        request_id.reset(token)
    assert found | {"time": "", "process": 0} == {
        "time": "",
        "level": "info",
        "logger": "apilane.tests",
        "process": 0,
        "message": "3 of x",
        "request_id": "abc",
        "status": 200,
    }


@pytest.mark.parametrize(
    "sent", [b"", b"a b", b"x" * 129, b"a\r\nb", b'{"a"}', "é".encode(), b"<script>", b"${jndi:x}", b"%0a"]
)
def test_unfit_request_ids_are_replaced(sent: bytes) -> None:
    """An ID with other characters than letters, digits and a few marks, or too long, is replaced by a new one."""
    ids = RequestIds()
    assert ids.of([(b"x-request-id", b"good-1.2:3")]) == "good-1.2:3"
    made = ids.of([(b"x-request-id", sent)])
    assert made.encode() != sent
    assert made != ids.of([])
