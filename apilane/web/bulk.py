"""Data/Export and Data/Import (docs/reference/protocol/wire-api.md sections 4.10 and 4.11)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final, cast

from msgspec.structs import replace

from apilane.errors import ApilaneError, Code, unauthorized
from apilane.instance import Instance
from apilane.model.definition import Action
from apilane.model.hints import shown
from apilane.plugin.access import Data
from apilane.plugin.calls import WireCall, Write
from apilane.plugin.identity import Actor
from apilane.plugin.replies import PLAIN, Reply
from apilane.runtime.application import ApplicationRuntime
from apilane.services.bulk_export import FORMATS, BulkFormat, count_matching, exported_records
from apilane.services.bulk_import import BulkImport, Granted, ImportOptions, ImportReport
from apilane.services.record_reads import PageQuery
from apilane.sql.write import first_id_where
from apilane.web import descriptions
from apilane.web.call import INT64, Call
from apilane.web.limits import count

__all__ = ["bulk_calls"]

RECORDS_PER_USE: Final = 1000
IMPORT_MAX_BYTES: Final = 1 << 40
MEDIA_TYPES: Final = {"csv": b"text/csv; charset=utf-8; header=present", "jsonl": b"application/jsonl; charset=utf-8"}
_BY_TYPE: Final = {
    "text/csv": "csv",
    "application/csv": "csv",
    "application/jsonl": "jsonl",
    "application/x-jsonlines": "jsonl",
    "application/x-ndjson": "jsonl",
    "application/ndjson": "jsonl",
}


async def export(call: Call) -> Write[AsyncIterator[bytes]]:
    """All records of the query. A caller with a rate limit must have a use for each 1,000 records before it begins."""
    entity, actor, access = call.entity, call.actor, call.access
    format = _format(call, "csv")
    query = PageQuery(
        filter=call.query.get("filter"),
        sort=call.query.get("sort"),
        properties=call.query.get("properties"),
        default_order=False,
    )
    if access.limit is not None:
        await _count_uses(call, await count_matching(entity, actor, access, query))

    async def run() -> AsyncIterator[bytes]:
        return await exported_records(entity, actor, access, query, format, safe=call.boolean("safe"))

    headers = (
        (b"content-type", MEDIA_TYPES[format]),
        (b"content-disposition", f'attachment; filename="{entity.name}.{format}"'.encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    )
    return Write(
        run=run,
        what=lambda: f"Data/Export {entity.name}",
        outcome=lambda _chunks: "begun",
        reply=lambda chunks: Reply(chunks, headers=headers, common=PLAIN),
    )


async def _count_uses(call: Call, records: int) -> None:
    """Count the uses beyond the first. Raises RATE_LIMIT_EXCEEDED, also for an export that the limit never admits."""
    limit = call.access.limit
    assert limit is not None  # noqa: S101  # the caller has looked
    uses = -(-records // RECORDS_PER_USE)
    if uses > limit.max_requests:
        text = f"Too many requests: {records} records count as {uses} uses, and the limit is {limit.max_requests} per "
        text += f"{limit.per}; export parts with a filter"
        raise ApilaneError(Code.RATE_LIMIT_EXCEEDED, text, entity=call.entity.name)
    for _ in range(uses - 1):
        await count(call, call.entity.name, Action.get, limit)


def _format(call: Call, default: str | None) -> BulkFormat:
    """The parameter ``format``, or the default. Raises ERROR for another one."""
    format = (call.query.get("format") or default or "").lower()
    if format in FORMATS:
        return cast("BulkFormat", format)
    what = f"the format {shown(format)}" if format else "no format"
    text = f"Something went wrong: expected format=csv or format=jsonl, found {what}"
    raise ApilaneError(Code.ERROR, text, entity=call.entity.name)


def _media_type(call: Call) -> str | None:
    sent = call.headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
    return _BY_TYPE.get(sent)


async def _actor_now(actor: Actor, application: ApplicationRuntime) -> Actor:
    """A caller with the roles and the tenant of now. Raises UNAUTHORIZED when the session has ended."""
    if actor.user_id is None:
        return actor
    user = await application.tokens.find_user(id=actor.user_id)
    if user is not None and actor.session_id is not None:
        select = application.auth_tokens.statement(first_id_where, (("ID", "id"),))
        if (await application.session.fetch(select, (actor.session_id,)))[0][0] is None:
            user = None
    if user is None:
        raise unauthorized()
    return replace(actor, roles=user.roles, tenant=user.tenant)


def bulk_calls(instance: Instance) -> list[WireCall]:
    """``Data/Export`` and ``Data/Import``."""

    async def import_records(call: Call) -> Write[ImportReport]:
        """The lines of the body. Each 1,000 count one use of a rate limit."""
        options = ImportOptions(
            format=_format(call, _media_type(call)),
            dry_run=call.boolean("dryrun"),
            start=call.integer("from", 1, INT64),
            safe=call.boolean("safe"),
        )

        async def again() -> Granted:
            """The rights of now, and one more use: an import may take hours."""
            application = instance.applications.find_live(call.application.token) or call.application
            actor = await _actor_now(call.actor, application)
            if not application.online and actor.kind != "operator":
                raise ApilaneError(Code.SERVICE_UNAVAILABLE, "Application offline.")
            entity = application.entity(call.entity.name)
            access = application.access(entity, Action.post, actor)
            if access.limit is not None:
                await count(call, entity.name, Action.post, access.limit)
            return Granted(actor, entity, access)

        job = BulkImport(Granted(call.actor, call.entity, call.access), options, again)
        await job.check()
        name = call.entity.name
        return Write(
            run=lambda: job.run(call.stream(IMPORT_MAX_BYTES)),
            what=lambda: f"Data/Import {name}{' (dry run)' if options.dry_run else ''}",
            outcome=lambda report: (
                f"{report.stored} stored, {len(report.refused)} refused"
                + (f", stopped before line {report.next}" if report.stopped else "")
            ),
        )

    return [
        WireCall(
            path="/api/Data/Export",
            method="GET",
            action=export,
            description=descriptions.EXPORT,
            access=Data(Action.get),
            audited=True,
            refuses_files=True,
        ),
        WireCall(
            path="/api/Data/Import",
            method="POST",
            action=import_records,
            description=descriptions.IMPORT,
            access=Data(Action.post),
            body="stream",
            audited=True,
            refuses_files=True,
        ),
    ]
