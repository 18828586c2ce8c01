"""The people who may sign in to the Portal. ``ControlStore.portal_users`` has one object of this class."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Mapping
from typing import Any

from apilane.control.records import PortalUser
from apilane.control.statements import ControlStatements
from apilane.errors import ConfigurationError
from apilane.model.text import fold
from apilane.sql.dialect import Dialect
from apilane.sql.statement import Statement, Value
from apilane.storage.errors import UniqueViolation
from apilane.storage.protocol import Result, Session, Step

__all__ = ["PortalUsers"]


class PortalUsers:
    """The table of portal users. Methods raise ``StorageError``."""

    def __init__(self, session: Session, statements: ControlStatements, dialect: Dialect) -> None:
        self._session = session
        self._statements = statements
        self._dialect = dialect

    async def find(self, email: str) -> PortalUser | None:
        """The portal user with that e-mail address, in any letter case."""
        rows = await self._session.fetch(self._statements.portal_user, (fold(email),))
        return _user((*rows[0], 0)) if rows else None

    async def all(self) -> list[PortalUser]:
        """All portal users, in the order in which they were created."""
        return [_user(row) for row in await self._session.fetch(self._statements.portal_users)]

    async def get(self, id: int) -> PortalUser | None:
        """The portal user with that ID."""
        return next((user for user in await self.all() if user.id == id), None)

    async def last_seen(self) -> dict[int, int]:
        """The last use of a valid credential by user ID, in Unix milliseconds."""
        return {row[0]: row[1] for row in await self._session.fetch(self._statements.last_seen)}

    async def create(self, email: str, *, is_admin: bool = False) -> PortalUser:
        """Create a portal user without a password. The user cannot sign in until a password is set.

        If another call creates the same user first, that user is returned.
        """
        user = {**self._row(email, "", is_admin=is_admin), "created": time.time_ns() // 1_000_000}
        with contextlib.suppress(UniqueViolation):
            await self._run(self._statements.insert_portal_user, user)
        made = await self.find(email)
        if made is None:
            raise ConfigurationError(f"Portal user {email} was deleted while it was being created.")
        return made

    async def update(self, user: PortalUser) -> bool:
        """Store the user with that ID; False when it does not exist. Raises UniqueViolation for a used address."""
        row = self._row(user.email, user.password_hash, is_admin=user.is_admin)
        return bool(await self._run(self._statements.update_portal_user, {**row, "id": user.id}))

    async def delete(self, id: int) -> bool:
        """Delete a user with all sessions and tokens; False when it does not exist."""
        return bool(await self._run(self._statements.delete_portal_user, {"id": id}))

    def _row(self, email: str, password_hash: str, *, is_admin: bool) -> dict[str, Value]:
        admin = self._dialect.encode_boolean(is_admin)
        return {"email": email, "emailfold": fold(email), "passwordhash": password_hash, "isadmin": admin}

    async def _run(self, statement: Statement, values: Mapping[str, Value]) -> int:
        def unit() -> Generator[Step, Result, int]:
            return (yield Step(statement, statement.parameters(values))).matched

        return await self._session.run(unit, single=True)


def _user(row: tuple[Any, ...]) -> PortalUser:
    id, email, password_hash, is_admin, created = row
    return PortalUser(id=id, email=email, password_hash=password_hash, is_admin=bool(is_admin), created=created)
