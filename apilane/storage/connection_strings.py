"""Connection strings of database servers: the URL form and the ``Key=Value;`` form become one structure. Pure.

Each driver knows the options of its provider. No message contains a part of a secret.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from msgspec import Struct

from apilane.storage.errors import ConnectionRefused

__all__ = ["ServerAddress", "connect_timeout_s", "parse_address"]

CONNECT_TIMEOUT_S: Final = 10.0

_KEYS: Final = {
    "server": "host",
    "host": "host",
    "hostname": "host",
    "datasource": "host",
    "address": "host",
    "addr": "host",
    "port": "port",
    "database": "database",
    "initialcatalog": "database",
    "dbname": "database",
    "user": "user",
    "userid": "user",
    "username": "user",
    "uid": "user",
    "password": "password",
    "pwd": "password",
}
"""Keys of the ``Key=Value;`` forms of all providers, without blanks, dashes and letter case, with their meaning."""

_PART: Final = re.compile(
    r"""\s*(?P<key>[^=;]+?)\s*=\s*(?P<value>'(?:[^']|'')*'|"(?:[^"]|"")*"|\{(?:[^}]|\}\})*\}|[^;]*?)\s*(?:;|$)"""
)
_QUOTES: Final = {"'": "'", '"': '"', "{": "}"}


class ServerAddress(Struct, frozen=True, kw_only=True):
    """The address of a database, and the user that connects. ``options``: all other keys, in lower case without blanks,
    ``-`` and ``_``.
    """

    host: str
    port: int
    database: str
    user: str
    password: str
    options: dict[str, str]

    def __repr__(self) -> str:
        return f"ServerAddress({self.place})"

    @property
    def place(self) -> str:
        """User, host, port and database, for messages; nothing secret."""
        return f"{self.user}@{self.host}:{self.port}/{self.database}"


def parse_address(
    text: str,
    *,
    provider: str,
    schemes: Collection[str],
    default_port: int,
    known: Collection[str] = (),
    user_unless: Collection[str] = (),
) -> ServerAddress:
    """Read a connection string. ``known``: names of its options; ``user_unless``: options with which no user is needed.

    Raises ConnectionRefused; the message names the missing or unknown part.
    """
    options = _of_url(text, provider, schemes) if "://" in text else _of_pairs(text, provider, schemes)
    host = options.pop("host", "")
    database = options.pop("database", "")
    user = options.pop("user", "")
    password = options.pop("password", "")
    port = options.pop("port", "") or str(default_port)
    for value, name in ((host, "host"), (database, "database"), (user, "user")):
        if not value and not (name == "user" and any(option in options for option in user_unless)):
            raise _unreadable(provider, f"it has no {name}", schemes)
    if not port.isascii() or not port.isdecimal() or not 0 < int(port) < 65536:
        raise _unreadable(provider, "its port is not a number from 1 to 65535", schemes)
    for name in options:
        if name not in known:
            listed = ", ".join(sorted(known)) or "none"
            raise _unreadable(provider, f"the option {name[:40]!r} is unknown (known: {listed})", schemes)
    return ServerAddress(host=host, port=int(port), database=database, user=user, password=password, options=options)


def connect_timeout_s(address: ServerAddress) -> float:
    """The time limit for opening a connection, in seconds; default 10. Raises ConnectionRefused."""
    names = ("connecttimeout", "connectiontimeout", "timeout")
    text = next((address.options[name] for name in names if address.options.get(name)), "")
    if not text:
        return CONNECT_TIMEOUT_S
    if not text.isascii() or not text.isdecimal() or not 0 < int(text) <= 3600:
        raise ConnectionRefused(
            "The connection string has a connect timeout that is not a number of seconds from 1 to 3600."
        )
    return float(text)


def _plain(key: str) -> str:
    return key.lower().replace(" ", "").replace("-", "").replace("_", "")


def _of_url(text: str, provider: str, schemes: Collection[str]) -> dict[str, str]:
    try:
        url = urlsplit(text.strip())
        port = url.port
    except ValueError:
        raise _unreadable(
            provider, "its host or port cannot be read; write special characters as %..", schemes
        ) from None
    if url.scheme.lower() not in schemes:
        raise _unreadable(provider, f"it begins with {url.scheme[:20]}://", schemes)
    parts = {
        "host": unquote(url.hostname or ""),
        "port": str(port) if port is not None else "",
        "database": unquote(url.path.lstrip("/")),
        "user": unquote(url.username or ""),
        "password": unquote(url.password or ""),
    }
    return parts | {_plain(key): value for key, value in parse_qsl(url.query, keep_blank_values=True)}


def _of_pairs(text: str, provider: str, schemes: Collection[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    position = 0
    text = text.strip().rstrip(";")
    while position < len(text):
        part = _PART.match(text, position)
        if part is None or part.end() == position:
            raise _unreadable(provider, "it is neither a URL nor Key=Value pairs with ; between them", schemes)
        value = part["value"]
        if value[:1] in _QUOTES and len(value) > 1:
            end = _QUOTES[value[0]]
            value = value[1:-1].replace(end * 2, end)
        key = _plain(part["key"])
        found[_KEYS.get(key, key)] = value
        position = part.end()
    return found


def _unreadable(provider: str, why: str, schemes: Collection[str]) -> ConnectionRefused:
    scheme = next(iter(schemes))
    return ConnectionRefused(
        f"The connection string for {provider} cannot be read: {why}. "
        f"Write {scheme}://user:password@host:port/database or "
        "Server=host;Port=port;Database=name;User ID=user;Password=password."
    )
