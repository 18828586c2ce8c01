"""The checks of ``apilane doctor`` for a PostgreSQL database and its server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apilane.plugin.storage import Finding, ServerAddress, Statement, quoted_name

if TYPE_CHECKING:
    from apilane_postgresql.connection import PostgreSQLConnection

__all__ = ["diagnose"]

OLDEST: Final = 130000
"""PostgreSQL 13: the oldest version with all functions that the statements use (pg_current_snapshot)."""

_LOOK: Final = Statement("""
SELECT current_setting('server_version'), current_setting('server_version_num')::int,
  current_setting('server_encoding'), current_schema()::text,
  coalesce(has_schema_privilege(current_schema(), 'CREATE'), false),
  (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user),
  coalesce((SELECT ssl FROM pg_catalog.pg_stat_ssl WHERE pid = pg_backend_pid()), false),
  pg_is_in_recovery(),
  current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
  array_to_string(ARRAY(SELECT name FROM unnest(ARRAY['fsync', 'synchronous_commit']) name
    WHERE current_setting(name) = 'off'), ' and '), current_setting('search_path')""")

_FOREIGN: Final = Statement("""
SELECT c.relname::text FROM pg_catalog.pg_class c
WHERE c.relkind IN ('r', 'p', 'f') AND c.relnamespace = to_regnamespace(quote_ident(current_schema()))
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = c.oid AND a.attname = 'ID' AND a.atttypid = 'bigint'::regtype)
ORDER BY 1 LIMIT 5""")


async def diagnose(connection: PostgreSQLConnection, address: ServerAddress, limit: int) -> list[Finding]:
    """Version, encoding, rights, TLS, tables of other programs, and connections against the server's limit."""
    (row,) = await connection.fetch(_LOOK, ())
    version, number, encoding, schema, creates, superuser, tls, standby, allowed, hasty, path = row
    findings = [
        Finding(f"PostgreSQL {version}", "" if number >= OLDEST else "Use PostgreSQL 13 or later.", number < OLDEST),
        Finding(
            f"The database's encoding is {encoding}",
            "" if encoding == "UTF8" else "Create the database with ENCODING 'UTF8'; others cannot hold every text.",
            encoding != "UTF8",
        ),
    ]
    if creates:
        findings.append(Finding(f"{address.user} may create tables in the schema {schema}"))
    elif schema is None:
        advice = (
            f"Create the schema, or give {address.user} USAGE on it. A name with capitals needs quotes: "
            """search_path="Shop" is %22Shop%22 in a URL and Search Path='"Shop"' in Key=Value; """
            "without quotes PostgreSQL reads shop."
        )
        findings.append(Finding(f"No schema of search_path ({path}) can be used", advice, serious=True))
    else:
        grant = f"GRANT CREATE ON SCHEMA {quoted_name(schema)} TO {quoted_name(address.user)}"
        advice = f"{grant}; applying definitions needs it."
        findings.append(Finding(f"{address.user} may not create tables", advice, serious=True))
    if standby:
        findings.append(Finding("The server is a standby", "Give the address of the primary.", serious=True))
    if superuser:
        advice = "Use one that owns this database and nothing else; custom SQL runs as this user."
        findings.append(Finding(f"{address.user} is a superuser", advice))
    local = address.host in {"localhost", "127.0.0.1", "::1"}
    findings.append(
        Finding(
            "The connection is encrypted" if tls else "The connection is not encrypted",
            "" if tls or local else "Set sslmode=verify-full and sslrootcert in the connection string.",
        )
    )
    if hasty:
        text = f"{hasty} off at the server: a crash may lose the last writes"
        findings.append(Finding(text, "Set it to on."))
    foreign = [str(row[0]) for row in await connection.fetch(_FOREIGN, ())]
    if foreign:
        advice = "Use a separate database; an entity of the same name would fail."
        findings.append(Finding(f"Tables that Apilane did not make: {', '.join(foreign)}", advice))
    fits = limit <= allowed
    advice = "" if fits else "Lower database_connections, or raise max_connections of the server."
    findings.append(Finding(f"The server allows {allowed} connections; each process opens up to {limit}", advice))
    return findings
