"""The time that is stored with messages and jobs."""

from __future__ import annotations

import time

__all__ = ["now_ms"]


def now_ms() -> int:
    """Unix milliseconds. The clocks of machines with one control store must agree within some seconds."""
    return time.time_ns() // 1_000_000
