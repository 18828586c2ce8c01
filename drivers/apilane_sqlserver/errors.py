"""Translates the errors of SQL Server and its ODBC drivers to Apilane's errors.

The caller sets the original error as the cause. Texts are English, because every connection sets that language.
Sources: "Database engine events and errors" and the ODBC states.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from apilane.plugin.storage import (
    HIDDEN_COLUMNS,
    ConnectionLost,
    ConnectionRefused,
    Deadlock,
    ForeignKeyViolation,
    MissingObject,
    NotNullViolation,
    NumberOutOfRange,
    Raised,
    StatementTimeout,
    StorageError,
    Unavailable,
    UniqueViolation,
    Unsupported,
    ValueTooLong,
)
from apilane_sqlserver.naming import property_of

__all__ = ["Constraint", "Failure", "constraint_of", "read_failure", "refused", "shown", "translate"]

RAISED_FROM: Final = 50_000
"""THROW takes numbers from here up; RAISERROR with a text uses this number."""


class Failure(NamedTuple):
    """A failure as the client library reports it. ``number``: SQL Server's, or 0 for errors of the ODBC driver."""

    state: str
    number: int
    text: str


_NUMBER: Final = re.compile(r"\((-?\d+)\) \(SQL\w+\)")
_RECORD: Final = re.compile(r"; \[[0-9A-Z]{5}\] ")
_PREFIX: Final = re.compile(r"^\[[0-9A-Z]{5}\] (?:\[[^\]]*\])*\s*")

_INDEX_2601: Final = re.compile(r"duplicate key row in object '([^']+)' with unique index '([^']+)'")
_KEY_2627: Final = re.compile(
    r"Violation of [A-Z ]+ constraint '([^']+)'\. Cannot insert duplicate key in object '([^']+)'"
)
_NULL_515: Final = re.compile(r"NULL into column '([^']+)', table '([^']+)'")
_REFERENCE_547: Final = re.compile(
    r"conflicted with the (?:FOREIGN KEY|(?:SAME TABLE )?REFERENCE)[A-Z ]* constraint \"([^\"]+)\""
)
_TEXT_2628: Final = re.compile(r"truncated in table '([^']+)', column '([^']+)'")

_LOST_STATES: Final = frozenset({"08S01", "08003", "08007", "01002", "HYT01"})
_LOST_NUMBERS: Final = frozenset(
    {-1, 121, 233, 596, 6005, 10053, 10054, 10060, 20002, 20004, 20006, 20009, 20017, 20047, 40197}
)
_NOTHING_CAME: Final = Failure("HY000", 0, "Unknown error")
"""FreeTDS's report for a connection that it finds closed."""
_UNAVAILABLE: Final = {
    701: "has no memory left for the statement",
    921: "is still being recovered",
    924: "is in single-user mode, and another connection uses it",
    926: "is damaged (suspect); restore it from a backup",
    927: "is being restored",
    942: "is offline",
    945: "cannot be opened: files, memory or disk space are missing",
    1101: "cannot grow: its filegroup is full",
    1105: "cannot grow: its filegroup is full",
    1222: "kept a lock for longer than the wait allows",
    3906: "is read-only",
    3908: "is read-only",
    9002: "cannot go on: its transaction log is full",
    18461: "is on a server in single-user mode, and an administrator uses it",
    40501: "is busy (Azure)",
    40544: "has reached its size limit",
    40613: "is not available at the moment (Azure)",
    49918: "is busy (Azure)",
}
_OUT_OF_RANGE: Final = frozenset({220, 232, 248, 8114, 8115, 1007})
_TOO_LONG: Final = frozenset({1946, 2628, 8152, 511})
_MISSING: Final = frozenset({207, 208, 4902, 3701, 3705})
_DENIED: Final = frozenset({229, 230, 262, 297, 300, 916, 1088, 2760, 15151, 15247})
_RIGHT: Final = re.compile(r"^(?:The )?([A-Z][A-Z ]+?) permission (?:was )?denied")
_IMPERSONATION: Final = frozenset({15406, 15517})

_VISIBLE: Final = {
    (entity, column.name): column.shows for entity, columns in HIDDEN_COLUMNS.items() for column in columns
}


class Constraint(NamedTuple):
    """The constraint or index that a failure names; ``table`` is '' if only the catalog knows it."""

    table: str
    name: str
    is_reference: bool


def read_failure(error: BaseException) -> Failure:
    """From pyodbc's ``(state, "[state] [driver]text (number) (function); [state] ...")``.

    The number of the first record is the last one before a function's name: earlier texts may contain a value of the
    caller that looks like a number.
    """
    if len(error.args) < 2:
        return Failure("", 0, str(error))
    state, message = str(error.args[0]), str(error.args[1])
    numbers = list(_NUMBER.finditer(message))
    if not numbers:
        return Failure(state, 0, message)
    text = _PREFIX.sub("", message[: numbers[-1].start()]).strip()
    return Failure(state, int(numbers[-1][1]), text)


def constraint_of(failure: Failure) -> Constraint | None:
    """The violated constraint; the catalog has its columns."""
    if failure.number == 2601 and (found := _INDEX_2601.search(failure.text)):
        return Constraint(found[1], found[2], is_reference=False)
    if failure.number == 2627 and (found := _KEY_2627.search(failure.text)):
        return Constraint(found[2], found[1], is_reference=False)
    if failure.number == 547 and (found := _REFERENCE_547.search(failure.text)):
        return Constraint("", found[1], is_reference=True)
    return None


def shown(table: str, columns: tuple[str, ...]) -> tuple[str, ...]:
    """Columns as the schema names them: a hidden column is shown as the property it belongs to."""
    return tuple(_VISIBLE.get((table, column), property_of(column)) for column in columns)


def _bare(name: str) -> str:
    """The last part of a name: ``Things`` for ``shop.dbo.Things``."""
    return name.rpartition(".")[2]


def _denied(failure: Failure, place: str, *, is_script: bool) -> StorageError:
    """The error for a missing right: of custom SQL, which the server limits on purpose, or of the login itself."""
    if is_script:
        return StorageError(f"Custom SQL may not do this: {failure.text}")
    found = _RIGHT.search(failure.text)
    right = f"the right {found[1]}" if found else "a right"
    return Unavailable(
        f"The login of {place} lacks {right}: {failure.text} Grant it, or make the login a member of db_owner; "
        "`apilane doctor` checks its rights."
    )


def translate(  # one case for each kind
    error: BaseException, place: str, *, table: str = "", columns: tuple[str, ...] = (), is_script: bool = False
) -> StorageError:
    """Apilane's error. ``table``, ``columns``: those of the violated constraint, from the catalog. ``is_script``:
    custom SQL failed, and not a statement of the server.
    """
    if isinstance(error, UnicodeEncodeError):
        return StorageError("The text contains half of a surrogate pair, which is not a character.")
    if isinstance(error, OverflowError):
        return NumberOutOfRange("The number does not fit into 64 bits.")
    failure = read_failure(error)
    number = failure.number
    names = f": {', '.join(columns)}" if columns else ""
    if number in {2601, 2627, 1505}:
        return UniqueViolation(f"Value already exists{names}", table=table or None, columns=columns)
    if number == 547:
        if columns or constraint_of(failure):
            return ForeignKeyViolation(f"Foreign key constraint violation{names}", table=table or None, columns=columns)
        return StorageError(f"SQL Server: {failure.text}")
    if number == 515 and (found := _NULL_515.search(failure.text)):
        table = _bare(found[2])
        columns = shown(table, (found[1],))
        return NotNullViolation(f"Required: {columns[0]}", table=table, columns=columns)
    if number in _TOO_LONG:
        found = _TEXT_2628.search(failure.text)
        if found is None:
            return ValueTooLong("A text is longer than its column.")
        table = _bare(found[1])
        columns = shown(table, (found[2],))
        return ValueTooLong(f"The text is longer than its column: {columns[0]}", table=table, columns=columns)
    if number in _OUT_OF_RANGE or failure.state in {"22003", "22018"}:
        return NumberOutOfRange("The value does not fit the type of its column.")
    if number == 1205:
        return Deadlock("Chosen as the victim of a deadlock.")
    if number >= RAISED_FROM:
        return Raised(failure.text)
    if number in _MISSING or (failure.state in {"42S02", "42S22"} and not number):
        return MissingObject(failure.text)
    if number == 1785:
        return Unsupported(f"SQL Server allows one cascade path to a table: {failure.text}")
    if number in _IMPERSONATION:
        return Unsupported(
            f"Custom SQL runs as the user apilane_script, which {place} does not have or its login may not be: the "
            "login must be a member of db_owner already when an application is applied for the first time."
        )
    if number in _DENIED:
        return _denied(failure, place, is_script=is_script)
    if number in _UNAVAILABLE:
        return Unavailable(f"The database {place} {_UNAVAILABLE[number]}.")
    if failure.state == "HYT00":
        return StatementTimeout("The statement took longer than its time limit.")
    if failure.state == "HY008":
        return StorageError("The statement was cancelled.")
    if failure.state in _LOST_STATES or number in _LOST_NUMBERS or failure == _NOTHING_CAME:
        return ConnectionLost(f"The connection to {place} was lost: {failure.text}")
    return StorageError(f"SQL Server: {failure.text}")


_REFUSALS: Final = {
    "18452": "refuses the login, which is from an untrusted domain",
    "18470": "refuses the login, which is disabled",
    "18486": "refuses the login, which is locked out",
    "18487": "refuses the login, whose password has expired",
    "18488": "refuses the login, whose password must be changed",
    "18461": "is in single-user mode, and an administrator uses it",
    "924": "has the database in single-user mode, and another connection uses it",
    "4060": "cannot open the database: its name is wrong, the login may not use it, or it is in single-user mode",
    "4064": "cannot open the login's default database",
    "40532": "refuses the login",
    "40615": "refuses this machine's address; add it to the server's firewall rules (Azure)",
    "40613": "has the database unavailable at the moment (Azure)",
    "18456": "refuses the user name or the password",
}
"""The first one found is reported: 924 comes together with 4060, and both with 18456."""
_CERTIFICATE: Final = re.compile(r"certificate verify failed|self.signed|SSL Provider", re.IGNORECASE)


def refused(error: BaseException, place: str) -> ConnectionRefused:
    """The error for a connection that could not be opened; ``place`` names server, user and database."""
    text = str(error.args[1]) if len(error.args) > 1 else str(error)
    numbers = set(re.findall(r"\((\d+)\)", text))
    for number, reason in _REFUSALS.items():
        if number in numbers:
            return ConnectionRefused(f"The server at {place} {reason}.")
    if "IM002" in text or "Can't open lib" in text or "IM003" in text:
        return ConnectionRefused(f"The ODBC driver cannot be loaded, for {place}: {_told(text)}")
    if _CERTIFICATE.search(text):
        return ConnectionRefused(
            f"The certificate of the server at {place} is not trusted: {_told(text)} Give the server one of an "
            "authority this machine knows, or accept any by TrustServerCertificate=yes in the connection string."
        )
    return ConnectionRefused(f"No connection to {place}: {_told(text)} Look at server, port and firewall.")


def _told(text: str) -> str:
    """The first record without the driver's prefixes and numbers."""
    first = _PREFIX.sub("", _RECORD.split(text)[0])
    return f"{re.sub(r'(?: [(][^()]*[)])+$', '', first).strip().removesuffix('.')}."
