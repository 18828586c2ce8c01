"""One run of wrk against one server: requests per second, latency, and processor time per request."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from benchmarks.server import Server, load_core, pinned

CONNECTIONS = 32
SECONDS_MOST = 60

Sample = dict[str, float]
"""``rps``; ``p50_ms`` and ``p99_ms`` as measured by the caller; ``cpu_us`` of the workers per request."""

_UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


def run_load(server: Server, script: Path, seconds: int, connections: int = CONNECTIONS) -> Sample:
    """Run the wrk script. Raises SystemExit when a request fails, because figures of failures mean nothing."""
    address = f"http://127.0.0.1:{server.port}/"
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "--latency", "-s", str(script)]
    before_us = server.cpu_us()
    done = subprocess.run(pinned([load_core()], [*command, address]), capture_output=True, text=True, check=False)
    used_us = server.cpu_us() - before_us
    text = done.stdout
    requests = re.search(r"(\d+) requests in", text)
    if requests and int(requests[1]) == 0 and seconds < SECONDS_MOST:  # slow calls on a busy machine: run longer
        return run_load(server, script, seconds * 4, connections)
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)|Socket errors: .*", text)
    if done.returncode or requests is None or int(requests[1]) == 0 or wrong:
        raise SystemExit(f"requests to the {server.kind} server failed:\n{text}{done.stderr}")
    found = {p: float(v) * _UNITS_MS[u] for p, v, u in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s|m)\b", text)}
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    assert rate is not None
    return {
        "rps": float(rate[1]),
        "p50_ms": found["50"],
        "p99_ms": found["99"],
        "cpu_us": round(used_us / int(requests[1]), 2),
    }
