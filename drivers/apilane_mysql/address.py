"""Connection strings for MySQL: a URL, or ``Key=Value;`` as MySqlConnector writes it."""

from __future__ import annotations

import ssl
from typing import Final

from apilane.plugin.storage import ConnectionRefused, ServerAddress, connect_timeout_s, parse_address

__all__ = ["read_address", "tls_context", "tls_mode"]

_MODES: Final = ("disabled", "preferred", "required", "verify-ca", "verify-identity")
_ALIASES: Final = {"none": "disabled", "disable": "disabled", "prefer": "preferred", "require": "required"} | {
    mode.replace("-", ""): mode for mode in (*_MODES, "verify-identity")
}
_FILES: Final = {
    "sslca": "ca",
    "cacertificatefile": "ca",
    "sslcert": "cert",
    "certificatefile": "cert",
    "sslkey": "key",
}
_WITHOUT_EFFECT: Final = ("allowpublickeyretrieval", "allowuservariables", "charset", "pooling", "persistsecurityinfo")
"""Options that strings for other clients have too. They are ignored: the driver always behaves in this way."""


def read_address(text: str) -> ServerAddress:
    """The parts of a connection string. Raises ConnectionRefused, which names the part that is wrong."""
    address = parse_address(
        text,
        provider="MySQL",
        schemes=("mysql", "mariadb"),
        default_port=3306,
        known=("sslmode", *_FILES, "connecttimeout", "connectiontimeout", *_WITHOUT_EFFECT),
    )
    tls_mode(address)
    connect_timeout_s(address)
    return address


def tls_mode(address: ServerAddress) -> str:
    """The TLS mode; ``preferred`` when the address names none."""
    given = address.options.get("sslmode", "preferred")
    mode = _ALIASES.get(given.lower().replace("-", "").replace("_", ""))
    if mode is None:
        raise ConnectionRefused(f"The connection string has ssl-mode={given[:20]}; it may be {', '.join(_MODES)}.")
    return mode


def tls_context(address: ServerAddress) -> ssl.SSLContext | None:
    """The TLS settings of the mode and the files; None: no TLS. Raises ConnectionRefused for unreadable files."""
    mode = tls_mode(address)
    if mode == "disabled":
        return None
    files = {_FILES[key]: value for key, value in address.options.items() if key in _FILES}
    verified = mode in {"verify-ca", "verify-identity"}
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if "ca" in files:
            context.load_verify_locations(files["ca"])
        elif verified:  # loading the certificates of the system takes 30 ms
            context.load_default_certs()
        if "cert" in files:
            context.load_cert_chain(files["cert"], files.get("key"))
    except OSError as error:  # ssl.SSLError is an OSError
        raise ConnectionRefused(
            f"The files of ssl-ca, ssl-cert or ssl-key cannot be read: {error.strerror or error}."
        ) from error
    context.check_hostname = mode == "verify-identity"
    context.verify_mode = ssl.CERT_REQUIRED if verified else ssl.CERT_NONE
    return context
