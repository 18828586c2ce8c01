"""Routes of the management API about the instance, for its admins."""

from __future__ import annotations

from litestar import Router, delete, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Struct

from apilane.manage.account_routes import DeskOfCaller, Secret
from apilane.plugin.manage import AuditEntry, FindingView, PluginView, PortalUserView

__all__ = ["instance_routes"]


class Invitation(Struct, frozen=True, kw_only=True, rename="pascal"):
    """A portal user to create."""

    email: str
    is_admin: bool = False


class UserChange(Struct, frozen=True, kw_only=True, rename="pascal"):
    """The new role of a portal user in the instance."""

    is_admin: bool


@get("/users", tags=["Instance"])
async def users(desk: DeskOfCaller) -> list[PortalUserView]:
    """All portal users."""
    return list(await desk.users())


@post("/users", status_code=201, tags=["Instance"])
async def invite(data: JSONBody[Invitation], desk: DeskOfCaller) -> Secret:
    """Create a portal user, or find it. The answer is the code of a one-time link that sets its password."""
    return Secret(token=await desk.invite(data.email, is_admin=data.is_admin))


@patch("/users/{id:int}", status_code=204, tags=["Instance"])
async def change_user(id: FromPath[int], data: JSONBody[UserChange], desk: DeskOfCaller) -> None:
    """Make another user an instance admin, or not."""
    await desk.set_admin(id, is_admin=data.is_admin)


@delete("/users/{id:int}", status_code=204, tags=["Instance"])
async def delete_user(id: FromPath[int], desk: DeskOfCaller) -> None:
    """Delete another user with all sessions and tokens."""
    await desk.delete_user(id)


@get("/audit", tags=["Instance"])
async def audit(
    desk: DeskOfCaller, before: FromQuery[int | None] = None, limit: FromQuery[int] = 50
) -> list[AuditEntry]:
    """The audit of everything, newest first; ``before``: the ID of the last record of the page before."""
    return list(await desk.audit(before, limit))


@get("/plugins", tags=["Instance"])
async def plugins(desk: DeskOfCaller) -> list[PluginView]:
    """The loaded plugins with their hooks."""
    return list(desk.plugins())


@get("/findings", tags=["Instance"])
async def findings(desk: DeskOfCaller) -> list[FindingView]:
    """What ``apilane doctor`` finds. It reads every database."""
    return list(await desk.findings())


def instance_routes() -> Router:
    """The routes, below ``/api/manage/v1``."""
    return Router("/", route_handlers=[users, invite, change_user, delete_user, audit, plugins, findings])
