"""The floor on SQLite: the least work for the same answers, and the plain ASGI function that does it.

It uses the product's SQL text, record encoder and pragmas, without any checks: no token, no rule, no limit. The tuned
floor also opens its connections as the product's driver does, so that only the pipeline makes the difference.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import apsw
import msgspec

from apilane.instance import open_instance
from apilane.model.definition import SortKey
from apilane.model.filter import parse_filter
from apilane.model.json import encode_json
from apilane.model.text import fold
from apilane.runtime.application import ApplicationRuntime, EntityRuntime
from apilane.runtime.identities import now_ms
from apilane.runtime.records import RecordMaker
from apilane.security.passwords import Passwords
from apilane.security.tokens import new_token, token_hash
from apilane.services.users import FOLDS
from apilane.settings import Settings
from apilane.sql.aggregate import AggregateShape
from apilane.sql.filter import bind_filter
from apilane.sql.select import ReadShape
from apilane.sql.statement import Statement
from apilane.sql.write import insert_row, select_where, update_row
from apilane_sqlite.connection import OPEN_FLAGS, read_in_place
from benchmarks.subject import ENDPOINT_QUERY, FILTER, GROUPS, LEAST_PAGES, MEASURES, PROPERTIES, PUT_PROPERTIES

GROUP = 32
"""The most writes of one commit; the load has as many connections."""

Receive = Callable[[], Awaitable[dict[str, Any]]]


def load_runtime() -> ApplicationRuntime:
    """The application named by ``BENCH_DATA_DIR`` and ``BENCH_APP``, for its statements and encoders."""

    async def find() -> ApplicationRuntime:
        async with open_instance(Settings(data_dir=Path(os.environ["BENCH_DATA_DIR"]))) as instance:
            runtime = await instance.applications.find(os.environ["BENCH_APP"])
        assert runtime is not None
        return runtime

    return asyncio.new_event_loop().run_until_complete(find())


def page_statements(books: EntityRuntime) -> tuple[Statement, Statement]:
    """The page of the benchmark and its count."""
    node = parse_filter(FILTER, books.entity, frozenset(name.lower() for name in PROPERTIES))
    assert node is not None
    shape, _ = bind_filter(node, books.dialect)
    return books.read(ReadShape(("ID", *PROPERTIES), (), shape, (SortKey("Pages"),), True)), books.count((), shape)


def aggregate_of(books: EntityRuntime) -> tuple[Statement, RecordMaker]:
    """The aggregate of the benchmark, and the maker of its objects."""
    statistics, readable = books.compiled.statistics, frozenset(name.lower() for name in PROPERTIES)
    measures, groups = statistics.measures(MEASURES, readable), statistics.groups(GROUPS, readable)
    return statistics.aggregates(AggregateShape(measures, groups)), statistics.maker(measures, groups)


class Floor:
    """Statements and connections are made once; every call is a short method. ``tuned``: see the module."""

    def __init__(self, *, tuned: bool = False) -> None:
        runtime = load_runtime()
        books, drafts, users, tokens = (runtime.entities[n] for n in ("books", "drafts", "users", "authtokens"))
        self.runtime = runtime
        self.by_id, self.make = books.by_id(("ID", *PROPERTIES), ())
        self.page, self.count = page_statements(books)
        self.aggregate, self.make_figures = aggregate_of(books)
        self.insert = drafts.statement(insert_row, ("Created", "Owner", *PROPERTIES))
        self.update = books.statement(update_row, tuple(PUT_PROPERTIES), (), None)
        self.user = users.statement(select_where, ("ID", "Password"), ((FOLDS["Email"], "wanted"),))
        self.insert_token = tokens.statement(insert_row, ("Token", "Owner", "Created", "H_Token_Hash"))
        self.endpoint_sql = ENDPOINT_QUERY.replace("{BookID}", "?")
        self.passwords = Passwords()
        path = runtime.session.path  # type: ignore[attr-defined]
        plain = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        self.reader, self.writer = (apsw.Connection(path, flags=OPEN_FLAGS if tuned else plain) for _ in range(2))
        for connection in (self.reader, self.writer):
            if tuned:
                connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
                read_in_place(connection, path, runtime.session._driver.mmap_mib)  # type: ignore[attr-defined]  # noqa: SLF001
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
                connection.execute(f"PRAGMA {pragma}").fetchall()
        self.decode = msgspec.json.Decoder().decode
        self.waiting: list[tuple[str, list[tuple[Any, ...]], asyncio.Future[list[int]]]] = []

    def get_by_id(self, record_id: int) -> bytes:
        return encode_json(self.make(self.reader.execute(self.by_id.text, (record_id,)).fetchall())[0])

    def get_page(self) -> bytes:
        rows = self.reader.execute(self.page.text, (LEAST_PAGES, 20, 0)).fetchall()
        return b'{"Data":' + encode_json(self.make(rows)) + b"}"

    def get_page_with_total(self) -> bytes:
        total: Any = self.reader.execute(self.count.text, (LEAST_PAGES,)).fetchall()[0][0]
        rows = self.reader.execute(self.page.text, (LEAST_PAGES, 20, 0)).fetchall()
        return b'{"Total":%d,"Data":' % total + encode_json(self.make(rows)) + b"}"

    def get_aggregate(self) -> bytes:
        return encode_json(self.make_figures(self.reader.execute(self.aggregate.text, (20, 0)).fetchall()))

    def run_endpoint(self, book_id: int) -> bytes:
        cursor = self.reader.execute(self.endpoint_sql, (book_id,))
        names = [column[0] for column in cursor.description]
        return encode_json([[dict(zip(names, row, strict=True)) for row in cursor.fetchall()]])

    async def post(self, body: bytes) -> bytes:
        return b"[%d]" % (await self._write(self.insert, [self._new(self.decode(body))]))[0]

    async def transact(self, body: bytes) -> bytes:
        """Store the records of all Post operations in one transaction."""
        operations = self.decode(body)["Operations"]
        ids = await self._write(self.insert, [self._new(operation["Data"]) for operation in operations])
        none = {"Affected": None, "Deleted": None, "CustomResult": None}
        results = [{"Action": "Post", "Entity": "Drafts", "Created": [record_id], **none} for record_id in ids]
        return encode_json({"Results": results})

    @staticmethod
    def _new(record: dict[str, Any]) -> dict[str, Any]:
        return {**record, "Created": now_ms(), "Owner": None}

    async def put(self, body: bytes) -> bytes:
        record = self.decode(body)
        values = {"id": record["ID"], **{f"new_{name}": record[name] for name in PUT_PROPERTIES}}
        await self._write(self.update, [values])
        return b"1"

    async def log_in(self, body: bytes) -> bytes:
        """Find the user, verify the password and store a token: the least work of any Login."""
        sent = self.decode(body)
        found: Any = self.reader.execute(self.user.text, (fold(sent["Email"]),)).fetchall()
        ((user_id, hashed),) = found
        assert (await self.passwords.verify(hashed, sent["Password"])).ok
        token, runtime = new_token(), self.runtime
        values = {
            "Token": runtime.cipher.encrypt(token),
            "Owner": user_id,
            "Created": now_ms(),
            "H_Token_Hash": token_hash(runtime.token_key, token),
        }
        await self._write(self.insert_token, [values])
        return json.dumps({"AuthToken": token}).encode()

    def _write(self, statement: Statement, rows: list[dict[str, Any]]) -> asyncio.Future[list[int]]:
        """The IDs of the rows, after they are committed; writes of the same loop iteration share one commit."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[list[int]] = loop.create_future()
        if not self.waiting:
            loop.call_soon(self._commit)
        self.waiting.append((statement.text, [tuple([row[name] for name in statement.order]) for row in rows], done))
        return done

    def _commit(self) -> None:
        group, self.waiting = self.waiting[:GROUP], self.waiting[GROUP:]
        with self.writer:
            written = []
            for text, rows, _ in group:
                ids = []
                for values in rows:
                    self.writer.execute(text, values)
                    ids.append(self.writer.last_insert_rowid())
                written.append(ids)
        for (_, _, done), ids in zip(group, written, strict=True):
            done.set_result(ids)
        if self.waiting:
            asyncio.get_running_loop().call_soon(self._commit)


async def read_body(receive: Receive) -> bytes:
    """The whole body of a request."""
    body = b""
    while True:
        message = await receive()
        part: bytes = message.get("body", b"")
        body += part
        if not message.get("more_body"):
            return body


def make_app(*, tuned: bool = False) -> Any:
    """The plain ASGI function."""
    floor = Floor(tuned=tuned)
    headers = [(b"content-type", b"application/json; charset=utf-8")]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            return
        path, query = scope["path"], scope["query_string"]
        if path == "/api/Data/GetByID":
            answer = floor.get_by_id(int(query.rpartition(b"=")[2]))
        elif path == "/api/Data/Get":
            answer = floor.get_page_with_total() if query.endswith(b"getTotal=true") else floor.get_page()
        elif path == "/api/Stats/Aggregate":
            answer = floor.get_aggregate()
        elif path == "/api/Data/Post":
            answer = await floor.post(await read_body(receive))
        elif path == "/api/Data/Put":
            answer = await floor.put(await read_body(receive))
        elif path == "/api/Data/TransactionOperations":
            answer = await floor.transact(await read_body(receive))
        elif path == "/api/Custom/BookByID":
            answer = floor.run_endpoint(int(query.rpartition(b"=")[2]))
        elif path == "/api/Account/Login":
            answer = await floor.log_in(await read_body(receive))
        else:
            answer = b"{}"
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    return app
