"""Freezes the hooks into typed objects when an application is built; requests never call pluggy.

This file alone determines the order in which plugins are asked: ``plugins_order`` of the settings first, then
``tryfirst``, then plugins with neither mark, then ``trylast``; within each group, plugin order.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any, NamedTuple

import pluggy
from msgspec import Struct

from apilane.model.sections import section_key
from apilane.plugin.calls import WireCall
from apilane.plugin.counters import Counters
from apilane.plugin.endpoints import EndpointKind
from apilane.plugin.files import FileStore
from apilane.plugin.functions import EndpointFunction
from apilane.plugin.gates import AvailabilityCheck, BatchLimiter, Limiter, Throttle
from apilane.plugin.identity import Authenticator
from apilane.plugin.jobs import Job, job_problem
from apilane.plugin.mail import Mailer
from apilane.plugin.observers import Observer, observer_problem
from apilane.plugin.outbox import NAME_MAX, OutboxHandler, is_name, outbox_handler_problem
from apilane.plugin.pages import Page
from apilane.plugin.records import RecordHandler, events_problem, record_handler_problem
from apilane.plugin.settings import PluginSettings
from apilane.plugin.sign_in import SignInStep
from apilane.plugin.tables import HelperTable, table_problem
from apilane.plugin_settings import read_options, same_settings_problem, settings_problem
from apilane.plugins import HOOKS, PluginError, PluginSet
from apilane.settings import Settings
from apilane.storage.protocol import Driver
from apilane.storage.registry import Drivers

__all__ = ["Gates", "HookOrder", "Hooks", "Registered", "commands_of", "freeze", "hook_order", "portal_pages_of"]


class Gates(Struct, frozen=True):
    """The gates of an instance, in the order in which they are asked."""

    availability_checks: tuple[AvailabilityCheck, ...] = ()
    limiters: tuple[Limiter, ...] = ()
    throttles: tuple[Throttle, ...] = ()
    sign_in_steps: tuple[SignInStep, ...] = ()
    counters: Counters | None = None
    """Never None when there are steps."""
    sections: frozenset[str] = frozenset()
    """Sections such as ``Plugins.mfa`` that a loaded plugin enforces."""

    @property
    def batch_limiter(self) -> BatchLimiter | None:
        """The limiter that can count several uses at once, if it is the only one."""
        found = self.limiters[0] if len(self.limiters) == 1 else None
        return found if isinstance(found, BatchLimiter) else None

    @property
    def enforced(self) -> frozenset[str]:
        """The parts of a definition that loaded plugins enforce."""
        by_checks = (check.enforces for check in self.availability_checks)
        return self.sections.union(*by_checks, *(limiter.enforces for limiter in self.limiters))


class Registered(NamedTuple):
    """An object with the plugin and the hook that registered it."""

    plugin: str
    hook: str
    item: Any


class Hooks(Struct, frozen=True, kw_only=True):
    """The objects that plugins registered, one attribute for each ``apilane_register_*`` hook, in the order in which
    they are asked.
    """

    settings: Mapping[str, PluginSettings]
    """By plugin."""
    drivers: Drivers
    counters: Counters | None = None
    authenticators: tuple[Authenticator, ...] = ()
    availability_checks: tuple[AvailabilityCheck, ...] = ()
    limiters: tuple[Limiter, ...] = ()
    throttles: tuple[Throttle, ...] = ()
    sign_in_steps: tuple[SignInStep, ...] = ()
    functions: tuple[EndpointFunction, ...] = ()
    endpoint_kinds: tuple[EndpointKind, ...] = ()
    file_stores: tuple[FileStore, ...] = ()
    mailers: tuple[Mailer, ...] = ()
    calls: tuple[WireCall, ...] = ()
    routes: tuple[Page, ...] = ()
    tables: tuple[HelperTable, ...] = ()
    outbox_handlers: tuple[OutboxHandler, ...] = ()
    jobs: tuple[Job, ...] = ()
    record_handlers: tuple[RecordHandler, ...] = ()
    observers: tuple[Observer, ...] = ()
    registered: tuple[Registered, ...] = ()
    """All registered objects with their plugins."""

    @property
    def gates(self) -> Gates:
        """The gates between callers and applications."""
        sections = frozenset(section_key(name) for name, each in self.settings.items() if each.enforced)
        return Gates(
            self.availability_checks, self.limiters, self.throttles, self.sign_in_steps, self.counters, sections
        )

    def plugin_of(self, item: object) -> str:
        """The name of the plugin that registered an object."""
        return next(each.plugin for each in self.registered if each.item is item)

    def blamed(self, error: BaseException, subject: object = None) -> str:
        """``plugin 'x', hook y`` of a failure, for the log; empty when no plugin is at fault.

        ``subject``: the registered object that was at work. It is blamed unless the innermost frame of the traceback in
        a plugin's code belongs to another plugin. The hook of that one is named if it registered a single object there.
        """
        at_work = next((each for each in self.registered if each.item is subject), None)
        innermost = self._innermost(error)
        if at_work is not None and innermost.partition(",")[0] in {"", f"plugin {at_work.plugin!r}"}:
            return f"plugin {at_work.plugin!r}, hook {at_work.hook}"
        return innermost

    def _innermost(self, error: BaseException) -> str:
        """The plugin of the innermost frame of a traceback in a plugin's code."""
        found = ""
        traceback = error.__traceback__
        while traceback is not None:
            running = traceback.tb_frame.f_locals.get("self")
            module = traceback.tb_frame.f_globals.get("__name__", "").partition(".")[0]
            at_work = [each for each in self.registered if each.item is running]
            at_work = at_work or [each for each in self.registered if _home(each.item) == module != "apilane"]
            if at_work:
                hooks = {each.hook for each in at_work}
                found = f"plugin {at_work[0].plugin!r}" + (f", hook {hooks.pop()}" if len(hooks) == 1 else "")
            traceback = traceback.tb_next
        return found


def _home(item: object) -> str:
    """The top-level module that contains the code of a registered object."""
    if isinstance(item, WireCall):
        item = item.action
    elif isinstance(item, Page):
        item = item.handler.fn
    elif isinstance(item, OutboxHandler):
        item = item.deliver
    elif isinstance(item, Job):
        item = item.run
    elif isinstance(item, RecordHandler):
        item = item.before or item.after
    elif isinstance(item, EndpointFunction):
        item = item.function
    module: str = item.__module__ if isinstance(item, FunctionType) else type(item).__module__
    return module.partition(".")[0]


def freeze(plugins: PluginSet, settings: Settings) -> Hooks:
    """Call the hooks of every plugin once and check the results.

    Raises ``PluginError``, which names plugin and hook, when a hook fails, returns a wrong result, or registers a name
    that another plugin has registered. Raises ``ConfigurationError`` for invalid settings of a plugin.
    """
    sections = _settings(plugins)
    options = read_options(sections, [plugin.name for plugin in plugins.plugins], settings)
    registered: list[Registered] = []
    arguments: dict[str, Any] = {"settings": settings}

    def collect(hook: str, kind: type) -> tuple[Any, ...]:
        found = _collect(plugins, f"apilane_register_{hook}", kind, arguments, options)
        if hook in _NAMED:
            _refuse_same_names(found, _NAMED[hook])
        if hook == "tables":
            _refuse_unfit_tables(found)
        if hook in _PROBLEMS:
            _refuse_unfit(found, *_PROBLEMS[hook])
        registered.extend(found)
        return tuple(each.item for each in found)

    drivers = Drivers(collect("drivers", Driver))
    counters = collect("counters", Counters)
    if counters:
        arguments["counters"] = counters[0]
    arguments["functions"] = functions = collect("functions", EndpointFunction)
    file_stores: tuple[FileStore, ...] = collect("file_stores", FileStore)
    arguments["file_stores"] = {store.name.lower(): store for store in file_stores}
    mailers: tuple[Mailer, ...] = collect("mailers", Mailer)
    arguments["mailers"] = {mailer.name.lower(): mailer for mailer in mailers}
    arguments["observers"] = observers = collect("observers", Observer)
    return Hooks(
        settings=sections,
        drivers=drivers,
        counters=arguments.get("counters"),
        authenticators=collect("authenticators", Authenticator),
        availability_checks=collect("availability_checks", AvailabilityCheck),
        limiters=collect("limiters", Limiter),
        throttles=collect("throttles", Throttle),
        sign_in_steps=_with_counters(collect("sign_in_steps", SignInStep), registered, bool(counters)),
        functions=functions,
        endpoint_kinds=collect("endpoint_kinds", EndpointKind),
        file_stores=file_stores,
        mailers=mailers,
        calls=collect("calls", WireCall),
        routes=collect("routes", Page),
        tables=collect("tables", HelperTable),
        outbox_handlers=collect("outbox_handlers", OutboxHandler),
        jobs=collect("jobs", Job),
        record_handlers=collect("record_handlers", RecordHandler),
        observers=observers,
        registered=tuple(registered),
    )


def _with_counters(
    steps: tuple[SignInStep, ...], registered: list[Registered], has_counters: bool
) -> tuple[SignInStep, ...]:
    """The sign-in steps; PluginError for a kind that is not a unique name, and without a store of counters."""
    seen: set[str] = set()
    for step in steps:
        plugin, hook, _ = next(each for each in registered if each.item is step)
        if not has_counters:
            what = "needs counters, and no loaded plugin provides them; enable the plugin counter_file."
            raise PluginError(plugin, what, hook=hook)
        if not is_name(step.kind) or step.kind in seen:
            what = f"has the kind {step.kind!r}; expected a text of 1 to {NAME_MAX} characters that no other step has."
            raise PluginError(plugin, what, hook=hook)
        seen.add(step.kind)
    return steps


def commands_of(plugins: PluginSet, settings: Settings) -> list[Registered]:
    """The commands of plugins; only the command line calls this. Raises like ``freeze``."""
    import click

    options = read_options(_settings(plugins), [plugin.name for plugin in plugins.plugins], settings)
    found = _collect(plugins, "apilane_register_commands", click.Command, {"settings": settings}, options)
    _refuse_same_names(found, "command")
    return found


def portal_pages_of(plugins: PluginSet, settings: Settings) -> list[Registered]:
    """The pages of plugins for the Portal; only its process calls this. Raises like ``freeze``."""
    from apilane.plugin.manage import PortalPage

    options = read_options(_settings(plugins), [plugin.name for plugin in plugins.plugins], settings)
    return _collect(plugins, "apilane_register_portal_pages", PortalPage, {"settings": settings}, options)


_NAMED = {
    "drivers": "driver",
    "endpoint_kinds": "kind of endpoints",
    "file_stores": "file store",
    "functions": "function",
    "mailers": "mailer",
    "tables": "table",
    "outbox_handlers": "handler of messages",
    "jobs": "job",
}
"""Hooks whose objects are found by name, with a term for these objects."""


def _outbox_problem(handler: OutboxHandler) -> str | None:
    return outbox_handler_problem(handler) or next(filter(None, map(events_problem, handler.events)), None)


_PROBLEMS: Mapping[str, tuple[str, Callable[[Any], str | None]]] = {
    "outbox_handlers": ("a handler of messages", _outbox_problem),
    "record_handlers": ("a record handler", record_handler_problem),
    "jobs": ("a job", job_problem),
    "observers": ("an observer", observer_problem),
}
"""Checks of single objects by hook, with a term for the object."""


def _settings(plugins: PluginSet) -> dict[str, PluginSettings]:
    """The settings by plugin, each checked alone and for conflicts with the others."""
    registered: dict[str, PluginSettings] = {}
    for plugin, hook, item in _collect(plugins, "apilane_register_settings", PluginSettings, {}, {}):
        if plugin in registered:
            raise PluginError(plugin, "returned several objects; put the settings into one.", hook=hook)
        problem = settings_problem(item) or same_settings_problem(plugin, item, registered)
        if problem is not None:
            raise PluginError(plugin, problem, hook=hook)
        registered[plugin] = item
    return registered


class HookOrder(NamedTuple):
    """A hook with the names of the plugins that implement it, in the order in which they are asked."""

    name: str
    combine: str
    on_error: str
    plugins: tuple[str, ...]


def hook_order(plugins: PluginSet) -> list[HookOrder]:
    """The final order of every hook, for ``apilane hooks``."""
    return [
        HookOrder(
            name,
            spec.apilane_policy.combine,  # type: ignore[attr-defined]
            spec.apilane_policy.on_error,  # type: ignore[attr-defined]
            tuple(implementation.plugin_name for implementation in _implementations(plugins, name)),
        )
        for name, spec in HOOKS.items()
    ]


def _implementations(plugins: PluginSet, hook: str) -> list[pluggy.HookImpl]:
    places = {plugin.name: place for place, plugin in enumerate(plugins.plugins)}
    wanted = {name: place for place, name in enumerate(plugins.order)}

    def position(implementation: pluggy.HookImpl) -> tuple[int, int, int]:
        band = 0 if implementation.tryfirst else 2 if implementation.trylast else 1
        name = implementation.plugin_name
        return wanted.get(name, len(wanted)), band, places[name]

    return sorted(getattr(plugins.manager.hook, hook).get_hookimpls(), key=position)


def _collect(
    plugins: PluginSet, hook: str, kind: type, arguments: Mapping[str, Any], options: Mapping[str, Struct]
) -> list[Registered]:
    """The results of a hook from all plugins. Each item is checked to be a ``kind``: a runtime-checkable protocol or a
    class.

    ``options``: the settings by plugin; each plugin receives its own.
    """
    collected = []
    for implementation in _implementations(plugins, hook):
        plugin, function = implementation.plugin_name, implementation.function
        wanted = inspect.signature(function).parameters
        if "counters" in wanted and "counters" not in arguments:
            what = "needs counters, and no loaded plugin provides them; enable the plugin counter_file."
            raise PluginError(plugin, what, hook=hook)
        try:
            offered = {**arguments, "options": options.get(plugin)}
            answer = function(**{name: value for name, value in offered.items() if name in wanted})
        except (Exception, SystemExit) as error:
            raise PluginError(plugin, f"failed with {type(error).__name__}: {error}", hook=hook) from error
        if not isinstance(answer, (list, tuple)):
            raise PluginError(
                plugin, f"returned {_kind_of(answer)}; expected a list of {kind.__name__} objects.", hook=hook
            )
        for item in answer:
            _check_item(plugin, hook, item, kind)
        collected += [Registered(plugin, hook, item) for item in answer]
    return collected


def _check_item(plugin: str, hook: str, item: object, kind: type) -> None:
    if not getattr(kind, "_is_protocol", False):
        if isinstance(item, kind):
            return
        raise PluginError(
            plugin, f"returned a list with {_kind_of(item)}; expected {kind.__name__} objects.", hook=hook
        )
    missing = [name for name in _members(kind) if not _has(item, name)]
    if inspect.isclass(item) or missing:
        lacks = f" (it lacks {', '.join(missing)})" if missing else ""
        raise PluginError(
            plugin, f"returned a list with {_kind_of(item)}; expected {kind.__name__} objects{lacks}.", hook=hook
        )
    for name, method in vars(kind).items():
        if isinstance(method, FunctionType) and not name.startswith("_") and name not in _TAKEN_AS_IT_IS:
            _check_method(plugin, hook, f"{_kind_of(item)}.{name}", getattr(item, name), method)


_TAKEN_AS_IT_IS = frozenset({"close", "session"})
"""Methods of drivers, whose signatures have grown; the conformance suite checks them."""


def _check_method(plugin: str, hook: str, title: str, method: Any, wanted: FunctionType) -> None:
    """Whether a method can be called like that of the contract, and is a coroutine function if that one is."""
    if inspect.iscoroutinefunction(method) != inspect.iscoroutinefunction(wanted):
        colour = "'async def'" if inspect.iscoroutinefunction(wanted) else "'def', without async"
        raise PluginError(plugin, f"{title} must be written with {colour}.", hook=hook)
    parameters = [each for each in inspect.signature(wanted).parameters.values() if each.name != "self"]
    positional = [None for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
    named = {each.name: None for each in parameters if each.kind is each.KEYWORD_ONLY}
    try:
        inspect.signature(method).bind(*positional, **named)
    except TypeError as error:
        expected = ", ".join(each.name for each in parameters)
        raise PluginError(plugin, f"{title} cannot be called with ({expected}): {error}.", hook=hook) from error


def _has(item: object, name: str) -> bool:
    """Whether the attribute exists, without evaluating it: drivers import their dialect when it is read."""
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


def _refuse_same_names(registered: Sequence[Registered], what: str) -> None:
    registered_by: dict[str, str] = {}
    for plugin, hook, item in registered:
        name = str(item.name).lower()
        if name in registered_by:
            raise PluginError(
                plugin,
                f"registers a {what} {item.name!r}, and so does the plugin {registered_by[name]!r}; remove one.",
                hook=hook,
            )
        registered_by[name] = plugin


def _refuse_unfit_tables(registered: Sequence[Registered]) -> None:
    for plugin, hook, table in registered:
        problem = table_problem(table, [each.item for each in registered if each.plugin == plugin])
        if problem is not None:
            raise PluginError(plugin, f"registers a table {table.name!r}, which {problem}.", hook=hook)


def _refuse_unfit(registered: Sequence[Registered], what: str, problem_of: Callable[[Any], str | None]) -> None:
    for plugin, hook, item in registered:
        problem = problem_of(item)
        if problem is not None:
            raise PluginError(plugin, f"registers {what} that {problem}.", hook=hook)
