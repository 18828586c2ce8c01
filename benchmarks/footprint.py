"""The memory of a worker, and the time from start to the first answer."""

from __future__ import annotations

from pathlib import Path

from benchmarks.cases import CASES, script_of
from benchmarks.load import run_load
from benchmarks.places import Place
from benchmarks.progress import say
from benchmarks.server import Server

READS_FOR_MEMORY = 10_000
STARTS = 5


def measure_footprint(place: Place, folder: Path) -> dict[str, list[float]]:
    """``start_s``: from ``apilane serve`` to the first record read; ``memory_mb``: of one worker after 10,000 reads."""
    starts = []
    for _ in range(STARTS):
        server = Server("product", place)
        try:
            starts.append(round(server.start(), 3))
        finally:
            server.stop()
    say(f"start to first answer: {sorted(starts)[STARTS // 2]:.2f} s")
    case = next(case for case in CASES if case.name == "GetByID")
    script = folder / "case.lua"
    script.write_text(script_of(case, "product", place))
    with Server("product", place) as server:
        read = 0.0
        while read < READS_FOR_MEMORY:
            read += run_load(server, script, 1)["rps"]
        memory = server.resident_mb()
    say(f"resident memory after {read:.0f} reads: {memory:.0f} MB")
    return {"start_s": starts, "memory_mb": [round(memory, 1)]}
