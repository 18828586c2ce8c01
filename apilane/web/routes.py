"""The table of wire calls: paths, methods and what each route declares. An incomplete declaration stops start-up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, get_args

from apilane.errors import ConfigurationError
from apilane.plugin.access import Access, Operator
from apilane.plugin.calls import BodyKind, WireCall

__all__ = ["CORE", "RegisteredCall", "Routes"]

CORE = "core"
"""Stands for a plugin's name where the core itself brings a call."""


class RegisteredCall(NamedTuple):
    """A call with the name of the plugin that brings it."""

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
        """The methods of a path in lower case as it stands in the table, else None."""

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
        """The methods of a path in lower case, without a trailing slash, that may have one more part; else None."""
        return self._by_path.get(path) or self._by_path.get(path[: path.rfind("/") + 1])

    def __iter__(self) -> Iterator[RegisteredCall]:
        return iter(self._registered.values())


def _problem(call: WireCall) -> str | None:
    """What a declaration lacks, as the end of a sentence."""
    if not call.path.lower().startswith("/api/") or call.path != call.path.strip() or len(call.path) < len("/api/x"):
        return "does not begin with /api/; wire calls do, other pages are registered by apilane_register_routes."
    if not isinstance(call.access, get_args(Access)):
        return f"declares no access; expected one of {', '.join(kind.__name__ for kind in get_args(Access))}."
    if call.access == Operator(of="instance"):
        return "asks for an admin of the instance; that is for pages (apilane_register_routes)."
    if call.body not in get_args(BodyKind):
        return f"declares the body {call.body!r}; expected one of {', '.join(get_args(BodyKind))}."
    if call.method != "GET" and call.audited is None:
        return "does not say whether operators' calls are put on record; add audited=True or audited=False."
    return None
