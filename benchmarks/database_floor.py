"""The floor on a database server: a plain ASGI function, the client library, the product's statements, no checks."""

from __future__ import annotations

import os
import re
from decimal import Decimal
from typing import Any

import msgspec

from apilane.model.json import encode_json
from apilane.runtime.identities import now_ms
from apilane.sql.write import insert_row
from benchmarks.clients import Pool, client_of
from benchmarks.floor import aggregate_of, load_runtime, page_statements, read_body
from benchmarks.subject import ENDPOINT_COLUMNS, ENDPOINT_QUERIES, ENDPOINT_QUERY, LEAST_PAGES, PROPERTIES


def make_app() -> Any:
    """Point read, page of 20, aggregate, insert, endpoint. ``BENCH_DRIVER`` and ``BENCH_URL`` name the database."""
    runtime = load_runtime()
    books, drafts = runtime.entities["books"], runtime.entities["drafts"]
    by_id, make = books.by_id(("ID", *PROPERTIES), ())
    page, _ = page_statements(books)
    aggregate, make_figures = aggregate_of(books)
    insert = drafts.statement(insert_row, ("Created", "Owner", *PROPERTIES))
    pool = Pool(client_of(os.environ["BENCH_DRIVER"], by_id.text), os.environ["BENCH_URL"])
    decode = msgspec.json.Decoder(float_hook=Decimal if runtime.driver.features.exact_decimals else None).decode
    mark = re.search(r"\$1|%s|\?", by_id.text)
    provider = runtime.driver.name
    endpoint = ENDPOINT_QUERIES.get(provider, ENDPOINT_QUERY).replace("{BookID}", mark[0] if mark else "?")
    window = {"f0": LEAST_PAGES, "limit": 20, "offset": 0}
    headers = [(b"content-type", b"application/json; charset=utf-8")]

    async def get_by_id(record_id: int) -> bytes:
        return encode_json(make(await pool.rows(by_id.text, (record_id,)))[0])

    async def get_page() -> bytes:
        return b'{"Data":' + encode_json(make(await pool.rows(page.text, page.parameters(window)))) + b"}"

    async def get_aggregate() -> bytes:
        return encode_json(
            make_figures(await pool.rows(aggregate.text, aggregate.parameters({"limit": 20, "offset": 0})))
        )

    async def run_endpoint(book_id: int) -> bytes:
        rows = await pool.rows(endpoint, (book_id,))
        return encode_json([[dict(zip(ENDPOINT_COLUMNS, row, strict=True)) for row in rows]])

    async def post(body: bytes) -> bytes:
        record = decode(body)
        record.update(Created=now_ms(), Owner=None)
        return b"[%d]" % await pool.insert(insert.text, insert.parameters(record))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            return
        path = scope["path"]
        if path == "/api/Data/GetByID":
            answer = await get_by_id(int(scope["query_string"].rpartition(b"=")[2]))
        elif path == "/api/Data/Get":
            answer = await get_page()
        elif path == "/api/Stats/Aggregate":
            answer = await get_aggregate()
        elif path == "/api/Custom/BookByID":
            answer = await run_endpoint(int(scope["query_string"].rpartition(b"=")[2]))
        elif path == "/api/Data/Post":
            answer = await post(await read_body(receive))
        else:
            answer = b"{}"
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    return app
