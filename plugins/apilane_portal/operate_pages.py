"""Endpoints, collaborators, audit and settings of an application; users, plugins and findings of the instance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from litestar import get, post
from litestar.params import FromPath

from apilane.plugin import ApilaneError
from apilane.plugin.manage import AuditEntry, ManagementPage, Permission, PortalPage, PortalRole
from apilane_portal.review import named, refuse, review, review_part
from apilane_portal.site import Answer, Web, fields_of, guarded, redirect, render

__all__ = ["operate_pages"]

PAGE = 50


@get("/apps/{token:str}/endpoints")
async def endpoints(token: FromPath[str], request: Web, management: ManagementPage) -> Answer:
    """The endpoints, and the form of one."""
    name = request.query_params.get("name", "")
    return await guarded(management, lambda: _endpoints(token, management, {"old": name}))


async def _endpoints(
    token: str, management: ManagementPage, fields: Mapping[str, str], *, result: Any = None, problem: str = ""
) -> Answer:
    application = await management.application(token)
    found = {each.name: each for each in application.definition.custom_endpoints}
    old = found.get(fields.get("old", ""))
    shown = {
        "old": old.name if old else "",
        "name": old.name if old else "",
        "query": old.query if old else "",
        "kind": old.kind if old else "sql",
        "description": (old.description or "") if old else "",
        "parameters": "\n".join(f"{name}: {type}" for name, type in (old.parameters if old else {}).items()),
        "values": "",
        **fields,
    }
    return await render(
        "endpoints.html",
        management,
        title="Endpoints",
        application=application,
        here="endpoints",
        status=400 if problem else 200,
        fields=shown,
        result=result,
        problem=problem,
        can_edit=application.may(Permission.edit_definition),
    )


@post("/apps/{token:str}/endpoints", status_code=200)
async def change_endpoint(token: FromPath[str], request: Web, management: ManagementPage) -> Answer:
    """Try an endpoint, or review and apply its change."""

    async def work() -> Answer:
        application = await management.application(token, Permission.edit_definition)
        fields = await fields_of(request)
        if fields.get("change") != "try":
            back = f"/apps/{application.token}/endpoints"
            return await review(request, management, application, _with_endpoint, back=back, here="endpoints")
        try:
            result = await application.try_endpoint(
                fields.get("name", ""),
                fields.get("query", ""),
                fields.get("kind", "sql"),
                _pairs(fields.get("parameters", ""), ":"),
                _pairs(fields.get("values", ""), "="),
            )
        except ApilaneError as error:
            return await _endpoints(token, management, fields, problem=error.message)
        return await _endpoints(token, management, fields, result=getattr(result, "value", result))

    return await guarded(management, work)


def _pairs(text: str, sign: str) -> dict[str, str]:
    pairs = (line.partition(sign) for line in text.splitlines() if line.strip())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _with_endpoint(document: dict[str, Any], fields: Mapping[str, str]) -> None:
    listed = document.setdefault("CustomEndpoints", [])
    old = fields.get("old", "")
    if fields.get("change") == "delete":
        listed.remove(named(listed, old, "endpoint"))
        document["Security"] = [each for each in document.get("Security", []) if each.get("CustomEndpoint") != old]
        return
    if not old:
        endpoint: dict[str, Any] = {}
        listed.append(endpoint)
    else:
        endpoint = named(listed, old, "endpoint")
    endpoint |= {"Name": fields.get("name", ""), "Query": fields.get("query", ""), "Kind": fields.get("kind", "sql")}
    endpoint["Parameters"] = _pairs(fields.get("parameters", ""), ":")
    endpoint["Description"] = fields.get("description") or None


@get("/apps/{token:str}/collaborators")
async def collaborators(token: FromPath[str], management: ManagementPage) -> Answer:
    """The collaborators with their roles."""

    async def work() -> Answer:
        application = await management.application(token)
        listed = [
            {"Email": each, "Role": "manager"} if isinstance(each, str) else each
            for each in application.manifest().get("Collaborators", [])
        ]
        return await render(
            "collaborators.html",
            management,
            title="Collaborators",
            application=application,
            here="collaborators",
            listed=listed,
            roles=[role.value for role in PortalRole],
            can_edit=application.may(Permission.manage_collaborators),
        )

    return await guarded(management, work)


@post("/apps/{token:str}/collaborators", status_code=200)
async def change_collaborators(token: FromPath[str], request: Web, management: ManagementPage) -> Answer:
    """Review or apply a change of the collaborators."""
    needs = Permission.manage_collaborators
    return await review_part(request, management, token, _with_collaborator, needs=needs, part="collaborators")


def _with_collaborator(document: dict[str, Any], fields: Mapping[str, str]) -> None:
    email = fields.get("email", "").strip()
    listed = document.get("Collaborators", [])
    kept = [each for each in listed if (each if isinstance(each, str) else each["Email"]).lower() != email.lower()]
    if fields.get("change") == "remove":
        if len(kept) == len(listed):
            raise refuse(f"{email} is no collaborator.")
    else:
        kept.append({"Email": email, "Role": fields.get("role", "viewer")})
    document["Collaborators"] = kept


@get("/apps/{token:str}/audit")
async def audit(token: FromPath[str], request: Web, management: ManagementPage) -> Answer:
    """The audit of the application."""

    async def work() -> Answer:
        application = await management.application(token, Permission.view_audit)
        entries = await application.audit(_before(request), PAGE)
        return await _audit(management, entries, application=application, here="audit")

    return await guarded(management, work)


async def _audit(
    management: ManagementPage, entries: Sequence[AuditEntry], *, here: str, application: Any = None
) -> Answer:
    more = entries[-1].id if len(entries) == PAGE else None
    return await render(
        "audit.html", management, title="Audit", application=application, here=here, entries=entries, more=more
    )


def _before(request: Web) -> int | None:
    text = request.query_params.get("before", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 18 else None


@get("/apps/{token:str}/settings")
async def settings(token: FromPath[str], management: ManagementPage) -> Answer:
    """Name, state and deletion of the application."""
    return await guarded(management, lambda: _settings(token, management))


async def _settings(token: str, management: ManagementPage, problem: str = "") -> Answer:
    application = await management.application(token)
    return await render(
        "settings.html",
        management,
        title="Settings",
        application=application,
        here="settings",
        status=400 if problem else 200,
        problem=problem,
        can_edit=application.may(Permission.edit_definition),
        can_delete=application.may(Permission.delete_application),
        manifest=application.manifest_text(),
    )


@post("/apps/{token:str}/settings", status_code=200)
async def change_settings(token: FromPath[str], request: Web, management: ManagementPage) -> Answer:
    """Review or apply a change of the settings, or delete the application."""

    async def work() -> Answer:
        application = await management.application(token)
        fields = await fields_of(request)
        if fields.get("change") != "delete":
            back = f"/apps/{application.token}/settings"
            return await review(request, management, application, _with_settings, back=back, here="settings")
        try:
            await application.delete(fields.get("name", ""), fields.get("password", ""))
        except ApilaneError as error:
            return await _settings(token, management, error.message)
        return redirect("/")

    return await guarded(management, work)


def _with_settings(document: dict[str, Any], fields: Mapping[str, str]) -> None:
    document["Application"]["Name"] = fields.get("name", "")
    document["Application"]["Online"] = fields.get("online") == "yes"


@get("/instance")
async def instance(management: ManagementPage) -> Answer:
    """Users, plugins and findings."""
    return await guarded(management, lambda: _instance(management))


async def _instance(management: ManagementPage, code: str = "", problem: str = "") -> Answer:
    return await render(
        "instance.html",
        management,
        title="Instance",
        here="instance",
        status=400 if problem else 200,
        users=await management.users(),
        plugins=management.plugins(),
        findings=await management.findings(),
        code=code,
        problem=problem,
    )


@post("/instance/users", status_code=200)
async def change_users(request: Web, management: ManagementPage) -> Answer:
    """Invite, promote, demote or delete a portal user."""

    async def work() -> Answer:
        fields = await fields_of(request)
        id, change = fields.get("id", ""), fields.get("change", "")
        number, code = int(id) if id.isascii() and id.isdecimal() and len(id) < 16 else 0, ""
        try:
            if change == "invite":
                code = await management.invite(fields.get("email", ""), is_admin=bool(fields.get("admin")))
            elif change == "delete":
                await management.delete_user(number)
            else:
                await management.set_admin(number, is_admin=change == "promote")
        except ApilaneError as error:
            return await _instance(management, problem=error.message)
        return await _instance(management, code)

    return await guarded(management, work)


@get("/instance/audit")
async def instance_audit(request: Web, management: ManagementPage) -> Answer:
    """The audit of everything."""

    async def work() -> Answer:
        return await _audit(management, await management.audit(_before(request), PAGE), here="instance-audit")

    return await guarded(management, work)


def operate_pages() -> list[PortalPage]:
    """The pages."""
    handlers = [
        *(endpoints, change_endpoint, collaborators, change_collaborators, audit, settings, change_settings),
        *(instance, change_users, instance_audit),
    ]
    return [PortalPage(each) for each in handlers]
