"""Lines that tell how far a run is."""

from __future__ import annotations

import time


def say(text: str) -> None:
    """A line of progress."""
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)
