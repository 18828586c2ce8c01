"""The runnable steps of a documentation page: files, commands with their output, servers.

A code block counts when one of these comments precedes it::

    <!-- run -->              commands (``$ ``, continued after a backslash) and their output
    <!-- start -->            a server in its own terminal, and its output; it runs until the next one starts
    <!-- file: NAME -->       a file in the folder of the commands
    <!-- below KEY: NAME -->  lines that are added to a file, below the line ``KEY:``
    <!-- from: PATH -->       lines of a file of the repository

``<!-- after: PAGE -->`` has no block: the examples continue from the end of that page in the same folder.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from apilane.settings import ENVIRONMENT_PREFIX

ROOT = Path(__file__).parents[2]
PORT = "5001"
READY = "Apilane API: "
END = "end-of-answer"
TIMEOUT_S = 120

_block = re.compile(r"<!-- (\w+)(?: ([^:>]+?))?(?:: ([^>]+?))? -->\n```\w+\n(.*?)```\n", re.DOTALL)
_after = re.compile(r"^<!-- after: (\S+) -->$", re.MULTILINE)


class Block(NamedTuple):
    """A marked code block: ``kind``, ``detail`` (the key of ``below``), the ``name`` after the colon, the text."""

    kind: str
    detail: str
    name: str
    text: str


class Command(NamedTuple):
    """A command and its output on the page."""

    text: str
    output: str


def blocks(page: str) -> list[Block]:
    """Every marked block of a page, in order."""
    return [Block(*(part or "" for part in found.groups())) for found in _block.finditer(page)]


def before(path: Path) -> list[Block]:
    """The blocks of the page that this page continues; none when it begins in an empty folder."""
    found = _after.search(path.read_text(encoding="utf-8"))
    if found is None:
        return []
    earlier = path.parent / found[1]
    return [*before(earlier), *blocks(earlier.read_text(encoding="utf-8"))]


def commands(text: str) -> list[Command]:
    """The commands of a block."""
    found: list[Command] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append(Command(line[2:], ""))
        elif found[-1].text.endswith("\\") and not found[-1].output:
            found[-1] = Command(f"{found[-1].text}\n{line}", "")
        else:
            found[-1] = Command(found[-1].text, f"{found[-1].output}{line}\n")
    return found


def steady(text: str, port: str = PORT) -> str:
    """The text without the parts that differ between runs, and without the progress lines of ``apply``."""
    text = re.sub(r"^ +[\d.]+ s  .*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"\b(?!a71a5000-)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "<token>", text)
    text = re.sub(r"\b1[0-9]{12}\b", "<ms>", text)
    text = re.sub(r'("AuthTokenID"):\d+', r"\1:<id>", text)
    text = re.sub(r"(password) [\w-]{20}( \(shown)", r"\1 <password>\2", text)
    return text.replace(f"127.0.0.1:{port}", "<server>").strip()


class Terminal:
    """A shell in a folder, without the settings of this machine; its commands are those of the test environment."""

    def __init__(self, folder: Path, port: str, environment: Mapping[str, str]) -> None:
        # Without the Portal, whose process prints its address and the link of the first start at another moment.
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ENVIRONMENT_PREFIX)}
        path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
        self.folder = folder
        self.port = port
        self._environment = {**kept, "PATH": path, "APILANE_PORT": port, "APILANE_ROLE": "api", **environment}
        self._shell = self._open("bash")
        self._server: subprocess.Popen[str] | None = None

    def _open(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, command: str) -> str:
        """Run a command; its stdout and stderr."""
        shell = self._shell
        assert shell.stdin is not None
        shell.stdin.write(f"{command.replace(f'127.0.0.1:{PORT}', f'127.0.0.1:{self.port}')}\necho; echo {END}\n")
        shell.stdin.flush()
        return "".join(self._lines(shell, END))

    def start(self, command: str) -> str:
        """Start a server; its output until it is ready. The server before it is stopped."""
        self.stop()
        self._server = self._open("bash", "-c", f"exec env {command}")
        printed = "".join(self._lines(self._server, READY, keep=True))
        assert READY in printed, printed
        return printed

    def _lines(self, process: subprocess.Popen[str], last: str, *, keep: bool = False) -> Iterator[str]:
        """Lines up to the one that begins with ``last``; the process is killed at the time limit."""
        assert process.stdout is not None
        timer = threading.Timer(TIMEOUT_S, process.kill)
        timer.start()
        try:
            for line in process.stdout:
                is_last = line.startswith(last)
                if keep or not is_last:
                    yield line
                if is_last:
                    return
        finally:
            timer.cancel()

    def stop(self) -> None:
        """End the server, if there is one."""
        if self._server is not None:
            self._server.send_signal(signal.SIGTERM)
            self._server.communicate(timeout=TIMEOUT_S)
            self._server = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._shell.communicate(timeout=TIMEOUT_S)


def play(block: Block, terminal: Terminal) -> Iterator[tuple[Command, str]]:
    """Run the steps of a block; each command with its real output."""
    match block.kind:
        case "run":
            for command in commands(block.text):
                yield command, terminal.run(command.text)
        case "start":
            (command,) = commands(block.text)
            yield command, terminal.start(command.text)
        case "file":
            path = terminal.folder / block.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        case "below":
            path = terminal.folder / block.name
            before, line, after = path.read_text(encoding="utf-8").partition(f"{block.detail}:\n")
            assert line, f"{block.name} has no line {block.detail}:"
            path.write_text(before + line + block.text + after, encoding="utf-8")
        case "from":
            assert block.text in (ROOT / block.name).read_text(encoding="utf-8"), (
                f"{block.name} does not have these lines"
            )
        case _:
            raise AssertionError(f"no such kind of block: {block.kind}")
