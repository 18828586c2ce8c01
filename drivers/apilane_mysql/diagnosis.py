"""The checks of ``apilane doctor`` for a MySQL database and its server."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from apilane.plugin.storage import HELPER_TABLES, Finding, Statement
from apilane_mysql.progress import PROGRESS_TABLE

if TYPE_CHECKING:
    from apilane_mysql.connection import MySQLConnection

__all__ = ["diagnose"]

OLDEST_MYSQL: Final = (8, 0, 17)
OLDEST_MARIADB: Final = (10, 10, 1)
_NEEDED: Final = ("SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX", "REFERENCES")


async def diagnose(connection: MySQLConnection, limit: int) -> list[Finding]:
    """Check the database of ``connection``; ``limit``: how many connections this process may open."""

    async def ask(text: str) -> Sequence[Sequence[object]]:
        return await connection.fetch(Statement(text), ())

    ((version, engine_text, most, packet, default_charset, flush),) = await ask(
        "SELECT VERSION(), @@default_storage_engine, @@max_connections, @@max_allowed_packet, "
        "@@character_set_database, @@innodb_flush_log_at_trx_commit"
    )
    findings = [
        _version(str(version)),
        _tls(await ask("SHOW SESSION STATUS LIKE 'Ssl_cipher'"), connection.address.host),
    ]
    findings.append(
        Finding(f"New tables are {engine_text}; Apilane's are always InnoDB with utf8mb4 ({default_charset} here)")
    )
    findings.append(_connections(int(str(most)), limit))
    if int(str(packet)) < 16 * 2**20:
        findings.append(Finding(f"max_allowed_packet is {packet} bytes", "Raise it to 64M, or large records fail."))
    if int(str(flush)) != 1:
        text = f"innodb_flush_log_at_trx_commit is {flush}: a crash may lose what was stored in the last second"
        findings.append(Finding(text, "Set it to 1."))
    findings += _rights([str(row[0]) for row in await ask("SHOW GRANTS")], connection.address.database)
    tables = [str(row[0]) for row in await ask("SHOW TABLES")]
    findings += _foreign_tables(tables)
    if PROGRESS_TABLE in tables and (await ask(f"SELECT COUNT(*) FROM `{PROGRESS_TABLE}`"))[0][0]:  # noqa: S608
        text = "A change of the tables stopped half-way"
        findings.append(Finding(text, "Apply the definition again that was being applied.", True, apply_corrects=True))
    return findings


def _version(text: str) -> Finding:
    maria = "mariadb" in text.lower()
    name, oldest = ("MariaDB", OLDEST_MARIADB) if maria else ("MySQL", OLDEST_MYSQL)
    numbers = re.search(r"(\d+)\.(\d+)\.(\d+)", text)
    if numbers is None or tuple(map(int, numbers.groups())) >= oldest:
        return Finding(f"{name} {text}")
    wanted = ".".join(map(str, oldest))
    return Finding(f"{name} {text}", f"Use {name} {wanted} or later: its collations are missing here.", serious=True)


def _tls(rows: Sequence[Sequence[object]], host: str) -> Finding:
    cipher = str(rows[0][1]) if rows else ""
    if cipher:
        return Finding(f"The connection uses TLS ({cipher})")
    local = host in {"localhost", "127.0.0.1", "::1"}
    advice = "" if local else "Turn TLS on at the server and set ssl-mode=verify-identity in the ConnectionString."
    return Finding("The connection is not encrypted", advice)


def _connections(most: int, limit: int) -> Finding:
    text = f"The server allows {most} connections; this process opens up to {limit}"
    return Finding(text, "Lower database_connections or raise max_connections." if limit > most - 10 else "")


def _rights(grants: Sequence[str], database: str) -> list[Finding]:
    """Whether the grants include those that changes of tables need; roles are not resolved."""
    granted = " ".join(grants).upper()
    if "ALL PRIVILEGES" in granted:
        return [Finding("The user may change tables")]
    missing = [right for right in _NEEDED if not re.search(rf"\b{right}\b", granted)]
    if not missing:
        return [Finding("The user may change tables")]
    advice = f"GRANT {', '.join(missing)} ON `{database}`.* to the user."
    return [Finding(f"The user has no right to {', '.join(missing)}", advice, serious=True)]


def _foreign_tables(names: Sequence[str]) -> list[Finding]:
    """Report tables of other programs, if the database has none of ours: entities may have any name."""
    ours = {table.name.lower() for table in HELPER_TABLES} | {"instance"}
    if not names or any(name.lower() in ours for name in names):
        return [Finding(f"{len(names)} tables")]
    shown = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
    return [
        Finding(f"{len(names)} tables, none of them made by Apilane: {shown}", "Give the application its own database.")
    ]
