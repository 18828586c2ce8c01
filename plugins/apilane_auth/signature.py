"""Signed requests: they prove possession of a token without sending it (``docs/reference/protocol/security.md`` section
6.2, B-S10).
"""

from __future__ import annotations

from time import time_ns

from apilane.plugin import WINDOW_MS, Actor, ApplicationView, Counters, RequestView, verifies

__all__ = ["SignatureAuthenticator"]


class SignatureAuthenticator:
    """Finds the signer of a request; the core refuses a signed request without one.

    ``counters`` remembers used signatures, so that every worker refuses the repetition of a request that changes
    something.
    """

    scheme = "signature"

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    async def authenticate(self, request: RequestView, application: ApplicationView) -> Actor | None:
        """The user of the signing token; None for an old time, an unknown key, a wrong or a used signature."""
        headers = request.signature
        if headers is None:
            return None
        now_ms = time_ns() // 1_000_000
        if abs(now_ms - headers.timestamp_ms) > WINDOW_MS:
            return None
        signer = await application.tokens.find_signer(headers.key_id)
        if signer is None:
            return None
        body = await request.body() if request.has_body else b""  # most have none, and a read costs a coroutine
        if not verifies(signer.key, headers, request.method, request.raw_target, body):
            return None
        if request.method != "GET":
            key = b"signature\0%s\0%d\0%s" % (application.token.encode(), headers.key_id, headers.signature)
            until_ms = headers.timestamp_ms + WINDOW_MS + 1
            if not await self._counters.remember(key, until_ms=until_ms, now_ms=now_ms):
                return None
        return signer.actor
