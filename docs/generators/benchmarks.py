"""The page of benchmarks, from the newest result that is kept in ``benchmarks/results``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.results import Result, newest
from benchmarks.tables import circumstances_text, sections

INTRO = """# Benchmarks

What the request paths cost, from the last result kept in `benchmarks/results/`. How it is measured, what a figure means
and what noise does to it: [the method](../../benchmarks/README.md). `make bench` measures anew.

"""

ABOUT = {
    "Requests": "All on one core. The floor is a plain ASGI function with the same SQL text, record encoder and\n"
    "pragmas and no checks; the tuned floor also opens its connections as the product does; FastAPI reads with a\n"
    "SQLAlchemy session. The product checks a bearer token, a rule with a property list, a rate limit and an IP list.\n"
    "CPU is the workers' processor time per request.\n",
    "Circumstances": "The product again: with two workers on the same core where there is no second one, among 10,000\n"
    "applications (calls to one of them, to 100 of them, and to all of them, most of which must be loaded first), and\n"
    "with a table of 5,000,000 rows. CPU / alone is the processor time per request by that of one worker with one\n"
    "application of 1,000 rows. The floor with 5,000,000 rows shows what such a table costs anybody: its pages\n"
    "lie all over a gigabyte of memory.\n",
    "Drivers": "Each beside a plain ASGI function with the same client library and statement.\n",
    "Targets": "Ratios of one run, medians over its turns.\n",
}


def page() -> str:
    """The newest result as tables."""
    result = newest()
    return INTRO + ("No result is kept.\n" if result is None else text(result))


def text(result: Result) -> str:
    """One result: where and with what, then its tables."""
    parts = [circumstances_text(result)]
    parts += [f"## {title}\n\n{ABOUT[title]}\n{table}" for title, table in sections(result)]
    return "\n".join(parts)
