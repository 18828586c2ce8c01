"""A change of the model or the rules: first its plan, and with a second click the change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from apilane.plugin import ApilaneError, Code
from apilane.plugin.manage import ApplicationManagement, ManagementPage, Permission
from apilane_portal.site import Answer, Web, fields_of, guarded, redirect, render

__all__ = ["Change", "named", "refuse", "review", "review_part"]

Change = Callable[[dict[str, Any], Mapping[str, str]], None]
"""Changes a manifest as the fields of a form say. Raises ``ApilaneError``."""


async def review(
    request: Web,
    management: ManagementPage,
    application: ApplicationManagement,
    change: Change,
    *,
    back: str,
    here: str,
) -> Answer:
    """Show the plan of a change, or apply it when the form comes from that page."""
    fields = await fields_of(request)
    document = application.manifest()
    problem, plan, status = "", None, 200
    try:
        change(document, fields)
        if fields.get("step") == "apply":
            version = fields.get("version", "")
            await application.apply(
                document, version=int(version) if version.isdecimal() else -1, accepts_loss=fields.get("loss") == "yes"
            )
            return redirect(back)
        plan = await application.plan(document)
    except ApilaneError as error:
        problem, status = error.message, 400 if error.status == 401 else error.status
    kept = {name: value for name, value in fields.items() if name not in {"csrf", "step", "version", "loss"}}
    return await render(
        "review.html",
        management,
        title="Review the change",
        application=application,
        here=here,
        status=status,
        plan=plan,
        problem=problem,
        fields=kept,
        action=request.url.path,
        back=back,
    )


async def review_part(
    request: Web, management: ManagementPage, token: str, change: Change, *, needs: Permission, part: str
) -> Answer:
    """``review`` of a form on the page ``/apps/TOKEN/part``, for callers with the permission ``needs``."""

    async def work() -> Answer:
        application = await management.application(token, needs)
        back = f"/apps/{application.token}/{part}"
        return await review(request, management, application, change, back=back, here=part)

    return await guarded(management, work)


def refuse(message: str) -> ApilaneError:
    """The error for a form that does not make sense."""
    return ApilaneError(Code.VALIDATION, message)


def named(items: list[dict[str, Any]], name: str, what: str) -> dict[str, Any]:
    """The item with that name."""
    for item in items:
        if item.get("Name") == name:
            return item
    raise refuse(f"There is no {what} {name}.")
