"""The measurement: all servers run side by side and answer each case in turn, round after round.

Idle servers use no processor time, so compared servers are measured one after the other in turns of one second. Each
round starts every server again.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from benchmarks.cases import DRIVER_SERVERS, Case, script_of, write_signed
from benchmarks.clients import PROVIDERS
from benchmarks.load import Sample, run_load
from benchmarks.places import Place, copy_place, make_crowd, make_place, read_through
from benchmarks.plan import Plan
from benchmarks.progress import say
from benchmarks.server import Server
from benchmarks.subject import AGGREGATE_TARGET, BY_ID_TARGET, ENDPOINT_TARGET, PAGE_TARGET, ROWS, TOTAL_TARGET

Figures = dict[str, dict[str, list[Sample]]]
"""Samples, one per turn, by case and server."""

APPLICATIONS = 10_000
ROWS_OF_LARGE = 5_000_000

_KINDS = ("floor", "tuned floor", "litestar", "fastapi")


def make_places(plan: Plan, folder: Path) -> dict[str, Place]:
    """The data of each server; floor, frameworks and product share one folder, other variants have separate ones."""
    say("preparing the application with 1,000 books")
    base = make_place(folder / "base")
    makers: dict[str, Callable[[], Place]] = {
        "2 workers": lambda: copy_place(base, folder / "workers"),
        "crowd": lambda: make_crowd(base, folder / "crowd", APPLICATIONS),
        "5,000,000 rows": lambda: make_place(folder / "large", rows=ROWS_OF_LARGE),
    }
    made: dict[str, Place] = {}
    for server in plan.servers:
        kept = _place_of(server)
        if kept in makers and kept not in made:
            began = time.monotonic()
            made[kept] = makers[kept]()
            say(f"prepared: {kept} ({time.monotonic() - began:.0f} s)")
    return {server: made.get(_place_of(server), base) for server in [*plan.servers, "product"]}


def _place_of(server: str) -> str:
    return "crowd" if "10,000" in server else server.removeprefix("floor, ")


@contextlib.contextmanager
def _running(plan: Plan, places: Mapping[str, Place]) -> Iterator[dict[str, Server]]:
    """All servers of a round; variants of the product with the same data folder are one process."""
    with contextlib.ExitStack() as stack:
        servers: dict[str, Server] = {}
        shared: dict[Path, Server] = {}
        for name in plan.servers:
            place = places[name]
            if name in _KINDS or name.startswith("floor"):
                servers[name] = stack.enter_context(Server(name.partition(",")[0], place))
                continue
            if place.data_dir not in shared:
                workers = 2 if name == "2 workers" else 1
                shared[place.data_dir] = stack.enter_context(Server("product", place, workers=workers))
            servers[name] = shared[place.data_dir]
        yield servers


def measure(plan: Plan, places: Mapping[str, Place], folder: Path) -> Figures:
    """All rounds."""
    figures: Figures = {}
    for number in range(plan.rounds):
        with _running(plan, places) as servers:
            if number == 0:
                compare_answers(servers)
            for case in plan.cases:
                found = {name: servers[name] for name in case.servers if name in servers}
                measured = _measure_case(case, found, plan.seconds, folder)
                _record(figures, case.name, measured, f"round {number + 1}/{plan.rounds}")
    return figures


def _measure_case(case: Case, servers: Mapping[str, Server], turns: int, folder: Path) -> dict[str, list[Sample]]:
    """One second of warm-up per server, then turns of one second each."""
    scripts = {name: folder / f"case-{place}.lua" for place, name in enumerate(servers)}
    for name, server in servers.items():
        _warm(case, name, server, scripts[name])
    samples: dict[str, list[Sample]] = {name: [] for name in servers}
    for _ in range(turns):
        for name, server in servers.items():
            if case.is_signed(name):
                write_signed(server.place, scripts[name])
            samples[name].append(run_load(server, scripts[name], 1, case.connections))
    return samples


def _warm(case: Case, name: str, server: Server, script: Path) -> None:
    """Fill the caches of statements and applications."""
    if case.is_signed(name):
        write_signed(server.place, script)
    else:
        script.write_text(script_of(case, name, server.place))
    if server.place.rows > ROWS:
        read_through(server.place)
    if name == "100 of 10,000":
        for token in server.place.others[:100]:  # loading an application takes some ms
            server.fetch(f"{BY_ID_TARGET}1", application=token)
    run_load(server, script, 1, case.connections)


def _record(figures: Figures, case: str, measured: dict[str, list[Sample]], round_text: str) -> None:
    for name, samples in measured.items():
        figures.setdefault(case, {}).setdefault(name, []).extend(samples)
        rps, p50, p99, cpu = (
            statistics.median(sample[key] for sample in samples) for key in ("rps", "p50_ms", "p99_ms", "cpu_us")
        )
        say(f"{round_text}  {case:22} {name:18} {rps:8.0f}/s  p50 {p50:7.2f} ms  p99 {p99:7.2f} ms  {cpu:7.1f} us CPU")


def compare_answers(servers: Mapping[str, Server]) -> None:
    """Compared servers must return the same bytes. Raises SystemExit if they differ."""
    if "product" not in servers:
        return
    for name in ("floor", "tuned floor", "litestar"):
        for target in (f"{BY_ID_TARGET}7", PAGE_TARGET, TOTAL_TARGET, AGGREGATE_TARGET, f"{ENDPOINT_TARGET}7"):
            if name in servers and (one := servers[name].fetch(target)) != (other := servers["product"].fetch(target)):
                raise SystemExit(f"{name} and product differ at {target}:\n{one!r}\n{other!r}")


def measure_drivers(plan: Plan, folder: Path) -> Figures:
    """Each driver beside its floor; cases are named ``mysql: GetByID`` and so on."""
    figures: Figures = {}
    for driver, url in plan.drivers.items():
        cases = plan.driver_cases(driver)
        if not cases:
            continue
        say(f"preparing {driver}")
        place = make_place(folder / driver, provider=PROVIDERS[driver], url=url)
        second = copy_place(place, folder / f"{driver}-workers")
        environment = {"BENCH_DRIVER": driver, "BENCH_URL": url}
        for number in range(plan.rounds):
            with contextlib.ExitStack() as stack:
                servers = {}
                for name in DRIVER_SERVERS:
                    kind = "database floor" if name.startswith("floor") else "product"
                    workers = 2 if "2 workers" in name else 1
                    where = second if name == "2 workers" else place
                    server = Server(kind, where, workers=workers, environment=environment)
                    servers[name] = stack.enter_context(server)
                for case in cases:
                    measured = _measure_case(case, servers, plan.seconds, folder)
                    _record(figures, f"{driver}: {case.name}", measured, f"round {number + 1}/{plan.rounds}")
    return figures
