"""Routes of the management API about the caller: session, one-time links, password, sessions, tokens."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, SkipValidation
from msgspec import Struct

from apilane.errors import unauthorized
from apilane.manage.callers import ended_cookie, session_cookie
from apilane.manage.desk import Desk
from apilane.model.portal_roles import Permission
from apilane.plugin.manage import CredentialView, OperatorView

__all__ = ["DeskOfCaller", "account_routes"]

DeskOfCaller = NamedDependency[SkipValidation[Desk]]
AnyRequest = Request[Any, Any, Any]


class SignIn(Struct, frozen=True, kw_only=True, rename="pascal"):
    """Credentials of a portal user."""

    email: str
    password: str


class UseLink(Struct, frozen=True, kw_only=True, rename="pascal"):
    """A one-time link, and the account that it sets up. ``password``: 12 to 100 characters."""

    code: str
    email: str
    password: str


class ChangePassword(Struct, frozen=True, kw_only=True, rename="pascal"):
    """``new_password``: 12 to 100 characters."""

    current_password: str
    new_password: str


class NewToken(Struct, frozen=True, kw_only=True, rename="pascal"):
    """An operator token. Without limits it may do what its user may do."""

    name: str
    days: int = 90
    application: str | None = None
    permissions: tuple[Permission, ...] | None = None


class Secret(Struct, frozen=True, kw_only=True, rename="pascal"):
    """A secret that is shown once."""

    token: str


@post("/session", status_code=200, opt={"open": True}, tags=["Account"])
async def sign_in(data: JSONBody[SignIn], request: AnyRequest, desk: DeskOfCaller) -> Response[OperatorView]:
    """Start a session. The answer sets its cookie; changes also need its ``Csrf`` in the header ``X-CSRF-Token``."""
    client, address = request.headers.get("user-agent", ""), request.app.state.client_address(request.scope)
    secret = await desk.sign_in(data.email, data.password, client, address)
    return await session_answer(request, secret)


@post("/link", status_code=200, opt={"open": True}, tags=["Account"])
async def use_link(data: JSONBody[UseLink], request: AnyRequest, desk: DeskOfCaller) -> Response[OperatorView]:
    """Set the password of a new portal user with a one-time link, and start a session."""
    client, address = request.headers.get("user-agent", ""), request.app.state.client_address(request.scope)
    secret = await desk.use_link(data.code, data.email, data.password, client, address)
    return await session_answer(request, secret)


async def session_answer(request: AnyRequest, secret: str) -> Response[OperatorView]:
    """The signed-in user, with the cookie of the new session."""
    desk: Desk = await request.app.state.desk_of_session(secret)
    if desk.operator is None:
        raise unauthorized()
    cookie = session_cookie(secret, is_secure=request.url.scheme == "https")
    return Response(desk.operator, cookies=[cookie])


@get("/session", tags=["Account"])
async def whoami(desk: DeskOfCaller) -> OperatorView:
    """The signed-in portal user."""
    operator = desk.operator
    if operator is None:
        raise unauthorized()
    return operator


@delete("/session", status_code=200, tags=["Account"])
async def sign_out(desk: DeskOfCaller) -> Response[None]:
    """End the session."""
    await desk.sign_out()
    return Response(None, cookies=[ended_cookie()])


@post("/password", status_code=204, tags=["Account"])
async def change_password(data: JSONBody[ChangePassword], desk: DeskOfCaller) -> None:
    """Change the own password; all other sessions and tokens of the user end."""
    await desk.change_password(data.current_password, data.new_password)


@get("/credentials", tags=["Account"])
async def credentials(desk: DeskOfCaller) -> list[CredentialView]:
    """The own sessions and tokens."""
    return list(await desk.credentials())


@post("/tokens", status_code=201, tags=["Account"])
async def create_token(data: JSONBody[NewToken], desk: DeskOfCaller) -> Secret:
    """Create an operator token for a script. Only a session may."""
    return Secret(token=await desk.create_token(data.name, data.days, data.application, data.permissions))


@delete("/credentials/{id:int}", status_code=204, tags=["Account"])
async def revoke(id: FromPath[int], desk: DeskOfCaller) -> None:
    """End one of the own sessions or tokens. Only a session may."""
    await desk.revoke(id)


def account_routes() -> Router:
    """The routes, below ``/api/manage/v1``."""
    handlers = [sign_in, use_link, whoami, sign_out, change_password, credentials, create_token, revoke]
    return Router("/", route_handlers=handlers)
