"""INSERT of one row, which can also be written for several rows. Pure."""

from __future__ import annotations

from typing import Self

from apilane.plugin.storage import Statement

__all__ = ["InsertRow"]


class InsertRow(Statement):
    """An INSERT that can take several rows. ``of_one_row`` is set if the database makes the ID."""

    __slots__ = ("_of_rows",)

    @classmethod
    def of(cls, statement: Statement) -> Self:
        """From an INSERT with ``VALUES`` and one row."""
        insert = cls(statement.text, statement.order, kind="insert", of_one_row=statement.of_one_row)
        insert._of_rows = {}
        return insert

    _of_rows: dict[tuple[int, bool], Statement]
    """The statements by number of rows, with and without RETURNING. Each is made once."""

    def of_rows(self, count: int, *, returning: bool) -> Statement:
        """The same INSERT for ``count`` rows; ``returning``: it returns their IDs."""
        known = self._of_rows.get((count, returning))
        if known is None:
            head, values, row = self.text.rpartition(" VALUES ")
            text = head + values + ", ".join([row] * count) + (" RETURNING `ID`" if returning else "")
            known = self._of_rows[count, returning] = Statement(text, kind="insert")
        return known
