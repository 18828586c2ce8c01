"""Start, refusals, worker restarts and shutdown of ``apilane serve``."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from apilane.errors import ConfigurationError
from apilane.server.claims import claim_data_dir, resolve
from tests.privileges import unprivileged

Serve = Callable[..., Any]
Until = Callable[..., None]


def test_first_start_says_its_lines_once_and_prints_the_url(serve: Serve) -> None:
    """The first start makes the data dir private, prints the lines of initialisation once, then the URL."""
    first = serve("--port", "0", "--host", "localhost").ready()
    assert first.out.splitlines() == ["made once", f"Apilane API: {first.url}"]
    assert first.worker() in first.workers()
    assert first.data_dir.stat().st_mode & 0o777 == 0o700
    assert first.stop() == 0
    assert "made once" not in serve("--port", "0").ready().out


def test_several_workers_share_the_port(serve: Serve, wait_until: Until) -> None:
    """Two workers both answer on the same port."""
    server = serve("--port", "0", "--workers", "2").ready()
    answered: set[int] = set()
    wait_until(lambda: answered.add(server.worker()) or len(answered) == 2)
    assert answered == server.workers()


@pytest.mark.parametrize("shared", [False, True])
def test_a_port_in_use_is_refused(serve: Serve, shared: bool) -> None:
    """A port in use is detected, also when the other server allows sharing (``SO_REUSEPORT``)."""
    with socket.socket() as other:
        if shared:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        server = serve("--port", str(port))
        assert server.process.wait(timeout=20) == 1
    assert server.err == (
        f"Error: Port {port} on 127.0.0.1 is in use by another server; stop it or choose another with --port.\n"
    )


def test_a_second_server_on_the_data_dir_is_refused(serve: Serve) -> None:
    """A second server on the same data dir is refused; the error names the process that uses it."""
    first = serve("--port", "0").ready()
    second = serve("--port", "0")
    assert second.process.wait(timeout=20) == 1
    assert second.err.startswith(f"Error: The data dir {first.data_dir} is served by another api server")
    assert f"process {first.process.pid}" in second.err
    assert second.err.count("\n") == 1


def test_a_data_dir_without_permission_is_refused() -> None:
    """A data dir that this user may not create is an error before start-up, with its path and advice."""
    with (
        unprivileged(),
        pytest.raises(ConfigurationError, match=r"Cannot use the data dir .*: Permission denied\. Choose another"),
        claim_data_dir(Path("/usr/apilane-data"), "api"),
    ):
        pass


def test_a_data_dir_that_is_a_file_is_refused(serve: Serve, tmp_path: Path) -> None:
    """A data dir that is a file is reported in one line."""
    (tmp_path / "file").touch()
    server = serve("--port", "0", data_dir=tmp_path / "file")
    assert server.process.wait(timeout=20) == 1
    assert server.err.startswith(f"Error: Cannot use the data dir {tmp_path / 'file'}: File exists.")


def test_an_instance_that_cannot_be_initialised_is_refused(serve: Serve, data_dir: Path) -> None:
    """An error of initialisation is reported in one line, and no worker starts."""
    data_dir.mkdir()
    (data_dir / "refused").touch()
    server = serve("--port", "0")
    assert server.process.wait(timeout=20) == 1
    assert server.err == "Error: the data dir was marked as refused\n"


def test_a_worker_that_cannot_start_ends_the_server(serve: Serve, data_dir: Path) -> None:
    """When workers die at start, the server stops with exit code 1 and prints the reason once."""
    data_dir.mkdir()
    (data_dir / "broken").touch()
    server = serve("--port", "0")
    assert server.process.wait(timeout=20) == 1
    assert server.err.count("the data dir was marked as broken") == 1
    assert "Traceback" not in server.err
    assert server.err.splitlines()[-1] == "Error: A worker ended before it could answer; the reason is above."


def test_a_killed_worker_is_replaced(serve: Serve, wait_until: Until) -> None:
    """A worker that dies is replaced, also twice in a row, and the server keeps answering."""
    server = serve("--port", "0").ready()
    for _ in range(2):
        (worker,) = server.workers()
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda worker=worker: len(server.workers() - {worker}) == 1)
        assert server.worker() != worker
    assert server.stop() == 0


def test_workers_that_keep_failing_end_the_server(serve: Serve, wait_until: Until) -> None:
    """When replaced workers keep failing, the server ends with an error."""
    server = serve("--port", "0").ready()

    def kill_and_look() -> bool:
        for worker in server.workers():
            os.kill(worker, signal.SIGKILL)
        return server.process.poll() is not None

    wait_until(kill_and_look)
    assert server.process.wait(timeout=20) == 1
    assert "Error: 6 workers failed within 60 s" in server.err


def test_workers_end_with_their_parent(serve: Serve, alive: Callable[[int], bool], wait_until: Until) -> None:
    """When the parent is killed, its workers end too, and another server can start on the same data dir."""
    server = serve("--port", "0", "--workers", "2").ready()
    workers = server.workers()
    assert len(workers) == 2
    server.process.kill()
    server.process.wait()
    began = time.monotonic()
    second = serve("--port", "0").ready()
    wait_until(lambda: not any(alive(worker) for worker in workers))
    assert not any(alive(worker) for worker in workers)
    assert time.monotonic() - began < 10
    assert second.stop() == 0


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_finishes_what_was_begun(serve: Serve, signal_number: int, alive: Callable[[int], bool]) -> None:
    """On stop the requests in progress are answered; then all processes end within seconds with exit code 0."""
    server = serve("--port", "0").ready()
    workers = server.workers()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(server.worker, "/slow")
        time.sleep(0.3)
        began = time.monotonic()
        assert server.stop(signal_number) == 0
        assert time.monotonic() - began < 5
        assert answer.result() in workers
    assert not any(alive(worker) for worker in workers)


def test_ctrl_c_of_a_terminal_is_no_failure(data_dir: Path, serve: Serve) -> None:
    """A SIGINT that also reaches the workers ends the server with exit code 0 and without error lines in the log."""
    server = serve("--port", "0").ready()
    for worker in server.workers():
        os.kill(worker, signal.SIGINT)
    assert server.stop(signal.SIGINT) == 0
    assert "Unexpected" not in server.err


def test_sighup_replaces_every_worker(serve: Serve, wait_until: Until) -> None:
    """After SIGHUP new processes answer, and no request fails in between."""
    server = serve("--port", "0").ready()
    before = server.workers()
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: server.worker() not in before and not server.workers() & before)
    assert server.workers().isdisjoint(before)
    assert server.stop() == 0


def test_sighup_fails_no_request(serve: Serve, wait_until: Until) -> None:
    """Clients with busy connections see no failure during SIGHUP."""
    server = serve("--port", "0", "--workers", "2").ready()
    before = server.workers()
    ended = threading.Event()

    def ask() -> int:
        answers = 0
        with httpx.Client(timeout=20) as client:
            while not ended.is_set():
                answers += client.get(server.url).status_code == 200
        return answers

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask) for _ in range(4)]
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: not server.workers() & before)
        ended.set()
        assert all(one.result() > 0 for one in asking)
    assert server.workers().isdisjoint(before)


@pytest.mark.parametrize("after_s", [0.25, 0.5, 0.75, 1.0, 1.25, 1.5])
def test_sighup_while_starting(serve: Serve, alive: Callable[[int], bool], wait_until: Until, after_s: float) -> None:
    """A SIGHUP at any moment of the start does not end the server, and a SIGTERM after it leaves no child."""
    server = serve("--port", "0", "--workers", "2")
    wait_until((server.data_dir / "api.lock").exists)
    time.sleep(after_s - 0.25)
    server.process.send_signal(signal.SIGHUP)
    assert server.ready().worker()
    server.process.send_signal(signal.SIGHUP)
    time.sleep(after_s / 2)
    workers = server.workers()
    assert server.stop() == 0
    assert not any(alive(worker) for worker in workers)
    assert "ended before it could answer" not in server.err


@pytest.mark.parametrize("after_s", [0.0, 0.1, 0.2, 0.3, 0.5, 0.8])
def test_sigterm_while_starting(serve: Serve, alive: Callable[[int], bool], wait_until: Until, after_s: float) -> None:
    """A SIGTERM at any moment of the start ends the server with exit code 0 within seconds, and leaves no child."""
    server = serve("--port", "0", "--workers", "3")
    wait_until((server.data_dir / "api.lock").exists)
    time.sleep(after_s)
    children = server.workers()
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 5
    assert not any(alive(child) for child in children)
    assert "refused to gracefully stop" not in server.err


FIRST_IMPORTS = """
import signal, sys
from apilane.cli.entry import main
early = {"click", "rich_click", "litestar", "apilane.cli.main"} & set(sys.modules)
class Look:
    def find_spec(self, name, path=None, target=None):
        if name == "apilane.cli.main":
            handlers = [signal.getsignal(each) for each in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)]
            print(early, *(getattr(each, "name", None) or each.__name__ for each in handlers), flush=True)
sys.meta_path.insert(0, Look())
sys.argv = ["apilane", *sys.argv[1:]]
main()
"""


@pytest.mark.parametrize(
    ("command", "handled"),
    [("serve", "set() SIG_IGN _end _end"), ("apply", "set() SIG_DFL SIG_DFL default_int_handler")],
)
def test_signals_are_handled_before_the_imports(command: str, handled: str) -> None:
    """``serve`` handles signals before the first slow import; other commands end with their terminal."""
    run = [sys.executable, "-c", FIRST_IMPORTS, command, "--help"]
    said = subprocess.run(run, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL).stdout
    assert said.splitlines()[0] == handled


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_before_serve_begins(data_dir: Path, number: int, wait_until: Until) -> None:
    """SIGHUP as soon as it can be ignored does not end the server; a stop then ends it quietly, without a child."""
    command = [str(Path(sys.executable).with_name("apilane")), "serve", "--port", "0", "--data-dir", str(data_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        ignored = Path(f"/proc/{process.pid}/status")
        wait_until(lambda: int(ignored.read_text().split("SigIgn:")[1].split()[0], 16) & 1)
        for _ in range(20):
            process.send_signal(signal.SIGHUP)
        assert process.poll() is None
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.send_signal(number)
        _, said = process.communicate(timeout=20)
    assert (process.returncode, children, said) == (0, [], "")


def test_stopping_many_workers_blames_none(serve: Serve) -> None:
    """Workers that end in time are not logged as killed."""
    for _ in range(3):
        server = serve("--port", "0", "--workers", "6").ready()
        assert server.stop() == 0
        assert "Killing" not in server.err


def test_sighup_keeps_the_workers_when_new_ones_cannot_start(serve: Serve, data_dir: Path, wait_until: Until) -> None:
    """When new workers cannot start, SIGHUP logs the reason and the old workers stay."""
    server = serve("--port", "0").ready()
    before = server.workers()
    (data_dir / "refused").touch()
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "not restarted" in server.err)
    assert "The workers are not restarted: the data dir was marked as refused" in server.err
    assert server.workers() == before


def test_the_parent_opens_no_database_and_imports_no_plugin(serve: Serve) -> None:
    """The parent of the workers loads no driver library and no plugin, and opens no database."""
    ran = subprocess.run(
        [sys.executable, "-c", "import sys, apilane.server, apilane.cli.serve; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not {"apsw", "apilane_sqlite", "apilane_auth", "apilane.app", "litestar"} & set(ran.stdout.split())
    server = serve("--port", "0").ready()
    opened = {os.path.realpath(link) for link in Path(f"/proc/{server.process.pid}/fd").iterdir()}
    assert not [path for path in opened if path.endswith((".db", "-wal"))]


def test_names_are_resolved_to_an_address() -> None:
    """localhost resolves to the IPv4 loopback address; a name without an address is an error."""
    assert resolve("localhost") == "127.0.0.1"
    assert resolve("::1") == "::1"
    with pytest.raises(ConfigurationError, match="has no address"):
        resolve("no.such.host.invalid")
