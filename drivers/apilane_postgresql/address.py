"""Connection strings for PostgreSQL: a URL, or ``Key=Value;`` as Npgsql writes it. Pure."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from apilane.plugin.storage import ConnectionRefused, ServerAddress, connect_timeout_s, parse_address

__all__ = ["read_address", "search_path", "tls_url"]

_TLS_FILES: Final = {
    "sslrootcert": "sslrootcert",
    "rootcertificate": "sslrootcert",
    "sslcert": "sslcert",
    "sslcertificate": "sslcert",
    "sslkey": "sslkey",
}
_MODES: Final = ("disable", "prefer", "require", "verify-ca", "verify-full")


def read_address(text: str) -> ServerAddress:
    """The parts of a connection string. Raises ConnectionRefused, which names the part that is wrong."""
    address = parse_address(
        text,
        provider="PostgreSQL",
        schemes=("postgresql", "postgres"),
        default_port=5432,
        known=(*_TLS_FILES, "sslmode", "timeout", "connecttimeout", "searchpath"),
    )
    tls_url(address)
    connect_timeout_s(address)
    return address


def tls_url(address: ServerAddress) -> str:
    """The TLS options as asyncpg reads them; ``prefer`` when the address names none."""
    given = address.options.get("sslmode", "prefer")
    mode = next((mode for mode in _MODES if mode.replace("-", "") == given.lower().replace("-", "")), None)
    if mode is None:
        raise ConnectionRefused(f"The connection string has sslmode={given[:20]}; it may be {', '.join(_MODES)}.")
    files = {_TLS_FILES[key]: value for key, value in address.options.items() if key in _TLS_FILES}
    return "postgresql:///?" + urlencode({"sslmode": mode} | files)


def search_path(address: ServerAddress) -> str | None:
    """The schemas that are searched for tables; new tables go into the first. None: the server decides."""
    return address.options.get("searchpath") or None
