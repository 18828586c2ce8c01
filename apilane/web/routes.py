"""The table of wire calls: paths, methods and declarations. An incomplete declaration stops start-up."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, get_args

from apilane.plugin.access import Operator, PerOperation, access_problem
from apilane.plugin.calls import BodyKind, WireCall
from apilane.plugins import PluginError

__all__ = ["CORE", "RegisteredCall", "Routes"]

HOOK = "apilane_register_calls"
METHODS = ("GET", "POST", "PUT", "DELETE")
_is_path = re.compile(r"/api/[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*/?").fullmatch

CORE = "core"
"""Used as the plugin name of calls of the core."""


class RegisteredCall(NamedTuple):
    """A call with the name of the plugin that registers it."""

    plugin: str
    call: WireCall


Methods = Mapping[str, WireCall]


class Routes:
    """Calls by path, ignoring letter case. A path with a slash at its end stands for every path with one more part."""

    def __init__(self, calls: Iterable[RegisteredCall]) -> None:
        self._by_path: dict[str, dict[str, WireCall]] = {}
        self._registered: dict[tuple[str, str], RegisteredCall] = {}
        for registered in calls:
            self._add(registered)
        self.at: Callable[[str], Methods | None] = self._by_path.get
        """The methods of a path that is in the table; the argument is in lower case. None: not in the table."""

    def _add(self, registered: RegisteredCall) -> None:
        call = registered.call
        problem = _problem(call) or _core_problem(registered)
        if problem:
            raise PluginError(registered.plugin, f"the call {call.method} {call.path} {problem}.", hook=HOOK)
        key = call.path.lower(), call.method
        other = self._registered.get(key)
        if other is not None:
            what = f"the call {call.method} {call.path} is registered already by {other.plugin!r}; remove one of them."
            raise PluginError(registered.plugin, what, hook=HOOK)
        self._registered[key] = registered
        self._by_path.setdefault(key[0], {})[call.method] = call

    def below(self, path: str) -> Methods | None:
        """The methods of a path that may have one more part: in lower case, without a trailing slash. None: not
        found."""
        return self._by_path.get(path) or self._by_path.get(path[: path.rfind("/") + 1])

    def paths(self) -> Iterator[str]:
        """The paths of all calls as they are declared."""
        return (registered.call.path for registered in self)

    def __iter__(self) -> Iterator[RegisteredCall]:
        return iter(self._registered.values())


def _problem(call: Any) -> str | None:
    """What is wrong with a declaration, as the end of a sentence; None when it is complete."""
    if not isinstance(call.path, str) or not call.path.lower().startswith("/api/"):
        return "does not begin with /api/; wire calls do, other pages are registered by apilane_register_routes"
    if not _is_path(call.path):
        return "has a path of other characters than letters, digits, '_', '-', '.' and '/'"
    if call.method not in METHODS:
        return f"has the method {call.method!r}; expected one of {', '.join(METHODS)}"
    if not _is_coroutine_function(call.action):
        return "has an action that is not a coroutine function; write it with 'async def' and without 'yield'"
    if problem := access_problem(call.access):
        return problem
    if isinstance(call.access, Operator) and call.access.of == "instance":
        return "requires an admin of the instance; only pages can (apilane_register_routes)"
    if call.body not in get_args(BodyKind):
        return f"declares the body {call.body!r}; expected one of {', '.join(get_args(BodyKind))}"
    if call.audited not in {None, True, False} or type(call.audited) is int:
        return f"declares audited={call.audited!r}; expected True or False"
    if call.method != "GET" and call.audited is None:
        return "does not declare whether operators' calls are audited; add audited=True or audited=False"
    if call.entity is not None and not isinstance(call.entity, str):
        return f"names the entity {call.entity!r}; expected a text"
    return None


def _core_problem(registered: RegisteredCall) -> str | None:
    """What only the core may declare."""
    if registered.plugin != CORE and isinstance(registered.call.access, PerOperation):
        return "declares PerOperation, which only calls of the core can; declare Data, Operator or another access"
    return None


def _is_coroutine_function(action: object) -> bool:
    return inspect.iscoroutinefunction(action) or (
        callable(action) and inspect.iscoroutinefunction(type(action).__call__)
    )
