"""Pages: Litestar handlers of plugins with what they ask of their caller (``apilane_register_routes``)."""

from __future__ import annotations

from litestar.handlers import HTTPRouteHandler
from msgspec import Struct

from apilane.plugin.access import Access

__all__ = ["Page"]


class Page(Struct, frozen=True):
    """A Litestar handler that stands beside the wire calls, outside of ``/api/``.

    ``access``: what it asks of its caller. ``Open`` asks for nothing, not even for an application. Every other one
    admits the request like a wire call; the handler's parameter ``call`` is then the admitted ``CallView``.
    """

    handler: HTTPRouteHandler
    access: Access
