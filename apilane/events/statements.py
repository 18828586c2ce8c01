"""The statements of the outbox, built once for a dialect. Pure.

A claim is an update on the condition that ``Due`` still has the value that was read. It sets ``Due`` to the end of the
claim, so at most one of several processes claims a message, and a claim ends by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from apilane.model.system import OUTBOX_TABLE
from apilane.sql.dialect import Dialect
from apilane.sql.statement import Statement, compile_statement
from apilane.sql.tables import table_of

__all__ = ["ADDED", "LISTED", "OutboxStatements"]

ADDED: Final = ("Kind", "MessageKey", "Payload", "Attempts", "Due", "Dead", "Created")
"""The columns of a new message."""
CLAIMED: Final = ("ID", "Kind", "MessageKey", "Payload", "Attempts", "Due", "Created")
LISTED: Final = ("ID", "Kind", "Attempts", "Due", "Dead", "Error", "Created")


class OutboxStatements:
    """``kinds``: the kinds that have a handler; messages of other kinds wait. Comments give the parameters."""

    def __init__(self, dialect: Dialect, kinds: Sequence[str]) -> None:
        self._dialect = dialect
        table = self._table = table_of(OUTBOX_TABLE, dialect)
        dead, due, id = table.c["Dead"], table.c["Due"], table.c["ID"]
        self.kinds = {f"kind{position}": kind for position, kind in enumerate(kinds)}
        has_handler = table.c["Kind"].in_([sa.bindparam(name) for name in self.kinds])
        waits, is_claimed = dead == sa.bindparam("dead"), (id == sa.bindparam("id")) & (due == sa.bindparam("seen"))

        self.insert = dialect.insert_row(table, ADDED)  # the columns
        first = sa.select(*(table.c[name] for name in CLAIMED)).where(waits, due <= sa.bindparam("now"), has_handler)
        self.due = self._page(first.order_by(due, id))  # dead, now, kinds, limit, offset
        self.next_due = self._compile(sa.select(sa.func.min(due)).where(waits, has_handler))  # dead, kinds
        self.first_waiting = self._compile(sa.select(sa.func.min(id)).where(waits))  # dead
        counted = sa.select(sa.func.count(id), sa.func.min(table.c["Created"]))
        self.depth = self._compile(counted.where(waits))  # dead
        self.claim = self._update(is_claimed, "Due", "Attempts")  # id, seen, new_...
        self.postpone = self._update(is_claimed, "Due", "Error")
        self.release = self._update(is_claimed, "Due")
        self.bury = self._update(is_claimed, "Dead", "Error")
        self.delete = self._compile(sa.delete(table).where(is_claimed))  # id, seen

        listed = sa.select(*(table.c[name] for name in LISTED)).order_by(id)
        self.list = self._page(listed)  # limit, offset
        self.list_dead = self._page(listed.where(waits))  # dead, limit, offset
        is_dead_one = (id == sa.bindparam("id")) & waits
        self.replay = self._update(is_dead_one, "Dead", "Due", "Attempts")  # id, dead, new_...
        self.drop = self._compile(sa.delete(table).where(is_dead_one))  # id, dead

    def _compile(self, element: sa.ClauseElement) -> Statement:
        return compile_statement(element, self._dialect.sqlalchemy)

    def _page(self, select: sa.Select[Any]) -> Statement:
        limit, offset = (sa.bindparam(name, type_=sa.Integer()) for name in ("limit", "offset"))
        return self._compile(self._dialect.page(select, limit, offset))

    def _update(self, condition: sa.ColumnElement[bool], *columns: str) -> Statement:
        values: dict[str, sa.BindParameter[Any]] = {name: sa.bindparam(f"new_{name}") for name in columns}
        return self._compile(sa.update(self._table).values(values).where(condition))
