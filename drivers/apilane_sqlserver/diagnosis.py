"""The checks of ``apilane doctor`` for a database of SQL Server. Reads only the catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apilane.plugin.storage import Finding
from apilane_sqlserver.naming import quoted

if TYPE_CHECKING:
    from apilane_sqlserver.connection import Connection

__all__ = ["LOOK", "diagnose"]

OLDEST: Final = 14
"""SQL Server 2017, the first with TRANSLATE."""
_IN_AZURE: Final = frozenset({5, 8, 9})

LOOK: Final = (
    "SELECT CAST(SERVERPROPERTY(N'ProductVersion') AS NVARCHAR(128)), "
    "CAST(SERVERPROPERTY(N'Edition') AS NVARCHAR(128)), "
    "CAST(SERVERPROPERTY(N'EngineEdition') AS INT), d.name, d.is_read_committed_snapshot_on, d.is_read_only, "
    "d.user_access_desc, SCHEMA_NAME(), "
    "HAS_PERMS_BY_NAME(QUOTENAME(DB_NAME()), N'DATABASE', N'CREATE TABLE'), "
    "HAS_PERMS_BY_NAME(QUOTENAME(DB_NAME()), N'DATABASE', N'CONTROL') "
    "FROM sys.databases AS d WHERE d.name = DB_NAME()"
)
"""Selected by name: in Azure, DB_ID may differ from the number in sys.databases."""


def diagnose(connection: Connection) -> list[Finding]:
    """Version, isolation and rights, in one query."""
    ((version, edition, engine, name, has_snapshot, is_read_only, access, schema, may_create, may_make_users),) = (
        connection.query(LOOK)
    )
    findings = [_version(str(version), str(edition), int(engine))]
    if is_read_only:
        findings.append(Finding(f"The database {name} is read-only", "Make it READ_WRITE.", serious=True))
    if access != "MULTI_USER":
        findings.append(Finding(f"The database {name} is {access}", "Set it to MULTI_USER.", serious=True))
    if has_snapshot:
        findings.append(Finding("Readers and writers do not wait for each other (READ_COMMITTED_SNAPSHOT is on)"))
    else:
        findings.append(
            Finding(
                "Readers wait for writers (READ_COMMITTED_SNAPSHOT is off)",
                f"ALTER DATABASE {quoted(str(name))} SET READ_COMMITTED_SNAPSHOT ON WITH ROLLBACK IMMEDIATE, while "
                "no other program uses it.",
            )
        )
    if schema != "dbo":
        findings.append(
            Finding(
                f"The login's default schema is {schema}",
                "Make it dbo: ALTER USER ... WITH DEFAULT_SCHEMA = dbo.",
                True,
            )
        )
    if not may_create:
        findings.append(
            Finding("The login may not create tables", "Make it a member of db_owner in this database.", serious=True)
        )
    elif not may_make_users:
        findings.append(
            Finding(
                "The login may not make users, so custom endpoints are refused",
                "Make it a member of db_owner in this database before an application is first applied to it.",
            )
        )
    return findings


def _version(version: str, edition: str, engine: int) -> Finding:
    text = f"SQL Server {version} ({edition})"
    major = version.partition(".")[0]
    if engine not in _IN_AZURE and major.isdecimal() and int(major) < OLDEST:
        return Finding(text, "Update the server to SQL Server 2017 or newer.", serious=True)
    return Finding(text)
