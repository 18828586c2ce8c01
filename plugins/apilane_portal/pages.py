"""The list of all pages."""

from __future__ import annotations

from typing import Final

from litestar import Response, get
from litestar.params import FromPath

from apilane.plugin import ApilaneError, Code
from apilane.plugin.manage import PortalPage
from apilane_portal.account_pages import account_pages
from apilane_portal.data_pages import data_pages
from apilane_portal.home_pages import home_pages
from apilane_portal.model_pages import model_pages
from apilane_portal.operate_pages import operate_pages
from apilane_portal.security_pages import security_pages
from apilane_portal.site import asset

__all__ = ["portal_pages"]

ASSETS: Final = {"portal.css": "text/css", "portal.js": "text/javascript"}


@get("/static/{name:str}", opt={"static": True})
async def static(name: FromPath[str]) -> Response[bytes]:
    """A file that pages load."""
    if name not in ASSETS:
        raise ApilaneError(Code.NOT_FOUND, status=404)
    headers = {"cache-control": "public, max-age=300"}
    return Response(asset(name), media_type=f"{ASSETS[name]}; charset=utf-8", headers=headers)


def portal_pages() -> list[PortalPage]:
    """All pages."""
    return [
        PortalPage(static, signed_in=False),
        *account_pages(),
        *home_pages(),
        *data_pages(),
        *model_pages(),
        *security_pages(),
        *operate_pages(),
    ]
