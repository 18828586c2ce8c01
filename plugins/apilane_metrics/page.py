"""``/metrics`` on the port of the API, for callers with the token."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from hmac import compare_digest
from typing import Any

from litestar import Request, Response, route

from apilane.plugin import ConfigurationError, Observer, Open, Page, Secret, unauthorized
from apilane_metrics.exposition import CONTENT_TYPE
from apilane_metrics.observer import MetricsObserver

__all__ = ["make_page"]

TOKEN_MIN = 16


def make_page(token: Secret, observers: Sequence[Observer]) -> Page:
    """The page. Raises ConfigurationError for a short token."""
    if token.shorter_than(TOKEN_MIN):
        raise ConfigurationError(f"[plugins.metrics] token is shorter than {TOKEN_MIN} characters.")
    exposition = next(each.exposition for each in observers if isinstance(each, MetricsObserver))

    @route("/metrics", http_method=["GET", "HEAD"])
    async def metrics(request: Request[Any, Any, Any]) -> Response[bytes]:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        wanted = (await token.get()).encode()
        if scheme.lower() != "bearer" or not compare_digest(given.strip().encode(), wanted):
            raise unauthorized()
        body = await asyncio.to_thread(exposition.text)
        return Response(body, headers={"content-type": CONTENT_TYPE, "cache-control": "no-store"})

    return Page(metrics, Open())
