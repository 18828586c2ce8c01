"""How writes of the same rows in different orders are answered: ``python -m tests.load.deadlocks``.

``array``: half of the clients put the rows in ascending order of ID, half in descending order. ``custom``: each client
changes the rows by a transaction of Custom operations, each with an UPDATE, in random order: the server cannot know
which rows they change. Another application of the same provider is read meanwhile. The script starts the database
servers, as the tests do. ``APILANE_TEST_MYSQL_URL`` and its like name servers that run already.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx

import apilane_mysql.provision
import apilane_postgresql.provision
from apilane.testing.databases import SharedServers
from apilane.testing.server import CHEAP_PASSWORDS, Server

PROVIDERS = {"postgresql": "PostgreSQL", "mariadb": "MySQL", "mysql": "MySQL"}


class Shape(NamedTuple):
    """What the clients do. ``calls``: of each client."""

    kind: str
    clients: int
    rows: int
    calls: int


SHAPES = (Shape("array", 8, 2, 24), Shape("array", 32, 10, 6), Shape("custom", 16, 3, 10), Shape("custom", 48, 6, 5))
PATIENCE_S = 75.0
"""How long the script waits for an answer."""


class Storm(NamedTuple):
    """The answers: how many of each kind, the slowest ones in seconds, and the seconds of the whole."""

    answers: Counter[str]
    slowest_s: float
    neighbour_slowest_s: float
    neighbour_errors: int
    seconds: float
    without_advice: int
    """Answers SERVICE_UNAVAILABLE without Retry-After."""
    lost: int
    """Custom operations that were answered with success, and are missing in the sum of the rows."""

    def __str__(self) -> str:
        answers = ", ".join(f"{count} {kind}" for kind, count in sorted(self.answers.items()))
        return (
            f"{self.seconds:5.1f} s in all; slowest {self.slowest_s:4.1f} s; {answers}; {self.without_advice} without "
            f"Retry-After; {self.lost} lost; neighbour: slowest {self.neighbour_slowest_s:.1f} s, "
            f"{self.neighbour_errors} errors"
        )


def fresh_address(kind: str, url: str) -> str:
    """The connection string of a new database on a server."""
    if kind == "postgresql":
        return asyncio.run(apilane_postgresql.provision.fresh_database(url))
    return apilane_mysql.provision.fresh_database(url)


def manifest(name: str, kind: str, address: str) -> dict[str, Any]:
    """An application whose ``Rows`` any caller may read and change."""
    quote = '"' if kind == "postgresql" else "`"
    query = "UPDATE 'Rows' SET 'Number' = 'Number' + 1 WHERE 'ID' = {Row}".replace("'", quote)
    return {
        "Apilane": 1,
        "Application": {"Name": name, "StorageProvider": PROVIDERS[kind], "ConnectionString": address},
        "Entities": [{"Name": "Rows", "Properties": [{"Name": "Number", "Type": "Number"}]}],
        "CustomEndpoints": [{"Name": "Add", "Query": query}],
        "Security": [
            {"CustomEndpoint": "Add", "Role": "ANONYMOUS"},
            *(
                {"Entity": "Rows", "Role": "ANONYMOUS", "Action": action, "Properties": ["Number"]}
                for action in ("get", "post", "put", "delete")
            ),
        ],
    }


def _array(http: httpx.AsyncClient, ids: Sequence[int], client: int, call: int) -> Awaitable[httpx.Response]:
    order = ids if client % 2 else ids[::-1]
    body = [{"ID": id, "Number": client * 1000 + call} for id in order]
    return http.put("Data/Put?entity=Rows", json=body)


def _custom(http: httpx.AsyncClient, ids: Sequence[int], _client: int, _call: int) -> Awaitable[httpx.Response]:
    order = random.sample(ids, len(ids))
    operations = [{"Action": "Custom", "Entity": "Add", "Data": {"Row": id}} for id in order]
    return http.post("Data/TransactionOperations", json={"Operations": operations})


CALLS: dict[str, Callable[[httpx.AsyncClient, Sequence[int], int, int], Awaitable[httpx.Response]]] = {
    "array": _array,
    "custom": _custom,
}


class _Neighbour:
    """Reads of another application, one after another."""

    def __init__(self, http: httpx.AsyncClient, token: str) -> None:
        self._http = http
        self._headers = {"x-application-token": token}
        self.slowest_s = 0.0
        self.errors = 0

    async def read(self) -> None:
        while True:
            began = time.monotonic()
            try:
                found = await self._http.get("Data/Get?entity=Rows", headers=self._headers)
                self.errors += found.status_code != 200
            except httpx.TimeoutException:
                self.errors += 1
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)
            await asyncio.sleep(0.05)


async def _storm(url: str, token: str, neighbour_token: str, shape: Shape) -> Storm:
    answers: Counter[str] = Counter()
    slowest, without_advice = 0.0, 0
    limits = httpx.Limits(max_connections=None)
    async with (
        httpx.AsyncClient(
            base_url=f"{url}/api/",
            timeout=PATIENCE_S,
            limits=limits,
            trust_env=False,
            headers={"x-application-token": token},
        ) as http,
        httpx.AsyncClient(base_url=f"{url}/api/", timeout=PATIENCE_S, trust_env=False) as other_http,
    ):
        rows = [{"Number": 0}] * shape.rows
        ids = (await http.post("Data/Post?entity=Rows", json=rows)).raise_for_status().json()

        async def client(number: int) -> None:
            nonlocal slowest, without_advice
            for call in range(shape.calls):
                began = time.monotonic()
                try:
                    answer = await CALLS[shape.kind](http, ids, number, call)
                except httpx.TimeoutException:
                    answers["unanswered"] += 1
                else:
                    found = "ok" if answer.status_code == 200 else answer.json()["Code"]
                    answers[found] += 1
                    without_advice += found == "SERVICE_UNAVAILABLE" and "retry-after" not in answer.headers
                slowest = max(slowest, time.monotonic() - began)

        neighbour = _Neighbour(other_http, neighbour_token)
        reading = asyncio.create_task(neighbour.read())
        began = time.monotonic()
        await asyncio.gather(*(client(number) for number in range(shape.clients)))
        seconds = time.monotonic() - began
        reading.cancel()
        await asyncio.wait([reading])
        lost = 0
        if shape.kind == "custom":
            page = (await http.get("Data/Get?entity=Rows&pageSize=100")).json()["Data"]
            lost = answers["ok"] * shape.rows - int(sum(row["Number"] for row in page if row["ID"] in ids))
    return Storm(answers, slowest, neighbour.slowest_s, neighbour.errors, seconds, without_advice, lost)


def storm(kind: str, url: str, folder: Path, shape: Shape, settings: dict[str, object]) -> Storm:
    """Serve two applications with databases on the server at ``url``, and change the rows of one of them."""
    with Server(folder, settings={**CHEAP_PASSWORDS, **settings}) as server:
        token, neighbour = (server.apply(manifest(name, kind, fresh_address(kind, url))) for name in ("Storm", "Calm"))
        return asyncio.run(_storm(server.url, token, neighbour, shape))


def _set_deadlock_timeout(url: str, text: str) -> None:
    """For the connections that the account of the server opens from now on."""
    asyncio.run(apilane_postgresql.provision.execute(url, f"ALTER ROLE current_user SET deadlock_timeout = '{text}'"))


def main() -> None:
    """Print a line for each kind of server and each shape."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("kinds", nargs="*", default=["postgresql", "mariadb"], help=f"among {', '.join(PROVIDERS)}")
    parser.add_argument("--connections", type=int, default=40, help="the setting database_connections")
    parser.add_argument("--workers", type=int, default=1, help="the setting workers")
    parser.add_argument(
        "--deadlock-timeout", help="that of PostgreSQL, such as 1s, its default; the servers of the tests have 50ms"
    )
    chosen = parser.parse_args()
    settings: dict[str, object] = {"database_connections": chosen.connections, "workers": chosen.workers}
    with tempfile.TemporaryDirectory(prefix="apilane-load-") as folder, SharedServers(Path(folder)) as servers:
        Path(folder).chmod(0o755)
        for kind in chosen.kinds:
            url = servers.url(kind)
            if kind == "postgresql" and chosen.deadlock_timeout:
                _set_deadlock_timeout(url, chosen.deadlock_timeout)
            for shape in SHAPES:
                result = storm(kind, url, Path(folder) / f"{kind}-{shape.kind}-{shape.clients}", shape, settings)
                print(f"{kind:<10} {shape.kind:<6} {shape.clients:2} x {shape.rows:2}: {result}", flush=True)


if __name__ == "__main__":
    main()
