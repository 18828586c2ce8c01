"""How array Puts of the same rows in opposite orders are answered: ``python -m tests.load.deadlocks``.

Half of the clients put the rows in ascending order of ID, half in descending order. Other applications of the same
provider are read meanwhile. The script starts the database servers, as the tests do.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import httpx

import apilane_mysql.provision
import apilane_postgresql.provision
from apilane.testing.databases import SharedServers
from apilane.testing.server import CHEAP_PASSWORDS, Server

PROVIDERS = {"postgresql": "PostgreSQL", "mariadb": "MySQL", "mysql": "MySQL"}
SHAPES = ((8, 2, 24), (32, 10, 6))
"""Clients, rows of an array, and calls of each client."""
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

    def __str__(self) -> str:
        answers = ", ".join(f"{count} {kind}" for kind, count in sorted(self.answers.items()))
        return (
            f"{self.seconds:6.1f} s in all; slowest {self.slowest_s:5.1f} s; {answers}; neighbour: slowest "
            f"{self.neighbour_slowest_s:.1f} s, {self.neighbour_errors} errors"
        )


def fresh_address(kind: str, url: str) -> str:
    """The connection string of a new database on a server."""
    if kind == "postgresql":
        return asyncio.run(apilane_postgresql.provision.fresh_database(url))
    return apilane_mysql.provision.fresh_database(url)


def manifest(name: str, kind: str, address: str) -> dict[str, Any]:
    """An application whose ``Rows`` any caller may read and change."""
    return {
        "Apilane": 1,
        "Application": {"Name": name, "StorageProvider": PROVIDERS[kind], "ConnectionString": address},
        "Entities": [{"Name": "Rows", "Properties": [{"Name": "Number", "Type": "Number"}]}],
        "Security": [
            {"Entity": "Rows", "Role": "ANONYMOUS", "Action": action, "Properties": ["Number"]}
            for action in ("get", "post", "put", "delete")
        ],
    }


async def _storm(url: str, token: str, neighbour: str, *, clients: int, rows: int, calls: int) -> Storm:
    answers: Counter[str] = Counter()
    slowest, neighbour_times, neighbour_errors, without_advice = 0.0, [0.0], 0, 0
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=f"{url}/api/", timeout=PATIENCE_S, limits=limits, trust_env=False) as http:
        headers = {"x-application-token": token}
        path = "Data/Post?entity=Rows"
        ids = (await http.post(path, headers=headers, json=[{"Number": 0}] * rows)).raise_for_status().json()

        async def client(number: int) -> None:
            nonlocal slowest, without_advice
            order = ids if number % 2 else ids[::-1]
            for call in range(calls):
                began = time.monotonic()
                body = [{"ID": id, "Number": number * 1000 + call} for id in order]
                try:
                    answer = await http.put("Data/Put?entity=Rows", headers=headers, json=body)
                except httpx.TimeoutException:
                    answers["unanswered"] += 1
                else:
                    found = "ok" if answer.status_code == 200 else answer.json()["Code"]
                    answers[found] += 1
                    without_advice += found == "SERVICE_UNAVAILABLE" and "retry-after" not in answer.headers
                slowest = max(slowest, time.monotonic() - began)

        async def read_neighbour() -> None:
            nonlocal neighbour_errors
            while True:
                began = time.monotonic()
                try:
                    found = await http.get("Data/Get?entity=Rows", headers={"x-application-token": neighbour})
                    neighbour_errors += found.status_code != 200
                except httpx.TimeoutException:
                    neighbour_errors += 1
                neighbour_times.append(time.monotonic() - began)
                await asyncio.sleep(0.05)

        reading = asyncio.create_task(read_neighbour())
        began = time.monotonic()
        await asyncio.gather(*(client(number) for number in range(clients)))
        seconds = time.monotonic() - began
        reading.cancel()
        await asyncio.wait([reading])
    return Storm(answers, slowest, max(neighbour_times), neighbour_errors, seconds, without_advice)


def storm(
    kind: str, url: str, folder: Path, *, clients: int, rows: int, calls: int, settings: dict[str, object]
) -> Storm:
    """Serve two applications with databases on the server at ``url``, and put the rows of one of them."""
    with Server(folder, settings={**CHEAP_PASSWORDS, **settings}) as server:
        token, neighbour = (server.apply(manifest(name, kind, fresh_address(kind, url))) for name in ("Storm", "Calm"))
        return asyncio.run(_storm(server.url, token, neighbour, clients=clients, rows=rows, calls=calls))


def main() -> None:
    """Print a line for each kind of server and each shape."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("kinds", nargs="*", default=["postgresql", "mariadb"], help=f"among {', '.join(PROVIDERS)}")
    parser.add_argument("--connections", type=int, default=40, help="the setting database_connections")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="apilane-load-") as folder, SharedServers(Path(folder)) as servers:
        Path(folder).chmod(0o755)
        for kind in chosen.kinds:
            for clients, rows, calls in SHAPES:
                result = storm(
                    kind,
                    servers.url(kind),
                    Path(folder) / f"{kind}-{clients}",
                    clients=clients,
                    rows=rows,
                    calls=calls,
                    settings={"database_connections": chosen.connections},
                )
                print(f"{kind:<10} {clients:2} x {rows:2}: {result}", flush=True)


if __name__ == "__main__":
    main()
