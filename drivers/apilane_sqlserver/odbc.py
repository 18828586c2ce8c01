"""ODBC on this machine: the library, the driver to use, and the connection string for it.

Nothing here connects to a server. Every failure names what to install.
"""

from __future__ import annotations

import platform
import struct
import sys
from collections.abc import Callable, Sequence
from importlib import util
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path
from types import ModuleType
from typing import Final

from apilane.plugin.storage import ConnectionRefused
from apilane_sqlserver.address import ACCESS_TOKEN, SQLServerAddress

__all__ = [
    "TOKEN_GROUP",
    "AccessToken",
    "choose_driver",
    "client_version",
    "connection_string",
    "is_freetds",
    "load_pyodbc",
    "packaged_library",
    "token_attributes",
    "token_source",
]

AccessToken = Callable[[SQLServerAddress], str]
"""Returns a token of Microsoft Entra for a database; called in a thread for every new connection: it should cache."""

TOKEN_GROUP: Final = "apilane_sqlserver.access_token"  # noqa: S105
"""Entry point group in which an installed package offers its ``AccessToken``."""

_SQL_COPT_SS_ACCESS_TOKEN: Final = 1256
_PACKAGE: Final = "mssql_python_odbc"
_OF_MICROSOFT: Final = "ODBC Driver {} for SQL Server"
_INSTALL: Final = (
    "Install Microsoft's 'ODBC Driver 18 for SQL Server' (msodbcsql18), or its library by 'pip install "
    "mssql-python-odbc', or FreeTDS by 'apt-get install tdsodbc'."
)


def load_pyodbc() -> ModuleType:
    """pyodbc, with its own pooling off. Raises ConnectionRefused with the install line when something is missing."""
    try:
        import pyodbc
    except ModuleNotFoundError as error:
        raise ConnectionRefused("SQL Server needs pyodbc: pip install 'apilane[sqlserver]'.") from error
    except ImportError as error:  # libodbc.so.2
        raise ConnectionRefused(
            "pyodbc cannot be loaded because the ODBC manager, unixODBC, is missing: 'apt-get install unixodbc' "
            f"(Debian, Ubuntu), 'dnf install unixODBC' (Fedora, Red Hat) or 'brew install unixodbc' (macOS). ({error})"
        ) from error
    library: ModuleType = pyodbc
    library.pooling = False  # type: ignore[attr-defined]  # what pyodbc wants
    return library


def client_version() -> str:
    """pyodbc's version, without importing it, for ``apilane drivers``."""
    try:
        return f"pyodbc {version('pyodbc')}"
    except PackageNotFoundError:
        return "needs apilane[sqlserver]"


def choose_driver(wanted: str, installed: Sequence[str], library: str | None) -> str:
    """The driver to use: ``wanted`` if it is installed, else Microsoft's newest, else ``library``, else FreeTDS.

    ``installed``: the names in unixODBC. ``library``: path of the driver inside mssql-python-odbc.
    """
    if wanted:
        if wanted.startswith("/") and Path(wanted).is_file():
            return wanted
        found = next((name for name in installed if name.lower() == wanted.lower()), None)
        if found is None:
            known = ", ".join(installed) or "none"
            raise ConnectionRefused(f"There is no ODBC driver named {wanted!r} (installed: {known}). {_INSTALL}")
        return found
    for number in (18, 17):
        if (name := _OF_MICROSOFT.format(number)) in installed:
            return name
    if library is not None:
        return library
    found = next((name for name in installed if "freetds" in name.lower()), None)
    if found is None:
        raise ConnectionRefused(f"There is no ODBC driver for SQL Server on this machine. {_INSTALL}")
    return found


def packaged_library() -> str | None:
    """The driver library inside PyPI's mssql-python-odbc for this platform; None when it is not installed."""
    found = util.find_spec(_PACKAGE)
    if found is None or found.origin is None:
        return None
    libraries = Path(found.origin).parent / "libs"
    if sys.platform == "win32":
        matching = sorted(libraries.glob("windows/**/msodbcsql18.dll"))
    elif sys.platform == "darwin":
        matching = sorted(libraries.glob(f"macos/{_architecture()}/**/libmsodbcsql*.dylib"))
    else:
        folders = sorted(
            (libraries / "linux").glob("*"), key=lambda folder: (_family() not in folder.name, folder.name)
        )
        matching = [
            path for folder in folders for path in sorted(folder.glob(f"{_architecture()}/lib/libmsodbcsql*.so*"))
        ]
    return str(matching[0]) if matching else None


def _architecture() -> str:
    machine = platform.machine().lower()
    return {"amd64": "x86_64", "aarch64": "arm64"}.get(machine, machine)


def _family() -> str:
    """The part of the package's folder names for this Linux distribution."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return "debian"
    names = f"{release.get('ID', '')} {release.get('ID_LIKE', '')}"
    return next(
        (family for family in ("alpine", "rhel", "suse") if family in names.replace("fedora", "rhel")), "debian"
    )


def is_freetds(driver: str) -> bool:
    """Whether a driver is FreeTDS, whose options have other names."""
    return "freetds" in driver.lower() or "tdsodbc" in driver.lower()


def connection_string(address: SQLServerAddress, driver: str) -> str:
    """The argument of ``SQLDriverConnect``. Raises ConnectionRefused for options that the driver does not support."""
    parts = _freetds(address) if is_freetds(driver) else _microsoft(address)
    pairs = {"Driver": driver, **parts, "Database": address.server.database, "APP": "apilane"}
    if address.authentication != ACCESS_TOKEN:
        pairs |= {"UID": address.server.user, "PWD": address.server.password} if address.server.user else {}
    return ";".join(f"{key}={_quoted(value)}" for key, value in pairs.items()) + ";"


def _microsoft(address: SQLServerAddress) -> dict[str, str]:
    server, options = address.server, address.server.options
    host = server.host if "\\" in server.host else f"{server.host},{server.port}"
    pairs = {"Server": f"tcp:{host}", "Encrypt": address.encrypt}
    pairs["TrustServerCertificate"] = "yes" if address.trust_certificate else "no"
    pairs["ConnectRetryCount"] = "0"  # Apilane replaces a lost connection, with all its settings
    for key, name in (
        ("hostnameincertificate", "HostnameInCertificate"),
        ("servercertificate", "ServerCertificate"),
        ("applicationintent", "ApplicationIntent"),
    ):
        if key in options:
            pairs[name] = options[key]
    if address.multi_subnet:
        pairs["MultiSubnetFailover"] = "Yes"
    if address.authentication == "integrated":
        pairs["Trusted_Connection"] = "yes"
    elif address.authentication and address.authentication != ACCESS_TOKEN:
        pairs["Authentication"] = address.authentication.replace(" ", "")
    return pairs


def _freetds(address: SQLServerAddress) -> dict[str, str]:
    server = address.server
    if address.authentication and address.authentication != "integrated":
        raise ConnectionRefused(f"FreeTDS cannot do Authentication={address.authentication}. {_INSTALL}")
    if address.encrypt == "strict":
        raise ConnectionRefused(f"FreeTDS cannot do Encrypt=strict. {_INSTALL}")
    if address.encrypt == "yes" and not address.trust_certificate:
        raise ConnectionRefused(
            "FreeTDS encrypts but does not check the server's certificate. Install Microsoft's ODBC Driver 18, or "
            "accept that by TrustServerCertificate=yes in the connection string."
        )
    pairs = {"Server": server.host, "TDS_Version": "7.4", "ClientCharset": "UTF-8"}
    if "\\" not in server.host:
        pairs["Port"] = str(server.port)
    pairs["Encryption"] = "require" if address.encrypt == "yes" else "off"
    if "applicationintent" in server.options:
        pairs["ApplicationIntent"] = server.options["applicationintent"]
    if address.authentication == "integrated":
        pairs["Trusted_Connection"] = "yes"
    return pairs


def _quoted(value: str) -> str:
    """In braces if a character has a meaning in connection strings."""
    if value and not any(sign in value for sign in "[]{}(),;?*=!@ '\"") and value == value.strip():
        return value
    return "{" + value.replace("}", "}}") + "}"


def token_source() -> AccessToken:
    """The function of an installed package that returns tokens. Raises ConnectionRefused unless exactly one exists."""
    found = list(entry_points(group=TOKEN_GROUP))
    if len(found) != 1:
        offered = ", ".join(f"{point.name} ({point.value})" for point in found) or "none"
        raise ConnectionRefused(
            "Authentication=AccessToken needs one installed package with an entry point in the group "
            f"{TOKEN_GROUP!r} (found: {offered})."
        )
    source: AccessToken = found[0].load()
    return source


def token_attributes(token: str) -> dict[int, bytes]:
    """Connection attributes with a token: its length in bytes and its UTF-16 text, as msodbcsql.h defines."""
    encoded = token.encode("utf-16-le")
    return {_SQL_COPT_SS_ACCESS_TOKEN: struct.pack(f"<I{len(encoded)}s", len(encoded), encoded)}
