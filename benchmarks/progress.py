"""Progress messages of a run."""

from __future__ import annotations

import time


def say(text: str) -> None:
    """Print one line of progress."""
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)
