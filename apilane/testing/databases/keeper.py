"""``python -m apilane.testing.databases.keeper KIND FOLDER``: starts a server and stops it after its last user.

Users hold a shared lock on ``FOLDER/KIND.users``. A lock ends with its process, so a killed test run leaves no server.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import sys
import tempfile
from pathlib import Path

from apilane.testing.databases import NoServerError
from apilane.testing.databases.containers import Container
from apilane.testing.databases.local import LocalServer

__all__ = ["main"]


def main(kind: str, folder: Path) -> None:
    """Print ``{"url": ...}`` or ``{"reason": ...}`` as one line, then wait until the last user has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a developer's Ctrl-C ends the tests first
    with contextlib.ExitStack() as running:
        users = os.open(folder / f"{kind}.users", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            url = _start(kind, running)
        except NoServerError as error:
            _answer({"reason": str(error)})
            return
        _answer({"url": url})
        fcntl.flock(users, fcntl.LOCK_EX)
        (folder / f"{kind}.url").unlink(missing_ok=True)  # a new user waits for the lock, then starts another server


def _start(kind: str, running: contextlib.ExitStack) -> str:
    try:
        return running.enter_context(Container(kind)).url
    except NoServerError as error:
        no_container = error
    try:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix=f"apilane-{kind}-")))
        return running.enter_context(LocalServer(kind, folder)).url
    except NoServerError as error:
        raise NoServerError(f"APILANE_TEST_{kind.upper()}_URL is not set; {no_container}; {error}") from error


def _answer(answer: dict[str, str]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())  # the reader may close its end of the pipe


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
