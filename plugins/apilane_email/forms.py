"""Protects the forms of pages against requests of other sites (CSRF).

A cookie has a random text, and the form has a keyed hash of it. Another site can neither read nor set them. Litestar's
own protection has a fixed name for its field, and the protocol has another one.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import Any

from litestar import Request
from litestar.datastructures import Cookie

from apilane.plugin import ApplicationView

__all__ = ["FIELD", "FormGuard"]

COOKIE = "apilane-form"
FIELD = "__RequestVerificationToken"
LIFE_S = 3600

_is_seed = re.compile("[0-9a-f]{64}").fullmatch


class FormGuard:
    """The protection of one request. ``seed``: the text in the cookie, kept so that several open forms work."""

    def __init__(self, request: Request[Any, Any, Any], application: ApplicationView) -> None:
        sent = request.cookies.get(COOKIE, "")
        self._is_known = _is_seed(sent) is not None
        self._seed = sent if self._is_known else secrets.token_hex(32)
        self._key = application.key("email: forms")

    @property
    def token(self) -> str:
        """The hidden field of the form."""
        return hmac.new(self._key, self._seed.encode(), hashlib.sha256).hexdigest()

    def cookie(self, path: str, *, is_secure: bool) -> Cookie:
        """The cookie that belongs to the form."""
        return Cookie(
            key=COOKIE, value=self._seed, path=path, httponly=True, secure=is_secure, samesite="strict", max_age=LIFE_S
        )

    def admits(self, sent: str) -> bool:
        """Whether a sent form comes from a page of this server in this browser."""
        return self._is_known and hmac.compare_digest(sent.encode(), self.token.encode())
