"""Portal users and their tokens: stored hashed, several per user, ended by age, idleness and revocation (B-S12)."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import apsw
import pytest

from apilane.control.operator_tokens import IDLE_MS
from apilane.control.secrets import Secrets
from apilane.errors import ConfigurationError
from apilane.security.tokens import new_token
from apilane.services.operator_sign_in import operator_token

ADMIN = {"admin_email": "boss@example.com", "admin_password": "long-enough-password"}


def _sql(folder: Path, statement: str, *parameters: Any) -> list[Any]:
    """Run SQL on the control store through a separate SQLite connection."""
    connection = apsw.Connection(str(folder / "control.db"))
    try:
        return list(connection.execute(statement, parameters))
    finally:
        connection.close()


@pytest.mark.better("B-S12")
def test_several_sign_ins(open_instance, tmp_path: Path) -> None:
    """Each sign-in has its own token; revoking one, even twice, leaves the others valid."""

    async def scenario() -> None:
        async with open_instance(tmp_path, **ADMIN) as instance:
            tokens = instance.store.operator_tokens
            first, second = [await operator_token(instance.store, "BOSS@example.com ", None) for _ in range(2)]
            found = await tokens.find(first)
            assert (found.email, found.is_admin) == ("boss@example.com", True)
            assert found.left_ms == pytest.approx(IDLE_MS, abs=10_000)
            assert await tokens.revoke(first)
            assert not await tokens.revoke(first)
            assert await tokens.find(first) is None
            assert await tokens.find(second) is not None
            assert await tokens.find(new_token()) is None

    asyncio.run(scenario())


@pytest.mark.better("B-S12")
def test_at_rest(open_instance, tmp_path: Path) -> None:
    """No file of the control store contains a token, and the key of another instance does not find it."""

    async def scenario() -> str:
        async with open_instance(tmp_path / "one", **ADMIN) as instance:
            return await operator_token(instance.store, "boss@example.com", None)

    token = asyncio.run(scenario())
    kept = b"".join(path.read_bytes() for path in (tmp_path / "one").glob("control.db*"))
    assert token.encode() not in kept
    assert token.replace("-", "").encode() not in kept
    row = _sql(tmp_path / "one", 'SELECT "TokenHash", "Created", "LastUsed" FROM "OwnerTokens"')[0]

    async def elsewhere() -> None:
        async with open_instance(tmp_path / "two", **ADMIN) as instance:
            _sql(
                tmp_path / "two",
                'INSERT INTO "OwnerTokens" ("TokenHash", "UserID", "Created", "LastUsed") VALUES (?, 1, ?, ?)',
                *row,
            )
            assert await instance.store.operator_tokens.find(token) is None

    asyncio.run(elsewhere())


def test_expiry(open_instance, tmp_path: Path) -> None:
    """A token ends at its expiry time, even when it is in use."""

    async def scenario() -> None:
        async with open_instance(tmp_path, **ADMIN) as instance:
            token = await operator_token(instance.store, "boss@example.com", 150)
            found = await instance.store.operator_tokens.find(token)
            assert 0 < found.left_ms <= 150
            await asyncio.sleep(0.2)
            assert await instance.store.operator_tokens.find(token) is None

    asyncio.run(scenario())


@pytest.mark.better("B-S12")
def test_idleness(open_instance, tmp_path: Path) -> None:
    """A token that is unused for 12 hours ends; a use before that restarts the 12 hours."""

    async def scenario() -> None:
        async with open_instance(tmp_path, **ADMIN) as instance:
            tokens = instance.store.operator_tokens
            token = await operator_token(instance.store, "boss@example.com", None)
            now = time.time() * 1000
            _sql(tmp_path, 'UPDATE "OwnerTokens" SET "LastUsed" = ?', int(now) - IDLE_MS + 60_000)
            assert (await tokens.find(token)).left_ms <= 60_000
            assert _sql(tmp_path, 'SELECT "LastUsed" FROM "OwnerTokens"')[0][0] >= int(now)
            assert (await tokens.find(token)).left_ms > IDLE_MS - 60_000
            _sql(tmp_path, 'UPDATE "OwnerTokens" SET "LastUsed" = ?', int(now) - IDLE_MS)
            assert await tokens.find(token) is None
            await operator_token(instance.store, "boss@example.com", None)
            assert _sql(tmp_path, 'SELECT count(*) FROM "OwnerTokens"') == [(1,)]

    asyncio.run(scenario())


def test_powers_of_the_user_now(open_instance, tmp_path: Path) -> None:
    """Rights are read at each use of the token: a demotion applies at once, and a deleted user has no valid token."""

    async def scenario() -> None:
        async with open_instance(tmp_path, **ADMIN) as instance:
            token = await operator_token(instance.store, "boss@example.com", None)
            _sql(tmp_path, 'UPDATE "PortalUsers" SET "IsAdmin" = 0')
            assert not (await instance.store.operator_tokens.find(token)).is_admin
            _sql(tmp_path, 'DELETE FROM "PortalUsers"')
            assert await instance.store.operator_tokens.find(token) is None

    asyncio.run(scenario())


def test_users_that_get_a_token(open_instance, definition, tmp_path: Path) -> None:
    """Collaborators of an application become portal users without a password; other addresses are refused."""

    async def scenario() -> None:
        async with open_instance(tmp_path, **ADMIN) as instance:
            store = instance.store
            shop = definition(collaborators=("Dev@Example.com",))
            await store.begin(shop, Secrets.new(), None, "me")
            await store.publish(shop.token)
            token = await operator_token(store, "dev@example.com", None)
            made = await store.portal_user("DEV@example.com")
            assert (made.is_admin, made.password_hash) == (False, "")
            assert (await store.operator_tokens.find(token)).email == "dev@example.com"
            assert await store.portal_users.create("DEV@EXAMPLE.COM") == made
            for email in ("nobody@example.com", "", "%", "dev@example.com\0"):
                with pytest.raises(ConfigurationError, match="There is no portal user"):
                    await operator_token(store, email, None)
                assert await store.portal_user(email) is None

    asyncio.run(scenario())


def test_writes_on_record(open_instance, definition, tmp_path: Path) -> None:
    """A write is recorded before it starts and again with its outcome, in the same audit as definition changes."""

    async def scenario() -> None:
        async with open_instance(tmp_path, **ADMIN) as instance:
            store, shop = instance.store, definition()
            await store.begin(shop, Secrets.new(), None, "me")
            await store.publish(shop.token)
            record = await store.record_write(shop.token, 1, "boss@example.com", "Data/Post Products: 2 to create")
            begun, published = await store.audit(shop.token)
            assert begun.changes == ("Data/Post Products: 2 to create",)
            await store.complete_record(record, ("Data/Post Products: 2 to create", "IDs 1-2"))
            done, still = await store.audit(shop.token)
            assert done.changes == ("Data/Post Products: 2 to create", "IDs 1-2")
            assert (done.actor, done.version, done.before, done.after) == ("boss@example.com", 1, None, None)
            assert abs(done.created - time.time() * 1000) < 60_000
            assert still == published

    asyncio.run(scenario())
