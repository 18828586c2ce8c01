"""What a wire call or a page asks of its caller. Every route declares one of these; a route without one is refused.

The core checks the declaration in one place (``apilane.web.admission``), after the gates and before the action: access
first, then one use counted against the caller's rate limit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct

from apilane.model.definition import Action

__all__ = ["Access", "Account", "CustomEndpoint", "Data", "Open", "Operator", "PerOperation", "Schema"]


class Data(Struct, frozen=True):
    """A rule for ``action`` on an entity: ``entity``, or the one that the query parameter ``entity`` names.

    The action of the route receives the entity and the caller's plan.
    """

    action: Action
    entity: str | None = None


class CustomEndpoint(Struct, frozen=True):
    """A rule for the custom endpoint that the last part of the path names. The action receives the endpoint."""


class Schema(Struct, frozen=True):
    """A rule for the schema."""


class Account(Struct, frozen=True, kw_only=True):
    """A call about the caller's own account; no rule is consulted.

    ``user``: the caller must be a signed-in user. ``programs``: a program that acts for a user will do. ``body``: a
    check of the decoded body that comes before that of the user (docs/reference/protocol/errors.md section 3.3).
    """

    user: bool = False
    programs: bool = False
    body: Callable[[Any], object] | None = None


class PerOperation(Struct, frozen=True):
    """The action asks for access, and counts a use, for each operation of the body
    (``apilane.web.admission.grant_entity``); of calls of the core."""


class Operator(Struct, frozen=True):
    """A portal user on the owner channel.

    ``of``: an operator of the application that the request names, or an admin of the instance; the latter is for pages,
    needs no application and gives none to the handler.
    """

    of: Literal["application", "instance"] = "application"


class Open(Struct, frozen=True):
    """Every caller who passes the gates of the application; on a page, everybody."""


Access = Data | CustomEndpoint | Schema | Account | PerOperation | Operator | Open
