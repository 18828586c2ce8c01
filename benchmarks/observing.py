"""The cost of metrics, logs and traces for one request: the same requests with and without them, in one process.

``python -m benchmarks.observing`` prints the figures and writes them to ``benchmarks/observing.json``, from which the
page of benchmarks takes them.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import statistics
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from apilane.logs import JsonFormatter, TextFormatter
from tests.budgets.subject import REQUESTS, Subject

KEPT = Path(__file__).with_name("observing.json")
ROUNDS, REPEATS = 60, 500
AWAY = "http://127.0.0.1:9/v1/traces"
"""No collector listens there, so the spans that do not fit into the queue are dropped."""
CIRCUMSTANCES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "metrics": {"plugin_settings": {"metrics": {"token": "benchmark-token-of-metrics"}}},
    "request IDs": {"request_ids": True},
    "access log, text": {"access_log": True, "log_format": "text"},
    "access log, JSON": {"access_log": True, "log_format": "json"},
    "traces, ratio 0.05": {"plugin_settings": {"otel": {"endpoint": AWAY, "sample_ratio": 0.05}}},
    "traces, ratio 1": {"plugin_settings": {"otel": {"endpoint": AWAY}}},
}
MEASURED = ("GetByID", "signed GetByID", "page")


def measure() -> dict[str, dict[str, float]]:
    """Microseconds of processor time of a request by name and circumstance.

    The first decile of rounds in which all take turns, because other work on the machine only adds.
    """
    forms = {"text": TextFormatter(), "json": JsonFormatter()}
    access, handler = logging.getLogger("apilane.access"), logging.FileHandler(os.devnull)  # formatted and written
    access.setLevel(logging.INFO)
    access.propagate = False
    access.handlers = [handler]
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        subjects = {name: Subject(Path(folder) / name, **settings) for name, settings in CIRCUMSTANCES.items()}
        figures = {}
        for request in MEASURED:
            taken: dict[str, list[float]] = {name: [] for name in subjects}
            for subject in subjects.values():
                subject.time_s(REQUESTS[request], REPEATS)
            for _ in range(ROUNDS):
                for name, subject in subjects.items():
                    handler.setFormatter(forms[CIRCUMSTANCES[name].get("log_format", "text")])
                    taken[name].append(subject.time_s(REQUESTS[request], REPEATS) / REPEATS * 1e6)
            figures[request] = {name: round(statistics.quantiles(times, n=10)[0], 2) for name, times in taken.items()}
            print(request, figures[request], flush=True)
        for subject in subjects.values():
            subject.close()
    return figures


def main() -> None:
    """Measure and keep the figures."""
    kept = {
        "date": datetime.now(tz=UTC).date().isoformat(),
        "python": platform.python_version(),
        "figures": measure(),
    }
    KEPT.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
