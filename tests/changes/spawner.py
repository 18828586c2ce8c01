"""A process that has loaded the command line once and runs ``apilane apply`` in children: many runs cost little.

In: one JSON line per command: its words, and after how many lines on stderr and how many seconds more to kill it (null:
not). Out: its wait status and how many lines it wrote; what it wrote goes to stderr. Run with ``python -m``.
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
    """One command after the other until the input ends."""
    load_plugins(load_settings())  # their modules, once for all children
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
                    os.kill(child, signal.SIGKILL)  # not waited for yet, so the ID is its own even when it has ended
        sys.stderr.flush()
        print(json.dumps([os.waitpid(child, 0)[1], written]), flush=True)


if __name__ == "__main__":
    serve()
