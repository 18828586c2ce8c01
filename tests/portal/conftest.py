"""A running instance with the Portal, and a browser."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from apilane.testing.server import CHEAP_PASSWORDS, free_port

START_S = 60.0


class Portal:
    """``apilane serve`` on a new data folder."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / "log"
        environ = {name: value for name, value in os.environ.items() if not name.startswith("APILANE_")}
        cheap = {f"APILANE_{name.upper()}": str(value) for name, value in CHEAP_PASSWORDS.items()}
        apilane = str(Path(sys.executable).with_name("apilane"))
        options = ["--data-dir", str(folder / "data"), "--port", str(free_port()), "--portal-port", str(self.port)]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [apilane, "serve", *options], stdout=log, stderr=log, env={**environ, **cheap}, cwd=folder
            )
        deadline = time.monotonic() + START_S
        while not re.search("Apilane Portal: ", self._log.read_text()):
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.1)

    @property
    def link(self) -> str:
        """The one-time link of the first start."""
        found = re.search(r"http://\S+/start#\S+", self._log.read_text())
        assert found is not None
        return found.group()

    def stop(self) -> None:
        """End the server."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(timeout=30)


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """A server before its first start in the browser."""
    server = Portal(tmp_path_factory.mktemp("portal"))
    yield server
    server.stop()
