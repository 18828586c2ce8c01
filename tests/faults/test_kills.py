"""``kill -9`` of workers and of the whole server at random moments while several callers write.

``APILANE_TEST_ROUNDS=1000 pytest -m slow tests/faults/test_kills.py`` runs more rounds than the usual 200.
``APILANE_TEST_SEED`` repeats the choices of a failed run, whose message names its seed.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

from apilane.testing.client import Client
from tests.faults.ledger import check
from tests.faults.model import MANIFEST
from tests.faults.victim import SETTINGS, Victim, wait_until
from tests.faults.writers import Writer

WRITERS = 4
WORKERS = 2
WORKER_ROUNDS = 3
"""Rounds that kill one worker, between two that kill the server: six failed workers in a minute end the server."""
EXPECTED_LINES = (
    "Apilane API: ",
    "Replacing a failed worker",
    "Workers running",
    "Unexpected exit",
)
HINT_OF_GRANIAN = "tcp_migrate_req"


class Campaign:
    """A server that is killed repeatedly, and its writers."""

    def __init__(self, server: Victim, client: Client, seed: int) -> None:
        self.server = server
        self.client = client
        self.chance = random.Random(seed)
        self.writers = [Writer(client.signed_in(f"writer{n}"), f"w{n}", seed) for n in range(WRITERS)]

    def round(self, number: int) -> None:
        """Write, kill, restart, and check that the data agrees with the answers."""
        whole = number % (WORKER_ROUNDS + 1) == WORKER_ROUNDS
        for writer in self.writers:
            writer.start()
        time.sleep(self.chance.uniform(0.1, 0.6))
        kill = self._kill_server if whole else self._kill_worker
        kill()
        time.sleep(self.chance.uniform(0.02, 0.1))
        for writer in self.writers:
            writer.stop()
        if whole:
            self.server.start()
        wait_until(self.server.answers, "the server answers")
        check(self.server, self.client.token, [writer.ledger for writer in self.writers])
        for writer in self.writers:
            assert all(writer.live_tokens()), f"{writer.ledger.name} was signed out"

    def _kill_worker(self) -> None:
        wait_until(lambda: len(self.server.workers()) == WORKERS, "failed workers are replaced")
        self.server.kill(self.chance.choice(self.server.workers()))

    def _kill_server(self) -> None:
        """Kill all processes one after the other, or only the parent, after which the workers end."""
        parent, workers = self.server.pid, self.server.workers()
        if self.chance.random() < 0.2:
            self.server.kill(parent)
            return
        processes = [parent, *workers]
        self.chance.shuffle(processes)
        self.server.kill(*processes)


@pytest.mark.parametrize("rounds", [pytest.param(6, id="6"), pytest.param(200, marks=pytest.mark.slow, id="many")])
def test_killed_at_any_moment(tmp_path: Path, http: httpx.Client, rounds: int) -> None:
    """Every acknowledged write is stored, no unit is partly stored, constraints hold, and the server works on."""
    if rounds > 6:
        rounds = int(os.environ.get("APILANE_TEST_ROUNDS", rounds))
    seed = int(os.environ.get("APILANE_TEST_SEED", random.randrange(2**32)))
    begun = time.monotonic()
    with Victim(tmp_path / "data", workers=WORKERS, settings=SETTINGS) as server:
        campaign = Campaign(server, Client(http, server.url, server.apply(MANIFEST)), seed)
        number = 0
        try:
            for number in range(rounds):
                campaign.round(number)
        except BaseException as error:
            error.add_note(f"APILANE_TEST_SEED={seed} (round {number + 1} of {rounds})\n{server.output()[-3000:]}")
            raise
        finally:
            for writer in campaign.writers:
                writer.close()
        lines = [line for line in server.output().splitlines() if not _is_expected(line)]
        assert not lines, lines[:10]
    done = sum((writer.ledger.done for writer in campaign.writers), start=Counter[str]())
    print(f"{rounds} rounds in {time.monotonic() - begun:.0f} s: {dict(done)}")
    assert done["unanswered"], "no kill interrupted a call"


def _is_expected(line: str) -> bool:
    return HINT_OF_GRANIAN in line or any(text in line for text in EXPECTED_LINES)
