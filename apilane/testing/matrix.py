"""Writes the results of the conformance suite for each driver as JSON. The support matrix of the docs is made from it.

This is the pytest plugin of ``--matrix``. It counts tests and keeps their recorded properties (``record_property``).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

__all__ = ["MatrixWriter"]

_RECORDED = ("driver", "version", "server", "features")


class MatrixWriter:
    """Collects reports, from all processes of a run, and writes ``path`` at its end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._classes: dict[str, dict[str, Any]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test under the module of the suite that defines it."""
        suite = Path(report.location[0])
        if suite.parent.name != "conformance":
            return
        _, name, test = report.nodeid.split("::", 2)
        found = self._classes.setdefault(name, {"groups": {}, "gaps": {}, "not_tested": {}})
        found |= {key: value for key, value in report.user_properties if key in _RECORDED}
        if report.when != "call" and report.outcome == "passed":
            return
        group = found["groups"].setdefault(suite.stem, {"passed": 0, "failed": 0, "skipped": 0, "gaps": 0})
        if hasattr(report, "wasxfail"):
            group["gaps"] += 1
            found["gaps"][test.partition("[")[0]] = report.wasxfail.removeprefix("reason: ")
        else:
            group[report.outcome] += 1
            if report.outcome == "skipped" and isinstance(report.longrepr, tuple):
                found["not_tested"][test.partition("[")[0]] = report.longrepr[2].removeprefix("Skipped: ")

    def pytest_sessionfinish(self) -> None:
        """Write the results, sorted by the names of the test classes."""
        classes = {name: _sorted(found) for name, found in sorted(self._classes.items()) if "driver" in found}
        self._path.write_text(json.dumps(classes, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _sorted(found: dict[str, Any]) -> dict[str, Any]:
    """Sort the results, because tests run in any order."""
    parts = {key: dict(sorted(found[key].items())) for key in ("groups", "gaps", "not_tested")}
    return {**{key: found[key] for key in _RECORDED if key in found}, **parts}
