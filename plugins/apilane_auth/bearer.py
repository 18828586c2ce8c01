"""Bearer tokens: the last word of the ``Authorization`` header, a GUID that Login or RenewAuthToken issued."""

from __future__ import annotations

from apilane.security.identity import Actor, ApplicationView, RequestView
from apilane.security.tokens import bearer_token

__all__ = ["BearerAuthenticator"]


class BearerAuthenticator:
    """An unknown or expired token is no error: the caller stays anonymous, and access decides."""

    scheme = "bearer"

    async def authenticate(self, request: RequestView, application: ApplicationView) -> Actor | None:
        """The user of the token; None without a token, or with one that stands for nobody."""
        header = request.headers.get(b"authorization")
        token = bearer_token(header) if header else None
        return await application.tokens.find(token) if token else None
