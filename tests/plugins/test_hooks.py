"""Every hook works as its reference page states."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from apilane.dispatch import Hooks, freeze
from apilane.plugins import HOOKS, PluginError, load_plugins
from apilane.settings import Settings
from apilane.storage.registry import Drivers, UnknownDriverError

Write = Callable[..., Settings]


def frozen(settings: Settings) -> Hooks:
    """The hooks of an application with these settings."""
    return freeze(load_plugins(settings), settings)


def test_hook_apilane_register_settings(write_plugin: Write) -> None:
    """A plugin's Structs are found by its name, and its other hooks get the configured values as ``options``."""
    body = """
        from msgspec import Struct
        from apilane.plugin import PluginSettings

        class Limits(Struct):
            window: int = 5

        class Section(Struct):
            text: str = ""

        class Slow:
            def __init__(self, options):
                self.options = options
            async def admit(self, event, application, address, account):
                return None
            async def succeeded(self, event, application, address, account):
                pass

        @hookimpl
        def apilane_register_settings():
            return [PluginSettings(instance=Limits, application=Section, enforced=True)]

        @hookimpl
        def apilane_register_throttles(options):
            return [Slow(options)]
        """
    settings = write_plugin("slow-down", body, plugins=("slow-down",), plugin_settings={"slow-down": {"window": 7}})
    hooks = frozen(settings)
    assert hooks.throttles[0].options.window == 7  # type: ignore[attr-defined]
    assert list(hooks.settings) == ["slow-down"]
    assert hooks.gates.enforced == {"Plugins.slow-down"}


def test_hook_apilane_register_drivers(write_plugin: Write) -> None:
    """A plugin's driver is found by its provider name, in any letter case, like the ones in this repository."""
    settings = write_plugin(
        "second",
        """
        import apilane_sqlite

        @hookimpl
        def apilane_register_drivers(settings):
            driver, = apilane_sqlite.apilane_register_drivers(settings)
            driver.name = "Second"
            return [driver]
        """,
    )
    drivers = frozen(settings).drivers
    assert drivers["second"].name == drivers["SECOND"].name == "Second"
    assert {"Second", "SQLite"} <= set(drivers)


def test_hook_apilane_register_authenticators(write_plugin: Write) -> None:
    """A plugin's authenticators are kept in plugin order, and each hook is called once with the settings."""
    body = """
        class Key:
            name = "key"
            scheme = "key"
            def __init__(self, port):
                self.port = port
            async def authenticate(self, request, application):
                return None

        @hookimpl
        def apilane_register_authenticators(settings):
            return (Key(settings.port), Key(settings.port + 1))
        """
    registered = frozen(write_plugin("keys", body, port=7, plugins=("keys",))).authenticators
    assert [one.port for one in registered] == [7, 8]  # type: ignore[attr-defined]


def test_hook_apilane_register_availability_checks(write_plugin: Write) -> None:
    """Applications may demand what a plugin's check enforces."""
    body = """
        class Closed:
            enforces = frozenset({"IPPolicy"})
            def prepare(self, application):
                return lambda request: "closed"

        @hookimpl
        def apilane_register_availability_checks(settings):
            return [Closed()]
        """
    gates = frozen(write_plugin("closed", body, plugins=("closed",))).gates
    assert [type(check).__name__ for check in gates.availability_checks] == ["Closed"]
    assert gates.enforced == {"IPPolicy"}


def test_hook_apilane_register_limiters(write_plugin: Write) -> None:
    """A plugin's limiter gets the counters that all workers share, and the names of what it enforces are known."""
    body = """
        class Limits:
            enforces = frozenset({"RateLimit"})
            def __init__(self, counters):
                self.counters = counters
            async def admit(self, application, name, action, caller, limit):
                return None

        @hookimpl
        def apilane_register_limiters(counters):
            return [Limits(counters)]
        """
    hooks = frozen(write_plugin("limits", body, plugins=("limits", "counter_file")))
    assert hooks.limiters[0].counters is hooks.counters  # type: ignore[attr-defined]
    assert hooks.gates.enforced == {"RateLimit"}
    assert hooks.gates.batch_limiter is None


def test_limiters_that_count_many_uses(write_plugin: Write) -> None:
    """The only limiter of an instance counts the uses of a transaction together, if it can; of several, none does."""
    body = """
        class Limits:
            enforces = frozenset({"RateLimit"})
            async def admit(self, application, name, action, caller, limit):
                return None

        @hookimpl
        def apilane_register_limiters():
            return [Limits()]
        """
    alone = frozen(write_plugin("limits", body, plugins=("rate_limit", "counter_file")))
    assert alone.gates.batch_limiter is alone.limiters[0]
    both = frozen(write_plugin("limits", body, plugins=("rate_limit", "counter_file", "limits")))
    assert len(both.limiters) == 2
    assert both.gates.batch_limiter is None


def test_hook_apilane_register_throttles(write_plugin: Write, tmp_path: Path) -> None:
    """A plugin's throttles are kept in plugin order."""
    body = """
        class Slow:
            def __init__(self, number):
                self.number = number
            async def admit(self, event, application, address, account):
                return None
            async def succeeded(self, event, application, address, account):
                pass

        @hookimpl
        def apilane_register_throttles(settings, counters):
            return [Slow(1), Slow(2)]
        """
    gates = frozen(write_plugin("slow", body, plugins=("slow", "counter_file"), data_dir=tmp_path)).gates
    assert [throttle.number for throttle in gates.throttles] == [1, 2]  # type: ignore[attr-defined]


def test_hook_apilane_register_endpoint_kinds(write_plugin: Write) -> None:
    """A plugin's kinds of endpoints are added to the core's; a second kind with one name, in any case, is refused."""
    body = """
        class Kind:
            name = "{name}"
            def check(self, endpoint, definition, dialect):
                return []
            def compile(self, endpoint, application):
                return self

        @hookimpl
        def apilane_register_endpoint_kinds():
            return [Kind()]
        """
    kinds = frozen(write_plugin("kinds", body.replace("{name}", "echo"))).endpoint_kinds
    assert {kind.name for kind in kinds} == {"sql", "python", "echo"}
    with pytest.raises(PluginError, match=r"registers a kind of endpoints 'SQL', and so does .*custom_endpoints"):
        frozen(write_plugin("kinds", body.replace("{name}", "SQL")))


def test_hook_apilane_register_functions(write_plugin: Write) -> None:
    """Kinds of endpoints receive the functions of all plugins; two functions with one name are refused."""
    body = """
        from apilane.plugin import EndpointFunction

        class Kind:
            name = "echo"
            def __init__(self, functions):
                self.functions = functions
            def check(self, endpoint, definition, dialect):
                return []
            def compile(self, endpoint, application):
                return self

        @hookimpl
        def apilane_register_endpoint_kinds(functions):
            return [Kind(functions)]

        @hookimpl
        def apilane_register_functions():
            return [EndpointFunction(name=name, function=lambda call: name) for name in {names}]
        """
    hooks = frozen(write_plugin("functions", body.replace("{names}", "['one', 'two']")))
    (kind,) = (each for each in hooks.endpoint_kinds if each.name == "echo")
    assert [each.name for each in kind.functions] == ["one", "two"]  # type: ignore[attr-defined]
    with pytest.raises(PluginError, match=r"registers a function 'ONE', and so does .*functions"):
        frozen(write_plugin("functions", body.replace("{names}", "['one', 'ONE']")))


def test_hook_apilane_register_file_stores(write_plugin: Write) -> None:
    """A plugin's store of files is added to the others, and hooks with ``file_stores`` find it by its name in lower
    case; a second store with one name is refused."""
    body = """
        from apilane.plugin import StoredName

        class Memory:
            name = "{name}"
            async def put(self, application, name, chunks):
                pass
            async def open(self, application, name):
                return None
            async def delete(self, application, name):
                pass
            async def names(self, application):
                yield StoredName("", 0)

        @hookimpl
        def apilane_register_file_stores():
            return [Memory()]

        @hookimpl
        def apilane_register_calls(file_stores):
            assert {"local", "memory"} <= file_stores.keys(), file_stores
            return []
        """
    stores = frozen(write_plugin("memory", body.replace("{name}", "Memory"))).file_stores
    assert {store.name for store in stores} == {"local", "Memory"}
    with pytest.raises(PluginError, match=r"registers a file store 'LOCAL', and so does the plugin 'files'"):
        frozen(write_plugin("memory", body.replace("{name}", "LOCAL")))


def test_hook_apilane_register_counters(write_plugin: Write) -> None:
    """The first counter store in plugin order is used for every hook with the argument ``counters``."""
    body = """
        class Memory:
            async def hit(self, key, *, limit, window_ms, now_ms):
                return None
            async def hit_many(self, key, *, uses, limit, window_ms, now_ms):
                return uses, None
            async def take_back(self, key, *, now_ms, uses=1):
                pass
            async def remember(self, key, *, until_ms, now_ms):
                return True

        @hookimpl(tryfirst=True)
        def apilane_register_counters(settings):
            return [Memory()]
        """
    settings = write_plugin("memory", body, plugins=("memory", "counter_file", "rate_limit"))
    hooks = frozen(settings)
    assert type(hooks.counters).__name__ == "Memory"
    assert hooks.limiters[0]._counters is hooks.counters  # type: ignore[attr-defined]


def test_counters_are_asked_for_only_where_they_are_there(write_plugin: Write) -> None:
    """A plugin that needs counters stops start-up when no plugin has them; the message says what to enable."""
    with pytest.raises(PluginError, match=r"'rate_limit'.*needs counters.*enable the plugin counter_file"):
        frozen(write_plugin("empty", "", plugins=("rate_limit",)))


def test_every_hook_has_its_test(repository: Path) -> None:
    """Every hook has a test named after it."""
    files = (repository / "tests/plugins").glob("test_*.py")
    found = {name for file in files for name in re.findall(r"^def (test_hook_\w+)", file.read_text(), re.MULTILINE)}
    assert {f"test_hook_{name}" for name in HOOKS} <= found


def test_every_hook_has_an_attribute() -> None:
    """The results of each register hook are one typed attribute of Hooks."""
    asked_later, with_names = {"commands", "portal_pages"}, {"registered"}
    hooks = {name.removeprefix("apilane_register_") for name in HOOKS} - asked_later
    assert hooks == set(Hooks.__struct_fields__) - with_names


def test_every_hook_has_a_section_with_its_signature(repository: Path) -> None:
    """The reference page has one section per hook, with the signature of the hook specification."""
    page = (repository / "docs/reference/hooks.md").read_text(encoding="utf-8")
    specs = (repository / "apilane/hookspecs.py").read_text(encoding="utf-8")
    for name in HOOKS:
        declared = re.search(rf"^(?:async )?def {name}\(.*?\) -> [^\n]*(?=:\n)", specs, re.MULTILINE | re.DOTALL)
        assert declared is not None
        in_one_line = re.sub(r"\(\s+|\s+(?=\))", lambda found: found[0].strip(), declared.group())
        assert f"## `{in_one_line}`" in page


def test_generated_pages_are_up_to_date(repository: Path) -> None:
    """The pages that docs/generate.py writes are up to date."""
    ran = subprocess.run(
        [sys.executable, repository / "docs/generate.py", "--check"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr


def test_a_missing_driver_names_what_is_installed() -> None:
    """A request for a missing driver lists the installed ones, and how to install it."""
    drivers = frozen(Settings(plugins=())).drivers
    with pytest.raises(UnknownDriverError, match=r"'Oracle' is installed \(installed: .*SQLite.*\)"):
        drivers["Oracle"]
    assert "Oracle" not in drivers
    assert drivers.get("Oracle") is None
    assert len(Drivers([])) == 0
