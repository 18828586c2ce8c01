"""Calls that cannot be sent, and answers that are none: every failure of the client is an ApilaneError."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from datetime import datetime

import httpx
import pytest

import apilane.client
from apilane.client import Client, F
from tests.client.test_requests import APPLICATION, SCHEMA, URL, _result

UNSENDABLE: dict[str, Callable[[Client], object]] = {
    "long": lambda c: c.get("P", filter=F("Text") == "x" * 70_000),
    "surrogate in the query": lambda c: c.get("P", filter=F("Text") == "\ud800"),
    "surrogate in the body": lambda c: c.post("P", {"Text": "\ud800"}),
    "surrogate in a name": lambda c: c.custom("X", A="\ud800"),
    "no number": lambda c: c.post("P", {"Text": float("nan")}),
    "no JSON": lambda c: c.post("P", {"Text": {1, 2}}),
    "no time zone": lambda c: c.post("P", {"Text": datetime(2026, 1, 1)}),
}


@pytest.mark.parametrize("name", UNSENDABLE)
def test_calls_that_cannot_be_sent(name: str) -> None:
    """A call that cannot be sent is an InvalidRequest, without the query in its text, from both clients."""

    async def awaited() -> None:
        async with apilane.client.AsyncClient(URL, APPLICATION) as client:
            await UNSENDABLE[name](client)  # type: ignore[arg-type, misc]

    for run in (lambda: UNSENDABLE[name](Client(URL, APPLICATION)), lambda: asyncio.run(awaited())):
        with pytest.raises(apilane.client.InvalidRequest) as caught:
            run()
        assert isinstance(caught.value, apilane.client.ApilaneError)
        assert "xxx" not in str(caught.value)
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_an_application_token_that_is_no_header() -> None:
    """A token of other characters than ASCII is an InvalidRequest."""
    with pytest.raises(apilane.client.InvalidRequest):
        Client(URL, "\u00e9").get("P")


def test_an_answer_with_a_broken_encoding() -> None:
    """An answer that cannot be decompressed is an UnexpectedAnswer."""

    def broken(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(b"no gzip"))

    http = httpx.Client(transport=httpx.MockTransport(broken))
    with http, pytest.raises(apilane.client.UnexpectedAnswer, match="base_url"):
        Client(URL, APPLICATION, http=http).get("P")


@pytest.mark.parametrize("status", [414, 431])
def test_a_refused_length(status: int) -> None:
    """The empty answers 414 and 431 say what is too long."""
    with pytest.raises(apilane.client.UnexpectedAnswer, match="length of the URL"):
        _result(SCHEMA, status)
