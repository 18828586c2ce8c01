"""The table of wire calls: paths, methods and declarations. An incomplete declaration stops start-up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, get_args

from apilane.errors import ConfigurationError
from apilane.plugin.access import Access, Operator
from apilane.plugin.calls import BodyKind, WireCall

__all__ = ["CORE", "RegisteredCall", "Routes"]

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
        if problem := _problem(call):
            raise ConfigurationError(f"Plugin {registered.plugin!r}: the call {call.method} {call.path} {problem}")
        key = call.path.lower(), call.method
        other = self._registered.get(key)
        if other is not None:
            raise ConfigurationError(
                f"Plugin {registered.plugin!r}: the call {call.method} {call.path} is registered already by "
                f"{other.plugin!r}; remove one of them."
            )
        self._registered[key] = registered
        self._by_path.setdefault(key[0], {})[call.method] = call

    def below(self, path: str) -> Methods | None:
        """The methods of a path that may have one more part: in lower case, without a trailing slash. None: not
        found."""
        return self._by_path.get(path) or self._by_path.get(path[: path.rfind("/") + 1])

    def __iter__(self) -> Iterator[RegisteredCall]:
        return iter(self._registered.values())


def _problem(call: WireCall) -> str | None:
    """The problem of a declaration, as the end of a sentence; None when it is complete."""
    if not call.path.lower().startswith("/api/") or call.path != call.path.strip() or len(call.path) < len("/api/x"):
        return "does not begin with /api/; wire calls do, other pages are registered by apilane_register_routes."
    if not isinstance(call.access, get_args(Access)):
        return f"declares no access; expected one of {', '.join(kind.__name__ for kind in get_args(Access))}."
    if call.access == Operator(of="instance"):
        return "requires an admin of the instance; only pages can (apilane_register_routes)."
    if call.body not in get_args(BodyKind):
        return f"declares the body {call.body!r}; expected one of {', '.join(get_args(BodyKind))}."
    if call.method != "GET" and call.audited is None:
        return "does not declare whether operators' calls are audited; add audited=True or audited=False."
    return None
