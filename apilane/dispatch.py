"""Freezes the hooks into plain typed objects when an application is built; no request ever meets pluggy.

The only file that knows in which order plugins are asked: ``plugins_order`` of the settings, then ``tryfirst``, then
neither, then ``trylast``; within each, plugin order.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from types import FunctionType
from typing import Any, NamedTuple

import pluggy
from msgspec import Struct

from apilane.model.sections import section_key
from apilane.plugin.counters import Counters
from apilane.plugin.endpoints import EndpointKind
from apilane.plugin.gates import AvailabilityCheck, Limiter, Throttle
from apilane.plugin.identity import Authenticator
from apilane.plugin.settings import PluginSettings
from apilane.plugin_settings import read_options, same_settings_problem, settings_problem
from apilane.plugins import HOOKS, PluginError, PluginSet
from apilane.settings import Settings
from apilane.storage.counter_file import CounterFile
from apilane.storage.protocol import Driver
from apilane.storage.registry import Drivers

__all__ = ["Gates", "HookOrder", "Hooks", "freeze", "hook_order"]


class Gates(Struct, frozen=True):
    """The gates of an instance, in the order of asking."""

    availability_checks: tuple[AvailabilityCheck, ...] = ()
    limiters: tuple[Limiter, ...] = ()
    throttles: tuple[Throttle, ...] = ()
    sections: frozenset[str] = frozenset()
    """Sections such as ``Plugins.mfa`` whose plugin is loaded and enforces them."""

    @property
    def enforced(self) -> frozenset[str]:
        """Parts of a definition that some plugin enforces."""
        by_checks = (check.enforces for check in self.availability_checks)
        return self.sections.union(*by_checks, *(limiter.enforces for limiter in self.limiters))


class Hooks(Struct, frozen=True, kw_only=True):
    """What the plugins registered, one attribute for each ``apilane_register_*`` hook, in the order of asking."""

    settings: Mapping[str, PluginSettings]
    """By plugin."""
    drivers: Drivers
    authenticators: tuple[Authenticator, ...]
    availability_checks: tuple[AvailabilityCheck, ...]
    limiters: tuple[Limiter, ...]
    throttles: tuple[Throttle, ...]
    endpoint_kinds: tuple[EndpointKind, ...]

    @property
    def gates(self) -> Gates:
        """What stands between a caller and an application."""
        sections = frozenset(section_key(name) for name, each in self.settings.items() if each.enforced)
        return Gates(self.availability_checks, self.limiters, self.throttles, sections)


def freeze(plugins: PluginSet, settings: Settings, counters: Counters | None = None) -> Hooks:
    """Ask every plugin once and check what it answers. ``counters`` None: the file in the data folder.

    Raises ``PluginError`` naming plugin and hook when one fails, answers with something else, or brings a driver or
    endpoint kind of a name that another plugin has brought. Raises ``ConfigurationError`` for settings of a plugin that
    do not fit.
    """
    registered = _settings(plugins)
    options = read_options(registered, [plugin.name for plugin in plugins.plugins], settings)
    counters = counters or CounterFile(settings.data_dir / "counters", size_mib=settings.counters_size_mib)
    drivers = _collect(plugins, "apilane_register_drivers", Driver, options, settings=settings)
    _refuse_same_names(drivers, "apilane_register_drivers", "driver")
    kinds = _collect(plugins, "apilane_register_endpoint_kinds", EndpointKind, options, settings=settings)
    _refuse_same_names(kinds, "apilane_register_endpoint_kinds", "kind of endpoints")

    def items(hook: str, kind: type) -> tuple[Any, ...]:
        return tuple(one.item for one in _collect(plugins, hook, kind, options, settings=settings, counters=counters))

    return Hooks(
        settings=registered,
        drivers=Drivers(one.item for one in drivers),
        authenticators=items("apilane_register_authenticators", Authenticator),
        availability_checks=items("apilane_register_availability_checks", AvailabilityCheck),
        limiters=items("apilane_register_limiters", Limiter),
        throttles=items("apilane_register_throttles", Throttle),
        endpoint_kinds=tuple(one.item for one in kinds),
    )


def _settings(plugins: PluginSet) -> dict[str, PluginSettings]:
    """The settings by plugin, each checked by itself and against those of the others."""
    hook = "apilane_register_settings"
    registered: dict[str, PluginSettings] = {}
    for plugin, item in _collect(plugins, hook, PluginSettings, {}):
        if not isinstance(item, PluginSettings):
            raise PluginError(plugin, f"returned {_kind_of(item)}; expected a PluginSettings object.", hook=hook)
        if plugin in registered:
            raise PluginError(plugin, "returned several objects; put the settings into one.", hook=hook)
        problem = settings_problem(item) or same_settings_problem(plugin, item, registered)
        if problem is not None:
            raise PluginError(plugin, problem, hook=hook)
        registered[plugin] = item
    return registered


class HookOrder(NamedTuple):
    """A hook with the names of the plugins that implement it, in the order of asking."""

    name: str
    combine: str
    on_error: str
    plugins: tuple[str, ...]


def hook_order(plugins: PluginSet) -> list[HookOrder]:
    """The final order of every hook, for people."""
    return [
        HookOrder(
            name,
            spec.apilane_policy.combine,  # type: ignore[attr-defined]
            spec.apilane_policy.on_error,  # type: ignore[attr-defined]
            tuple(implementation.plugin_name for implementation in _implementations(plugins, name)),
        )
        for name, spec in HOOKS.items()
    ]


class _Registered(NamedTuple):
    plugin: str
    item: Any


def _implementations(plugins: PluginSet, hook: str) -> list[pluggy.HookImpl]:
    places = {plugin.name: place for place, plugin in enumerate(plugins.plugins)}
    wanted = {name: place for place, name in enumerate(plugins.order)}

    def position(implementation: pluggy.HookImpl) -> tuple[int, int, int]:
        band = 0 if implementation.tryfirst else 2 if implementation.trylast else 1
        name = implementation.plugin_name
        return wanted.get(name, len(wanted)), band, places[name]

    return sorted(getattr(plugins.manager.hook, hook).get_hookimpls(), key=position)


def _collect(
    plugins: PluginSet, hook: str, kind: type, options: Mapping[str, Struct], **arguments: Any
) -> list[_Registered]:
    """The joined answers of a ``collect`` hook, each item checked to be a ``kind`` (a runtime-checkable protocol).

    ``options``: the settings of each plugin, which gets its own.
    """
    collected = []
    for implementation in _implementations(plugins, hook):
        plugin, function = implementation.plugin_name, implementation.function
        wanted = inspect.signature(function).parameters
        try:
            offered = {**arguments, "options": options.get(plugin)}
            answer = function(**{name: value for name, value in offered.items() if name in wanted})
        except Exception as error:
            raise PluginError(plugin, f"failed with {type(error).__name__}: {error}", hook=hook) from error
        if not isinstance(answer, (list, tuple)):
            raise PluginError(
                plugin, f"returned {_kind_of(answer)}; expected a list of {kind.__name__} objects.", hook=hook
            )
        for item in answer:
            _check_item(plugin, hook, item, kind)
        collected += [_Registered(plugin, item) for item in answer]
    return collected


def _check_item(plugin: str, hook: str, item: object, kind: type) -> None:
    missing = [name for name in _members(kind) if not _has(item, name)]
    if inspect.isclass(item) or missing:
        lacks = f" (it lacks {', '.join(missing)})" if missing else ""
        raise PluginError(
            plugin, f"returned a list with {_kind_of(item)}; expected {kind.__name__} objects{lacks}.", hook=hook
        )
    for name, method in vars(kind).items():
        if inspect.iscoroutinefunction(method) and not inspect.iscoroutinefunction(getattr(item, name)):
            raise PluginError(plugin, f"{_kind_of(item)}.{name} must be written with 'async def'.", hook=hook)


def _has(item: object, name: str) -> bool:
    """Without asking for the value: drivers import their dialect when it is needed."""
    try:
        inspect.getattr_static(item, name)
    except AttributeError:
        return False
    return True


def _members(kind: type) -> list[str]:
    members = [name for name, value in vars(kind).items() if isinstance(value, (FunctionType, property))]
    return [*inspect.get_annotations(kind), *(name for name in members if not name.startswith("_"))]


def _kind_of(item: object) -> str:
    return f"the class {item.__name__}" if isinstance(item, type) else type(item).__name__


def _refuse_same_names(registered: Sequence[_Registered], hook: str, what: str) -> None:
    brought_by: dict[str, str] = {}
    for plugin, item in registered:
        name = item.name.lower()
        if name in brought_by:
            raise PluginError(
                plugin,
                f"registers a {what} {item.name!r}, and so does the plugin {brought_by[name]!r}; remove one of them.",
                hook=hook,
            )
        brought_by[name] = plugin
