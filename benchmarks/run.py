"""One command: the product beside its floors, on pinned cores. See ``benchmarks/README.md`` for the method.

The server runs on one core, wrk on another; the three servers take turns, and medians over the rounds are compared.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.subject import BY_ID_TARGET, PAGE_TARGET, POST_TARGET, ROWS, book, prepare_now

CONNECTIONS = 32
SERVERS = ("floor", "litestar", "product")
CASES = ("GetByID", "page of 20", "Post")
TARGETS = {"GetByID": 0.45, "page of 20": 0.55}
"""Least ratio of product to floor."""


def lua(case: str, application: str, token: str) -> str:
    """The wrk script of a case: who calls, and what."""
    lines = [
        f'wrk.headers["x-application-token"] = "{application}"',
        f'wrk.headers["Authorization"] = "Bearer {token}"',
    ]
    if case == "GetByID":
        lines += [
            "math.randomseed(os.time())",
            f'request = function() return wrk.format(nil, "{BY_ID_TARGET}" .. math.random(1, {ROWS})) end',
        ]
    elif case == "page of 20":
        lines += [f'request = function() return wrk.format(nil, "{PAGE_TARGET}") end']
    else:
        import random

        body = json.dumps(book(1, random.Random(1)))
        lines += [
            'wrk.method = "POST"',
            'wrk.headers["Content-Type"] = "application/json"',
            f"wrk.body = [[{body}]]",
            f'wrk.path = "{POST_TARGET}"',
        ]
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def server(name: str, core: int, environment: dict[str, str]) -> Iterator[int]:
    """One server process on its core; gives the port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "benchmarks.floor", name, str(port)]
    if shutil.which("taskset"):
        command = ["taskset", "-c", str(core), *command]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, start_new_session=True)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health/liveness", timeout=1).read()
                break
            time.sleep(0.05)
        else:
            raise SystemExit(f"the {name} server did not start")
        yield port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def load(port: int, core: int, script: Path, seconds: int) -> dict[str, float]:
    """One run of wrk: requests per second and latency percentiles in ms."""
    command = [
        "wrk",
        "-t1",
        f"-c{CONNECTIONS}",
        f"-d{seconds}s",
        "--latency",
        "-s",
        str(script),
        f"http://127.0.0.1:{port}/",
    ]
    if shutil.which("taskset"):
        command = ["taskset", "-c", str(core), *command]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if bad := re.search(r"Non-2xx or 3xx responses: (\d+)", text):
        raise SystemExit(f"{bad[1]} requests failed:\n{text}")
    units = {"us": 0.001, "ms": 1.0, "s": 1000.0}
    found = {p: float(v) * units[u] for p, v, u in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)", text)}
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    assert rate is not None
    return {"rps": float(rate[1]), "p50_ms": found["50"], "p99_ms": found["99"]}


def measure(rounds: int, seconds: int) -> dict[str, dict[str, dict[str, float]]]:
    """Medians by case and server."""
    cores = sorted(os.sched_getaffinity(0))
    samples: dict[tuple[str, str], list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / "data"
        data_dir.mkdir()
        print(f"preparing {ROWS} rows ...", flush=True)
        application, token = prepare_now(data_dir)
        environment = {"BENCH_DATA_DIR": str(data_dir), "BENCH_APP": application}
        for number in range(rounds):
            for name in SERVERS:
                with server(name, cores[0], environment) as port:
                    for case in CASES:
                        script = Path(folder) / "case.lua"
                        script.write_text(lua(case, application, token))
                        load(port, cores[-1], script, 1)  # warm
                        sample = load(port, cores[-1], script, seconds)
                        samples.setdefault((case, name), []).append(sample)
                        print(f"round {number + 1}/{rounds}  {name:9} {case:11} {sample['rps']:9.0f}/s", flush=True)
    return {
        case: {
            name: {key: statistics.median(s[key] for s in samples[case, name]) for key in ("rps", "p50_ms", "p99_ms")}
            for name in SERVERS
        }
        for case in CASES
    }


def table(results: dict[str, dict[str, dict[str, float]]]) -> str:
    """The figures for people, as Markdown."""
    lines = [
        "| case | floor /s | Litestar /s | product /s | product / floor | product / Litestar | p50 ms | p99 ms |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for case, servers in results.items():
        floor, plain, product = (servers[name]["rps"] for name in SERVERS)
        lines.append(
            f"| {case} | {floor:.0f} | {plain:.0f} | {product:.0f} | {product / floor:.2f} | {product / plain:.2f} "
            f"| {servers['product']['p50_ms']:.2f} | {servers['product']['p99_ms']:.2f} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Measure, print, write ``benchmarks/results/``; exit code 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each server (5)")
    parser.add_argument("--seconds", type=int, default=4, help="length of one run of wrk (4)")
    parser.add_argument("--quick", action="store_true", help="1 round of 1 second: a look, not a result")
    parser.add_argument("--output", type=Path, help="write the JSON here instead of benchmarks/results/")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk")
    rounds, seconds = (1, 1) if options.quick else (options.rounds, options.seconds)
    results = measure(rounds, seconds)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], check=False, cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    document = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": commit,
        "machine": {
            "cpu": _cpu(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "system": platform.platform(),
        },
        "versions": {
            name: version(name) for name in ("litestar", "granian", "msgspec", "apsw", "sqlalchemy", "uvloop")
        },
        "method": {"rounds": rounds, "seconds": seconds, "connections": CONNECTIONS, "rows": ROWS},
        "results": results,
    }
    print("\n" + table(results))
    if not options.quick:
        output = options.output or ROOT / "benchmarks" / "results" / f"{document['date'][:10]}-{commit}.json"
        output.write_text(json.dumps(document, indent=2) + "\n")
        print(f"\nwritten: {output.relative_to(ROOT) if output.is_relative_to(ROOT) else output}")
    missed = [c for c, least in TARGETS.items() if results[c]["product"]["rps"] / results[c]["floor"]["rps"] < least]
    for case in missed:
        print(f"MISSED: {case} is below {TARGETS[case]} of the floor")
    return 1 if missed and not options.quick else 0


def _cpu() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


if __name__ == "__main__":
    sys.exit(main())
