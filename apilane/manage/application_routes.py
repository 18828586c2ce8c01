"""Routes of the management API about applications."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, delete, get, patch, post, put
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter
from litestar.response import Stream
from msgspec import Struct

from apilane.errors import ApilaneError, Code
from apilane.manage.account_routes import DeskOfCaller
from apilane.manage.desk import Manifests
from apilane.model.portal_roles import PortalRole
from apilane.plugin.manage import ApplicationCard, AuditEntry, EntityRights, PlanView, Subject

__all__ = ["application_routes"]

AnyRequest = Request[Any, Any, Any]
IfMatch = Annotated[str | None, HeaderParameter(name="If-Match", description='The version, such as "3"')]
JSON, YAML = "application/json", "application/yaml"


class NewApplication(Struct, frozen=True, kw_only=True, rename="pascal"):
    """An application without entities. ``connection_string``: for providers on a server."""

    name: str
    storage_provider: str = "SQLite"
    connection_string: str | None = None
    differentiation_entity: str | None = None


class ApplicationChange(Struct, frozen=True, kw_only=True, rename="pascal"):
    """Fields that are absent stay."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    online: bool | msgspec.UnsetType = msgspec.UNSET


class CollaboratorEntry(Struct, frozen=True, kw_only=True, rename="pascal"):
    """A portal user with a role in the application."""

    email: str
    role: PortalRole = PortalRole.manager


class Deletion(Struct, frozen=True, kw_only=True, rename="pascal"):
    """``name``: of the application. ``password``: of the caller; tokens need none."""

    name: str
    password: str | None = None


@get("/applications", tags=["Applications"])
async def applications(desk: DeskOfCaller) -> list[ApplicationCard]:
    """The applications in which the caller has a role."""
    return list(await desk.applications())


@post("/applications", status_code=201, tags=["Applications"])
async def create(data: JSONBody[NewApplication], desk: DeskOfCaller) -> ApplicationCard:
    """Create an application. For instance admins."""
    section = {
        "Name": data.name,
        "StorageProvider": data.storage_provider,
        "ConnectionString": data.connection_string,
        "DifferentiationEntity": data.differentiation_entity,
    }
    kept = {key: value for key, value in section.items() if value is not None}
    token = await desk.create({"Apilane": 1, "Application": kept})
    return next(each for each in await desk.applications() if each.token == token)


@get("/applications/{token:str}", tags=["Applications"])
async def application(token: FromPath[str], desk: DeskOfCaller) -> ApplicationCard:
    """One application."""
    found = await desk.application(token)
    return next(each for each in await desk.applications() if each.token == found.token)


@patch("/applications/{token:str}", tags=["Applications"])
async def change(
    token: FromPath[str], data: JSONBody[ApplicationChange], desk: DeskOfCaller, if_match: IfMatch = None
) -> PlanView:
    """Rename an application, or take it on or off line."""
    found = await desk.application(token)
    section = {key: value for key, value in msgspec.to_builtins(data).items() if value is not msgspec.UNSET}
    manifest = {"Apilane": 1, "Application": {"Name": found.definition.name, "Token": found.token, **section}}
    return await found.apply(manifest, version=_version(if_match))


@delete("/applications/{token:str}", status_code=204, tags=["Applications"])
async def remove(token: FromPath[str], data: JSONBody[Deletion], desk: DeskOfCaller) -> None:
    """Delete an application with its data."""
    await (await desk.application(token)).delete(data.name, data.password)


@get("/applications/{token:str}/export", tags=["Applications"])
async def export(token: FromPath[str], desk: DeskOfCaller) -> Stream:
    """The definition and the data as a zip."""
    found = await desk.application(token)
    headers = {"content-disposition": f'attachment; filename="{found.token}.zip"'}
    return Stream(await found.export(), media_type="application/zip", headers=headers)


@get("/applications/{token:str}/definition", tags=["Definitions"])
async def definition(token: FromPath[str], request: AnyRequest, desk: DeskOfCaller) -> Response[str]:
    """The manifest, as JSON or, with ``Accept: application/yaml``, as YAML. ``ETag`` is the version."""
    found = await desk.application(token)
    is_yaml = YAML in request.headers.get("accept", "")
    text = found.manifest_text("yaml" if is_yaml else "json")
    return Response(text, media_type=YAML if is_yaml else JSON, headers={"etag": f'"{found.version}"'})


@post("/applications/{token:str}/plan", status_code=200, tags=["Definitions"])
async def plan(token: FromPath[str], request: AnyRequest, desk: DeskOfCaller) -> PlanView:
    """The plan of a manifest (YAML or JSON): a dry run, which changes nothing."""
    found = await desk.application(token)
    return (await found.planned(await request.body())).view


@put("/applications/{token:str}/definition", tags=["Definitions"])
async def apply(
    token: FromPath[str],
    request: AnyRequest,
    desk: DeskOfCaller,
    if_match: IfMatch = None,
    accepts_loss: Annotated[bool, QueryParameter(name="acceptsLoss", description="Whether data may be lost")] = False,
) -> PlanView:
    """Apply a manifest (YAML or JSON) to the version in ``If-Match``; 412 when there is a newer one."""
    found = await desk.application(token)
    return await found.apply_text(await request.body(), version=_version(if_match), accepts_loss=accepts_loss)


@get("/applications/{token:str}/collaborators", tags=["Access"])
async def collaborators(token: FromPath[str], desk: DeskOfCaller) -> list[CollaboratorEntry]:
    """The collaborators with their roles."""
    found = (await desk.application(token)).manifest().get("Collaborators", [])
    return [
        CollaboratorEntry(email=each) if isinstance(each, str) else msgspec.convert(each, CollaboratorEntry)
        for each in found
    ]


@put("/applications/{token:str}/collaborators", tags=["Access"])
async def set_collaborators(
    token: FromPath[str], data: JSONBody[list[CollaboratorEntry]], desk: DeskOfCaller, if_match: IfMatch = None
) -> PlanView:
    """Replace the collaborators. For managers."""
    found = await desk.application(token)
    manifest = {
        "Apilane": 1,
        "Application": {"Name": found.definition.name, "Token": found.token},
        "Collaborators": [msgspec.to_builtins(each) for each in data],
    }
    return await found.apply(manifest, version=_version(if_match))


@get("/applications/{token:str}/rights", tags=["Access"])
async def rights(
    token: FromPath[str], desk: DeskOfCaller, role: FromQuery[str | None] = None, user: FromQuery[int | None] = None
) -> list[EntityRights]:
    """What a role, or a user of the application by ID, may do, and the rules that say so."""
    return list(await (await desk.application(token)).rights(Subject(role=role, user_id=user)))


@get("/applications/{token:str}/audit", tags=["Access"])
async def audit(
    token: FromPath[str], desk: DeskOfCaller, before: FromQuery[int | None] = None, limit: FromQuery[int] = 50
) -> list[AuditEntry]:
    """The audit of the application, newest first; ``before``: the ID of the last record of the page before."""
    return list(await (await desk.application(token)).audit(before, limit))


@post("/manifests/plan", status_code=200, tags=["Definitions"])
async def plan_manifests(data: JSONBody[Manifests], desk: DeskOfCaller) -> list[PlanView]:
    """The plans of several manifests, of new and of existing applications; changes nothing."""
    return await desk.plan_manifests(data)


@post("/manifests", status_code=200, tags=["Definitions"])
async def apply_manifests(data: JSONBody[Manifests], desk: DeskOfCaller) -> list[PlanView]:
    """Apply several manifests. All are checked before the first change."""
    return await desk.apply_manifests(data)


def _version(if_match: str | None) -> int:
    """The version of ``If-Match``. Raises ERROR with HTTP status 428 without one."""
    text = (if_match or "").strip().removeprefix("W/").strip('"')
    if not (text.isascii() and text.isdecimal() and len(text) <= 15):
        told = 'Send the version that you changed in the header If-Match, such as If-Match: "3".'
        raise ApilaneError(Code.REQUIRED, told, property="If-Match", status=428)
    return int(text)


def application_routes() -> Router:
    """The routes, below ``/api/manage/v1``."""
    handlers = [
        *(applications, create, application, change, remove, export, definition, plan, apply),
        *(collaborators, set_collaborators, rights, audit, plan_manifests, apply_manifests),
    ]
    return Router("/", route_handlers=handlers)
