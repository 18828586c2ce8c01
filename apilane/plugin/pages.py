"""Pages: Litestar handlers of plugins, with the access that they require (``apilane_register_routes``)."""

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
    """A Litestar handler with a path outside of ``/api/``, in addition to the wire calls.

    ``access``: the required access. ``Open`` requires nothing, not even an application. With any other access the
    request is admitted like a wire call, and the handler's parameter ``call: PageCall`` is the admitted ``CallView``.
    """

    handler: HTTPRouteHandler
    access: Access
    audited: bool | None = None
    """Whether each request of an operator is put on record before the handler runs. A page for operators that changes
    something (POST, PUT, PATCH, DELETE) must say so."""
    application_in: str | None = None
    """With ``Open``: the parameter of the path that has the token of an application. The handler gets its ``call``.
    The gates are not asked: online state, addresses, limits, identity."""
