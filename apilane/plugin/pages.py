"""Pages: Litestar handlers of plugins with what they ask of their caller (``apilane_register_routes``)."""

from __future__ import annotations

from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import SkipValidation
from msgspec import Struct

from apilane.plugin.access import Access
from apilane.plugin.calls import CallView

__all__ = ["Page", "PageCall"]


PageCall = NamedDependency[SkipValidation[CallView]]
"""The type of a handler's parameter ``call``."""


class Page(Struct, frozen=True):
    """A Litestar handler that stands beside the wire calls, outside of ``/api/``.

    ``access``: what it asks of its caller. ``Open`` asks for nothing, not even for an application. Every other one
    admits the request like a wire call; the handler's parameter ``call: PageCall`` is then the admitted ``CallView``.
    """

    handler: HTTPRouteHandler
    access: Access
