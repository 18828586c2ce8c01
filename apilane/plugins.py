"""One plugin manager per application: it finds, sorts, loads, checks and describes plugins.

Plugins come from the entry points ``apilane.plugins`` and ``apilane.drivers``, from single files of a folder, and as
objects given to ``create_app``. An invalid plugin stops start-up with a message that names it. ``apilane.dispatch``
calls the hooks; this module does not.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import pluggy

from apilane import hookspecs
from apilane.errors import ConfigurationError
from apilane.plugin_imports import private_import
from apilane.settings import Settings, did_you_mean

__all__ = ["DRIVERS_GROUP", "HOOKS", "PLUGINS_GROUP", "LoadedPlugin", "PluginError", "PluginSet", "load_plugins"]

OURS = "apilane"
"""Source of the plugins of this distribution; its own tests check their imports."""
GIVEN = "create_app"
"""Source of the plugins that an embedding program gives as objects."""
PLUGINS_GROUP = "apilane.plugins"
DRIVERS_GROUP = "apilane.drivers"

HOOKS: Mapping[str, Callable[..., Any]] = {
    name: function for name, function in vars(hookspecs).items() if hasattr(function, "apilane_policy")
}
"""Every hook by name, in the order of declaration."""


class PluginError(ConfigurationError):
    """A plugin cannot be used. ``hook``: the affected hook, if any."""

    def __init__(self, plugin: str, what: str, *, hook: str | None = None) -> None:
        super().__init__(f"Plugin {plugin!r}{f', hook {hook}' if hook else ''}: {what}")
        self.plugin = plugin
        self.hook = hook


class LoadedPlugin(NamedTuple):
    """A description of a plugin for messages. ``source``: its distribution, its file, or ``create_app``."""

    name: str
    version: str
    source: str
    hooks: tuple[str, ...]


class PluginSet:
    """The plugins of one application in plugin order; made by ``load_plugins``, frozen by ``dispatch``."""

    __slots__ = ("manager", "order", "plugins")

    def __init__(self, manager: pluggy.PluginManager, plugins: Sequence[LoadedPlugin], order: Sequence[str]) -> None:
        self.manager = manager
        self.plugins = tuple(plugins)
        self.order = tuple(order)

    def describe(self) -> tuple[LoadedPlugin, ...]:
        """Name, version, source and hooks of each plugin, in plugin order."""
        return self.plugins


class _Found(NamedTuple):
    name: str
    version: str
    source: str
    load: Callable[[], object]


def load_plugins(settings: Settings, extra: Sequence[object] = ()) -> PluginSet:
    """Find, import, check and register every plugin that ``settings`` selects, then ``extra``.

    Order: entry points by name, files by name, ``extra`` as given. Drivers and ``extra`` are always loaded, even if
    ``settings.plugins`` does not list them. Raises ``PluginError``, or ``ConfigurationError`` for an unknown name.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    described: list[LoadedPlugin] = []
    for found in _selected(settings, extra):
        if manager.has_plugin(found.name):
            other = next(one for one in described if one.name == found.name)
            raise PluginError(found.name, f"two plugins have this name, from {other.source} and {found.source}.")
        plugin, about = _loaded(found)
        if manager.is_registered(plugin):
            raise PluginError(found.name, f"is the same object as the plugin {manager.get_name(plugin)!r}.")
        manager.register(plugin, found.name)
        described.append(about)
    manager.check_pending()
    _refuse_unknown("plugins_order", settings.plugins_order, [plugin.name for plugin in described])
    return PluginSet(manager, described, settings.plugins_order)


def _selected(settings: Settings, extra: Sequence[object]) -> Iterator[_Found]:
    installed = entry_points()  # called once: it reads a file of every installed package
    drivers = {point.name for point in installed.select(group=DRIVERS_GROUP)}
    points = [*installed.select(group=DRIVERS_GROUP), *installed.select(group=PLUGINS_GROUP)]
    found = [_from_entry_point(point) for point in sorted(points, key=lambda point: point.name)]
    found += _from_folder(settings.plugins_dir) if settings.plugins_dir else []
    if settings.plugins is not None:
        _refuse_unknown("plugins", settings.plugins, [one.name for one in found])
    for one in found:
        if one.name in drivers or settings.plugins is None or one.name in settings.plugins:
            yield one
    for number, plugin in enumerate(extra):
        yield _from_object(plugin, [_object_name(other) for other in extra[:number]])


def _refuse_unknown(setting: str, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            meant = did_you_mean(name, known)
            raise ConfigurationError(
                f"Setting {setting}: there is no plugin {name!r}{meant}. There are: {', '.join(known)}."
            )


def _from_entry_point(point: EntryPoint) -> _Found:
    source, version = _name_and_version(point.dist) if point.dist else (point.value, "")
    return _Found(point.name, version, source, point.load)


@lru_cache(32)  # a package may have several plugins, and each look-up parses all its metadata
def _name_and_version(distribution: Distribution) -> tuple[str, str]:
    metadata = distribution.metadata
    return metadata["Name"], metadata["Version"]


def _from_folder(folder: Path) -> list[_Found]:
    if not folder.is_dir():
        raise ConfigurationError(f"The plugins folder {folder} does not exist; make it or change plugins_dir.")
    files = sorted(path for path in folder.glob("*.py") if not path.name.startswith("_"))
    return [_Found(path.stem, "", str(path), partial(_import_file, path)) for path in files]


def _from_object(plugin: object, before: Sequence[str]) -> _Found:
    name = _object_name(plugin)
    number = before.count(name) + 1
    name = name if number == 1 else f"{name}-{number}"
    return _Found(name, "", GIVEN, lambda: plugin)


def _object_name(plugin: object) -> str:
    return str(getattr(plugin, "__name__", None) or type(plugin).__name__)


def _import_file(path: Path) -> ModuleType:
    # The number distinguishes files of one name in two folders. Type hints resolve only if sys.modules has the module.
    name = f"apilane_file_{path.stem}_{zlib.crc32(str(path.resolve()).encode()):08x}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _loaded(found: _Found) -> tuple[object, LoadedPlugin]:
    try:
        plugin = found.load()
    except (Exception, SystemExit) as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        what = f"{type(error).__name__}: {error} ({where.filename}, line {where.lineno})"
        raise PluginError(found.name, f"cannot be imported from {found.source}: {what}.") from error
    private = private_import(plugin) if found.source not in {GIVEN, OURS} else None
    if private is not None:
        what = f"{private}; import from apilane.plugin, or from apilane.plugin.storage for a driver."
        raise PluginError(found.name, what)
    version = found.version or str(getattr(plugin, "__version__", ""))
    return plugin, LoadedPlugin(found.name, version, found.source, tuple(_checked_hooks(found.name, plugin)))


def _checked_hooks(plugin_name: str, plugin: object) -> Iterator[str]:
    """The hooks that a plugin implements, each checked against its spec before pluggy sees it."""
    if inspect.isclass(plugin):
        raise PluginError(plugin_name, "is a class; a plugin is a module or an instance.")
    for attribute in dir(plugin):
        function = inspect.getattr_static(plugin, attribute)
        if not isinstance(function, (FunctionType, staticmethod, classmethod)):
            continue
        function = getattr(plugin, attribute)
        options = getattr(function, f"{hookspecs.PROJECT}_impl", None)
        if options is None and not attribute.startswith("apilane_"):
            continue
        hook = (options or {}).get("specname") or attribute
        if hook not in HOOKS:
            raise PluginError(plugin_name, f"implements {hook}, which is not a hook{did_you_mean(hook, HOOKS)}.")
        if options is None:
            raise PluginError(plugin_name, "the function lacks the decorator @hookimpl.", hook=hook)
        if options.get("wrapper") or options.get("hookwrapper"):
            raise PluginError(plugin_name, "wrappers are not supported.", hook=hook)
        _check_signature(plugin_name, hook, function)
        yield hook


def _check_signature(plugin_name: str, hook: str, function: Callable[..., Any]) -> None:
    spec = HOOKS[hook]
    keyword = "async def" if inspect.iscoroutinefunction(spec) else "def"
    if inspect.iscoroutinefunction(function) != inspect.iscoroutinefunction(spec) or inspect.isasyncgenfunction(
        function
    ):
        raise PluginError(plugin_name, f"must be written with '{keyword}'.", hook=hook)
    known = inspect.signature(spec).parameters
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}:
            raise PluginError(plugin_name, f"takes '{parameter}'; name the arguments that it needs.", hook=hook)
        if parameter.name not in known:
            what = f"there is no argument {parameter.name!r}{did_you_mean(parameter.name, known)}"
            has = f"the hook has: {', '.join(known)}" if known else "the hook has no arguments"
            raise PluginError(plugin_name, f"{what}; {has}.", hook=hook)
