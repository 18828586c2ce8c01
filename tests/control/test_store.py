"""The control store: two phases, optimistic versions, sequence, audit without secrets, wrapped secrets."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from base64 import b64encode
from pathlib import Path

import msgspec
import pytest

from apilane.control.records import StoredApplication
from apilane.control.secrets import MASK, Secrets, masked
from apilane.errors import ConfigurationError
from apilane.model.definition import EmailTemplate, IPPolicy, Mail
from apilane.security.tokens import new_token

WATCH = """
import asyncio, sys, time
from pathlib import Path
from apilane.control.store import ControlStore
from apilane.dispatch import freeze
from apilane.plugins import load_plugins
from apilane.settings import Settings

async def main():
    settings = Settings(data_dir=Path(sys.argv[1]), plugins=())
    store = await ControlStore.open(settings, freeze(load_plugins(settings), settings).drivers)
    mark, sequence = await store.mark(), await store.sequence()
    print("watching", flush=True)
    while True:
        await asyncio.sleep(settings.definition_poll_s)
        seen = await store.mark()
        if seen != mark:
            mark = seen
            sequence, tokens = await store.changes(sequence)
            if tokens:
                print(time.time(), *tokens, flush=True)
                return

asyncio.run(main())
"""


def test_two_phases(open_instance, definition, tmp_path: Path) -> None:
    """A pending change is invisible to readers of applications; after publishing they read all of it."""
    shop = definition(
        mail=Mail(server="smtp.example.com", port=587),
        ip_policy=IPPolicy(addresses=("203.0.113.7",)),
        reports=({"Title": "Sales", "Width": 6, "Series": [{"Filter": {"Value": 1.5}}]},),
        email_templates=(EmailTemplate(event="UserRegisterConfirmation"),),
        plugins={"x": {"Deep": [1, None, "é"]}},
    )
    secrets = Secrets.new()

    async def scenario() -> None:
        async with open_instance(tmp_path) as instance:
            store = instance.store
            assert await store.begin(shop, secrets, None, "me") == 1
            assert await store.application(shop.token) is None
            assert await store.applications() == []
            assert await store.pending_tokens() == [shop.token]
            pending = await store.pending(shop.token)
            assert (pending.definition, pending.secrets, pending.version, pending.actor) == (shop, secrets, 1, "me")
            published = await store.publish(shop.token)
            assert (published.definition, published.secrets, published.version) == (shop, secrets, 1)
            assert await store.pending_tokens() == []
            assert await store.applications() == [(shop.token, "Shop", 1)]
        async with open_instance(tmp_path) as instance:
            assert await instance.store.application(shop.token) == published

    asyncio.run(scenario())


def test_abandon(open_instance, definition, tmp_path: Path) -> None:
    """Abandoning a change keeps the last definition, writes no audit record and does not raise the sequence."""
    shop = definition()
    changed = msgspec.structs.replace(shop, online=False)

    async def scenario() -> None:
        async with open_instance(tmp_path) as instance:
            store = instance.store
            secrets = Secrets.new()
            await store.begin(shop, secrets, None, "me")
            first = await store.publish(shop.token)
            sequence = await store.sequence()
            await store.begin(changed, secrets, first, "me")
            await store.abandon(shop.token)
            await store.abandon(shop.token)
            assert (await store.application(shop.token)).definition == shop
            assert len(await store.audit(shop.token)) == 1
            assert await store.sequence() == sequence
            with pytest.raises(ConfigurationError, match="no pending change"):
                await store.publish(shop.token)
            assert await store.sequence() == sequence

    asyncio.run(scenario())


@pytest.mark.better("B-P7")
def test_optimistic_versions(open_instance, definition, tmp_path: Path) -> None:
    """A change based on an old version is refused, and so is a second change at the same time."""
    shop = definition()
    secrets = Secrets.new()

    async def scenario() -> None:
        async with open_instance(tmp_path) as instance:
            store = instance.store
            gone = StoredApplication(definition=shop, secrets=secrets, version=1)
            with pytest.raises(ConfigurationError, match="another apply"):
                await store.begin(shop, secrets, gone, "me")
            await store.begin(shop, secrets, None, "me")
            with pytest.raises(ConfigurationError, match="in progress"):
                await store.begin(shop, secrets, None, "you")
            first = await store.publish(shop.token)
            with pytest.raises(ConfigurationError, match="another apply"):
                await store.begin(shop, secrets, None, "you")
            assert await store.begin(shop, secrets, first, "you") == 2

    asyncio.run(scenario())


def test_find(open_instance, definition, tmp_path: Path) -> None:
    """``find`` matches names exactly and tokens in any form, and returns both applications of a shared name."""

    async def scenario() -> None:
        async with open_instance(tmp_path) as instance:
            store = instance.store
            made = [definition("Shop"), definition("Shop"), definition("Other")]
            for each in made:
                await store.begin(each, Secrets.new(), None, "me")
                await store.publish(each.token)
            assert {each.definition.token for each in await store.find("Shop")} == {made[0].token, made[1].token}
            assert await store.find("shop") == []
            assert [each.definition for each in await store.find(made[2].token.upper())] == [made[2]]
            assert await store.find(new_token()) == []

    asyncio.run(scenario())


def test_changes_since(open_instance, definition, tmp_path: Path) -> None:
    """Every publish raises the sequence; ``changes`` returns each changed application once."""

    async def scenario() -> None:
        async with open_instance(tmp_path) as instance:
            store = instance.store
            start = await store.sequence()
            first, second = definition("First"), definition("Second")
            for each in (first, second, first):
                await store.begin(each, Secrets.new(), await store.application(each.token), "me")
                await store.publish(each.token)
            sequence, tokens = await store.changes(start)
            assert sequence == await store.sequence() == start + 3
            assert tokens == [second.token, first.token]
            assert await store.changes(start + 2) == (start + 3, [first.token])
            assert await store.changes(sequence) == (sequence, [])

    asyncio.run(scenario())


def test_other_processes_see_a_change(open_instance, definition, tmp_path: Path) -> None:
    """Other processes see a publish through mark and changes within a second."""
    shop = definition()

    async def publish() -> float:
        async with open_instance(tmp_path) as instance:
            await instance.store.begin(shop, Secrets.new(), None, "me")
            await instance.store.publish(shop.token)
            return time.time()

    async def prepare() -> None:
        async with open_instance(tmp_path):
            pass

    asyncio.run(prepare())
    watchers = [
        subprocess.Popen([sys.executable, "-c", WATCH, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for watcher in watchers:
        assert watcher.stdout.readline() == "watching\n"
    published = asyncio.run(publish())
    for watcher in watchers:
        seen, token = watcher.communicate(timeout=10)[0].split()
        assert token == shop.token
        assert float(seen) - published < 1.0


def test_audit(open_instance, definition, tmp_path: Path) -> None:
    """Every publish is recorded with user, time, action, old and new definition; the newest comes first."""
    shop = definition()
    closed = msgspec.structs.replace(shop, online=False)

    async def scenario() -> None:
        async with open_instance(tmp_path) as instance:
            store = instance.store
            secrets = Secrets.new()
            await store.begin(shop, secrets, None, "first@example.com", ["added Application"])
            first = await store.publish(shop.token)
            lines = ["changed Application.Online: true -> false"]
            await store.begin(closed, secrets, first, "second@example.com", lines)
            await store.publish(shop.token)
            second, first = await store.audit(shop.token)
            assert (first.version, first.actor, first.before) == (1, "first@example.com", None)
            assert first.after == msgspec.json.decode(msgspec.json.encode(shop)) == second.before
            assert (second.version, second.actor) == (2, "second@example.com")
            assert second.changes == ("changed Application.Online: true -> false",)
            assert second.after["Online"] is False
            assert abs(second.created - time.time() * 1000) < 60_000
            assert await store.audit(shop.token, 1) == [second]
            assert await store.audit(new_token()) == []

    asyncio.run(scenario())


@pytest.mark.better("B-D1")
def test_no_secret_is_readable(open_instance, definition, tmp_path: Path) -> None:
    """No secret, old or new, is readable in the audit or in any file of the control store."""
    old = Secrets(
        encryption_key=b"E" * 32,
        token_key=b"T" * 32,
        connection_string="mysql://user:pa55word@host/db",
        mail_password="tiny",
        plugins={"x": "plugin-secret-value"},
    )
    new = msgspec.structs.replace(old, connection_string="mysql://user:another@host/db", mail_password=None)
    shop = definition(plugins={"x": {"Key": "plugin-secret-value", "Text": "before plugin-secret-value after"}})
    lines = [f"changed Application.ConnectionString: {old.connection_string} -> {new.connection_string}", "to tiny now"]
    shown = [
        "pa55word", "another@host", "tiny", "plugin-secret-value",
        b64encode(b"E" * 32).decode(), b64encode(b"T" * 32).decode(), "E" * 32, "T" * 32,
    ]  # fmt: skip

    async def scenario() -> None:
        async with open_instance(tmp_path) as instance:
            store = instance.store
            await store.begin(shop, old, None, "me", [f"added {old.mail_password}"])
            await store.publish(shop.token)
            await store.begin(shop, new, await store.application(shop.token), "me", lines)
            await store.publish(shop.token)
            records = await store.audit(shop.token)
            assert records[0].changes == (f"changed Application.ConnectionString: {MASK} -> {MASK}", f"to {MASK} now")
            assert records[0].after["Plugins"] == {"x": {"Key": MASK, "Text": f"before {MASK} after"}}
            assert (await store.application(shop.token)).secrets == new
        for text in shown:
            assert text not in repr(records)
            assert text not in repr(old)

    asyncio.run(scenario())
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("control.db*"))
    for text in set(shown) - {"plugin-secret-value", "tiny"}:  # the definition has one, random text may have the other
        assert text.encode() not in kept


def test_masking_short_and_nested_secrets() -> None:
    """A secret inside a longer one, or of one letter, is masked completely, and other words stay."""
    assert masked(["abcdefgh123", "a cat", {"a": "a"}], {"abcdefgh", "abcdefgh123", "a"}) == [
        MASK,
        f"{MASK} cat",
        {"a": MASK},
    ]
    assert masked(["a.b", "axb", 5, None, True], {"a.b"}) == [MASK, "axb", 5, None, True]
    assert masked({"x": [1]}, ()) == {"x": [1]}


@pytest.mark.better("B-D1")
def test_secrets_belong_to_their_application(open_instance, definition, tmp_path: Path) -> None:
    """A secrets column that was changed, or copied from another application, is refused with the application's name."""
    first, second = definition("First"), definition("Second")

    async def scenario() -> None:
        async with open_instance(tmp_path) as instance:
            for each in (first, second):
                await instance.store.begin(each, Secrets.new(), None, "me")
                await instance.store.publish(each.token)
        import apsw

        connection = apsw.Connection(str(tmp_path / "control.db"))
        connection.execute(
            'UPDATE "Applications" SET "Secrets" = (SELECT "Secrets" FROM "Applications" WHERE "Token" = ?) '
            'WHERE "Token" = ?',
            (first.token, second.token),
        )
        connection.close()
        async with open_instance(tmp_path) as instance:
            assert (await instance.store.application(first.token)).definition == first
            with pytest.raises(ConfigurationError, match=second.token):
                await instance.store.application(second.token)

    asyncio.run(scenario())
