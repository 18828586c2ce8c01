"""The first module of the command ``apilane``. It handles signals before the slow imports, which take half a second."""

from __future__ import annotations

import signal
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line of this process. A server that is starting ignores SIGHUP, and a stop is no failure."""
    if sys.argv[1:2] == ["serve"]:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # ``apilane.server`` handles it once there are workers
        for number in (signal.SIGTERM, signal.SIGINT):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as a shell's background job has it
                signal.signal(number, _end)
    from apilane.cli.main import main as run

    run()


def _end(_number: int, _frame: object) -> None:
    sys.exit(0)
