"""The start page with all applications, and the form for a new one."""

from __future__ import annotations

from litestar import get, post

from apilane.plugin import ApilaneError
from apilane.plugin.manage import ManagementPage, PortalPage
from apilane_portal.site import Answer, Web, fields_of, redirect, render

__all__ = ["home_pages"]


@get("/")
async def home(management: ManagementPage) -> Answer:
    """All applications in which the caller has a role."""
    cards = await management.applications()
    return await render("home.html", management, title="Applications", here="home", cards=cards)


@get("/apps/new")
async def show_new(management: ManagementPage) -> Answer:
    """The form for a new application."""
    return await _form(management, {}, "")


@post("/apps/new", status_code=200)
async def new(request: Web, management: ManagementPage) -> Answer:
    """Create an application and open its model."""
    fields = await fields_of(request)
    section = {
        "Name": fields.get("name", ""),
        "StorageProvider": fields.get("provider", "SQLite"),
        "ConnectionString": fields.get("connection") or None,
    }
    try:
        token = await management.create({"Apilane": 1, "Application": {k: v for k, v in section.items() if v}})
    except ApilaneError as error:
        return await _form(management, fields, error.message)
    return redirect(f"/apps/{token}/model")


async def _form(management: ManagementPage, fields: dict[str, str], error: str) -> Answer:
    return await render(
        "new.html",
        management,
        title="New application",
        here="home",
        status=400 if error else 200,
        fields=fields,
        providers=management.providers(),
        error=error,
    )


def home_pages() -> list[PortalPage]:
    """The pages."""
    return [PortalPage(home), PortalPage(show_new), PortalPage(new)]
