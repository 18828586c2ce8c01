"""API tokens with four workers: a revocation is seen by all of them, and a rate limit is shared by them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from apilane.testing.client import Client
from apilane.testing.server import CHEAP_PASSWORDS, PATIENT, Server
from tests.http.programs import MANIFEST, Programs, status

SEEN_WITHIN_S = 1.0
PROBES = 48
"""Calls over new connections, enough to reach every worker."""


@pytest.fixture(scope="module")
def programs(everything_lives_there: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    limits = httpx.Limits(max_keepalive_connections=0)
    folder = tmp_path_factory.mktemp("four") / "data"
    with (
        Server(folder, workers=4, settings={**CHEAP_PASSWORDS, **PATIENT}) as server,
        httpx.Client(trust_env=False, timeout=30, limits=limits) as fresh,
    ):
        yield Programs(server, Client(fresh, server.url, server.apply(MANIFEST)))


def probe(program: Client) -> Counter[int]:
    """The statuses of many calls over new connections, some at the same time."""
    with ThreadPoolExecutor(4) as threads:
        return Counter(threads.map(lambda _: status(program), range(PROBES)))


@pytest.mark.parametrize("act", ["revoke", "suspend", "rotate"])
def test_every_worker_refuses_within_a_second(programs: Programs, act: str) -> None:
    """One second after a token is revoked, suspended or rotated in another process, no worker accepts its secret."""
    issued = programs.issue("read")
    program = programs.client.as_user(issued.secret)
    assert probe(program) == {200: PROBES}
    programs.manage(lambda tokens: getattr(tokens, act)(issued.row.id))
    time.sleep(SEEN_WITHIN_S)
    assert probe(program) == {401: PROBES}


def test_a_rate_limit_is_exact_among_workers(programs: Programs) -> None:
    """All workers together admit exactly the uses of the limit."""
    program = programs.program("read", rate_limit="10/hour")
    assert probe(program) == {200: 10, 400: PROBES - 10}
