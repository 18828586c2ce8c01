"""Results as Markdown tables, for the terminal and for the page of the docs."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from benchmarks.results import Result

COMPARED = ("floor", "tuned floor", "litestar", "fastapi", "product")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with a head; empty without rows."""
    if not rows:
        return ""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _middle(values: Sequence[float], form: str) -> str:
    return format(statistics.median(values), form) if values else ""


def requests_table(result: Result) -> str:
    """The product beside its floors: requests per second, ratios, latency, processor time."""
    rows = []
    for case, servers in result.figures.items():
        if "product" not in servers or ":" in case:
            continue
        product = (case, "product")
        rows.append(
            [
                case,
                *(_middle(result.values(case, server, "rps"), ",.0f") for server in COMPARED),
                *(_middle(result.ratios("rps", product, (case, floor)), ".2f") for floor in COMPARED[:2]),
                _middle(result.values(*product, "p50_ms"), ".2f"),
                _middle(result.values(*product, "p99_ms"), ".2f"),
                _middle(result.values(*product, "cpu_us"), ".0f"),
            ]
        )
    servers = ["floor /s", "tuned floor /s", "Litestar /s", "FastAPI /s", "product /s"]
    return table(["case", *servers, "product / floor", "/ tuned floor", "p50 ms", "p99 ms", "CPU us"], rows)


def circumstances_table(result: Result) -> str:
    """The product in other circumstances: cost of a request relative to the normal case; the same for its floor."""
    rows = []
    for case, servers in result.figures.items():
        for server in servers:
            if server in COMPARED or ":" in case:
                continue
            alone = "floor" if server.startswith("floor") else "product"
            cost = result.ratios("cpu_us", (case, server), (case, alone))
            keys = (("rps", ",.0f"), ("p50_ms", ".2f"), ("p99_ms", ".2f"), ("cpu_us", ".0f"))
            row = [_middle(result.values(case, server, key), form) for key, form in keys]
            rows.append([case, _circumstance(server), *row, _middle(cost, ".2f")])
    return table(["case", "circumstance", "requests /s", "p50 ms", "p99 ms", "CPU us", "CPU / alone"], rows)


def _circumstance(server: str) -> str:
    return f"{server} applications" if server.endswith("10,000") else server


def drivers_table(result: Result) -> str:
    """Each driver beside its own floor."""
    rows = []
    for case, servers in result.figures.items():
        if ":" not in case:
            continue
        for product, floor, workers in (("product", "floor", "1"), ("2 workers", "floor, 2 workers", "2")):
            if product in servers:
                ratio = result.ratios("rps", (case, product), (case, floor))
                keys = ((floor, "rps", ",.0f"), (product, "rps", ",.0f"))
                both = [_middle(result.values(case, server, key), form) for server, key, form in keys]
                latency = [_middle(result.values(case, product, key), ".2f") for key in ("p50_ms", "p99_ms")]
                cost = _middle(result.values(case, product, "cpu_us"), ".0f")
                rows.append([*case.split(": "), workers, *both, _middle(ratio, ".2f"), *latency, cost])
    head = ["driver", "case", "workers", "floor /s", "product /s", "product / floor", "p50 ms", "p99 ms", "CPU us"]
    return table(head, rows)


def targets_table(result: Result) -> str:
    """The targets and the measured values."""
    rows = []
    for target in result.targets:
        asked = f"{'≥' if target.kind == 'least' else '≤'} {target.limit:g}"
        aim = f" (aim {target.aim:g})" if target.aim else ""
        rows.append([target.name, asked + aim, f"{target.measured:.2f}", "met" if target.met else "**missed**"])
    return table(["target", "asked", "measured", ""], rows)


def circumstances_text(result: Result) -> str:
    """Machine, versions and method in a few lines."""
    machine, method = result.machine, result.method
    packages = ", ".join(f"{name} {number}" for name, number in result.versions.items())
    return (
        f"{result.date[:10]}, commit `{result.commit}`; {machine['cpu']}, {machine['cores']} cores, "
        f"{machine['memory_gib']:g} GiB, {machine['kernel']}, load {machine['load']:g} before the run; "
        f"Python {machine['python']}; {packages}. {method['rounds']} rounds of {method['seconds']} turns of 1 s, "
        f"{method['connections']} connections.\n"
    )


def sections(result: Result) -> Iterator[tuple[str, str]]:
    """Title and text of each table that is not empty."""
    titled = {
        "Requests": requests_table(result),
        "Circumstances": circumstances_table(result),
        "Drivers": drivers_table(result),
        "Targets": targets_table(result),
    }
    return ((title, text) for title, text in titled.items() if text)
