"""The demo and the commands of the README give the output that the README shows.

Volatile parts (tokens, times, the port, how many cities the test stores) are compared by pattern.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from apilane.settings import ENVIRONMENT_PREFIX
from apilane.testing.server import free_port
from tests.docs.pages import PORT, ROOT, Terminal, blocks, commands, steady

README = (ROOT / "README.md").read_text(encoding="utf-8")
CITIES = 500


class Demo(NamedTuple):
    port: str
    output: str


def start_demo(folder: Path, port: str) -> subprocess.Popen[str]:
    """Start the demo as ``make demo`` does, in ``folder`` and with few cities."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ENVIRONMENT_PREFIX)}
    command = [sys.executable, str(ROOT / "docs/examples/atlas/run.py"), "--port", port, "--cities", str(CITIES)]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def read_until_ready(process: subprocess.Popen[str]) -> str:
    """The output of the demo until it is ready, or until it ends."""
    assert process.stdout is not None
    output = ""
    for line in process.stdout:
        output += line
        if line.startswith("Ctrl-C stops"):
            break
    return output


def stop(process: subprocess.Popen[str]) -> tuple[int, str]:
    """End the demo as Ctrl-C does; its exit status and remaining output."""
    process.send_signal(signal.SIGINT)
    try:
        last, _ = process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return process.returncode, last


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    port = str(free_port())
    with start_demo(tmp_path_factory.mktemp("demo"), port) as process:
        output = read_until_ready(process)
        try:
            assert process.poll() is None, output
            yield Demo(port, output)
        finally:
            stop(process)


def checked(name: str) -> list[str]:
    """The code blocks of the README after the marker of this name."""
    return [block.text for block in blocks(README) if (block.kind, block.name) == ("checked", name)]


def shell(script: str) -> str:
    done = subprocess.run(["bash", "-eu"], input=script, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def without_counts(text: str, port: str = PORT) -> str:
    """The text with patterns instead of the number of cities and the seconds it took to store them."""
    text = text.replace(f"127.0.0.1:{int(port) - 1}", "<portal>")
    return re.sub(r"[\d,]+ cities( stored in \d+ s)?", "<many> cities", steady(text, port))


def test_the_walk_of_the_readme(demo: Demo, tmp_path: Path) -> None:
    """Every command of the README's walk, run in order in one shell, gives the answer that is printed below it."""
    walk = commands("".join(checked("walk")))
    with Terminal(tmp_path, demo.port, {}) as terminal:
        given = [(command.text, steady(terminal.run(command.text), demo.port)) for command in walk]
    assert len(walk) > 10
    assert given == [(command.text, steady(command.output)) for command in walk]


def test_the_demo_prints_what_the_readme_shows(demo: Demo) -> None:
    """The README shows the real output of the demo: URLs, three accounts, five curl lines."""
    (shown,) = checked("demo")
    printed = demo.output[demo.output.index("Apilane API:") :]
    assert without_counts(printed, demo.port) == without_counts(shown)


def test_the_five_printed_lines_work_as_printed(demo: Demo) -> None:
    """Each curl line of the demo, pasted into a new shell, gives the answer that its title states."""
    lines = [line for line in demo.output.splitlines() if line.startswith("  curl ")]
    page, country, login, favourite, refused = [json.loads(shell(line)) for line in lines]
    assert [city["Name"] for city in page["Data"]] == ["Istanbul", "Moscow", "London"]
    assert country == {"ID": 86, "Name": "Greece", "Capital": "Athens", "Currency": "EUR"}
    assert login["User"]["Username"] == "anna"
    assert isinstance(favourite[0], int)
    assert refused["Code"] == "UNAUTHORIZED"


def test_the_demo_can_be_interrupted_and_repeated(tmp_path: Path) -> None:
    """A demo that is stopped early ends cleanly; the next run completes the data, and a third adds nothing."""
    port = str(free_port())
    with start_demo(tmp_path, port) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("Apilane API:"):
            assert process.poll() is None
        status, last = stop(process)
    assert (status, last.strip().splitlines()[-1][:21]) == (0, "The demo has stopped.")
    for _ in range(2):
        with start_demo(tmp_path, port) as process:
            output = read_until_ready(process)
            assert stop(process)[0] == 0
        assert f"252 countries and {CITIES} cities" in output


def test_a_port_in_use_ends_the_demo_with_the_reason(demo: Demo, tmp_path: Path) -> None:
    """A second demo on the same port reports the port and fails; the first keeps running."""
    with start_demo(tmp_path, demo.port) as second:
        output = read_until_ready(second)
        assert second.wait(30) != 0
    assert f"Port {demo.port} on 127.0.0.1 is in use" in output
    assert shell(f"curl -sf http://127.0.0.1:{demo.port}/health/readiness")


def test_every_place_the_readme_names_exists() -> None:
    """All links and paths in the README exist."""
    links = re.findall(r"\]\(([^):#]+)\)", README)
    paths = re.findall(r"`((?:apilane|drivers|plugins|benchmarks|docs)/[\w./]*)`", README)
    assert len(links) > 3
    assert len(paths) > 5
    assert [path for path in links + paths if not (ROOT / path).exists()] == []
