"""The floors: the least a server must do for the same answers, under the same granian on the same core.

``app``: a plain ASGI function with the product's own SQL text, record encoder and pragmas, and no checks at all.
``litestar_app``: an ordinary Litestar handler around the same calls, which is what a framework costs.
Both read where the data lies from ``BENCH_DATA_DIR`` and ``BENCH_APP``.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import apsw
import msgspec
from litestar import Litestar, Request, Response, get, post

from apilane.app import create_instance
from apilane.model.definition import SortKey
from apilane.model.filter import parse_filter
from apilane.runtime.identities import now_ms
from apilane.runtime.records import encode
from apilane.settings import Settings
from apilane.sql.filter import bind_filter
from apilane.sql.select import ReadShape
from apilane.sql.write import insert_row
from benchmarks.subject import FILTER, PROPERTIES

GROUP = 32
"""Rows a floor commit holds at the most; the load has as many connections."""


class Floor:
    """Statements and connections made once; every call is a method of a few lines."""

    def __init__(self) -> None:
        instance = create_instance(Settings(data_dir=Path(os.environ["BENCH_DATA_DIR"])))
        runtime = asyncio.new_event_loop().run_until_complete(_runtime(instance, os.environ["BENCH_APP"]))
        books = runtime.entities["books"]
        columns = ("ID", *PROPERTIES)
        by_id, self.make = books.by_id(columns, ())
        node = parse_filter(FILTER, books.entity, {name.lower() for name in PROPERTIES})
        assert node is not None
        shape, _ = bind_filter(node, runtime.dialect)
        page = books.read(ReadShape(columns, (), shape, (SortKey("Pages"),), True))
        insert = books.statement(insert_row, ("Created", "Owner", *PROPERTIES))
        self.by_id_sql, self.page_sql, self.insert_sql = by_id.text, page.text, insert.text
        self.insert_order = insert.order
        path = runtime.session.path
        self.reader, self.writer = apsw.Connection(path), apsw.Connection(path)
        for connection in (self.reader, self.writer):
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
                connection.execute(f"PRAGMA {pragma}").fetchall()
        self.decode = msgspec.json.Decoder().decode
        self.waiting: list[tuple[tuple[Any, ...], asyncio.Future[int]]] = []

    def get_by_id(self, query: bytes) -> bytes:
        """``query`` ends in the ID."""
        record_id = int(query.rpartition(b"=")[2])
        return encode(self.make(self.reader.execute(self.by_id_sql, (record_id,)).fetchall())[0])

    def get_page(self, query: bytes) -> bytes:
        rows = self.reader.execute(self.page_sql, (900, 20, 0)).fetchall()
        return b'{"Data":' + encode(self.make(rows)) + b"}"

    async def post(self, body: bytes) -> bytes:
        """Rows that wait in the same turn of the loop share one commit."""
        record = self.decode(body)
        record.update(Created=now_ms(), Owner=None)
        values = tuple([record[name] for name in self.insert_order])
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        if not self.waiting:
            loop.call_soon(self._commit)
        self.waiting.append((values, done))
        return b"[%d]" % await done

    def _commit(self) -> None:
        group, self.waiting = self.waiting[:GROUP], self.waiting[GROUP:]
        with self.writer:
            ids = []
            for values, _ in group:
                self.writer.execute(self.insert_sql, values)
                ids.append(self.writer.last_insert_rowid())
        for (_, done), record_id in zip(group, ids, strict=True):
            done.set_result(record_id)
        if self.waiting:
            asyncio.get_running_loop().call_soon(self._commit)


async def _runtime(instance: Any, token: str) -> Any:
    await instance.open()
    runtime = await instance.applications.find(token)
    await instance.close()
    return runtime


async def _body(receive: Callable[[], Awaitable[dict[str, Any]]]) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


def make_app() -> Any:
    """The plain ASGI function."""
    floor = Floor()
    headers = [(b"content-type", b"application/json; charset=utf-8")]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            return
        path = scope["path"]
        if path == "/api/Data/GetByID":
            answer = floor.get_by_id(scope["query_string"])
        elif path == "/api/Data/Get":
            answer = floor.get_page(scope["query_string"])
        elif path == "/api/Data/Post":
            answer = await floor.post(await _body(receive))
        else:
            answer = b"{}"
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    return app


def make_litestar_app() -> Any:
    """The same in ordinary Litestar handlers."""

    floor = Floor()

    def answer(body: bytes) -> Response[bytes]:
        return Response(body, media_type="application/json; charset=utf-8")

    @get("/api/Data/GetByID")
    async def by_id(id: int) -> Response[bytes]:
        return answer(floor.get_by_id(b"=%d" % id))

    @get("/api/Data/Get")
    async def page() -> Response[bytes]:
        return answer(floor.get_page(b""))

    @post("/api/Data/Post", status_code=200)
    async def store(request: Request[Any, Any, Any]) -> Response[bytes]:
        return answer(await floor.post(await request.body()))

    @get("/health/liveness")
    async def alive() -> dict[str, str]:
        return {}

    return Litestar([by_id, page, store, alive], openapi_config=None, logging_config=None)


def make_product_app() -> Any:
    """The product as it is."""
    from apilane.app import create_app

    return create_app(Settings(data_dir=Path(os.environ["BENCH_DATA_DIR"])))


MAKERS = {"floor": make_app, "litestar": make_litestar_app, "product": make_product_app}


def serve(name: str, port: int) -> None:
    """Run one of the three under granian until the process is ended."""
    from granian import Granian
    from granian.constants import Interfaces, Loops

    server = Granian(
        name, address="127.0.0.1", port=port, interface=Interfaces.ASGI, loop=Loops.uvloop, log_enabled=False
    )
    server.serve(target_loader=lambda _target: MAKERS[name]())


if __name__ == "__main__":
    import sys

    serve(sys.argv[1], int(sys.argv[2]))
