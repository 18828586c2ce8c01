"""The limits of drivers with pooled connections: how long a call takes, and how many connections a database gets."""

from __future__ import annotations

from typing import Final, NamedTuple, Self

__all__ = ["TimeLimits", "share_of"]

STATEMENT_PART: Final = 0.95
LOCK_PART: Final = 0.9
ENDING_S: Final = 1.0
"""How long ending a statement may take after its time limit: 5 % of the default of 20 s."""


class TimeLimits(NamedTuple):
    """In seconds. The shorter ones leave time for the answer of the server, so that it says what took too long."""

    call_s: float
    """A call with its wait for a connection, all statements, reconnecting and all attempts."""
    statement_s: float
    """One statement, or one script."""
    lock_s: float
    """The wait for a row or table that another transaction has locked."""

    @classmethod
    def of(cls, timeout_s: float) -> Self:
        """From the setting ``statement_timeout_s``."""
        statement_s = timeout_s * STATEMENT_PART
        return cls(statement_s + ENDING_S, statement_s, timeout_s * LOCK_PART)


def share_of(connections: int) -> int:
    """How many connections of a process one database may have; the others are for its neighbours.

    Two are always allowed, because a call may read records while it streams others.
    """
    return max(connections * 3 // 4, 2)
