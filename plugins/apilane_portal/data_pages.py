"""The data browser: a grid with filters, and a record beside it."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Mapping
from typing import Any

from litestar import get, post
from litestar.params import FromPath
from litestar.response import Stream

from apilane.plugin import ApilaneError, Code, Entity, Property, PropertyType, encode_json, parse_date
from apilane.plugin.manage import ApplicationManagement, ManagementPage, Permission, PortalPage
from apilane_portal.grid import PAGE_SIZE, View, filter_of, labels_of, reference_of, shown_properties, view_of
from apilane_portal.site import Answer, Web, fields_of, guarded, redirect, render

__all__ = ["data_pages", "safe_cell"]

WRITABLE_USERS = {"Email", "Username", "Password", "Roles"}


async def _opened(management: ManagementPage, token: str, name: str) -> tuple[ApplicationManagement, Entity]:
    application = await management.application(token, Permission.view_data)
    entity = application.definition.entity(name)
    if entity is None:
        raise ApilaneError(Code.NOT_FOUND, f"There is no entity {name}.", status=404)
    return application, entity


@get("/apps/{token:str}/data/{name:str}")
async def browse(token: FromPath[str], name: FromPath[str], request: Web, management: ManagementPage) -> Answer:
    """The records of an entity."""

    async def work() -> Answer:
        application, entity = await _opened(management, token, name)
        return await _page(management, application, entity, request.query_params)

    return await guarded(management, work)


@get("/apps/{token:str}/data/{name:str}/new")
async def show_new(token: FromPath[str], name: FromPath[str], request: Web, management: ManagementPage) -> Answer:
    """The grid with the form of a new record."""

    async def work() -> Answer:
        application, entity = await _opened(management, token, name)
        return await _page(
            management, application, entity, request.query_params, panel=_panel(application, entity, None)
        )

    return await guarded(management, work)


@get("/apps/{token:str}/data/{name:str}/{record:int}")
async def show(
    token: FromPath[str], name: FromPath[str], record: FromPath[int], request: Web, management: ManagementPage
) -> Answer:
    """The grid with one record."""

    async def work() -> Answer:
        application, entity = await _opened(management, token, name)
        found = await (await application.records()).get(entity.name, record)
        panel = _panel(application, entity, found)
        panel["history"] = _differences(entity, found, await application.history(entity.name, record))
        return await _page(management, application, entity, request.query_params, panel=panel)

    return await guarded(management, work)


@post("/apps/{token:str}/data/{name:str}/save", status_code=200)
async def save(token: FromPath[str], name: FromPath[str], request: Web, management: ManagementPage) -> Answer:
    """Create or change a record, or show the form again with the server's message at its field."""

    async def work() -> Answer:
        application, entity = await _opened(management, token, name)
        fields = await fields_of(request)
        id = fields.get("ID", "")
        try:
            records = await application.records(edit=True)
            values = _values(entity, fields, is_new=not id)
            if id:
                await records.update(entity.name, {"ID": int(id), **values})
            else:
                (made,) = await records.create(entity.name, values)
                id = str(made)
        except ApilaneError as error:
            panel = _panel(application, entity, None, typed=fields, error=error)
            return await _page(management, application, entity, {}, panel=panel, status=400)
        return redirect(f"/apps/{application.token}/data/{entity.name}/{id}")

    return await guarded(management, work)


@post("/apps/{token:str}/data/{name:str}/{record:int}/delete", status_code=200)
async def delete(
    token: FromPath[str], name: FromPath[str], record: FromPath[int], management: ManagementPage
) -> Answer:
    """Delete a record."""

    async def work() -> Answer:
        application, entity = await _opened(management, token, name)
        await (await application.records(edit=True)).delete(entity.name, record)
        return redirect(f"/apps/{application.token}/data/{entity.name}")

    return await guarded(management, work, title="The record was not deleted")


@get("/apps/{token:str}/data/{name:str}/export/{kind:str}")
async def export(
    token: FromPath[str], name: FromPath[str], kind: FromPath[str], request: Web, management: ManagementPage
) -> Answer:
    """All records of the view as CSV or JSON, streamed."""

    async def work() -> Answer:
        application, entity = await _opened(management, token, name)
        if kind not in {"csv", "json"}:
            raise ApilaneError(Code.NOT_FOUND, "Exports are csv or json.", status=404)
        view = view_of(entity, "", request.query_params)
        rows = (await application.records()).stream(
            entity.name, filter=filter_of(view, entity), sort=_sort(view), properties=_columns(view, entity)
        )
        chunks = _csv(rows, _columns(view, entity)) if kind == "csv" else _json(rows)
        headers = {"content-disposition": f'attachment; filename="{entity.name}.{kind}"'}
        media_type = "text/csv; charset=utf-8" if kind == "csv" else "application/json"
        return Stream(chunks, media_type=media_type, headers=headers)

    return await guarded(management, work)


async def _page(
    management: ManagementPage,
    application: ApplicationManagement,
    entity: Entity,
    query: Mapping[str, str],
    *,
    panel: dict[str, Any] | None = None,
    status: int = 200,
) -> Answer:
    view = view_of(entity, f"/apps/{application.token}/data/{entity.name}", query)
    records, problem, rows = await application.records(), "", []
    columns = _columns(view, entity)
    try:
        page = await records.list(
            entity.name,
            filter=filter_of(view, entity),
            sort=_sort(view),
            properties=("ID", *columns),
            page=view.page,
            page_size=PAGE_SIZE + 1,
        )
        rows = list(page.records)
    except ApilaneError as error:
        problem, status = error.message, 400
    total = None
    if view.is_counted and not problem:
        counted = await records.list(entity.name, filter=filter_of(view, entity), page_size=1, total=True)
        total = counted.total
    return await render(
        "data.html",
        management,
        title=entity.name,
        application=application,
        here=f"data {entity.name}",
        status=status,
        view=view,
        entity=entity,
        columns=[each for each in shown_properties(entity) if each.name in columns],
        all_columns=shown_properties(entity),
        rows=rows[:PAGE_SIZE],
        has_more=len(rows) > PAGE_SIZE,
        labels=await labels_of(application, records, entity, rows),
        references={each.name: reference_of(entity, each.name) for each in entity.properties},
        problem=problem,
        total=total,
        panel=panel,
        can_edit=application.may(Permission.edit_data) and not entity.is_read_only,
        can_create=application.may(Permission.edit_data) and not entity.is_system,
    )


def _columns(view: View, entity: Entity) -> tuple[str, ...]:
    return view.columns or tuple(each.name for each in shown_properties(entity))


def _sort(view: View) -> tuple[tuple[str, str], ...]:
    return ((view.sort, "desc" if view.descending else "asc"),) if view.sort else ()


def _editable(entity: Entity, property: Property) -> bool:
    if entity.name == "Users" and entity.is_system:
        return property.name in WRITABLE_USERS or not property.is_system
    return not property.is_system


def _panel(
    application: ApplicationManagement,
    entity: Entity,
    record: Mapping[str, Any] | None,
    *,
    typed: Mapping[str, str] | None = None,
    error: ApilaneError | None = None,
) -> dict[str, Any]:
    """The record beside the grid. ``typed``: the texts of a form that was refused."""
    values = {} if record is None else {p.name: _text(p, record.get(p.name)) for p in entity.properties}
    nulls = {p.name for p in entity.properties if record is not None and record.get(p.name) is None}
    if typed is not None:
        values = dict(typed)
        nulls = {name.removeprefix("null.") for name in typed if name.startswith("null.")}
    id = typed.get("ID", "") if typed is not None else "" if record is None else str(record["ID"])
    at = (error.property or "").lower() if error is not None else ""
    names = {p.name.lower() for p in entity.properties}
    return {
        "id": id,
        "title": next((values[p.name] for p in shown_properties(entity) if not p.is_system and values.get(p.name)), "")
        if id
        else f"New record of {entity.name}",
        "fields": [p for p in entity.properties if _editable(entity, p)],
        "values": values,
        "nulls": nulls,
        "error": "" if error is None or at in names else error.message,
        "errors": {} if error is None else {p.name: error.message for p in entity.properties if p.name.lower() == at},
        "history": [],
        "api": f"/api/Data/GetByID?entity={entity.name}&id={id}" if id else f"/api/Data/Post?entity={entity.name}",
        "token": application.token,
    }


def _text(property: Property, value: Any) -> str:
    if value is None:
        return ""
    if property.type is PropertyType.Boolean:
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return encode_json(value).decode()
    return str(value)


def _values(entity: Entity, fields: Mapping[str, str], *, is_new: bool) -> dict[str, Any]:
    """The typed values. A text without content is null where the box says so, and where the property is no text."""
    values: dict[str, Any] = {}
    for property in entity.properties:
        if not _editable(entity, property) or property.name not in fields:
            continue
        text = fields[property.name]
        is_null = f"null.{property.name}" in fields and not text
        if property.name == "Password" and not text:
            continue  # write-only: empty keeps it
        if is_null or (not text and (property.type is not PropertyType.String or is_new)):
            values[property.name] = None
        elif property.type is PropertyType.Boolean:
            values[property.name] = text == "true"
        elif property.type is PropertyType.Date and not text.lstrip("-").isdecimal():
            values[property.name] = parse_date(text) or text
        else:
            values[property.name] = text
    return values


def _differences(entity: Entity, now: Mapping[str, Any], history: Any) -> list[dict[str, Any]]:
    """The changes of a record, newest first: which value each property had before, and which after."""
    changes, after = [], dict(now)
    for item in history:
        before = item["Data"]
        lines = [
            (p.name, before.get(p.name), after.get(p.name))
            for p in shown_properties(entity)
            if p.name in before and before.get(p.name) != after.get(p.name)
        ]
        changes.append({"created": item["Created"], "owner": item["Owner"], "lines": lines})
        after = before
    return changes


def safe_cell(value: Any) -> Any:
    """A value for CSV. A text that a spreadsheet would take for a formula gets an apostrophe in front."""
    if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"}:
        return f"'{value}"
    if isinstance(value, dict | list):
        return encode_json(value).decode()
    return value


async def _csv(rows: AsyncIterator[dict[str, Any]], columns: tuple[str, ...]) -> AsyncIterator[bytes]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(columns)
    async for row in rows:
        writer.writerow([safe_cell(row.get(name)) for name in columns])
        if buffer.tell() > 65_536:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


async def _json(rows: AsyncIterator[dict[str, Any]]) -> AsyncIterator[bytes]:
    between = b"[\n"
    async for row in rows:
        yield between + encode_json(row)
        between = b",\n"
    yield b"\n]\n" if between == b",\n" else b"[]\n"


def data_pages() -> list[PortalPage]:
    """The pages."""
    return [PortalPage(each) for each in (browse, show_new, show, save, delete, export)]
