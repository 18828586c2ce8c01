"""Bearer tokens: the last word of the ``Authorization`` header, a GUID that Login or RenewAuthToken issued."""

from __future__ import annotations

from functools import lru_cache

from apilane.plugin import Actor, ApplicationView, RequestView, bearer_token

__all__ = ["BearerAuthenticator"]

HEADER_MAX = 128
"""Longer than any scheme word with a token; a longer header has no token."""


class BearerAuthenticator:
    """Finds the user of a bearer token. An unknown or expired token is not an error: the caller stays anonymous."""

    scheme = "bearer"

    def __init__(self) -> None:
        # Clients send the same header again, and parsing it costs 3 us.
        self._token_of = lru_cache(4096)(bearer_token)

    async def authenticate(self, request: RequestView, application: ApplicationView) -> Actor | None:
        """The user of the token; None without a token, or with an unknown or expired one."""
        header = request.headers.get(b"authorization")
        if not header or len(header) > HEADER_MAX:
            return None
        token = self._token_of(header)
        return await application.tokens.find(token) if token else None
