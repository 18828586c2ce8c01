"""A result: the figures of one run, with machine and versions; one JSON file per run in ``benchmarks/results``."""

from __future__ import annotations

import contextlib
import datetime
import math
import os
import platform
import statistics
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec

FOLDER = Path(__file__).resolve().parent / "results"
FORMAT = 2
NOISE_UNKNOWN = 0.15
"""The assumed noise of a figure that was measured once."""
NOISE_LEAST = 0.01

PACKAGES = (
    "litestar",
    "granian",
    "msgspec",
    "apsw",
    "sqlalchemy",
    "uvloop",
    "fastapi",
    "asyncmy",
    "psycopg",
    "asyncpg",
)


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """A target and the measured value. ``kind``: ``least`` or ``most``; ``aim``: a stricter value that is desirable."""

    name: str
    kind: str
    limit: float
    measured: float
    aim: float | None = None

    @property
    def met(self) -> bool:
        """Whether the limit is kept."""
        return self.measured >= self.limit if self.kind == "least" else self.measured <= self.limit


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One run. ``figures``: samples, one per turn, by case and server; see ``benchmarks.load.Sample``.

    ``footprint``: ``start_s`` and ``memory_mb``, each a list, and the figures of ``benchmarks.bulk``.
    """

    format: int
    date: str
    commit: str
    machine: dict[str, Any]
    versions: dict[str, str]
    method: dict[str, Any]
    figures: dict[str, dict[str, list[dict[str, float]]]]
    footprint: dict[str, list[float]]
    targets: list[Verdict]

    def values(self, case: str, server: str, key: str) -> list[float]:
        """One figure per turn; empty when it was not measured."""
        return [sample[key] for sample in self.figures.get(case, {}).get(server, [])]

    def ratios(self, key: str, one: tuple[str, str], other: tuple[str, str]) -> list[float]:
        """One (case, server) divided by the other, turn by turn; the two were measured within seconds of each other."""
        return [a / b for a, b in zip(self.values(*one, key), self.values(*other, key), strict=False) if b]


def noise(values: list[float]) -> float:
    """Standard error of the median, as a fraction of it: 1.25 s / sqrt(n) of n turns with standard deviation s."""
    middle = statistics.median(values)
    if len(values) < 2 or not middle:
        return NOISE_UNKNOWN
    return max(1.25 * statistics.stdev(values) / math.sqrt(len(values)) / middle, NOISE_LEAST)


def load_result(path: Path) -> Result:
    """Read a file. SystemExit when it is no result, or has another format."""
    try:
        result = msgspec.json.decode(path.read_bytes(), type=Result)
    except (OSError, msgspec.DecodeError) as error:
        raise SystemExit(f"{path} is no benchmark result: {error}") from error
    if result.format != FORMAT:
        raise SystemExit(f"{path} has format {result.format}, this is {FORMAT}; measure again")
    return result


def newest() -> Result | None:
    """The latest stored result, by its date."""
    found = [load_result(path) for path in FOLDER.glob("*.json")]
    return max(found, key=lambda result: result.date, default=None)


def save_result(result: Result, path: Path) -> None:
    """Write it in a form that is readable in a diff."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")


def commit() -> str:
    """The measured commit; ``+`` if files differ from it."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=FOLDER.parent, check=False, capture_output=True, text=True)
        return done.stdout.strip()

    return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")


def now() -> str:
    """The current time, as the date of a result."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def machine() -> dict[str, Any]:
    """The relevant facts of the machine. ``load``: its load average before the run, near zero on a quiet machine."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str]:
    """Versions of the product's libraries and of the servers it is compared with; missing packages are left out."""
    found = {}
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _cpu() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
