"""Several workers on one data folder: no write is lost, no call fails as busy, all workers see a change within a
second.
"""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from apilane.security.signatures import canonical_text, sign
from apilane.testing.client import PASSWORD, Client
from apilane.testing.server import CHEAP_PASSWORDS, Server

WRITES = 150
SEEN_WITHIN_S = 1.0
PROBES = 24
"""Calls over new connections, enough to reach every worker of the shared port."""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two workers with default settings except cheap passwords."""
    with Server(tmp_path_factory.mktemp("pair") / "data", workers=2, settings=CHEAP_PASSWORDS) as running:
        yield running


@pytest.fixture(scope="module")
def fresh() -> Iterator[httpx.Client]:
    """A client that opens a new connection for each request."""
    limits = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(trust_env=False, timeout=30, limits=limits) as client:
        yield client


@pytest.fixture(scope="module")
def client(pair: Server, fresh: httpx.Client, shop_manifest: dict[str, Any]) -> Client:
    """A shop on both workers where an editor may change categories."""
    rules = [
        {"Entity": "Categories", "Role": "editor", "Action": "put", "Properties": ["Title"]},
        {"Entity": "Users", "Role": "AUTHENTICATED", "Action": "put", "Properties": ["Roles"]},
    ]
    manifest = {**shop_manifest, "Security": shop_manifest["Security"] + rules}
    return Client(fresh, pair.url, pair.apply(manifest))


WRITER = """
import json, sys, httpx
from apilane.security.signatures import canonical_text, sign
from apilane.testing.client import PASSWORD, Client
url, token, user, name, count = sys.argv[1:]
ids, failures = [], []
with httpx.Client(trust_env=False, timeout=30) as http:
    client = Client(http, url, token, user)
    for number in range(int(count)):
        response = client.post("Data/Post", {"Title": f"{name} {number}"}, entity="Products")
        if response.status_code != 200:
            failures.append(response.text)
            continue
        (id,) = response.json()
        ids.append(id)
        change = client.put("Data/Put", {"ID": id, "Stock": number}, entity="Products")
        read = client.get("Data/GetByID", entity="Products", id=id, properties="Stock")
        if change.text != "1" or read.json() != {"ID": id, "Stock": number}:
            failures.append(change.text + read.text)
print(json.dumps([ids, failures]))
"""


@pytest.mark.better("B-D15")
def test_two_writers(pair: Server, client: Client) -> None:
    """Two processes write at once: every call succeeds, reads its own write, and every record exists once."""
    user = client.signed_in("writer").user or ""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, pair.url, client.token, user, name, str(WRITES)], stdout=subprocess.PIPE
        )
        for name in ("left", "right")
    ]
    answers = [json.loads(writer.communicate(timeout=60)[0]) for writer in writers]
    assert [failures for _, failures in answers] == [[], []]
    ids = [id for found, _ in answers for id in found]
    assert len(set(ids)) == 2 * WRITES
    stored = pair.sql(client.token, 'SELECT "Title", "Stock" FROM "Products"')
    assert sorted(stored) == sorted((f"{name} {n}", n) for name in ("left", "right") for n in range(WRITES))
    kept = pair.sql(client.token, """SELECT COUNT(*) FROM "H_Entity_Change_Tracking" WHERE "Entity" = 'Products'""")
    assert kept == [(2 * WRITES,)]


def _workers(pair: Server) -> set[int]:
    """The processes of this server, found by its data folder in their environment."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"APILANE_DATA_DIR={pair.data_dir}\0".encode() in status.read_bytes():
                found.add(int(status.parent.name))
        except OSError:
            continue
    return found


def test_there_are_two_workers(pair: Server) -> None:
    """The server runs two workers and a main process."""
    assert len(_workers(pair)) >= 3


def _everywhere(ask: Callable[[], bool]) -> float:
    """Seconds until ``PROBES`` consecutive connections agree; AssertionError when they do not in time."""
    started = time.monotonic()
    agreed_at = started
    agreeing = 0
    while agreeing < PROBES:
        if ask():
            agreeing += 1
            if agreeing == 1:
                agreed_at = time.monotonic()
        else:
            agreeing = 0
            assert time.monotonic() - started < 5, "not seen by every worker"
    return agreed_at - started


def _use_everywhere(ask: Callable[[], bool]) -> None:
    """Make every worker cache the answer."""
    assert all(ask() for _ in range(PROBES))


@pytest.mark.better("B-S9")
def test_revoked_token(client: Client) -> None:
    """A token that was logged out is invalid in every worker within a second."""
    user = client.signed_in("revoked")
    _use_everywhere(lambda: not user.is_anonymous())
    assert user.get("Account/Logout").text == "1"
    assert _everywhere(user.is_anonymous) < SEEN_WITHIN_S + 0.1


@pytest.mark.better("B-S9")
def test_changed_roles(client: Client) -> None:
    """Added and removed roles apply in every worker within a second."""
    user = client.signed_in("changing")
    id = user.get("Account/UserData").json()["User"]["ID"]
    (category,) = user.add("Categories", {"Title": "x"})

    def may_edit() -> bool:
        return user.put("Data/Put", {"ID": category, "Title": "y"}, entity="Categories").status_code == 200

    _use_everywhere(lambda: not may_edit())
    assert user.change("Users", {"ID": id, "Roles": "editor"}) == 1
    assert _everywhere(may_edit) < SEEN_WITHIN_S + 0.1
    assert user.change("Users", {"ID": id, "Roles": None}) == 1
    assert _everywhere(lambda: not may_edit()) < SEEN_WITHIN_S + 0.1


def test_apply(pair: Server, client: Client, shop_manifest: dict[str, Any], fresh: httpx.Client) -> None:
    """A changed definition is served by every worker within a second, and calls in between do not fail."""
    manifest = json.loads(json.dumps(shop_manifest))
    manifest["Application"]["Name"] = "Changing"
    token = pair.apply(manifest)
    changing = Client(fresh, pair.url, token)
    user = changing.signed_in("reader")
    user.add("Notes", {"Text": "x"})
    _use_everywhere(lambda: list(user.records("Notes")[0]) == ["ID", "Owner", "Created", "Text"])
    manifest["Entities"][-1]["Properties"].append({"Name": "Colour"})
    for rule in manifest["Security"]:
        if rule.get("Entity") == "Notes" and "Properties" in rule:
            rule["Properties"].append("Colour")
    started = time.monotonic()
    applied = multiprocessing.get_context("spawn").Process(
        target=_apply, args=(pair.data_dir, pair.environ, pair.placed(manifest))
    )
    applied.start()
    while applied.is_alive():
        assert len(user.records("Notes")) == 1
    applied.join()
    assert applied.exitcode == 0
    assert time.monotonic() - started < 60
    assert _everywhere(lambda: "Colour" in user.records("Notes")[0]) < SEEN_WITHIN_S
    assert user.add("Notes", {"Text": "y", "Colour": "red"}) == [2]


def _apply(data_dir: Path, environ: dict[str, str], manifest: dict[str, Any]) -> None:
    """Do what ``apilane apply`` does, in another process."""
    file = data_dir.with_name("changing.json")
    file.write_text(json.dumps(manifest))
    command = [str(Path(sys.executable).with_name("apilane")), "apply", str(file), "--data-dir", str(data_dir)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environ)


def test_offline(pair: Server, client: Client, shop_manifest: dict[str, Any], fresh: httpx.Client) -> None:
    """An application that was taken offline is closed in every worker within a second."""
    manifest = {**shop_manifest, "Application": {**shop_manifest["Application"], "Name": "Closing"}}
    closing = Client(fresh, pair.url, pair.apply(manifest))

    def is_open() -> bool:
        return closing.get("Data/Get", entity="Categories").status_code == 200

    _use_everywhere(is_open)
    pair.apply({**manifest, "Application": {**manifest["Application"], "Online": False}})
    assert _everywhere(lambda: not is_open()) < SEEN_WITHIN_S


@pytest.mark.better("B-D15")
def test_registrations_race(pair: Server, client: Client) -> None:
    """Of concurrent registrations of one name in both workers exactly one succeeds."""
    from concurrent.futures import ThreadPoolExecutor

    def register(number: int) -> int:
        body = {"Email": f"race{number}@example.com", "Username": "Race", "Password": "Passw0rd-race"}
        return client.post("Account/Register", body).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(register, range(16))) == [200] + [400] * 15
    assert pair.sql(client.token, """SELECT COUNT(*) FROM "Users" WHERE "Username" = 'Race'""") == [(1,)]


@pytest.mark.better("B-S10")
def test_a_signed_change_works_once_on_all_workers(client: Client) -> None:
    """A repeated signed request is refused by every worker."""
    client.register("repeating")
    answer = client.post("Account/Login", {"Username": "repeating", "Password": PASSWORD}).json()
    target, body, now = "/api/Data/Post?entity=Notes", b'{"Text":"once"}', int(time.time() * 1000)
    text = canonical_text(answer["AuthTokenID"], "POST", target.encode(), now, body)
    headers = {
        "Content-Type": "application/json",
        "x-auth-keyid": str(answer["AuthTokenID"]),
        "x-auth-timestamp": str(now),
        "x-auth-signature": sign(answer["AuthToken"], text).decode(),
    }
    statuses = [client.send("POST", target, body, headers).status_code for _ in range(PROBES)]
    assert statuses == [200] + [401] * (PROBES - 1)
