"""Plays back scripted answers in the protocol of SQL Server (TDS 7.4), in a thread. It is not a database server.

It supports login, batches, prepared calls and attention. The text of a statement selects its answer. It keeps the
statements of the client for the tests. Source: [MS-TDS].
"""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any, BinaryIO, Final, NamedTuple, Self

__all__ = ["Drop", "Failure", "Received", "Responder", "Rows", "Silence"]

BATCH, RPC, REPLY, ATTENTION, LOGIN, PRELOGIN = 0x01, 0x03, 0x04, 0x06, 0x10, 0x12
VERSION: Final = bytes.fromhex("74000004")
COLLATION: Final = bytes.fromhex("0904d00034")
DONE, DONE_IN_PROCEDURE, DONE_PROCEDURE = 0xFD, 0xFF, 0xFE
MORE, FAILED, COUNTED, STOPPED = 0x01, 0x02, 0x10, 0x20


class Rows(NamedTuple):
    """A result. ``columns``: name and type: nvarchar, nvarchar(max), bigint, bit, decimal."""

    columns: Sequence[tuple[str, str]]
    rows: Sequence[Sequence[Any]]


class Failure(NamedTuple):
    """An error of a statement or of the login."""

    number: int
    text: str
    level: int = 16


class Drop(NamedTuple):
    """The connection ends without an answer."""


class Silence(NamedTuple):
    """No answer until the client cancels."""


Answer = Rows | Failure | Drop | Silence | None  # None: done, without rows


class Received(NamedTuple):
    """A received statement. ``values`` with their types, as T-SQL writes them."""

    text: str
    values: tuple[tuple[str, Any], ...] = ()


class Responder:
    """Listens on a free port inside ``with``.

    ``answers``: by a pattern that a statement's text matches, one answer after another; the last one is repeated.
    Several results of one statement are a tuple. The pattern ``login`` answers the login.
    """

    def __init__(self, answers: Mapping[str, Sequence[Answer | tuple[Answer, ...]]]) -> None:
        self._answers = {pattern: list(given) for pattern, given in answers.items()}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.received: list[Received] = []
        self.logins: list[bytes] = []
        self._connections: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop_all()

    def drop_all(self) -> None:
        """End every connection, as a restart of the server does."""
        while self._connections:
            with suppress(OSError):
                self._connections.pop().shutdown(socket.SHUT_RDWR)

    def texts(self, pattern: str) -> list[str]:  # received ones
        return [each.text for each in self.received if re.search(pattern, each.text)]

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream, suppress(OSError):
            while (message := _receive(stream)) is not None:
                reply = self._reply(*message)
                if reply is None:
                    return
                _send(connection, reply)

    def _reply(self, kind: int, body: bytes) -> bytes | None:
        if kind == PRELOGIN:
            return _prelogin()
        if kind == LOGIN:
            self.logins.append(body)
            answer = self._answer("login")
            if isinstance(answer, Failure):
                return _failure(answer) + _done(DONE, FAILED)
            return None if isinstance(answer, Drop) else _login_accepted()
        if kind == ATTENTION:
            return _done(DONE, STOPPED)
        if kind == BATCH:
            (length,) = struct.unpack_from("<I", body)
            received = Received(body[length:].decode("utf-16-le"))
            return self._answered(received, DONE, b"")
        if kind == RPC:
            received = _read_call(body)
            status = b"\x79" + struct.pack("<i", 0)
            handle = b"\xac" + struct.pack("<H", 0) + b"\0\x01" + struct.pack("<IH", 0, 0) + b"\x26\x04\x04\x01\0\0\0"
            return self._answered(received, DONE_IN_PROCEDURE, status + handle + _done(DONE_PROCEDURE, 0))
        return _done(DONE, 0)

    def _answered(self, received: Received, done: int, end: bytes) -> bytes | None:
        if received.text and "sp_datatype_info" not in received.text:  # skip FreeTDS's own queries and its logout
            self.received.append(received)
        answers = self._answer(received.text)
        reply = b""
        listed = answers if isinstance(answers, tuple) and not hasattr(answers, "_fields") else (answers,)
        for position, answer in enumerate(listed):
            more = MORE if end or position < len(listed) - 1 else 0
            if isinstance(answer, Drop):
                return None
            if isinstance(answer, Silence):
                return b""
            if isinstance(answer, Failure):
                return reply + _failure(answer) + _done(done, more | FAILED) + end
            if isinstance(answer, Rows):
                reply += _result(answer) + _done(done, more | COUNTED, len(answer.rows))
            else:
                reply += _done(done, more)
        return reply + end

    def _answer(self, text: str) -> Any:
        for pattern, answers in self._answers.items():
            if re.search(pattern, text):
                return answers.pop(0) if len(answers) > 1 else answers[0]
        return None


# Packets.


def _receive(stream: BinaryIO) -> tuple[int, bytes] | None:
    body = b""
    while len(head := stream.read(8)) == 8:
        kind, status, length = struct.unpack_from(">BBH", head)
        body += stream.read(length - 8)
        if status & 1:
            return kind, body
    return None


def _send(connection: socket.socket, body: bytes) -> None:
    parts = [body[start : start + 4000] for start in range(0, len(body), 4000)]
    for number, part in enumerate(parts, 1):
        connection.sendall(
            struct.pack(">BBHHBB", REPLY, number == len(parts), len(part) + 8, 0, number % 256, 0) + part
        )


# Sent packets.


def _prelogin() -> bytes:
    """Version 16, and no encryption."""
    return struct.pack(">BHHBHHB", 0, 11, 6, 1, 17, 1, 0xFF) + bytes([16, 0, 0x10, 0, 0, 0]) + b"\x02"


def _login_accepted() -> bytes:
    name = _short("Microsoft SQL Server")
    acknowledgement = b"\x01" + VERSION + name + bytes([16, 0, 0x10, 0])
    size = b"\x04" + _short("4096") + _short("4096")
    collation = b"\x07\x05" + COLLATION + b"\0"
    tokens = ((b"\xad", acknowledgement), (b"\xe3", size), (b"\xe3", collation))
    return b"".join(kind + struct.pack("<H", len(body)) + body for kind, body in tokens) + _done(DONE, 0)


def _done(kind: int, status: int, count: int = 0) -> bytes:
    return struct.pack("<BHHQ", kind, status, 0xC1, count)


def _failure(failure: Failure) -> bytes:
    body = struct.pack("<iBB", failure.number, 1, failure.level) + struct.pack("<H", len(failure.text))
    body += failure.text.encode("utf-16-le") + _short("responder") + _short("") + struct.pack("<i", 1)
    return b"\xaa" + struct.pack("<H", len(body)) + body


def _short(text: str) -> bytes:
    return bytes([len(text)]) + text.encode("utf-16-le")


_TYPES: Final = {
    "nvarchar": b"\xe7" + struct.pack("<H", 8000) + COLLATION,
    "nvarchar(max)": b"\xe7\xff\xff" + COLLATION,
    "bigint": b"\x26\x08",
    "bit": b"\x68\x01",
    "decimal": b"\x6c\x09\x12\x04",
}


def _result(result: Rows) -> bytes:
    described = b"\x81" + struct.pack("<H", len(result.columns))
    for name, type in result.columns:
        described += struct.pack("<IH", 0, 1) + _TYPES[type] + _short(name)
    for row in result.rows:
        described += b"\xd1" + b"".join(
            _value(type, value) for (_, type), value in zip(result.columns, row, strict=True)
        )
    return described


def _value(type: str, value: Any) -> bytes:
    if type == "nvarchar":
        encoded = b"" if value is None else value.encode("utf-16-le")
        return b"\xff\xff" if value is None else struct.pack("<H", len(encoded)) + encoded
    if type == "nvarchar(max)":
        encoded = b"" if value is None else value.encode("utf-16-le")
        chunk = struct.pack("<I", len(encoded)) + encoded if encoded else b""
        return b"\xff" * 8 if value is None else struct.pack("<Q", len(encoded)) + chunk + bytes(4)
    if value is None:
        return b"\0"
    if type == "bigint":
        return b"\x08" + struct.pack("<q", value)
    if type == "bit":
        return bytes([1, value])
    units = int(abs(Decimal(value)).scaleb(4))
    return b"\x09" + bytes([Decimal(value) >= 0]) + units.to_bytes(8, "little")


# Received packets.


def _read_call(body: bytes) -> Received:
    """The text and the values of a prepared call: the first text that is not a list of declarations."""
    (position,) = struct.unpack_from("<I", body)
    (length,) = struct.unpack_from("<H", body, position)
    position += 6 if length == 0xFFFF else 4 + 2 * length
    values: list[tuple[str, Any]] = []
    while position < len(body):
        position += 2 + 2 * body[position]
        type, value, position = _read_value(body, position)
        values.append((type, value))
    texts = [value for type, value in values if isinstance(value, str) and not value.startswith("@P")]
    first = next((at for at, (_, value) in enumerate(values) if value in texts[:1]), len(values))
    return Received(texts[0] if texts else "", tuple(values[first + 1 :]))


def _read_value(body: bytes, at: int) -> tuple[str, Any, int]:
    kind = body[at]
    if kind == 0x63:
        (length,) = struct.unpack_from("<i", body, at + 10)
        return "NTEXT", body[at + 14 : at + 14 + length].decode("utf-16-le"), at + 14 + length
    if kind == 0xE7:
        return _read_text(body, at)
    if kind in {0x6A, 0x6C}:
        scale, length = body[at + 3], body[at + 4]
        units = int.from_bytes(body[at + 6 : at + 5 + length], "little") if length else None
        value = None if units is None else Decimal(units if body[at + 5] else -units).scaleb(-scale)
        return f"DECIMAL({body[at + 2]},{scale})", value, at + 5 + length
    if kind in {0x26, 0x68}:
        length = body[at + 2]
        value = int.from_bytes(body[at + 3 : at + 3 + length], "little", signed=kind == 0x26) if length else None
        name = "BIT" if kind == 0x68 else {8: "BIGINT", 4: "INT", 2: "SMALLINT", 1: "TINYINT"}[body[at + 1]]
        return name, value, at + 3 + length
    raise ValueError(f"no reader for type {kind:#x}")


def _read_text(body: bytes, at: int) -> tuple[str, Any, int]:
    (declared,) = struct.unpack_from("<H", body, at + 1)
    at += 8
    if declared != 0xFFFF:
        (length,) = struct.unpack_from("<H", body, at)
        end = at + 2 + (0 if length == 0xFFFF else length)
        return f"NVARCHAR({declared // 2})", body[at + 2 : end].decode("utf-16-le"), end
    at += 8
    data = b""
    while (size := struct.unpack_from("<I", body, at)[0]) != 0:
        data += body[at + 4 : at + 4 + size]
        at += 4 + size
    return "NVARCHAR(MAX)", data.decode("utf-16-le"), at + 4
