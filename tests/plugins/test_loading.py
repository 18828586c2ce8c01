"""How plugins are found, ordered and described."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from apilane.dispatch import freeze, hook_order
from apilane.errors import ConfigurationError
from apilane.hookspecs import hookimpl
from apilane.plugins import load_plugins
from apilane.settings import Settings

Write = Callable[..., Settings]
Install = Callable[..., None]

AUTHENTICATOR = """
class Anonymous:
    name = __name__
    scheme = "test"
    async def authenticate(self, request, application):
        return None

{mark}
def apilane_register_authenticators():
    return [Anonymous()]
"""
PLUGIN = AUTHENTICATOR.format(mark="@hookimpl")


def asked(settings: Settings, extra: tuple[object, ...] = ()) -> list[str]:
    """The plugins whose authenticator hook was called, in their final order."""
    orders = hook_order(load_plugins(settings, extra))
    return list(next(one.plugins for one in orders if one.name == "apilane_register_authenticators"))


class Mounted:
    """A plugin as an object."""

    __version__ = "7"

    @hookimpl
    def apilane_register_authenticators(self, settings: Settings) -> list[object]:
        """Record the call and return nothing."""
        return []


DRIVERS = ["mysql", "postgresql", "sqlite", "sqlserver"]


def test_installed_plugins_and_drivers_are_loaded_by_default() -> None:
    """With no settings every entry point is loaded, sorted by name."""
    names = [plugin.name for plugin in load_plugins(Settings()).describe()]
    assert "sqlite" in names
    assert names == sorted(names)


def test_empty_plugins_setting_leaves_the_drivers(install: Install) -> None:
    """``plugins=()`` loads no plugin, and every driver."""
    install("extra", PLUGIN)
    assert [plugin.name for plugin in load_plugins(Settings(plugins=())).describe()] == DRIVERS


def test_named_plugins_are_the_only_ones(install: Install) -> None:
    """A list of plugins in the settings loads exactly these and the drivers."""
    install("one", PLUGIN)
    install("two", PLUGIN)
    assert [plugin.name for plugin in load_plugins(Settings(plugins=("two",))).describe()] == [*DRIVERS, "two"]


def test_a_third_party_plugin_is_described(install: Install) -> None:
    """A third-party plugin is listed with its distribution, version and hooks."""
    install("extra", PLUGIN)
    found = {plugin.name: plugin for plugin in load_plugins(Settings()).describe()}["extra"]
    assert (found.version, found.source, found.hooks) == ("1.2.3", "acme_extra", ("apilane_register_authenticators",))


def test_a_file_is_described(write_plugin: Write) -> None:
    """A single-file plugin is listed with its file and version; files that begin with _ are skipped."""
    write_plugin("_shared", "raise RuntimeError")
    settings = write_plugin("single", PLUGIN + "__version__ = '0.3'\n")
    found = {plugin.name: plugin for plugin in load_plugins(settings).describe()}
    assert (found["single"].version, Path(found["single"].source).name) == ("0.3", "single.py")
    assert "_shared" not in found


def test_an_object_is_described() -> None:
    """A plugin object for create_app is listed as such, and two objects of one class get different names."""
    found = load_plugins(Settings(plugins=()), [Mounted(), Mounted()]).describe()[-2:]
    assert [(one.name, one.version, one.source) for one in found] == [
        ("Mounted", "7", "create_app"),
        ("Mounted-2", "7", "create_app"),
    ]


def test_order_is_by_name_then_files_then_objects(write_plugin: Write, install: Install) -> None:
    """The order is: entry points by name, then files by name, then objects."""
    install("zeta", PLUGIN)
    install("alpha", PLUGIN)
    write_plugin("b_file", PLUGIN)
    settings = write_plugin("a_file", PLUGIN, plugins=("zeta", "alpha", "a_file", "b_file"))
    assert asked(settings, (Mounted(),)) == ["alpha", "zeta", "a_file", "b_file", "Mounted"]


def test_tryfirst_and_trylast_move_a_plugin(write_plugin: Write) -> None:
    """A plugin may ask to be first or last; plugins with the same wish stay in plugin order."""
    for name in ("a", "b"):
        write_plugin(name, AUTHENTICATOR.format(mark="@hookimpl(trylast=True)"))
    for name in ("x", "y"):
        write_plugin(name, AUTHENTICATOR.format(mark="@hookimpl(tryfirst=True)"))
    settings = write_plugin("m", PLUGIN, plugins=("a", "b", "m", "x", "y"))
    assert asked(settings) == ["x", "y", "m", "a", "b"]


def test_the_operator_has_the_last_word(write_plugin: Write) -> None:
    """plugins_order takes precedence over tryfirst; plugins that it does not name follow."""
    write_plugin("a", AUTHENTICATOR.format(mark="@hookimpl(tryfirst=True)"))
    settings = write_plugin("b", PLUGIN, plugins=("a", "b"), plugins_order=("b",))
    assert asked(settings) == ["b", "a"]
    registered = freeze(load_plugins(settings), settings).authenticators
    assert [type(one).__module__.split("_")[2] for one in registered] == ["b", "a"]


@pytest.mark.parametrize("setting", ["plugins", "plugins_order"])
def test_an_unknown_name_is_refused(setting: str) -> None:
    """An unknown plugin name is refused with the nearest known name."""
    with pytest.raises(ConfigurationError, match=rf"Setting {setting}: .*'sqlit' \(did you mean 'sqlite'\?\)"):
        load_plugins(Settings(**{setting: ("sqlit",)}))  # type: ignore[arg-type]


def test_two_applications_have_two_managers(write_plugin: Write) -> None:
    """Loading twice in one process gives two independent sets of plugins."""
    first = load_plugins(write_plugin("one", PLUGIN))
    second = load_plugins(Settings(plugins=()))
    assert first.manager is not second.manager
    assert "one" not in [plugin.name for plugin in second.describe()]
