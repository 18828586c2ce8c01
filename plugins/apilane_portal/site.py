"""Answers of pages: templates with the frame around them, redirects, forms, errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import Request, Response
from litestar.datastructures import Cookie

from apilane.plugin import ApilaneError, Code
from apilane.plugin.manage import ApplicationManagement, Management
from apilane_portal.frame import Frame, frame_of

__all__ = ["Answer", "Web", "asset", "fields_of", "guarded", "redirect", "render"]

Web = Request[Any, Any, Any]
Answer = Response[Any]

_templates: Final = Environment(
    loader=PackageLoader("apilane_portal"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _moment(milliseconds: int | float | None) -> str:
    """A time in UTC; a script of the page shows it in local time."""
    if milliseconds is None:
        return ""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return str(milliseconds)


def _number(value: Any) -> str:
    """A number with separators."""
    return f"{value:,}"


_templates.filters["moment"] = _moment
_templates.filters["number"] = _number


async def render(
    template: str,
    management: Management,
    *,
    title: str,
    application: ApplicationManagement | None = None,
    here: str = "",
    status: int = 200,
    **values: object,
) -> Answer:
    """A page. ``here``: the navigation entry that is current."""
    frame: Frame | None = None
    if management.operator is not None:
        frame = await frame_of(management, application, here)
    text = _templates.get_template(template).render(
        title=title, frame=frame, operator=management.operator, application=application, **values
    )
    return Response(text, status_code=status, media_type="text/html; charset=utf-8")


def redirect(path: str, *cookies: Cookie) -> Answer:
    """Go to a page of this Portal after a form."""
    return Response(b"", status_code=303, headers={"location": path}, cookies=list(cookies))


async def fields_of(request: Web) -> dict[str, str]:
    """The texts of a form; of repeated fields all values, joined by commas."""
    form = await request.form()
    found: dict[str, str] = {}
    for name in form:
        found[name] = ",".join(value for value in form.getall(name) if isinstance(value, str))
    return found


Work = Callable[[], Awaitable[Answer]]


async def guarded(management: Management, work: Work, *, title: str = "This did not work") -> Answer:
    """Run a page; an error of the services becomes a page with its message."""
    try:
        return await work()
    except ApilaneError as error:
        status = 403 if error.code is Code.UNAUTHORIZED else error.status
        return await render("error.html", management, title=title, status=status, message=error.message)


def asset(name: str) -> bytes:
    """A file of the folder ``static``."""
    return (files("apilane_portal") / "static" / name).read_bytes()
