"""Signed requests: possession of a token proved without sending it
(``docs/reference/protocol/security.md`` section 6.2, B-S10).
"""

from __future__ import annotations

from time import time_ns

from apilane.plugin import WINDOW_MS, Actor, ApplicationView, Counters, RequestView, verifies

__all__ = ["SignatureAuthenticator"]


class SignatureAuthenticator:
    """Whatever does not verify is nobody, and the core refuses a signed request of nobody.

    ``counters`` remembers what was used, so that every worker refuses the repetition of a request that changes
    something.
    """

    scheme = "signature"

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    async def authenticate(self, request: RequestView, application: ApplicationView) -> Actor | None:
        """The holder of the signing token; None for a stale time, an unknown key, a wrong or a used signature."""
        headers = request.signature
        if headers is None:
            return None
        now_ms = time_ns() // 1_000_000
        if abs(now_ms - headers.timestamp_ms) > WINDOW_MS:
            return None
        signer = await application.tokens.find_signer(headers.key_id)
        if signer is None:
            return None
        body = await request.body() if request.has_body else b""  # most have none, and asking costs a coroutine
        if not verifies(signer.key, headers, request.method, request.raw_target, body):
            return None
        if request.method != "GET":
            key = b"signature\0%s\0%d\0%s" % (application.token.encode(), headers.key_id, headers.signature)
            until_ms = headers.timestamp_ms + WINDOW_MS + 1
            if not await self._counters.remember(key, until_ms=until_ms, now_ms=now_ms):
                return None
        return signer.actor
