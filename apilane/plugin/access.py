"""Declarations of access: the requirements of a wire call or page for its caller. A route without one is refused.

The core checks the declaration in one place (``apilane.web.admission``), after the gates and before the action. It
checks access first, and then counts one use against the caller's rate limit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

from msgspec import Struct

from apilane.model.definition import Action
from apilane.model.portal_roles import Permission

__all__ = [
    "Access",
    "Account",
    "CustomEndpoint",
    "Data",
    "Open",
    "Operator",
    "PerOperation",
    "Program",
    "Schema",
    "access_problem",
    "permission_for",
]


class Data(Struct, frozen=True):
    """A rule for ``action`` on an entity is needed: ``entity``, or the one that the query parameter ``entity`` names.

    The action of the route receives the entity and the caller's plan.
    """

    action: Action
    entity: str | None = None


class CustomEndpoint(Struct, frozen=True, kw_only=True):
    """A rule for the custom endpoint that the last part of the path names is needed. The action gets the endpoint.

    ``posted``: the endpoint must allow POST; else the call is unauthorized. An operator needs no endpoint, and the
    action gets none: an operator's POST tries a query.
    """

    posted: bool = False


class Schema(Struct, frozen=True):
    """A rule for the schema is needed."""


class Account(Struct, frozen=True, kw_only=True):
    """A call about the caller's own account. No rule is needed.

    ``user``: the caller must be a signed-in user. Programs are refused; with ``programs`` they are accepted, together
    with ``user`` only those that act for a user.
    ``body``: a check of the decoded body, which runs before the check of the user (docs/reference/protocol/errors.md
    section 3.3).
    """

    user: bool = False
    programs: bool = False
    body: Callable[[Any], object] | None = None


class Program(Struct, frozen=True, kw_only=True):
    """The caller must be a program whose credential has this scope. No rule is needed.

    ``scope``: a word of a plugin, in lower case, that covers no entity or endpoint: ``introspect``.
    """

    scope: str


class PerOperation(Struct, frozen=True):
    """The action checks access and counts a use for each operation of the body
    (``apilane.web.admission.grant_entity``). Only calls of the core use it."""


class Operator(Struct, frozen=True):
    """The caller must be a portal user on the owner channel.

    ``of``: an operator of the application that the request names, or an admin of the instance. The latter is for pages;
    the request needs no application, and the handler gets none.
    """

    of: Literal["application", "instance"] = "application"
    needs: Permission | None = None
    """The permission that the operator must have in the application. None: ``view_data`` for a GET that is not audited,
    else ``edit_definition``."""


class Open(Struct, frozen=True):
    """Every caller that passes the gates of the application. On a page, every caller."""


Access = Data | CustomEndpoint | Schema | Account | Program | PerOperation | Operator | Open


def permission_for(access: Access, *, changes: bool) -> Permission | None:
    """The permission that an operator needs for a route in an application; None: none beyond being its operator.

    ``changes``: the route changes something, or is audited.
    """
    match access:
        case Data(action=Action.get):
            return Permission.view_data
        case Data() | PerOperation() | CustomEndpoint():
            return Permission.edit_data
        case Schema():
            return Permission.view_definition
        case Operator():
            return access.needs or (Permission.edit_definition if changes else Permission.view_data)
    return None


def access_problem(access: Any) -> str | None:
    """What is wrong with a declaration, as the end of a sentence; None: nothing."""
    kinds = get_args(Access)
    if not isinstance(access, kinds):
        if access is None:
            shown = "no access"
        else:
            shown = "the access " + (f"{access.__name__} without ()" if isinstance(access, type) else repr(access))
        return f"declares {shown}; expected one of {', '.join(f'{kind.__name__}(...)' for kind in kinds)}"
    if isinstance(access, Account) and not all(isinstance(flag, bool) for flag in (access.user, access.programs)):
        return "declares Account with a flag that is not True or False"
    match access:
        case Data():
            if not isinstance(access.action, Action):
                return f"declares Data({access.action!r}); expected {', '.join(f'Action.{each}' for each in Action)}"
            if access.entity is not None and not isinstance(access.entity, str):
                return f"declares Data for the entity {access.entity!r}; expected a name or None"
        case Operator() if access.of not in {"application", "instance"}:
            return f"declares Operator(of={access.of!r}); expected 'application' or 'instance'"
        case Program() if not (str(access.scope).isalpha() and str(access.scope).islower()):
            return f"declares Program(scope={access.scope!r}); expected a word in lower case"
        case Account() if access.body is not None and not callable(access.body):
            return f"declares Account(body={access.body!r}); expected a function of the decoded body"
    return None
