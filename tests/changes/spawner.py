"""A process that loads the command line once and runs ``apilane apply`` in forked children, so that many runs are fast.

Input: one JSON line per command: its arguments, and when to kill it: after how many stderr lines, plus how many seconds
(null: never). Output: its wait status and its number of lines; its own output goes to stderr. Run with ``python -m``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time

from apilane.cli.apply import apply
from apilane.plugins import load_plugins
from apilane.settings import load_settings


def serve() -> None:
    """Run one command after the other until the input ends."""
    load_plugins(load_settings())  # plugin modules, once for all children
    for line in sys.stdin:
        words, lines, delay_s = json.loads(line)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(writing, 2)
            apply.main(words)
        os.close(writing)
        written = 0
        with os.fdopen(reading, "rb") as told:
            for text in told:
                sys.stderr.buffer.write(text)
                written += 1
                if written == lines:
                    time.sleep(delay_s)
                    os.kill(child, signal.SIGKILL)  # it was not waited for, so its process ID is not reused yet
        sys.stderr.flush()
        print(json.dumps([os.waitpid(child, 0)[1], written]), flush=True)


if __name__ == "__main__":
    serve()
