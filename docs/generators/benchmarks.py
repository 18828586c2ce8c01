"""The page of benchmarks, from the newest result in ``benchmarks/results``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.results import Result, newest
from benchmarks.tables import circumstances_text, sections
from generators.tables import table

INTRO = """# Benchmarks

The cost of the request paths, from the newest result in `benchmarks/results/`. [The method](../../benchmarks/README.md)
explains how it is measured, what a figure means and how large the noise is. `make bench` measures again.

"""

ABOUT = {
    "Requests": "All on one core. The floor is a plain ASGI function with the same SQL text, record encoder and\n"
    "pragmas, and without checks. The tuned floor also opens its connections as the product does. FastAPI reads with\n"
    "a SQLAlchemy session. The product checks a bearer token, a rule with a property list, a rate limit and an IP\n"
    "list. CPU is the workers' processor time per request.\n",
    "Circumstances": "The product in other circumstances: two workers (on the same core if there is no second one);\n"
    "10,000 applications, with calls to one, to 100 and to all of them (most of these must be loaded first); a table\n"
    "of 5,000,000 rows. CPU / alone is the processor time per request, divided by that of one worker with one\n"
    "application of 1,000 rows. The floor with 5,000,000 rows shows the cost of the table without the product: its\n"
    "pages are spread over a gigabyte of memory.\n",
    "Drivers": "The floor is a plain ASGI function with the same client library and statement.\n",
    "Targets": "Each ratio compares two cases of the same run; a figure is the median over the turns.\n",
}


OBSERVING = """
## Metrics, logs and traces

Microseconds of processor time that observing adds to a request, measured in one process without the HTTP server by
`python -m benchmarks.observing` ({date}, Python {python}, on a machine with other work). Everything is off by default.
The server checks the headers that request IDs and traces add to an answer, which takes 2 us of their figure.

"""


def page() -> str:
    """The newest result as tables, and the cost of observing."""
    result = newest()
    return INTRO + ("No result is kept.\n" if result is None else text(result)) + observing()


def observing() -> str:
    """The cost of metrics, logs and traces, from ``benchmarks/observing.json``."""
    kept = json.loads((Path(__file__).parents[2] / "benchmarks" / "observing.json").read_text(encoding="utf-8"))
    figures: dict[str, dict[str, float]] = kept["figures"]
    names = [name for name in next(iter(figures.values())) if name != "nothing"]
    rows = [
        (request, f"{found['nothing']:.1f}", *(f"+{found[name] - found['nothing']:.1f}" for name in names))
        for request, found in figures.items()
    ]
    return OBSERVING.format(**kept) + table(("request", "without", *names), rows)


def text(result: Result) -> str:
    """One result: machine and versions, then its tables."""
    parts = [circumstances_text(result)]
    parts += [f"## {title}\n\n{ABOUT[title]}\n{table}" for title, table in sections(result)]
    return "\n".join(parts)
