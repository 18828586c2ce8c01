"""The support matrix of the drivers, from the last run of their conformance suite (``make matrix``)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from generators.tables import table

RESULTS = Path(__file__).parents[2] / "tests" / "drivers" / "matrix.json"
INTRO = """# Support matrix

Every driver passes the same conformance suite (`apilane.testing.conformance`). This page shows the last run of the
suite on each provider; `make matrix` runs it again. `7 of 7`: seven tests of the group ran, and seven passed.

"""
FEATURES = """
## What differs

Flags of `apilane.plugin.storage.Features`. The suite tests each flag, both where it is set and where it is not.

"""
GAPS = """
## Known gaps

Tests that fail on a provider, with the reason. A known gap whose test passes makes the suite fail, so the list is
always current.

"""


def page() -> str:
    """Providers by groups of tests, then flags, then known gaps."""
    found: dict[str, dict[str, Any]] = json.loads(RESULTS.read_text(encoding="utf-8"))
    groups = sorted({group for each in found.values() for group in each["groups"]})
    flags = list(dict.fromkeys(flag for each in found.values() for flag in each["features"]))
    names = [f"{each['driver']} (`{name}`)" for name, each in found.items()]
    rows = [
        ("client library", *(each["version"] for each in found.values())),
        ("server", *("<br>".join(each.get("server", [])) for each in found.values())),
        *((group, *(_count(each["groups"].get(group)) for each in found.values())) for group in groups),
    ]
    differing = [(f"`{flag}`", *(_mark(each["features"].get(flag)) for each in found.values())) for flag in flags]
    gaps = [(each["driver"], f"`{test}`", why) for each in found.values() for test, why in each["gaps"].items()]
    skips = [(each["driver"], f"`{test}`", why) for each in found.values() for test, why in each["not_tested"].items()]
    return (
        INTRO
        + table(("", *names), rows)
        + FEATURES
        + table(("", *names), differing)
        + GAPS
        + (table(("driver", "test", "why"), gaps) if gaps else "None.\n")
        + "\n## Tests that do not apply\n\n"
        + (table(("driver", "test", "why"), skips) if skips else "Nothing.\n")
    )


def _count(group: dict[str, int] | None) -> str:
    if group is None:
        return ""
    ran = group["passed"] + group["failed"] + group["gaps"]
    return f"{group['passed']} of {ran}"


def _mark(flag: bool | None) -> str:
    return {True: "yes", False: "no", None: ""}[flag]
