"""``Idempotency-Key`` in two processes on a database server (docs/reference/protocol/wire-api.md section 4.8)."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from msgspec.structs import replace

from apilane.errors import ApilaneError
from apilane.instance import Instance
from apilane.services.idempotency import IdempotentRequest
from apilane.services.unit_writes import UnitWrite
from apilane.storage.protocol import Unit
from apilane.testing.client import Client, error_of
from apilane.testing.server import CHEAP_PASSWORDS, Server
from tests.http.conftest import PROVIDER
from tests.http.test_busy_database import HELD_S
from tests.http.test_idempotency import MANIFEST, send, total

pytestmark = pytest.mark.skipif(
    PROVIDER not in {"mysql", "postgresql"}, reason="on SQLite a lock on a file orders the processes"
)

KEY = "in-flight"
BODY = {"Amount": 5}
ANSWER = b"[77]"


async def carry_out(server: Server, token: str, user_id: int, steps: Callable[[], Unit[bytes]]) -> bytes | None:
    """Carry out the user's Post with the key in this process; its answer."""
    name = sha256(b"\n".join((f"user {user_id} ".encode(), b"post", KEY.encode()))).hexdigest()
    digest = sha256(b"payments\n" + json.dumps(BODY).encode()).hexdigest()
    instance = Instance(replace(server.settings, statement_timeout_s=2.0 * HELD_S))
    await instance.open(serve=False)
    try:
        application = await instance.applications.find(token)
        assert application is not None
        write = UnitWrite.of(application.session, steps, what=lambda: "a post", outcome=repr)
        return (await IdempotentRequest(application, name, digest).run(write, lambda answer: answer)).answer
    finally:
        await instance.close()


@contextmanager
def in_flight(server: Server, token: str, user_id: int) -> Iterator[threading.Event]:
    """This process carries out the user's Post with the key, until the event is set."""
    claimed, release = threading.Event(), threading.Event()

    def steps() -> Unit[bytes]:
        claimed.set()
        release.wait(HELD_S)
        return ANSWER
        yield

    thread = threading.Thread(target=lambda: asyncio.run(carry_out(server, token, user_id, steps)))
    thread.start()
    try:
        assert claimed.wait(HELD_S)
        yield release
    finally:
        release.set()
        thread.join()


def test_repeats_of_a_request_in_another_process(
    everything_lives_there: None, tmp_path: Path, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Repeats of a request that another process carries out wait for it, and then get 409 ERROR, each of them; when it
    has ended they get its answer.
    """

    def nothing() -> Unit[bytes]:
        yield from ()
        return ANSWER

    settings = {**CHEAP_PASSWORDS, "statement_timeout_s": 4}
    with Server(tmp_path / "data", workers=2, settings=settings) as server:
        member = Client(http, server.url, server.apply(MANIFEST)).signed_in("member")
        user_id = member.get("Account/UserData").json()["User"]["ID"]
        with in_flight(server, member.token, user_id) as release:
            with ThreadPoolExecutor(6) as pool:
                answers = list(pool.map(lambda _: send(member, KEY, BODY), range(6)))
            for refused in answers:
                assert refused.status_code == 409, refused.text
                assert error_of(refused).message.startswith("A request with this Idempotency-Key is still being")
            monkeypatch.setattr("apilane.services.idempotency.WAIT_S", 1)
            with pytest.raises(ApilaneError, match="still being carried out"):  # before its statement's 120 seconds
                asyncio.run(carry_out(server, member.token, user_id, nothing))
            with ThreadPoolExecutor(1) as pool:
                waiting = pool.submit(send, member, KEY, BODY)
                release.set()
                answered = waiting.result()
        for response in (answered, send(member, KEY, BODY)):
            assert (response.status_code, response.content) == (200, ANSWER)
            assert response.headers["Idempotency-Replayed"] == "true"
        assert total(member) == 0
