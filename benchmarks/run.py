"""One command: the product beside its floors, on pinned cores. ``benchmarks/README.md`` explains the figures."""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import msgspec

from benchmarks import cases, results, rounds, tables, targets
from benchmarks.bulk import measure_bulk
from benchmarks.clients import PROVIDERS
from benchmarks.footprint import measure_footprint
from benchmarks.load import CONNECTIONS
from benchmarks.plan import Plan, names, select_cases
from benchmarks.progress import say

MOST_LOAD = 0.3
"""Load average of a quiet machine."""


def _driver(text: str) -> tuple[str, str]:
    name, _, url = text.partition("=")
    if name not in PROVIDERS or not url:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=URL with a name of {', '.join(PROVIDERS)}")
    return name, url


def _options(arguments: list[str] | None) -> argparse.Namespace:
    listed = ", ".join(case.name for case in cases.CASES)
    parser = argparse.ArgumentParser(
        description="Measure Apilane beside its floors and judge it by its targets. Exit code 1: a target is missed.",
        epilog=f"Cases: {listed}. Needs wrk, and fastapi for its case: pip install -e '.[bench]'.",
    )
    parser.add_argument("--quick", action="store_true", help="1 round of 1 second: about 2 minutes, no result file")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="how often all servers are started (5)")
    parser.add_argument(
        "--seconds", type=int, default=4, metavar="N", help="load of each server in a round, in turns of 1 s (4)"
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="TEXT",
        help="cases whose name, circumstance or driver contains this text ('page', '2 workers', 'mysql'), or "
        "'footprint' or 'bulk'; may be repeated",
    )
    parser.add_argument(
        "--driver",
        action="append",
        default=[],
        type=_driver,
        metavar="NAME=URL",
        help=f"also measure a database server; NAME is {', '.join(PROVIDERS)}, URL that of an empty database",
    )
    parser.add_argument("--folder", type=Path, metavar="DIR", help="folder for 3 GB of temporary data")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the result here, even a partial one")
    return parser.parse_args(arguments)


def _skipped() -> frozenset[str]:
    if importlib.util.find_spec("fastapi") is None:
        say("FastAPI is not installed and is left out; pip install -e '.[bench]'")
        return frozenset({"fastapi"})
    return frozenset()


def measure(options: argparse.Namespace) -> results.Result:
    """All selected figures and verdicts."""
    plan = Plan(
        cases=select_cases(options.only),
        rounds=1 if options.quick else options.rounds,
        seconds=1 if options.quick else options.seconds,
        only=tuple(options.only),
        drivers=dict(options.driver),
        skipped=_skipped(),
    )
    drivers = [driver for driver in plan.drivers if plan.driver_cases(driver)]
    separate = [each for each in ("footprint", "bulk") if not options.only or names(each, options.only)]
    if not plan.cases and not drivers and not separate:
        raise SystemExit(f"no case is named {' or '.join(options.only)}; --help lists them")
    machine = results.machine()
    if machine["load"] > MOST_LOAD:
        say(f"the load average is {machine['load']}: other processes distort the figures")
    footprint: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="apilane-bench-", dir=options.folder) as name:
        folder = Path(name)
        places = rounds.make_places(plan, folder)
        if "footprint" in separate:
            footprint = measure_footprint(places["product"], folder)
        if "bulk" in separate:
            footprint |= measure_bulk(places["product"])
        figures = rounds.measure(plan, places, folder)
        figures |= rounds.measure_drivers(plan, folder)
    result = results.Result(
        format=results.FORMAT,
        date=results.now(),
        commit=results.commit(),
        machine=machine,
        versions=results.versions(),
        method={"rounds": plan.rounds, "seconds": plan.seconds, "connections": CONNECTIONS},
        figures=figures,
        footprint=footprint,
        targets=[],
    )
    return msgspec.structs.replace(result, targets=targets.judge(result))


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write ``benchmarks/results/``; exit code 1 when a target is missed."""
    options = _options(arguments)
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk")
    result = measure(options)
    for title, text in tables.sections(result):
        print(f"\n{title}\n\n{text}", end="")
    is_whole = not options.quick and not options.only
    path = options.output
    if path is None and is_whole:
        path = results.FOLDER / f"{result.date[:10]}-{result.commit.rstrip('+')}.json"
    if path is not None:
        results.save_result(result, path)
        print(f"\nwritten: {path}")
    missed = [target.name for target in result.targets if not target.met]
    print(f"\n{len(result.targets) - len(missed)} of {len(result.targets)} targets met.")
    for target in missed:
        print(f"MISSED: {target}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
