"""A row that another connection holds: the answer on the wire (docs/reference/protocol/errors.md B-E7)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from apilane.instance import Instance
from apilane.sql.write import update_row
from apilane.storage.protocol import Result, Step
from apilane.testing.client import Client, error_of
from apilane.testing.server import CHEAP_PASSWORDS, Server
from tests.http.conftest import PROVIDER
from tests.manifests import with_new_token

HELD_S = 60
"""The other connection lets go when the test has its answers, and after this time at the latest."""


@contextmanager
def held(server: Server, token: str, entity: str, id: int) -> Iterator[None]:
    """Another process's transaction has changed the record and does not end."""
    holds, release = threading.Event(), threading.Event()

    async def hold() -> None:
        instance = Instance(replace(server.settings, statement_timeout_s=2.0 * HELD_S))
        await instance.open(serve=False)
        try:
            application = await instance.applications.find(token)
            assert application is not None
            statement = application.entities[entity.lower()].statement(update_row, ("Text",), (), None)

            def unit() -> Generator[Step, Result, None]:
                yield Step(statement, statement.parameters({"id": id, "new_Text": "held"}))
                holds.set()
                release.wait(HELD_S)

            await application.session.run(unit)
        finally:
            await instance.close()

    thread = threading.Thread(target=lambda: asyncio.run(hold()))
    thread.start()
    try:
        assert holds.wait(HELD_S)
        yield
    finally:
        release.set()
        thread.join()


@pytest.mark.skipif(PROVIDER not in {"mysql", "postgresql"}, reason="the others are measured by their drivers' tests")
@pytest.mark.better("B-E7")
def test_a_row_that_another_connection_holds(
    everything_lives_there: None, tmp_path: Path, http: httpx.Client, lab_manifest: dict[str, Any]
) -> None:
    """A write of a held row answers SERVICE_UNAVAILABLE with Retry-After, reads and other rows are served, and the same
    write succeeds afterwards.
    """
    with Server(tmp_path / "data", settings={**CHEAP_PASSWORDS, "statement_timeout_s": 4}) as server:
        lab = Client(http, server.url, server.apply(with_new_token(lab_manifest)))
        one, two = lab.add("Values", {"Text": "one"}, {"Text": "two"})
        with held(server, lab.token, "Values", one):
            for response in (
                lab.put("Data/Put", {"ID": one, "Text": "mine"}, entity="Values"),
                lab.put("Data/Put", [{"ID": one, "Text": "mine"}, {"ID": two, "Text": "mine"}], entity="Values"),
                lab.delete("Data/Delete", entity="Values", ids=one),
            ):
                assert error_of(response).code == "SERVICE_UNAVAILABLE"
                assert int(response.headers["Retry-After"]) >= 1
            assert lab.record("Values", one)["Text"] == "one"
            assert lab.change("Values", {"ID": two, "Text": "mine"}) == 1
        assert lab.change("Values", {"ID": one, "Text": "mine"}) == 1
        assert lab.record("Values", one)["Text"] == "mine"
