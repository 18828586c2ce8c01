"""``kill -9`` of a real server between a commit and the delivery, and of the process that leads."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from textwrap import dedent
from typing import Any

import httpx
import pytest

from apilane.testing.client import Client
from apilane.testing.server import CHEAP_PASSWORDS
from tests.faults.victim import Victim, wait_until

ROUNDS = 5
PLUGIN = """
import os
from pathlib import Path

from apilane.plugin import *

LOG, TICKS = Path(__file__).with_name("delivered.txt"), Path(__file__).with_name("ticks.txt")

def note(file, text):
    with file.open("a") as opened:
        opened.write(text + "\\n")

async def deliver(message, application):
    note(LOG, message.payload["Name"])

async def run(applications):
    note(TICKS, str(os.getpid()))

async def add(call):
    body = await call.json()
    async def work():
        await call.application.outbox.send("note", body)
        return 1
    return Write(run=work, what=lambda: "Notes/Add", outcome=str)

@hookimpl
def apilane_register_calls():
    return [WireCall(path="/api/Notes/Add", method="POST", action=add, access=Open(), body="json", audited=True)]

@hookimpl
def apilane_register_outbox_handlers():
    return [OutboxHandler(kind="note", deliver=deliver)]

@hookimpl
def apilane_register_jobs():
    return [Job(name="tick", every_s=0.05, run=run)]
"""
MANIFEST: dict[str, Any] = {"Apilane": 1, "Application": {"Name": "Notes"}, "Entities": []}


@pytest.fixture
def victim(tmp_path: Path) -> Victim:
    """A server with two workers and the plugin, not started yet."""
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "notes.py").write_text(dedent(PLUGIN))
    settings = {**CHEAP_PASSWORDS, "definition_poll_s": 0.05, "background_poll_s": 0.05, "plugins_dir": plugins}
    return Victim(tmp_path / "data", workers=2, settings=settings)


def lines(victim: Victim, name: str) -> list[str]:
    """The lines of a file that the plugin writes."""
    file = victim.data_dir.with_name("plugins") / name
    return file.read_text().splitlines() if file.exists() else []


def test_a_killed_server_loses_no_message(victim: Victim) -> None:
    """Every message whose call was answered is delivered after the restart, without another call; only messages that
    were being delivered may come twice."""
    chance, answered = random.Random(17), 0
    victim.start()
    token = victim.apply(MANIFEST)
    for _ in range(ROUNDS):
        with httpx.Client(trust_env=False, timeout=30) as http:
            client = Client(http, victim.url, token)
            for _ in range(chance.randint(5, 30)):
                assert client.post("Notes/Add", {"Name": f"n{answered}"}).status_code == 200
                answered += 1
        victim.kill(victim.pid, *victim.workers())
        # The claims of the killed processes last for the time that a handler may take; here they have ended.
        victim.sql(token, 'UPDATE "H_Outbox" SET "Due" = 0')
        victim.start()
    wait_until(lambda: len(set(lines(victim, "delivered.txt"))) == answered, "every message is delivered")
    wait_until(lambda: not victim.sql(token, 'SELECT "ID" FROM "H_Outbox"'), "the outbox is empty")
    victim.stop()
    found = Counter(lines(victim, "delivered.txt"))
    assert set(found) == {f"n{number}" for number in range(answered)}
    assert sum(found.values()) - answered <= ROUNDS * 2 * 4  # each of two workers delivers four at a time


def test_a_killed_leader_is_replaced(victim: Victim) -> None:
    """After the leading worker was killed, the jobs go on in another process."""
    victim.start()
    victim.apply(MANIFEST)
    for _ in range(3):
        wait_until(lambda: bool(lines(victim, "ticks.txt")), "a job has run")
        leader = lines(victim, "ticks.txt")[-1]
        victim.kill(int(leader))
        wait_until(lambda leader=leader: lines(victim, "ticks.txt")[-1] != leader, "another process runs the job")  # type: ignore[misc]
    victim.stop()
