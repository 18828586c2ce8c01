"""The statements of the control store, built once for a dialect. Pure. Parameters have the order of their names."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from apilane.control.tables import (
    APPLICATIONS,
    AUDIT,
    DELETED_APPLICATIONS,
    INSTANCE,
    JOB_RUNS,
    OPERATOR_TOKENS,
    OUTBOX_MARKS,
    PENDING_CHANGES,
    PORTAL_USERS,
)
from apilane.model.definition import Entity
from apilane.sql.dialect import Dialect
from apilane.sql.statement import Statement, compile_statement
from apilane.sql.tables import table_of

__all__ = ["ControlStatements"]


class ControlStatements:
    """Every statement of the control store, named by what it does. Comments give the parameters in order."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        instance, applications = table_of(INSTANCE, dialect), table_of(APPLICATIONS, dialect)
        pending, audit = table_of(PENDING_CHANGES, dialect), table_of(AUDIT, dialect)
        users = table_of(PORTAL_USERS, dialect)

        self.instance = self._select(instance, "SchemaVersion", "KeyCheck", "Sequence")
        self.insert_instance = self._insert(INSTANCE)
        self.set_schema_version = self._write(sa.update(instance).values({"SchemaVersion": sa.bindparam("version")}))
        sequence = instance.c["Sequence"]
        self.lock_instance = self._write(sa.update(instance).values({sequence: sequence}))
        self.raise_sequence = self._write(sa.update(instance).values({sequence: sequence + sa.literal_column("1")}))

        whole = ("Token", "Version", "Definition", "Secrets")
        self.application = self._select(applications, *whole, by="Token")  # token
        self.applications_named = self._select(applications, *whole, by="Name")  # name
        self.applications = self._select(applications, "Token", "Name", "Version", order="Name")
        self.definitions = self._select(applications, "Definition", order="Name")
        changed = sa.select(applications.c["Token"], applications.c["Sequence"])
        changed = changed.where(applications.c["Sequence"] > sa.bindparam("since", type_=sa.BigInteger()))
        self.changes = self._compile(changed.order_by(applications.c["Sequence"]))  # since
        self.insert_application = self._insert(APPLICATIONS)
        renewed = ("Name", "Version", "Definition", "Secrets", "Sequence", "Updated")
        update = sa.update(applications).values({name: sa.bindparam(_parameter(name)) for name in renewed})
        self.update_application = self._write(update.where(applications.c["Token"] == sa.bindparam("token")))

        self.pending = self._select(pending, *_columns(PENDING_CHANGES), by="Token")  # token
        self.pending_tokens = self._select(pending, "Token", order="ID")
        self.insert_pending = self._insert(PENDING_CHANGES)
        self.delete_pending = self._write(sa.delete(pending).where(pending.c["Token"] == sa.bindparam("token")))

        self.insert_audit = self._insert(AUDIT)
        complete = sa.update(audit).values({audit.c["Changes"]: sa.bindparam("changes")})
        self.complete_audit = self._write(complete.where(audit.c["ID"] == sa.bindparam("id")))
        newest = sa.select(*(audit.c[name] for name in _columns(AUDIT)))
        newest = newest.where(audit.c["Token"] == sa.bindparam("token")).order_by(audit.c["ID"].desc())
        # A new application with the token of a deleted one starts at version 1 again, so old versions get a minus.
        ended = sa.update(audit).values({audit.c["Version"]: audit.c["Version"] * sa.literal_column("-1")})
        is_older = audit.c["Version"] > sa.literal_column("0")
        self.end_audit = self._write(ended.where(audit.c["Token"] == sa.bindparam("token"), is_older))
        limit, offset = (sa.bindparam(name, type_=sa.Integer()) for name in ("limit", "offset"))
        self.audit = self._compile(dialect.page(newest, limit, offset))  # token, limit, offset
        self.audit_pages = {with_token: self._audit_page(audit, with_token=with_token) for with_token in (True, False)}
        published = sa.select(audit.c["Version"], audit.c["MaskedBefore"], audit.c["MaskedAfter"])
        published = published.where(audit.c["Token"] == sa.bindparam("token"))
        published = published.where(audit.c["Version"] > sa.bindparam("since", type_=sa.BigInteger()))
        published = published.where(audit.c["MaskedAfter"] != sa.bindparam("nothing"))
        self.published = self._compile(published.order_by(audit.c["ID"].desc()))  # token, since, nothing

        self.portal_user = self._select(users, "ID", "Email", "PasswordHash", "IsAdmin", by="EmailFold")  # fold
        self.insert_portal_user = self._insert(PORTAL_USERS)
        self.portal_users = self._select(users, "ID", "Email", "PasswordHash", "IsAdmin", "Created", order="ID")
        of_user = users.c["ID"] == sa.bindparam("id")
        renewed_user: dict[str, Any] = {
            name: sa.bindparam(_parameter(name)) for name in ("Email", "EmailFold", "PasswordHash", "IsAdmin")
        }
        self.update_portal_user = self._write(sa.update(users).values(renewed_user).where(of_user))
        self.delete_portal_user = self._write(sa.delete(users).where(of_user))
        self._of_deletions(table_of(DELETED_APPLICATIONS, dialect), applications)
        self._of_operator_tokens(table_of(OPERATOR_TOKENS, dialect), users)
        self._of_background(table_of(OUTBOX_MARKS, dialect), table_of(JOB_RUNS, dialect))

    def _audit_page(self, audit: sa.Table, *, with_token: bool) -> Statement:
        """Records before an ID, newest first, of one application or of all."""
        page = sa.select(audit.c["ID"], *(audit.c[name] for name in _columns(AUDIT)))
        page = page.where(audit.c["ID"] < sa.bindparam("before", type_=sa.BigInteger()))
        if with_token:
            page = page.where(audit.c["Token"] == sa.bindparam("token"))
        limit, offset = (sa.bindparam(name, type_=sa.Integer()) for name in ("limit", "offset"))
        return self._compile(self._dialect.page(page.order_by(audit.c["ID"].desc()), limit, offset))

    def _of_operator_tokens(self, tokens: sa.Table, users: sa.Table) -> None:
        columns: list[sa.ColumnElement[Any]] = [tokens.c[name] for name in ("ID", "LastUsed", "Expires")]
        more = [tokens.c[name] for name in ("UserID", "Kind", "Name", "Application", "Permissions")]
        signed_in = sa.select(*columns, users.c["Email"], users.c["IsAdmin"], *more)
        signed_in = signed_in.select_from(tokens.join(users, users.c["ID"] == tokens.c["UserID"]))
        self.operator_token = self._compile(signed_in.where(tokens.c["TokenHash"] == sa.bindparam("hash")))  # hash
        self.insert_operator_token = self._insert(OPERATOR_TOKENS)
        shown = ("ID", "Kind", "Name", "Address", "Created", "LastUsed", "Expires", "Application", "Permissions")
        self.operator_tokens_of = self._select(tokens, *shown, by="UserID", order="ID")  # userid
        one = (tokens.c["ID"] == sa.bindparam("id")) & (tokens.c["UserID"] == sa.bindparam("userid"))
        self.delete_operator_token = self._write(sa.delete(tokens).where(one))
        others = (tokens.c["UserID"] == sa.bindparam("userid")) & (tokens.c["ID"] != sa.bindparam("kept"))
        self.delete_operator_tokens_of = self._write(sa.delete(tokens).where(others))
        seen = sa.select(tokens.c["UserID"], sa.func.max(tokens.c["LastUsed"])).group_by(tokens.c["UserID"])
        self.last_seen = self._compile(seen)
        use = sa.update(tokens).values({tokens.c["LastUsed"]: sa.bindparam("now")})
        self.note_use_of_owner_token = self._write(use.where(tokens.c["ID"] == sa.bindparam("id")))
        self.delete_owner_token = self._write(sa.delete(tokens).where(tokens.c["TokenHash"] == sa.bindparam("hash")))
        can_idle = tokens.c["Name"].is_(None) | (tokens.c["Kind"] == sa.literal_column("'session'"))
        is_idle = (tokens.c["LastUsed"] <= sa.bindparam("idle")) & can_idle
        is_dead = is_idle | (tokens.c["Expires"] <= sa.bindparam("now"))
        self.delete_dead_operator_tokens = self._write(sa.delete(tokens).where(is_dead))

    def _of_deletions(self, deleted: sa.Table, applications: sa.Table) -> None:
        self.insert_deleted = self._insert(DELETED_APPLICATIONS)
        self.delete_application = self._write(
            sa.delete(applications).where(applications.c["Token"] == sa.bindparam("token"))
        )
        self.forget_deleted = self._write(sa.delete(deleted).where(deleted.c["Token"] == sa.bindparam("token")))
        gone = sa.select(deleted.c["Token"], deleted.c["Sequence"])
        gone = gone.where(deleted.c["Sequence"] > sa.bindparam("since", type_=sa.BigInteger()))
        self.deleted = self._compile(gone.order_by(deleted.c["Sequence"]))  # since

    def _of_background(self, marks: sa.Table, jobs: sa.Table) -> None:
        self.outbox_marks = self._select(marks, "Token", "Touches", order="ID")
        self.insert_outbox_mark = self._insert(OUTBOX_MARKS)
        is_of_token, touches = marks.c["Token"] == sa.bindparam("token"), marks.c["Touches"]
        touch = sa.update(marks).values({touches: touches + sa.literal_column("1")})
        self.touch_outbox_mark = self._write(touch.where(is_of_token))  # token
        seen = touches == sa.bindparam("touches")
        self.delete_outbox_mark = self._write(sa.delete(marks).where(is_of_token, seen))
        self.job_runs = self._select(jobs, "Name", "Started", order="ID")
        self.insert_job_run = self._insert(JOB_RUNS)
        start = sa.update(jobs).values({jobs.c["Started"]: sa.bindparam("now")})
        is_seen = (jobs.c["Name"] == sa.bindparam("name")) & (jobs.c["Started"] == sa.bindparam("seen"))
        self.start_job_run = self._write(start.where(is_seen))

    def _compile(self, element: sa.ClauseElement) -> Statement:
        return compile_statement(element, self._dialect.sqlalchemy)

    def _write(self, element: sa.ClauseElement) -> Statement:
        return compile_statement(element, self._dialect.sqlalchemy)

    def _select(self, table: sa.Table, *columns: str, by: str | None = None, order: str | None = None) -> Statement:
        select: sa.Select[Any] = sa.select(*(table.c[name] for name in columns))
        if by is not None:
            select = select.where(table.c[by] == sa.bindparam(_parameter(by)))
        if order is not None:
            select = select.order_by(table.c[order])
        return self._compile(select)

    def _insert(self, entity: Entity) -> Statement:
        """Insert a row with all columns except the key; parameters are the column names in lower case."""
        values: dict[str, sa.BindParameter[Any]] = {name: sa.bindparam(_parameter(name)) for name in _columns(entity)}
        return self._write(sa.insert(table_of(entity, self._dialect)).values(values))


def _columns(entity: Entity) -> tuple[str, ...]:
    return tuple(p.name for p in entity.properties if not p.is_primary_key)


def _parameter(column: str) -> str:
    # In INSERT and UPDATE, SQLAlchemy reserves the exact names of the columns for its own parameters.
    return column.lower()
