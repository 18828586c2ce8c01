"""Changes on a running server: every answer is completely of the old or of the new application."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import pytest

from apilane.control.folders import application_address
from apilane.control.store import ControlStore
from apilane.dispatch import Hooks
from apilane.security.encryption import Cipher
from apilane.services.application_tables import ApplicationTables
from apilane.services.capabilities import capabilities_of
from apilane.services.manifest_plans import plan_files
from apilane.testing.server import CHEAP_PASSWORDS, Server
from tests.changes.workshop import entity, manifest

NOTICED_WITHIN_S = 1.0
OPEN = [
    {"Entity": "Items", "Role": "ANONYMOUS", "Action": "get", "Properties": "*"},
    {"Entity": "Items", "Role": "ANONYMOUS", "Action": "post", "Properties": "*"},
]
AMOUNT = {"Name": "Amount", "Type": "Number", "DecimalPlaces": 3}
OLD = manifest(entity("Items", {"Name": "Title", "RenamedFrom": "Label", "Maximum": 50}, AMOUNT), Security=OPEN)
NEW = manifest(
    entity(
        "Items",
        {"Name": "Label", "RenamedFrom": "Title", "Maximum": 40},
        AMOUNT | {"DecimalPlaces": 1},
        {"Name": "Extra", "Type": "Number", "Required": True},
        Indexes=[{"Properties": ["Label"]}],
    ),
    Security=OPEN,
)


class Caller(Thread):
    """Calls until stopped; keeps the result of each call by its start time."""

    def __init__(self, call: Callable[[int], Any]) -> None:
        super().__init__(daemon=True)
        self._call = call
        self.stopping = Event()
        self.answers: list[tuple[float, float, Any]] = []
        """Start time, duration in seconds, answer."""

    def run(self) -> None:
        number = 0
        while not self.stopping.is_set():
            number += 1
            began = time.monotonic()
            answer = self._call(number)
            self.answers.append((began, time.monotonic() - began, answer))

    @property
    def worst_s(self) -> float:
        return max(took for _, took, _ in self.answers)


class Site:
    """A server and an application on it."""

    def __init__(self, server: Server, http: httpx.Client, folder: Path) -> None:
        self.server = server
        self._http = http
        self._folder = folder
        self.token = server.apply(OLD)

    def get(self, number: int) -> tuple[int, list[dict[str, Any]]]:
        """The first records."""
        parameters = {"appToken": self.token, "entity": "Items", "pageSize": "5", "pageIndex": "1"}
        answer = self._http.get(f"{self.server.url}/api/Data/Get", params=parameters)
        return answer.status_code, answer.json() if answer.status_code != 200 else answer.json()["Data"]

    def post(self, number: int) -> tuple[int, Any]:
        """Post a record that both applications accept; the old one has no Label, the new one no Title."""
        parameters = {"appToken": self.token, "entity": "Items"}
        text = f"posted {number}"
        body = {"Title": text, "Label": text, "Amount": 1.5, "Extra": number}
        answer = self._http.post(f"{self.server.url}/api/Data/Post", params=parameters, json=body)
        return answer.status_code, answer.json()

    def apply(self, document: dict[str, Any]) -> str:
        """Apply by the command line; returns its messages."""
        file = self._folder / "change.json"
        file.write_text(json.dumps(document))
        command = [str(Path(sys.executable).with_name("apilane")), "apply", str(file), "--yes"]
        done = subprocess.run(
            [*command, "--data-dir", str(self.server.data_dir)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    def fill(self, records: int) -> None:
        self.server.sql(
            self.token,
            'WITH RECURSIVE "n"(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM "n" WHERE i < ?) '
            'INSERT INTO "Items" ("Created", "Title", "Amount") SELECT 0, \'title \' || i, i * 0.5 FROM "n"',
            (records,),
        )

    @contextmanager
    def called(self, *calls: Callable[[int], Any]) -> Iterator[list[Caller]]:
        callers = [Caller(call) for call in calls]
        for caller in callers:
            caller.start()
        try:
            yield callers
        finally:
            for caller in callers:
                caller.stopping.set()
            for caller in callers:
                caller.join(60)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with (
        Server(tmp_path / "data", settings=CHEAP_PASSWORDS) as server,
        httpx.Client(trust_env=False, timeout=60) as http,
    ):
        yield Site(server, http, tmp_path)


def form(records: list[dict[str, Any]]) -> str:
    """The name of the application that made these records; all must be of the same one."""
    forms = {tuple(sorted(record)) for record in records}
    assert len(forms) == 1, records
    known = {("Amount", "Created", "ID", "Owner", "Title"): "old"}
    known[("Amount", "Created", "Extra", "ID", "Label", "Owner")] = "new"
    return known[forms.pop()]


def test_requests_go_on(site: Site) -> None:
    """While an application is changed back and forth, no call fails or sees half a change, and no value is lost."""
    site.fill(2000)
    settled: list[tuple[float, float, str]] = []
    with site.called(site.get, site.get, site.post) as callers:
        for _ in range(3):
            for name, document in (("new", NEW), ("old", OLD)):
                site.apply(document)
                known_at = time.monotonic() + NOTICED_WITHIN_S
                time.sleep(NOTICED_WITHIN_S + 0.3)
                settled.append((known_at, time.monotonic(), name))
    for caller in callers:
        assert {answer[0] for _, _, answer in caller.answers} == {200}, [a for a in caller.answers if a[2][0] != 200]
    for caller in callers[:2]:
        for began, took, (_, records) in caller.answers:
            seen = form(records)
            for known_at, until, name in settled:
                if known_at < began and began + took < until:
                    assert seen == name
    posts = [number for number, _ in enumerate(callers[2].answers, 1)]
    rows = site.server.sql(site.token, 'SELECT "Title" FROM "Items" WHERE "ID" > 2000 ORDER BY "ID"')
    assert [row[0] for row in rows] == [f"posted {number}" for number in posts]


def test_a_change_whose_maker_died(site: Site) -> None:
    """If an apply dies between the tables and their definition, the running server completes it on the next call."""
    site.fill(5)
    assert form(site.get(0)[1]) == "old"

    async def die_half_way(store: ControlStore, hooks: Hooks) -> None:
        files = [("new.json", json.dumps(NEW).encode())]
        (plan,) = await plan_files(files, store=store, capabilities=capabilities_of(hooks))
        (stored,) = await store.find(site.token)
        assert plan.migration is not None
        version = await store.begin(plan.after, stored.secrets, stored, "crashed operator")
        driver = hooks.drivers["SQLite"]
        address = application_address(site.server.data_dir, site.token, stored.secrets)
        tables = ApplicationTables(driver, address)
        cipher = Cipher(stored.secrets.encryption_key)
        ddl = driver.dialect.migrate(plan.migration)
        await tables.change(plan.migration, ddl, version, cipher=cipher, new=False, report=lambda *_: None)

    site.server.with_store(die_half_way)
    status, records = site.get(0)
    assert (status, form(records)) == (200, "new")
    assert site.post(1)[0] == 200

    async def audited(store: ControlStore, hooks: Hooks) -> str:
        return (await store.audit(site.token))[0].actor

    assert site.server.with_store(audited) == "crashed operator"


@pytest.mark.parametrize(
    "records", [pytest.param(50_000, id="50k"), pytest.param(1_000_000, id="1M", marks=pytest.mark.slow)]
)
def test_big_tables(site: Site, records: int) -> None:
    """Reads continue while a large table is rebuilt; writes wait and succeed or get an error; the command reports its
    steps."""
    site.fill(records)
    with site.called(site.get, site.post) as (reader, writer):
        time.sleep(0.5)
        began = time.monotonic()
        told = site.apply(NEW)
        took = time.monotonic() - began
        time.sleep(0.5)
    print(f"{records} records: apply {took:.1f} s, worst get {reader.worst_s:.3f} s, worst post {writer.worst_s:.1f} s")
    print(f"{len(reader.answers)} gets, {len(writer.answers)} posts\n{told}")
    assert re.search(r"Items holds [0-9,]+ records", told)
    assert "INSERT INTO" in told
    assert {answer[0] for _, _, answer in reader.answers} == {200}
    during = [each for each in reader.answers if began < each[0] < began + took]
    assert len(during) > 10
    assert max(taken for _, taken, _ in during) < 5
    stored = [answer for _, _, answer in writer.answers if answer[0] == 200]
    refused = [answer for _, _, answer in writer.answers if answer[0] != 200]
    assert {answer["Code"] for _, answer in refused} <= {"SERVICE_UNAVAILABLE"}
    assert stored
    query = 'SELECT count(*), sum("ID" <= ?), sum("Label" LIKE \'posted %\') FROM "Items"'
    assert site.server.sql(site.token, query, (records,)) == [(records + len(stored), records, len(stored))]
    query = 'SELECT count(*) FROM "Items" WHERE "ID" <= ? AND "Label" = \'title \' || "ID" AND "Amount" = "ID" * 0.5'
    assert site.server.sql(site.token, query, (records,)) == [(records,)]
