"""The targets, which a change must not miss. Ratios of one run, medians over its turns."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from benchmarks.cases import ALONE, EXPAND, LIMITED, OPEN, SIGNED, TRANSACTION
from benchmarks.results import Result, Verdict

AGAINST_FLOOR = {
    "GetByID": (0.55, 0.65),
    "page of 20": (0.65, 0.75),
    "page with total": (0.6, None),
    "aggregate": (0.8, None),
    "Post": (0.5, None),
    TRANSACTION: (0.5, None),
    "SQL endpoint": (0.45, None),
}
"""Least requests per second relative to the floor, and the desirable value."""
DRIVERS = {"GetByID": 0.65, "page of 20": 0.7, "aggregate": 0.8, "Post": 0.7, "SQL endpoint": 0.6}
"""The same on a database server, relative to a floor with the same client library."""
SIGNED_LEAST = 0.8
EXPAND_LEAST = 0.6
LIMITED_MOST = 1.15
WORKERS_MOST = 1.15
FLAT_MOST = 1.1
TAIL_MOST = 4.0
MEMORY_MOST_MB = 80.0
START_MOST_S = 1.0
BULK_MOST = {
    "export_csv_cpu_us": (10.0, "export of CSV: CPU us per record"),
    "export_jsonl_cpu_us": (10.0, "export of JSON lines: CPU us per record"),
    "import_csv_cpu_us": (60.0, "import of CSV: CPU us per record"),
    "import_jsonl_cpu_us": (60.0, "import of JSON lines: CPU us per record"),
    "bulk_memory_mb": (30.0, "MB that imports and exports add to a worker"),
}
"""10 us are 100,000 records per second of one core."""

FLAT = (
    ("GetByID", "one of 10,000", "one of 10,000 applications"),
    ("GetByID", "100 of 10,000", "100 of 10,000 applications"),
    ("GetByID", "5,000,000 rows", "5,000,000 rows"),
    ("page of 20", "5,000,000 rows", "5,000,000 rows"),
)


def judge(result: Result) -> list[Verdict]:
    """Every target whose figures were measured."""
    return [
        Verdict(name=name, kind=kind, limit=limit, measured=round(statistics.median(values), 3), aim=aim)
        for name, kind, limit, aim, values in _targets(result)
        if values
    ]


def _targets(result: Result) -> Iterator[tuple[str, str, float, float | None, list[float]]]:
    """Name, kind, limit, aim and the values of each turn."""
    for case, (limit, aim) in AGAINST_FLOOR.items():
        yield f"{case}: / floor", "least", limit, aim, result.ratios("rps", (case, "product"), (case, "floor"))
    signed = result.ratios("rps", (SIGNED, "product"), (SIGNED, "bearer token"))
    yield "signed GetByID: / GetByID by bearer token", "least", SIGNED_LEAST, None, signed
    expanded = result.ratios("rps", (EXPAND, "product"), (EXPAND, ALONE))
    yield "page with expand: / the page alone", "least", EXPAND_LEAST, None, expanded
    limited = result.ratios("cpu_us", (LIMITED, "product"), (LIMITED, OPEN))
    yield "page under a condition: CPU per request, / the page without it", "most", LIMITED_MOST, None, limited
    for case in ("GetByID", "page of 20", "Post"):
        cost = result.ratios("cpu_us", (case, "2 workers"), (case, "product"))
        yield f"{case}: CPU per request, 2 workers / 1", "most", WORKERS_MOST, None, cost
    for case, server, about in FLAT:
        cost = result.ratios("cpu_us", (case, server), (case, "product"))
        yield f"{case}: CPU per request, {about} / 1 application, 1,000 rows", "most", FLAT_MOST, None, cost
    for case in AGAINST_FLOOR:
        pairs = zip(result.values(case, "product", "p99_ms"), result.values(case, "product", "p50_ms"), strict=True)
        yield f"{case}: p99 / p50", "most", TAIL_MOST, None, [p99 / p50 for p99, p50 in pairs if p50]
    for case in result.figures:
        driver, _, name = case.partition(": ")
        if name in DRIVERS:
            ratios = result.ratios("rps", (case, "product"), (case, "floor"))
            yield f"{driver}: {name}: / floor", "least", DRIVERS[name], None, ratios
    memory = result.footprint.get("memory_mb", [])
    yield "MB of a worker after 10,000 reads", "most", MEMORY_MOST_MB, None, memory
    for key, (most, name) in BULK_MOST.items():
        yield name, "most", most, None, result.footprint.get(key, [])
    yield "seconds from start to first answer", "most", START_MOST_S, None, result.footprint.get("start_s", [])
