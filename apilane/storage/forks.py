"""What a fork means for a driver: its connections and threads belong to the parent process."""

from __future__ import annotations

import os
import weakref
from typing import Protocol

__all__ = ["forget_in_children"]


class Forgetful(Protocol):
    """A driver that opens connections."""

    def forget(self) -> None:
        """In a forked child: use nothing the parent opened, and close nothing, which would end the parent's use."""
        ...


def forget_in_children(driver: Forgetful) -> None:
    """Call ``driver.forget`` in every process forked from this one, as long as the driver is in use."""
    known = weakref.ref(driver)  # hooks into fork stay for good, so this one must not keep the driver

    def forget() -> None:
        if (alive := known()) is not None:
            alive.forget()

    os.register_at_fork(after_in_child=forget)
