"""Who calls the management API or a page of the Portal: a session by its cookie, or an operator token.

A cookie alone changes nothing: such a request also needs the session's CSRF value, and must not come from another site.
"""

from __future__ import annotations

import hmac
from typing import Any, Final
from urllib.parse import urlsplit

from litestar import Request
from litestar.datastructures import Cookie
from msgspec import Struct

from apilane.control.operator_tokens import OperatorTokens, SignedIn
from apilane.errors import ApilaneError, Code, unauthorized
from apilane.security.tokens import bearer_token, canonical_guid, token_hash

__all__ = [
    "COOKIE",
    "CSRF_FIELD",
    "SAFE_METHODS",
    "Caller",
    "check_origin",
    "csrf_of",
    "ended_cookie",
    "find_caller",
    "session_cookie",
]

COOKIE: Final = "apilane_portal"
CSRF_FIELD: Final = "csrf"
CSRF_HEADER: Final = "x-csrf-token"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

AnyRequest = Request[Any, Any, Any]


class Caller(Struct, frozen=True):
    """A signed-in portal user. ``csrf``: empty for a token, which no browser sends by itself."""

    user: SignedIn
    secret: str
    csrf: str = ""

    @property
    def in_session(self) -> bool:
        """Whether the caller signed in with a password."""
        return bool(self.csrf)


async def find_caller(request: AnyRequest, tokens: OperatorTokens) -> Caller | None:
    """The caller of a request; None without a valid credential. Each request reads the control store.

    Raises ERROR with HTTP status 403 for a change in a session that the session's pages did not send.
    """
    header = request.headers.get("authorization")
    if header is not None:
        token = bearer_token(header.encode("latin-1", "replace"))
        user = await tokens.find(token) if token else None
        if user is None:
            raise unauthorized()
        return Caller(user, token or "")
    secret = canonical_guid(request.cookies.get(COOKIE, ""))
    user = await tokens.find(secret) if secret else None
    if user is None or user.kind != "session" or secret is None:
        return None
    caller = Caller(user, secret, csrf_of(secret))
    if request.method not in SAFE_METHODS:
        check_origin(request)
        sent = request.headers.get(CSRF_HEADER) or await _posted(request)
        if not hmac.compare_digest(sent.encode(), caller.csrf.encode()):
            raise _foreign()
    return caller


def check_origin(request: AnyRequest) -> None:
    """Raise ERROR with HTTP status 403 for a change that a page of another site sends."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    is_foreign = site is not None and site not in {"same-origin", "none"}
    if origin is not None:
        is_foreign = is_foreign or urlsplit(origin).netloc != request.headers.get("host", "")
    if is_foreign and request.method not in SAFE_METHODS:
        raise _foreign()


async def _posted(request: AnyRequest) -> str:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in {"application/x-www-form-urlencoded", "multipart/form-data"}:
        return ""
    value = (await request.form()).get(CSRF_FIELD, "")
    return value if isinstance(value, str) else ""


def _foreign() -> ApilaneError:
    return ApilaneError(
        Code.ERROR, "This request did not come from a page of this session. Reload the page and try again.", status=403
    )


def csrf_of(secret: str) -> str:
    """The value that changes in a session need in addition to its cookie. It does not tell the secret."""
    return token_hash(secret.encode(), "csrf")


def session_cookie(secret: str, *, is_secure: bool) -> Cookie:
    """The cookie of a session. It ends with the browser; the server ends it after 12 hours without use."""
    return Cookie(key=COOKIE, value=secret, path="/", httponly=True, samesite="lax", secure=is_secure)


def ended_cookie() -> Cookie:
    """A cookie that removes the one of a session."""
    return Cookie(key=COOKIE, value="", path="/", httponly=True, samesite="lax", max_age=0)
