"""The page of the API browser and its assets, with a strict content security policy."""

from __future__ import annotations

import gzip
import hashlib
from functools import lru_cache
from html import escape
from importlib.resources import files
from typing import Any, Final, NamedTuple

from litestar import Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from apilane.plugin import Open, Page

__all__ = ["browser_pages"]

PAGES: Final = ("/docs", "/swagger", "/swagger/index.html")
MEDIA_TYPES: Final = {
    "browser.css": "text/css",
    "browser.js": "text/javascript",
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui-bundle.js.LICENSE.txt": "text/plain",
    "swagger-ui.LICENSE": "text/plain",
    "swagger-ui.NOTICE": "text/plain",
    "swagger-ui.css": "text/css",
}
"""The assets that are served, and no other file."""
POLICY: Final = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)
SAFE: Final = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-cache",
}


class Asset(NamedTuple):
    """An asset as it is sent."""

    plain: bytes
    packed: bytes
    etag: str


@lru_cache(len(MEDIA_TYPES))
def _asset(name: str) -> Asset:
    """An asset, read and compressed on first use: the script takes 40 ms and 0.5 MB."""
    plain = (files(__package__) / "assets" / name).read_bytes()
    return Asset(plain, gzip.compress(plain, 6), hashlib.sha256(plain).hexdigest()[:32])


@lru_cache(1)
def _template() -> str:
    return (files(__package__) / "assets" / "index.html").read_text(encoding="utf-8")


def browser_pages() -> list[Page]:
    """The page and the assets."""

    @get([*PAGES], sync_to_thread=False)
    def browser(request: Request[Any, Any, Any]) -> Response[str]:
        base = escape(str(request.scope.get("root_path") or "").rstrip("/"))
        return Response(_template().replace("{{ base }}", base), headers=SAFE, media_type="text/html")

    @get("/docs/assets/{name:str}", sync_to_thread=True)
    def asset(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
        if name not in MEDIA_TYPES:
            raise NotFoundException
        found = _asset(name)
        takes_gzip = "gzip" in request.headers.get("accept-encoding", "").lower()
        etag = f'"{found.etag}{"-gzip" if takes_gzip else ""}"'
        headers = {**SAFE, "ETag": etag, "Vary": "accept-encoding"}
        if etag in request.headers.get("if-none-match", ""):
            return Response(b"", status_code=304, headers=headers, media_type=MEDIA_TYPES[name])
        if takes_gzip:
            headers["Content-Encoding"] = "gzip"
        content = found.packed if takes_gzip else found.plain
        return Response(content, headers=headers, media_type=MEDIA_TYPES[name])

    return [Page(browser, Open()), Page(asset, Open())]
