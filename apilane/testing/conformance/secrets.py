"""Reads and statements that custom SQL is not allowed (``apilane.model.privileges``, B-Q11)."""

from __future__ import annotations

import pytest

from apilane.storage.errors import StorageError
from apilane.testing.conformance.case import Database
from apilane.testing.conformance.tables import USERS

__all__ = ["Secrets"]

HASH = "the-hash-of-a-password"

READING = [
    "SELECT * FROM [Users]",
    "SELECT [Password] FROM [Users]",
    "SELECT CONCAT(u.[Password], 'x') FROM [Users] u",
    "SELECT MAX([Password]) FROM [Users]",
    "SELECT x.[Hash] FROM (SELECT [Password] AS [Hash] FROM [Users]) x",
    "WITH x AS (SELECT [Password] AS [Hash] FROM [Users]) SELECT [Hash] FROM x UNION SELECT 'a'",
    "SELECT (SELECT [Password] FROM [Users]) AS [Hash]",
    "INSERT INTO [Things] ([Name]) SELECT [Password] FROM [Users]; SELECT [Name] FROM [Things]",
    "UPDATE [Users] SET [Roles] = [Password]; SELECT [Roles] FROM [Users]",
]

FORBIDDEN = [
    "COMMIT",
    "ROLLBACK",
    "START TRANSACTION",
    "DROP TABLE [Things]",
    "ALTER TABLE [Things] ADD COLUMN [Mine] INTEGER",
    "ALTER TABLE [Things] DROP COLUMN [Note]",
    "TRUNCATE TABLE [Things]",
    "CREATE TABLE [Mine] ([ID] INTEGER)",
    "CREATE INDEX [Mine] ON [Things] ([Count])",
    "CREATE VIEW [Mine] AS SELECT 1 AS [One]",
    "UPDATE [Users] SET [Password] = 'mine'",
    "UPDATE [Users] SET [Email] = 'other@x.org'",
    "INSERT INTO [Users] ([Email], [Username], [Password], [Created], [EmailConfirmed]) VALUES ('a', 'b', 'c', 1, {Y})",
    "INSERT INTO [AuthTokens] ([Token], [Owner], [Created]) VALUES ('a', 1, 1)",
    "UPDATE [AuthTokens] SET [Owner] = 1",
]

ALLOWED = [
    "UPDATE [Users] SET [Roles] = 'admin', [LastLogin] = 5",
    "DELETE FROM [AuthTokens] WHERE [Owner] = 1",
    "SELECT [ID], [Email], [Username], [Roles] FROM [Users]",
    "DELETE FROM [Users] WHERE [ID] = 999",
]


def _state(db: Database) -> list[object]:
    users = db.rows("Email", "Username", "Password", "Roles", entity=USERS)
    return [users, db.rows("ID", "Name", "Note", "Count")]


class Secrets:
    """The tests that the module docstring describes."""

    @pytest.fixture
    def filled(self, db: Database) -> Database:
        """A user with a password, and a record."""
        names = {"Email": "ann@example.com", "Username": "ann"}
        folds = {"H_Email_Fold": "ann@example.com", "H_Username_Fold": "ann"}
        db.insert(USERS, **names, **folds, Created=1, EmailConfirmed=True, Password=HASH, Roles="staff")
        db.insert(Name="a", Note="n", Count=1)
        return db

    @pytest.mark.parametrize("sql", READING)
    def test_script_never_reads_secrets(self, filled: Database, sql: str) -> None:
        """Hashes are read as null, or the script is refused; no result contains a hash, however often it runs."""
        step = filled.script(sql)
        for _ in range(4):
            before = _state(filled)
            try:
                sets = filled.wait(filled.session.run_script(step)).sets
            except StorageError:
                assert _state(filled) == before
            else:
                assert HASH not in str([row for each in sets for row in each.rows])
                assert HASH not in str([filled.rows("Name"), filled.rows("Roles", entity=USERS)])

    @pytest.mark.parametrize("sql", FORBIDDEN)
    def test_script_is_refused(self, filled: Database, sql: str) -> None:
        """A statement that is not granted is refused, alone and after a write, and changes nothing."""
        before = _state(filled)
        yes = filled.dialect.encode_boolean(True)
        for text in (sql, f"UPDATE [Things] SET [Name] = 'x'; {sql}"):
            step = filled.script(text, Y=yes)
            for _ in range(3):  # the driver may know it then
                with pytest.raises(StorageError):
                    filled.wait(filled.session.run_script(step))
                assert _state(filled) == before
        filled.insert(Name="next")  # the refused transaction holds no lock

    @pytest.mark.parametrize("sql", ALLOWED)
    def test_script_is_granted(self, filled: Database, sql: str) -> None:
        """Other reads and writes of records are granted."""
        filled.run_script(sql)

    def test_privileges_end_with_the_script(self, filled: Database) -> None:
        """The limited privileges end with the script: afterwards Apilane reads the same column."""
        for _ in range(2):
            filled.run_script("SELECT [Email] FROM [Users]")
            assert filled.rows("Password", entity=USERS) == [(HASH,)]
