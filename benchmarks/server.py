"""The measured server processes: started on their cores, measured in ``/proc``, stopped."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.places import Place

ROOT = Path(__file__).resolve().parent.parent
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0
TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def server_cores(workers: int) -> list[int]:
    """Cores of a server: one per worker, from the first core on; the last core is reserved for the load."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[: min(workers, max(len(cores) - 1, 1))]


def load_core() -> int:
    """The core of the load generator."""
    return max(os.sched_getaffinity(0))


def pinned(cores: list[int], command: list[str]) -> list[str]:
    """The command pinned to these cores, if ``taskset`` is installed."""
    if shutil.which("taskset") is None:
        return command
    return ["taskset", "-c", ",".join(map(str, cores)), *command]


class Server:
    """One server inside ``with``. ``kind``: ``product`` (``apilane serve``) or a name of ``benchmarks.serve``.

    Its output goes to a file beside its data folder, which is shown if the server does not start.
    """

    def __init__(
        self, kind: str, place: Place, *, workers: int = 1, environment: Mapping[str, str] | None = None
    ) -> None:
        self.kind, self.place, self.workers = kind, place, workers
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._log = place.data_dir.with_name(f"{place.data_dir.name}-{kind.replace(' ', '-')}.log")
        known = {name: value for name, value in os.environ.items() if not name.startswith(("APILANE_", "BENCH_"))}
        self._environment = {**known, **self._settings(), **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def _settings(self) -> dict[str, str]:
        if self.kind != "product":
            return {"BENCH_DATA_DIR": str(self.place.data_dir), "BENCH_APP": self.place.application}
        return {
            "APILANE_DATA_DIR": str(self.place.data_dir),
            "APILANE_PORT": str(self.port),
            "APILANE_WORKERS": str(self.workers),
            "APILANE_ROLE": "api",
            # One user at one address signs in thousands of times, which the default limits do not allow.
            "APILANE_RATE_LIMIT_LOGIN_ACCOUNT_FAILURES": "100000",
            "APILANE_RATE_LIMIT_LOGIN_ADDRESS_FAILURES": "100000",
        }

    def _command(self) -> list[str]:
        if self.kind == "product":
            return [str(Path(sys.executable).with_name("apilane")), "serve"]
        return [sys.executable, "-m", "benchmarks.serve", self.kind, str(self.port), str(self.workers)]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> float:
        """Start and wait for the first record read; returns the seconds it took."""
        began = time.monotonic()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                pinned(server_cores(self.workers), self._command()),
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() - began > START_TIMEOUT_S:
                self.stop()
                raise SystemExit(f"the {self.kind} server did not start:\n{self._log.read_text(errors='replace')}")
            time.sleep(0.005)
        return time.monotonic() - began

    def _answers(self) -> bool:
        try:
            self.fetch("/api/Data/GetByID?entity=Books&id=1")
        except OSError:
            return False
        return True

    def fetch(self, target: str, application: str | None = None) -> bytes:
        """The body of an answer; OSError when there is no answer or its status is not 2xx."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{target}")
        request.add_header("x-application-token", application or self.place.application)
        request.add_header("Authorization", f"Bearer {self.place.bearer}")
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
            read: bytes = answer.read()
            return read

    def stop(self) -> None:
        """Ask it to end, and kill it if it does not."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # the server has a separate process group

    def worker_pids(self) -> list[int]:
        """The processes that answer requests: children of the server."""
        assert self._process is not None
        parent = self._process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return [int(pid) for pid in children if b"tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def cpu_us(self) -> float:
        """Processor time of all workers since their start, in steps of 10 ms."""
        ticks = 0
        for pid in self.worker_pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])  # utime, stime
        return ticks * TICK_US

    def resident_mb(self) -> float:
        """Resident memory of the largest worker, in MB of 10^6 bytes."""
        sizes = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.worker_pids()]
        return max(sizes) * PAGE_BYTES / 1e6
