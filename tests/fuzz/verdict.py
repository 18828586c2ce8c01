"""The conditions that every answer must meet, for any call."""

from __future__ import annotations

import io
import json
import re
import zipfile
from urllib.parse import unquote_to_bytes

from apilane.errors import Code
from tests.fuzz.rendering import Rendered
from tests.fuzz.requests import MARK, NUMBER, Call
from tests.fuzz.world import ALL_MARKS, OTHER, PASSWORD, Answer, B, visible_marks

__all__ = ["check_answer", "check_texts"]

CODES = {code.value for code in Code}
KEYS = {"Code", "Message", "Property", "Entity"}
JSON_TYPE = "application/json; charset=utf-8"
INSIDES = re.compile(
    r"Traceback|File \\?\"|\.py\b|apsw|sqlalchemy|msgspec| object at 0x|<class|Exception|KeyError|TypeError|ValueError"
    r"|SELECT |INSERT INTO|no such (table|column)|near \\?\"|constraint failed|syntax error"
)
"""Words of Python and SQL; the calls themselves write SQL in small letters."""
NEVER = ("$argon2", PASSWORD, "set-cookie")
HIDDEN_COLUMNS = ("H_Token_Hash", "H_Email_Fold")


def check_answer(call: Call, sent: Rendered, answer: Answer, tokens: list[str]) -> None:
    """Raise an AssertionError that names the fault of an answer. ``tokens``: live ones that no answer may contain."""
    text = _text(answer)
    assert answer.status < 500, (answer.status, text)
    assert "set-cookie" not in answer.headers
    if answer.status >= 400 and (text or sent.method != "HEAD"):
        _check_error(answer, text)
    if call.caller not in ("owner", "outsider"):
        found = INSIDES.search(text)
        assert found is None, f"{found} in {text}"
    for secret in NEVER:
        assert secret not in text, f"{secret} in {text}"
    written = unquote_to_bytes(sent.target) + b"".join(sent.body)
    for column in HIDDEN_COLUMNS:  # a message repeats the name that the caller wrote
        assert column not in text or column.encode() in written, f"{column} in {text}"
    for token in tokens:
        assert token not in text, f"a live token in {text}"
    _check_marks(call, sent, text)


def _text(answer: Answer) -> str:
    """The body as text, of a zip the text of all its files."""
    if answer.headers.get("content-type") != "application/zip":
        return answer.body.decode("utf-8")
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        return "".join(archive.read(name).decode("utf-8") for name in archive.namelist())


def _check_error(answer: Answer, text: str) -> None:
    assert answer.headers["content-type"] == JSON_TYPE, answer.headers
    body = json.loads(text)
    assert isinstance(body, dict), text
    assert body.pop("Error", body["Code"]) == body["Code"], text
    assert set(body) == KEYS, text
    assert body["Code"] in CODES, text
    assert isinstance(body["Message"], str), text
    assert (answer.status == 401) == (body["Code"] == "UNAUTHORIZED"), (answer.status, text)


def _check_marks(call: Call, sent: Rendered, text: str) -> None:
    found = {word for word in re.findall(r"Mk[A-Za-z]+(?:-\w+)?", text) if word.startswith(ALL_MARKS)}
    if OTHER in found:
        everything = unquote_to_bytes(sent.target) + b" ".join(value for _, value in sent.headers)
        assert B.encode() in everything, f"a value of the other application in {text}"
        found.discard(OTHER)
    foreign = found - visible_marks(call.caller, certain=sent.certain)
    if call.caller == "owner":
        foreign = {word for word in foreign if not word.startswith(ALL_MARKS)}
    assert not foreign, f"{call.caller} reads {foreign} in {text}"


def check_texts(texts: set[str]) -> None:
    """No statement text contains a value that a caller sent."""
    pasted = [text for text in texts if MARK.lower() in text.lower() or NUMBER in text]
    assert not pasted, pasted[:3]
