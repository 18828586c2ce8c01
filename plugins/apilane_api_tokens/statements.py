"""The statements of API tokens, compiled once for a database provider."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.sql.elements import ClauseElement

from apilane.plugin import ApplicationView, Dialect
from apilane.plugin.storage import Statement, Step, Value, compile_statement

__all__ = ["COLUMNS", "PAGE", "Statements", "statements_of", "step"]

COLUMNS: Final = (
    *("ID", "Kind", "Name", "Description", "UserID", "Roles", "Tenant", "TenantEntity", "Scopes", "Networks"),
    *("RateLimit", "DayQuota", "MonthQuota", "Shown", "OldUntil", "Created", "CreatedBy", "Expires", "Suspended"),
    *("Revoked", "LastUsed", "LastAddress"),
)
"""The columns of a ``TokenRow``, in its order."""
WRITTEN: Final = ("Hash", "OldHash")
CHANGED: Final = (
    *("Name", "Description", "Scopes", "Networks", "RateLimit", "DayQuota", "MonthQuota", "Expires", "Suspended"),
    "Revoked",
)
PAGE: Final = 200
"""Rows of one read."""


class Statements(NamedTuple):
    """``by_hash``: the columns of ``COLUMNS`` and whether the current secret has the hash (1 or 0)."""

    insert: Statement
    by_hash: Statement
    by_id: Statement
    after: Statement
    after_of_user: Statement
    count_of_user: Statement
    change: Statement
    hash_of: Statement
    rotate: Statement
    used: Statement
    delete_ended: Statement
    add_day: Statement
    insert_day: Statement
    sum_since: Statement
    days: Statement
    delete_days: Statement
    insert_call: Statement
    calls: Statement
    delete_calls: Statement


def statements_of(application: ApplicationView) -> Statements:
    """The statements for the database of an application."""
    tables = (application.table(name) for name in ("H_ApiTokens", "H_ApiTokenDays", "H_ApiTokenCalls"))
    return _statements(application.dialect, *tables)


def credential_statement(application: ApplicationView) -> Statement:
    """``by_hash`` of ``Statements`` with ID, roles and tenant of the user; these are null without a user."""
    tenant = application.definition.differentiation_entity
    return _credential(application.dialect, application.table("H_ApiTokens"), f"{tenant}_ID" if tenant else None)


@lru_cache(64)
def _credential(dialect: Dialect, tokens: sa.Table, tenant: str | None) -> Statement:
    users = sa.table("Users", sa.column("ID"), sa.column("Roles"), *([sa.column(tenant)] if tenant else []))
    of_user = [users.c["ID"], users.c["Roles"], users.c[tenant] if tenant else sa.null()]
    select = _by_hash(tokens).add_columns(*of_user)
    select = select.select_from(tokens.outerjoin(users, users.c["ID"] == tokens.c["UserID"]))
    return compile_statement(select, dialect.sqlalchemy)


def _by_hash(tokens: sa.Table) -> sa.Select[Any]:
    wanted: sa.BindParameter[str] = sa.bindparam("hash")
    is_current = sa.case((tokens.c["Hash"] == wanted, _literal("1")), else_=_literal("0"))
    columns = (tokens.c[name] for name in COLUMNS)
    return sa.select(*columns, is_current).where(sa.or_(tokens.c["Hash"] == wanted, tokens.c["OldHash"] == wanted))


def _literal(text: str) -> sa.ColumnElement[int]:
    found: sa.ColumnElement[int] = sa.literal_column(text)
    return found


def step(statement: Statement, values: Mapping[str, Value]) -> Step:
    """A step of a unit."""
    return Step(statement, statement.parameters(values))


def _bind(name: str) -> sa.BindParameter[int]:
    return sa.bindparam(name, type_=sa.BigInteger())


@lru_cache(16)
def _statements(dialect: Dialect, tokens: sa.Table, days: sa.Table, calls: sa.Table) -> Statements:
    t, d, c = tokens.c, days.c, calls.c
    zero = _literal("0")
    wanted: sa.BindParameter[str] = sa.bindparam("hash")

    def paged(select: sa.Select[Any]) -> sa.Select[Any]:
        return dialect.page(select, _bind("limit"), _bind("offset"))

    row = sa.select(*(t[name] for name in COLUMNS))
    page = row.where(t["ID"] > _bind("after")).order_by(t["ID"])
    is_mine, of_token = t["ID"] == _bind("id"), d["Token"] == _bind("Token")
    is_alive = sa.and_(t["Revoked"].is_(None), t["Expires"] > _bind("now"))
    is_day = sa.and_(of_token, d["Day"] == _bind("Day"), d["Call"] == sa.bindparam("Call"))
    more = {"Uses": d["Uses"] + _bind("Uses"), "Failed": d["Failed"] + _bind("Failed")}
    rotated: dict[str, Any] = {
        "OldHash": sa.bindparam("old_hash"),  # MySQL assigns in order, so it is no column
        "OldUntil": sa.bindparam("old_until"),
        "Hash": wanted,
        "Shown": sa.bindparam("shown"),
        "Expires": sa.bindparam("expires"),
    }
    used: dict[str, sa.BindParameter[Any]] = {"LastUsed": sa.bindparam("time"), "LastAddress": sa.bindparam("address")}
    is_first = sa.or_(t["LastUsed"].is_(None), t["LastUsed"] < _bind("time"))
    of_today = sa.case((d["Day"] == _bind("today"), d["Uses"]), else_=zero)
    sums = (sa.func.coalesce(sa.func.sum(each), zero) for each in (d["Uses"], of_today))
    elements: dict[str, ClauseElement] = {
        "by_hash": _by_hash(tokens),
        "by_id": row.where(is_mine),
        "after": paged(page),
        "after_of_user": paged(page.where(t["UserID"] == _bind("user"))),
        "count_of_user": sa.select(sa.func.count()).select_from(tokens).where(t["UserID"] == _bind("user"), is_alive),
        "change": sa.update(tokens).values({name: sa.bindparam(f"new_{name}") for name in CHANGED}).where(is_mine),
        "hash_of": sa.select(t["Hash"]).where(is_mine),
        "rotate": sa.update(tokens).values(rotated).where(is_mine),
        "used": sa.update(tokens).values(used).where(is_mine, is_first),
        "delete_ended": sa.delete(tokens).where(sa.or_(t["Expires"] < _bind("before"), t["Revoked"] < _bind("before"))),
        "add_day": sa.update(days).values(more).where(is_day),
        "sum_since": sa.select(*sums).where(of_token, d["Day"] >= _bind("since")),
        "days": sa.select(d["Day"], d["Call"], d["Uses"], d["Failed"])
        .where(of_token, d["Day"] >= _bind("since"))
        .order_by(d["Day"], d["Call"]),
        "delete_days": sa.delete(days).where(d["Day"] < _bind("before")),
        "calls": paged(
            sa.select(c["Time"], c["Address"], c["Call"], c["Status"], c["Uses"])
            .where(c["Token"] == _bind("Token"))
            .order_by(c["Time"].desc(), c["ID"].desc())
        ),
        "delete_calls": sa.delete(calls).where(c["Time"] < _bind("before")),
    }
    return Statements(
        insert=dialect.insert_row(tokens, [*COLUMNS[1:], *WRITTEN]),
        insert_day=dialect.insert_row(days, ["Token", "Day", "Call", "Uses", "Failed"]),
        insert_call=dialect.insert_row(calls, ["Token", "Time", "Address", "Call", "Status", "Uses"]),
        **{name: compile_statement(each, dialect.sqlalchemy) for name, each in elements.items()},
    )
