"""Limits on the results of a script, in rows and in bytes of memory, so that one script cannot exhaust the process."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from sys import getsizeof
from typing import Final

from apilane.model.privileges import ROWS_MAX
from apilane.storage.errors import ValueTooLong
from apilane.storage.protocol import Row

__all__ = ["ResultBudget"]

RESULT_MAX_BYTES: Final = 100_000_000


class ResultBudget:
    """The remaining limit for all statements of one script. ``rows``: number of rows that are left."""

    __slots__ = ("_bytes", "rows")

    def __init__(self) -> None:
        self.rows = ROWS_MAX
        self._bytes = RESULT_MAX_BYTES

    def take(self, rows: Iterable[Row]) -> list[Row]:
        """The first of ``rows``, up to the remaining limit; others are not read. ValueTooLong for too many bytes."""
        taken: list[Row] = []
        for row in islice(rows, self.rows):
            self._bytes -= sum(map(getsizeof, row))
            if self._bytes < 0:
                raise ValueTooLong(f"The results are larger than {RESULT_MAX_BYTES} bytes.")
            taken.append(row)
        self.rows -= len(taken)
        return taken
