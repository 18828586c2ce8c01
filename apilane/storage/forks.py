"""Resets drivers after a fork: a driver's connections and threads belong to the parent process."""

from __future__ import annotations

import os
import weakref
from typing import Protocol

__all__ = ["forget_in_children"]


class Forgetful(Protocol):
    """A driver that opens connections."""

    def forget(self) -> None:
        """Called in a forked child. Do not use the parent's connections, and do not close them: closing them would
        break them for the parent too.
        """
        ...


def forget_in_children(driver: Forgetful) -> None:
    """Call ``driver.forget`` in every process forked from this one, as long as the driver exists."""
    known = weakref.ref(driver)  # fork hooks cannot be removed, so the hook holds no strong reference to the driver

    def forget() -> None:
        if (alive := known()) is not None:
            alive.forget()

    os.register_at_fork(after_in_child=forget)
