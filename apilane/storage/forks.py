"""Forks and drivers: after a fork, the connections and threads of a driver belong to the parent process."""

from __future__ import annotations

import os
import weakref
from typing import Protocol

__all__ = ["forget_in_children"]


class Forgetful(Protocol):
    """A driver that opens connections."""

    def forget(self) -> None:
        """Called in a forked child. Do not use anything that the parent opened, and do not close it: that would end the
        parent's use.
        """
        ...


def forget_in_children(driver: Forgetful) -> None:
    """Call ``driver.forget`` in every process forked from this one, as long as the driver exists."""
    known = weakref.ref(driver)  # hooks are never unregistered, so this one must not keep the driver alive

    def forget() -> None:
        if (alive := known()) is not None:
            alive.forget()

    os.register_at_fork(after_in_child=forget)
