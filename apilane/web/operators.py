"""The calls of the management channel (docs/reference/protocol/wire-api.md section 9), all for operators only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

from apilane.control.folders import application_address
from apilane.errors import ApilaneError, Code
from apilane.instance import Instance
from apilane.model.json import encode_json
from apilane.model.portal_roles import Permission
from apilane.plugin.access import Operator
from apilane.plugin.calls import WireCall, Write
from apilane.plugin.replies import PLAIN, Reply
from apilane.services import history_reads, history_removal
from apilane.services.data_import import IMPORT_MAX_BYTES, import_records
from apilane.services.export import exported
from apilane.services.storage_use import count_data_and_history, storage_used_mb
from apilane.web import operator_descriptions as descriptions
from apilane.web.admission import check_content_type
from apilane.web.call import INT64, Call
from apilane.web.data import history_reply, history_window
from apilane.web.mail_templates import mail_template_calls

__all__ = ["operator_calls"]

USE_MANAGEMENT: Final = (
    "Not found: change the application with the management API (/api/manage/v1) or with apilane apply"
)
GONE: Final = (
    ("GET", "Application/GetSystemPropertiesAndConstraints"),
    ("POST", "Application/GenerateEntity"),
    ("GET", "Application/DegenerateEntity"),
    ("GET", "Application/RenameEntity"),
    ("POST", "Application/GenerateProperty"),
    ("GET", "Application/DegenerateProperty"),
    ("GET", "Application/RenameEntityProperty"),
    ("POST", "Application/GenerateConstraints"),
    ("GET", "Application/Rebuild"),
    ("GET", "Application/Degenerate"),
    ("POST", "ApplicationNew/Generate"),
    ("GET", "ApplicationNew/GetSystemEntities"),
)
"""Calls of 8.7 that change a model by numeric IDs, which definitions do not have here (B-O3)."""


def done() -> Reply:
    """The answer of calls without a result."""
    return Reply(b'"OK"')


async def gone(_call: Call) -> Reply:
    raise ApilaneError(Code.NOT_FOUND, USE_MANAGEMENT, status=404)


async def get_history(call: Call) -> Reply:
    """All snapshots of a record; without ``recordID``, those of all records of the entity."""
    record_id = call.integer("recordid", 0, INT64) if call.text("recordid") else None
    page = history_window(call, 20)
    found = await history_reads.entity_history(call.application, call.query.get("entity", ""), record_id, page)
    return history_reply(found)


async def delete_history(call: Call) -> Write[int]:
    """Without ``recordID`` the history of all records goes, so a ``recordID`` that is no ID is refused."""
    entity, record_id = call.query.get("entity", ""), None
    if call.text("recordid"):
        record_id = call.integer("recordid", 0, INT64)
        if record_id <= 0:
            text = "Validation error: recordID is not the ID of a record; nothing was deleted"
            raise ApilaneError(Code.VALIDATION, text, property="recordID", entity=entity)
    write = await history_removal.delete_history(call.application, entity, record_id)
    return Write(run=write.run, what=write.what, outcome=write.outcome, reply=lambda _gone: done())


async def count(call: Call) -> Reply:
    data, history = await count_data_and_history(call.application.entity(call.query.get("entity", "")))
    return Reply(encode_json({"Data": data, "History": history}))


async def export(call: Call) -> Write[AsyncIterator[bytes]]:
    application = call.application

    async def run() -> AsyncIterator[bytes]:
        return exported(application)

    headers = (
        (b"content-type", b"application/zip"),
        (b"content-disposition", f'attachment; filename="{application.token}.zip"'.encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    )
    return Write(
        run=run,
        what=lambda: "Application/Export",
        outcome=lambda _chunks: "begun",
        reply=lambda chunks: Reply(chunks, headers=headers, common=PLAIN),
    )


def operator_calls(instance: Instance) -> list[WireCall]:
    """The calls that read or carry data, and those that do not exist here."""

    async def clear_cache(call: Call) -> Reply:
        """Read the definition again in this process, and forget users and tokens."""
        call.application.records_changed()
        await instance.applications.reload(call.application.token)
        return done()

    async def storage_used(call: Call) -> Reply:
        application = call.application
        address = application_address(instance.settings.data_dir, application.token, application.stored.secrets)
        database = Path(address) if application.driver.features.embedded else None
        return Reply(encode_json(await storage_used_mb(application, database)))

    async def import_data(call: Call) -> Write[Sequence[int]]:
        check_content_type(call.headers)
        entity = call.application.entity(call.query.get("entity", ""))
        call.entity_name = entity.name
        write = await import_records(entity, call.stream(IMPORT_MAX_BYTES), instance.passwords)
        return Write(run=write.run, what=write.what, outcome=write.outcome, reply=_ids)

    access, views, edits = Operator(), Operator(needs=Permission.view_data), Operator(needs=Permission.edit_data)
    clear, delete = "/api/Application/ClearCache", "/api/EntityHistory/Delete"
    return [
        WireCall(
            path="/api/EntityHistory/Get",
            method="GET",
            action=get_history,
            access=access,
            description=descriptions.GET_HISTORY,
        ),
        WireCall(
            path=delete,
            method="DELETE",
            action=delete_history,
            access=edits,
            audited=True,
            description=descriptions.DELETE_HISTORY,
        ),
        WireCall(
            path="/api/Stats/CountDataAndHistory",
            method="GET",
            action=count,
            access=access,
            description=descriptions.COUNT,
        ),
        WireCall(
            path="/api/Application/GetStorageUsed",
            method="GET",
            action=storage_used,
            access=access,
            description=descriptions.STORAGE_USED,
        ),
        WireCall(path=clear, method="GET", action=clear_cache, access=access, description=descriptions.CLEAR_CACHE),
        WireCall(
            path="/api/Application/Export",
            method="GET",
            action=export,
            access=views,
            audited=True,
            description=descriptions.EXPORT,
        ),
        WireCall(
            path="/api/Application/ImportData",
            method="POST",
            action=import_data,
            description=descriptions.IMPORT,
            access=edits,
            body="stream",
            audited=True,
        ),
        *mail_template_calls(instance),
        *(
            WireCall(
                path=f"/api/{name}",
                method=method,  # type: ignore[arg-type]
                action=gone,
                access=access,
                audited=True,
                description=descriptions.GONE,
            )
            for method, name in GONE
        ),
    ]


def _ids(ids: Sequence[int]) -> Reply:
    return Reply(encode_json(list(ids)))
