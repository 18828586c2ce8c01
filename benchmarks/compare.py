"""``python benchmarks/compare.py OLD NEW``: the changes of figures between two results, and which exceed the noise.

If a case has a floor, the ratio to it is compared, because it is the same on a slow day. Otherwise requests per second
and processor time are compared, which is valid only on the same machine.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.results import Result, load_result, noise

BEYOND = 2.0
"""How many times the noises of both results, added as squares, a change must exceed: 19 of 20 random changes do not."""


class Change(NamedTuple):
    """``change`` and ``noise`` are fractions: 0.05 is 5 %. ``is_better`` None: within the noise."""

    case: str
    figure: str
    old: float
    new: float
    change: float
    noise: float
    is_better: bool | None


def _figures(result: Result) -> Iterator[tuple[str, str, list[float], bool]]:
    """Case, figure, values of the turns, and whether more is better."""
    for case, servers in result.figures.items():
        for server in servers:
            if server.startswith("floor") or server in {"litestar", "fastapi"}:
                continue
            floor = "floor, 2 workers" if server == "2 workers" and ":" in case else "floor"
            if floor in servers and (server == "product" or ":" in case):
                yield case, f"{server} / floor", result.ratios("rps", (case, server), (case, floor)), True
            elif "product" in servers and server != "product":
                yield case, f"CPU, {server} / 1", result.ratios("cpu_us", (case, server), (case, "product")), False
            else:
                yield case, f"{server} /s", result.values(case, server, "rps"), True
            yield case, f"{server} p99 / p50", _tail(result, case, server), False
    for name, values in result.footprint.items():
        yield "footprint", name, values, False


def _tail(result: Result, case: str, server: str) -> list[float]:
    pairs = zip(result.values(case, server, "p99_ms"), result.values(case, server, "p50_ms"), strict=True)
    return [p99 / p50 for p99, p50 in pairs if p50]


def compare(old: Result, new: Result) -> list[Change]:
    """The changes of all figures that both results have."""
    before = {(case, figure): values for case, figure, values, _ in _figures(old)}
    changes = []
    for case, figure, values, more_is_better in _figures(new):
        earlier = before.get((case, figure))
        if not earlier or not values:
            continue
        was, now = statistics.median(earlier), statistics.median(values)
        change = now / was - 1
        blur = BEYOND * (noise(earlier) ** 2 + noise(values) ** 2) ** 0.5
        is_better = None if abs(change) <= blur else (change > 0) == more_is_better
        changes.append(Change(case, figure, was, now, change, blur, is_better))
    return changes


def text(changes: list[Change]) -> str:
    """The changes as a table for the terminal."""
    words = {None: "within the noise", True: "BETTER", False: "WORSE"}
    lines = [f"{'case':22} {'figure':26} {'old':>10} {'new':>10} {'change':>8} {'noise':>7}"]
    lines += [
        f"{each.case:22} {each.figure:26} {each.old:10.2f} {each.new:10.2f} {each.change:+8.1%} "
        f"{each.noise:7.1%}  {words[each.is_better]}"
        for each in changes
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Print the comparison; exit code 1 when a figure is worse beyond the noise."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("old", type=Path, metavar="OLD", help="the earlier result file")
    parser.add_argument("new", type=Path, metavar="NEW", help="the later result file")
    options = parser.parse_args(arguments)
    old, new = load_result(options.old), load_result(options.new)
    print(f"old: {old.commit} {old.date}\nnew: {new.commit} {new.date}")
    if old.machine["cpu"] != new.machine["cpu"] or old.method != new.method:
        print("Measured on other machines or by another method: ratios may be compared, other figures may not.")
    changes = compare(old, new)
    print(text(changes))
    return 1 if any(each.is_better is False for each in changes) else 0


if __name__ == "__main__":
    sys.exit(main())
