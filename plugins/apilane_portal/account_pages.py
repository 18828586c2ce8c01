"""Sign-in, first start, sign-out, and the page of the caller's sessions."""

from __future__ import annotations

from litestar import get, post
from litestar.datastructures import Cookie

from apilane.plugin import ApilaneError
from apilane.plugin.manage import ManagementPage, PortalPage
from apilane_portal.site import Answer, Web, fields_of, guarded, redirect, render

__all__ = ["account_pages", "local_path"]

COOKIE = "apilane_portal"


def local_path(path: str) -> str:
    """A path of this Portal to go to after sign-in; ``/`` for anything that may lead elsewhere."""
    is_local = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() and "\\" not in path
    return path if is_local else "/"


def _cookie(request: Web, secret: str) -> Cookie:
    is_secure = request.url.scheme == "https"
    return Cookie(key=COOKIE, value=secret, path="/", httponly=True, samesite="lax", secure=is_secure)


def _client(request: Web) -> tuple[str, str]:
    address: str = request.app.state.client_address(request.scope)
    return request.headers.get("user-agent", ""), address


@get("/sign-in")
async def show_sign_in(request: Web, management: ManagementPage) -> Answer:
    """The form to sign in."""
    if management.operator is not None:
        return redirect("/")
    following = local_path(request.query_params.get("next", "/"))
    return await render("sign_in.html", management, title="Sign in", email="", following=following, error="")


@post("/sign-in", status_code=200)
async def sign_in(request: Web, management: ManagementPage) -> Answer:
    """Start a session, or show the form again with what is wrong."""
    fields = await fields_of(request)
    email, following = fields.get("email", ""), local_path(fields.get("next", "/"))
    try:
        secret = await management.sign_in(email, fields.get("password", ""), *_client(request))
    except ApilaneError as error:
        return await render(
            "sign_in.html",
            management,
            title="Sign in",
            status=error.status,
            email=email,
            following=following,
            error=_sentence(error),
        )
    return redirect(following, _cookie(request, secret))


def _sentence(error: ApilaneError) -> str:
    wait_s = getattr(error, "retry_after_s", None)
    return error.message if wait_s is None else f"Too many attempts. Try again in {-(-wait_s // 60)} minutes."


@get("/start")
async def show_start(management: ManagementPage) -> Answer:
    """The form that a one-time link opens."""
    return await render("start.html", management, title="Set your password", email="", code="", error="")


@post("/start", status_code=200)
async def start(request: Web, management: ManagementPage) -> Answer:
    """Set the password, and start a session."""
    fields = await fields_of(request)
    email, code, password = fields.get("email", ""), fields.get("code", ""), fields.get("password", "")
    problem = "" if password == fields.get("again", "") else "The two passwords are not equal."
    secret = ""
    if not problem:
        try:
            secret = await management.use_link(code, email, password, *_client(request))
        except ApilaneError as error:
            problem = _sentence(error)
    if problem:
        return await render(
            "start.html", management, title="Set your password", status=400, email=email, code=code, error=problem
        )
    return redirect("/", _cookie(request, secret))


@post("/sign-out", status_code=200)
async def sign_out(management: ManagementPage) -> Answer:
    """End the session."""
    await management.sign_out()
    return redirect("/sign-in", Cookie(key=COOKIE, value="", path="/", httponly=True, samesite="lax", max_age=0))


@get("/account")
async def account(management: ManagementPage) -> Answer:
    """The caller's sessions and tokens."""
    found = await management.credentials()
    return await render("account.html", management, title="Your account", here="account", credentials=found)


@post("/account/revoke", status_code=200)
async def revoke(request: Web, management: ManagementPage) -> Answer:
    """End one session or token."""

    async def work() -> Answer:
        text = (await fields_of(request)).get("id", "")
        await management.revoke(int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0)
        return redirect("/account")

    return await guarded(management, work)


def account_pages() -> list[PortalPage]:
    """The pages."""
    free = [show_sign_in, sign_in, show_start, start]
    return [
        *(PortalPage(each, signed_in=False) for each in free),
        *(PortalPage(each) for each in (sign_out, account, revoke)),
    ]
