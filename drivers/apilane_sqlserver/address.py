"""Connection strings for SQL Server, in the form of .NET and as URLs. Pure.

    Server=tcp:db.example.com,1433;Database=shop;User Id=shop;Password=...;TrustServerCertificate=True
    sqlserver://shop:...@db.example.com:1433/shop?TrustServerCertificate=yes

Encryption is on unless the string has ``Encrypt=no``, and the server's certificate is checked unless it has
``TrustServerCertificate=yes``.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from apilane.plugin.storage import ConnectionRefused, ServerAddress, parse_address

__all__ = ["ACCESS_TOKEN", "SCHEMES", "SQLServerAddress", "read_address"]

SCHEMES: Final = ("sqlserver", "mssql")
DEFAULT_PORT: Final = 1433
ACCESS_TOKEN: Final = "accesstoken"  # noqa: S105
"""``Authentication=AccessToken``: a token of Microsoft Entra, from a function of an installed package."""

_WITHOUT_USER: Final = ("authentication", "integratedsecurity", "trustedconnection")
_USED: Final = frozenset(
    {
        *_WITHOUT_USER,
        "applicationintent",
        "connectiontimeout",
        "connecttimeout",
        "driver",
        "encrypt",
        "hostnameincertificate",
        "multisubnetfailover",
        "servercertificate",
        "trustservercertificate",
    }
)
_WITHOUT_EFFECT: Final = frozenset(
    {
        "app",
        "applicationname",
        "columnencryptionsetting",
        "commandtimeout",
        "connectretrycount",
        "connectretryinterval",
        "enlist",
        "loadbalancetimeout",
        "maxpoolsize",
        "minpoolsize",
        "multipleactiveresultsets",
        "packetsize",
        "persistsecurityinfo",
        "pooling",
        "typesystemversion",
        "workstationid",
    }
)
"""Options of .NET strings that are accepted and ignored."""

_ENCRYPT: Final = {
    **dict.fromkeys(("yes", "true", "mandatory", "1"), "yes"),
    **dict.fromkeys(("no", "false", "optional", "0"), "no"),
    "strict": "strict",
}
_SERVER: Final = re.compile(r"(?:tcp:)?(?P<host>[^,]+?)\s*(?:,\s*(?P<port>\d+))?", re.IGNORECASE)


class SQLServerAddress(Struct, frozen=True, kw_only=True):
    """Where a database is, and how to connect. ``encrypt``: yes, no or strict (TDS 8)."""

    server: ServerAddress
    encrypt: str
    trust_certificate: bool
    authentication: str = ""
    """The ODBC driver's name of the method, ``accesstoken``, or '' for user and password."""
    driver: str = ""
    """The ODBC driver by name or path; '' for the best installed one."""
    connect_timeout_s: int = 15
    multi_subnet: bool = False

    @property
    def place(self) -> str:
        """For messages: user, host, port and database, no secrets."""
        return self.server.place


def read_address(text: str) -> SQLServerAddress:
    """Raises ConnectionRefused for an unreadable text; it names the part, never a secret."""
    server = parse_address(
        text,
        provider="SQLServer",
        schemes=SCHEMES,
        default_port=DEFAULT_PORT,
        known=_USED | _WITHOUT_EFFECT,
        user_unless=_WITHOUT_USER,
    )
    options = server.options
    encrypt = _ENCRYPT.get(options.get("encrypt", "yes").lower())
    if encrypt is None:
        raise ConnectionRefused("The connection string for SQLServer has an Encrypt that is not yes, no or strict.")
    return SQLServerAddress(
        server=_placed(server),
        encrypt=encrypt,
        trust_certificate=_flag(options, "trustservercertificate"),
        authentication=_authentication(options),
        driver=options.get("driver", ""),
        connect_timeout_s=_seconds(options),
        multi_subnet=_flag(options, "multisubnetfailover"),
    )


def _placed(server: ServerAddress) -> ServerAddress:
    """``tcp:host,port``, ``host\\instance`` and ``.`` as host and port."""
    found = _SERVER.fullmatch(server.host)
    if found is None or found["host"].lower().startswith(("np:", "lpc:", "\\\\")):
        raise ConnectionRefused(
            "The connection string for SQLServer has a server that cannot be read; write host, host,port or "
            "tcp:host,port. Named pipes and shared memory are not supported."
        )
    host = found["host"].strip()
    if host.lower() in {".", "(local)"}:
        host = "localhost"
    elif host.startswith((".\\", "(local)\\")):
        host = f"localhost\\{host.partition(chr(92))[2]}"
    port = int(found["port"]) if found["port"] else server.port
    if not 0 < port < 65536:
        raise ConnectionRefused("The connection string for SQLServer has a port that is not a number from 1 to 65535.")
    return replace(server, host=host, port=port)


def _authentication(options: dict[str, str]) -> str:
    named = options.get("authentication", "")
    if named.lower().replace(" ", "") == "sqlpassword":
        return ""
    if named:
        return ACCESS_TOKEN if named.lower() == ACCESS_TOKEN else named
    integrated = options.get("integratedsecurity", options.get("trustedconnection", "no")).lower()
    return "integrated" if integrated in {"yes", "true", "sspi", "1"} else ""


def _flag(options: dict[str, str], name: str) -> bool:
    value = options.get(name, "no").lower()
    if value not in {"yes", "true", "1", "no", "false", "0"}:
        raise ConnectionRefused(f"The connection string for SQLServer has a {name} that is neither yes nor no.")
    return value in {"yes", "true", "1"}


def _seconds(options: dict[str, str]) -> int:
    text = options.get("connecttimeout", options.get("connectiontimeout", "15"))
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= 600):
        raise ConnectionRefused(
            "The connection string for SQLServer has a Connect Timeout that is not 1 to 600 seconds."
        )
    return int(text)
