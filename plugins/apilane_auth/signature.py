"""Signed requests: possession of a token proved without sending it (``spec/security.md`` section 6.2, B-S10)."""

from __future__ import annotations

import time

from apilane.security.identity import Actor, ApplicationView, RequestView
from apilane.security.signatures import WINDOW_MS, signature_bytes, verifies
from apilane.storage.counters import Counters

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
        given = signature_bytes(headers.signature)
        now_ms = time.time_ns() // 1_000_000
        if given is None or abs(now_ms - headers.timestamp_ms) > WINDOW_MS:
            return None
        signer = await application.tokens.find_signer(headers.key_id)
        if signer is None:
            return None
        body = await request.body()
        target = request.raw_target
        if not verifies(signer.key, given, headers, method=request.method, raw_target=target, body=body):
            return None
        if request.method != "GET":
            # The decoded bytes, because base64 text has more than one spelling.
            key = b"signature\0%s\0%d\0%s" % (application.token.encode(), headers.key_id, given)
            until_ms = headers.timestamp_ms + WINDOW_MS + 1
            if not await self._counters.remember(key, until_ms=until_ms, now_ms=now_ms):
                return None
        return signer.actor
