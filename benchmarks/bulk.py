"""Import and export in bulk: records per second of one caller, and the memory that they add to a worker.

Alone, for any number of records: ``python -m benchmarks.bulk 1000000``.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx
import msgspec

from benchmarks.places import Place, make_place
from benchmarks.progress import say
from benchmarks.server import Server
from benchmarks.subject import PROPERTIES, book

RECORDS = 100_000
PART = 1000
EACH_S = 0.05
_encode_lines = msgspec.json.Encoder().encode_lines


def csv_parts(records: int) -> Iterator[bytes]:
    """The books as CSV, in parts."""
    yield (",".join(PROPERTIES) + "\n").encode()
    for start in range(0, records, PART):
        books = [book(number) for number in range(start, min(start + PART, records))]
        rows = (
            (str(value).lower() if value in (True, False) else str(value) for value in each.values()) for each in books
        )
        yield "".join(",".join(row) + "\n" for row in rows).encode()


def json_parts(records: int) -> Iterator[bytes]:
    """The books as JSON lines, in parts."""
    for start in range(0, records, PART):
        yield _encode_lines([book(number) for number in range(start, min(start + PART, records))])


class Watch:
    """The largest resident memory of a server's worker inside ``with``, in MB."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._ended = threading.Event()
        self.most_mb = server.resident_mb()

    def __enter__(self) -> Watch:
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(EACH_S):
            self.most_mb = max(self.most_mb, self._server.resident_mb())


def measure_bulk(place: Place, records: int = RECORDS) -> dict[str, list[float]]:
    """Imports and exports in both formats, and ``bulk_memory_mb``: what they add to a worker."""
    found: dict[str, list[float]] = {}
    with Server("product", place) as server:
        headers = {"x-application-token": place.application, "Authorization": f"Bearer {place.bearer}"}
        url = f"http://127.0.0.1:{server.port}/api/Data"
        with httpx.Client(headers=headers, timeout=600, trust_env=False) as http:
            for _ in range(200):
                http.get(f"{url}/GetByID?entity=Books&id=1")
            before = server.resident_mb()
            with Watch(server) as watch:
                for format, parts in (("csv", csv_parts), ("jsonl", json_parts)):
                    body = list(parts(records))
                    work = partial(_import, http, url, format, body, records)
                    found |= _measured(server, f"import_{format}", records, work)
                for format in ("csv", "jsonl"):
                    work = partial(_export, http, url, format, 2 * records)
                    found |= _measured(server, f"export_{format}", 2 * records, work)
            found["bulk_memory_mb"] = [round(watch.most_mb - before, 1)]
    say(", ".join(f"{name} {values[0]:,g}" for name, values in found.items()))
    return found


def _measured(server: Server, name: str, records: int, work: Callable[[], None]) -> dict[str, list[float]]:
    """Records per second, and processor time of the worker for each."""
    began, cpu_us = time.monotonic(), server.cpu_us()
    work()
    rate = records / (time.monotonic() - began)
    return {f"{name}_per_s": [round(rate)], f"{name}_cpu_us": [round((server.cpu_us() - cpu_us) / records, 2)]}


def _import(http: httpx.Client, url: str, format: str, body: list[bytes], records: int) -> None:
    answer = http.post(f"{url}/Import", params={"entity": "Drafts", "format": format}, content=iter(body))
    if answer.json().get("Stored") != records:
        raise SystemExit(f"the import failed: {answer.text[:300]}")


def _export(http: httpx.Client, url: str, format: str, records: int) -> None:
    lines = 0
    with http.stream("GET", f"{url}/Export", params={"entity": "Drafts", "format": format}) as answer:
        for chunk in answer.iter_raw():
            lines += chunk.count(b"\n")
    if lines != records + (format == "csv"):
        raise SystemExit(f"the export has {lines} lines of {records} records")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="apilane-bulk-") as folder:
        measure_bulk(make_place(Path(folder) / "data"), int(sys.argv[1]) if len(sys.argv) > 1 else RECORDS)
