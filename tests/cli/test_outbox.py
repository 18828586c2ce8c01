"""``apilane outbox``: lists messages, and replays or drops the dead ones."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from apilane.events.claims import Claims
from apilane.instance import Instance, open_instance
from apilane.settings import load_settings

PLUGIN = """
from apilane.plugin import OutboxHandler, hookimpl

async def deliver(message, application):
    pass

@hookimpl
def apilane_register_outbox_handlers():
    return [OutboxHandler(kind="mail", deliver=deliver)]
"""
MANIFEST = {"Apilane": 1, "Application": {"Name": "Shop"}, "Entities": []}

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run ``apilane`` on a data folder with an application and a plugin; exit code and output."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "post.py").write_text(PLUGIN)
    (tmp_path / "shop.json").write_text(json.dumps(MANIFEST))

    def command(*arguments: object) -> tuple[int, str]:
        options = ["--data-dir", str(tmp_path / "data"), "--plugins-dir", str(tmp_path / "plugins")]
        line = [sys.executable, "-m", "apilane", *map(str, arguments), *options]
        done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)
        return done.returncode, done.stdout + done.stderr

    assert command("apply", tmp_path / "shop.json", "--yes")[0] == 0
    return command


def store(tmp_path: Path, *payloads: str) -> None:
    """Store these messages; those with the payload "bad" are given up."""

    async def work() -> None:
        settings = load_settings({"data_dir": str(tmp_path / "data"), "plugins_dir": str(tmp_path / "plugins")})
        async with open_instance(settings) as instance:
            outbox = (await _application(instance)).outbox
            claims = Claims(outbox)
            for payload in payloads:
                await outbox.send("mail", payload)
                if payload == "bad":
                    claim = await claims.take()
                    assert claim is not None
                    await claims.bury(claim, "no such address: Anna")

    asyncio.run(work())


async def _application(instance: Instance):  # type: ignore[no-untyped-def]
    (name,) = await instance.store.applications()
    return await instance.applications.find(name.token)


def test_nothing_to_list(run: Run) -> None:
    """Without messages the list has its head only, for one application and for all."""
    for arguments in (["outbox", "list"], ["outbox", "list", "Shop"]):
        code, text = run(*arguments)
        assert (code, text.split()[:2]) == (0, ["APPLICATION", "ID"])
        assert len(text.splitlines()) == 1


def test_messages_are_listed_replayed_and_dropped(run: Run, tmp_path: Path) -> None:
    """The list shows state and error of every message and no payload; only dead ones are replayed or dropped."""
    store(tmp_path, "bad", "bad", "bad", "waiting-payload")
    code, text = run("outbox", "list")
    assert code == 0
    assert [line.split()[1:4] for line in text.splitlines()[1:]] == [
        ["1", "mail", "dead"],
        ["2", "mail", "dead"],
        ["3", "mail", "dead"],
        ["4", "mail", "due"],
    ]
    assert text.count("no such address: Anna") == 3
    assert "waiting-payload" not in text
    code, text = run("outbox", "drop", "Shop", 4)
    assert (code, text.startswith("Error: Shop has no dead message 4; nothing was changed.")) == (1, True)
    assert run("outbox", "drop", "Shop", 1, 1) == (0, "1 message deleted.\n")
    assert run("outbox", "replay", "Shop", 2) == (0, "1 message will be delivered again.\n")
    _, text = run("outbox", "list", "Shop", "--dead")
    assert [line.split()[1] for line in text.splitlines()[1:]] == ["3"]
    assert run("outbox", "drop", "Shop", "--all") == (0, "1 message deleted.\n")
    assert run("outbox", "drop", "Shop", "--all") == (0, "0 messages deleted.\n")


@pytest.mark.parametrize("arguments", [["replay", "Shop"], ["drop", "Shop", "3", "--all"]])
def test_ids_or_all(run: Run, arguments: list[str]) -> None:
    """Neither IDs nor --all, or both of them, is refused with the two choices."""
    code, text = run("outbox", *arguments)
    assert (code, text.startswith("Error: Give the IDs of messages, or --all")) == (1, True)


def test_an_unknown_application(run: Run) -> None:
    """An unknown application is an error with the nearest name."""
    code, text = run("outbox", "list", "Shops")
    assert (code, text) == (1, "Error: There is no application Shops. Did you mean Shop?\n")
