"""A faulty plugin stops start-up with its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from apilane.dispatch import freeze
from apilane.errors import ConfigurationError
from apilane.plugins import PluginError, load_plugins
from apilane.settings import Settings

Write = Callable[..., Settings]

DRIVER = """
import apilane_sqlite
{before}
@hookimpl
def apilane_register_drivers(settings):
    return {answer}
"""

AUTHENTICATOR = """
class A:
    scheme = ""
    {colour} authenticate(self, request, application):
        return None

@hookimpl
def apilane_register_authenticators():
    return [{answer}]
"""

REFUSED = {
    "import error": (
        "import no_such_module",
        r"cannot be imported from .*bad\.py: ModuleNotFoundError: .*bad\.py, line 2",
    ),
    "exit at import": ("raise SystemExit(3)", r"cannot be imported from .*: SystemExit: 3"),
    "syntax": ("def (", r"cannot be imported from .*: SyntaxError"),
    "misspelt hook": (
        "@hookimpl\ndef apilane_register_driver(settings): return []",
        r"implements apilane_register_driver, which is not a hook \(did you mean 'apilane_register_drivers'\?\)",
    ),
    "misspelt hook without marker": (
        "def apilane_register_drvers(settings): return []",
        r"implements apilane_register_drvers, which is not a hook \(did you mean 'apilane_register_drivers'\?\)",
    ),
    "misspelt specname": (
        "@hookimpl(specname='apilane_register_driver')\ndef mine(settings): return []",
        r"implements apilane_register_driver, which is not a hook",
    ),
    "marked function of another name": (
        "@hookimpl\ndef unrelated(): return []",
        r"implements unrelated, which is not a hook",
    ),
    "no marker": (
        "def apilane_register_drivers(settings): return []",
        r"hook apilane_register_drivers: the function lacks the decorator @hookimpl",
    ),
    "wrong colour": (
        "@hookimpl\nasync def apilane_register_drivers(settings): return []",
        r"hook apilane_register_drivers: must be written with 'def'",
    ),
    "asynchronous generator": (
        "@hookimpl\nasync def apilane_register_drivers(settings): yield []",
        r"hook apilane_register_drivers: must be written with 'def'",
    ),
    "wrong argument": (
        "@hookimpl\ndef apilane_register_drivers(setings=None): return []",
        r"there is no argument 'setings' \(did you mean 'settings'\?\); the hook has: settings",
    ),
    "catch-all argument": (
        "@hookimpl\ndef apilane_register_drivers(**everything): return []",
        r"takes '\*\*everything'; name the arguments",
    ),
    "wrapper": (
        "@hookimpl(wrapper=True)\ndef apilane_register_drivers(): return (yield)",
        r"wrappers are not supported",
    ),
    "failing hook": (
        "@hookimpl\ndef apilane_register_drivers(): raise LookupError('no key')",
        r"hook apilane_register_drivers: failed with LookupError: no key",
    ),
    "exit in a hook": (
        "@hookimpl\ndef apilane_register_drivers(): raise SystemExit(3)",
        r"hook apilane_register_drivers: failed with SystemExit: 3",
    ),
    "argument of a hook without arguments": (
        "@hookimpl\ndef apilane_register_settings(options): return []",
        r"there is no argument 'options'; the hook has no arguments\.",
    ),
    "no answer": (
        "@hookimpl\ndef apilane_register_drivers(): pass",
        r"hook apilane_register_drivers: returned NoneType; expected a list of Driver objects",
    ),
    "one object": (DRIVER.format(before="", answer="object()"), r"returned object; expected a list of Driver objects"),
    "wrong items": (
        DRIVER.format(before="class Half:\n    name = 'Half'\n    version = ''", answer="[Half()]"),
        r"returned a list with Half; expected Driver objects \(it lacks features, dialect, session, close\)",
    ),
    "class for an object": (
        AUTHENTICATOR.format(colour="async def", answer="A"),
        r"returned a list with the class A; expected Authenticator objects",
    ),
    "plain method": (
        AUTHENTICATOR.format(colour="def", answer="A()"),
        r"hook apilane_register_authenticators: A\.authenticate must be written with 'async def'",
    ),
    "second driver of one name": (
        DRIVER.format(before="", answer="list(apilane_sqlite.apilane_register_drivers(settings))"),
        r"registers a driver 'SQLite', and so does the plugin 'sqlite'",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_plugin_that_does_not_fit_is_named(case: str, write_plugin: Write) -> None:
    """Start-up stops with a message that names the plugin, and the hook where there is one."""
    body, message = REFUSED[case]
    settings = write_plugin("bad", body)
    with pytest.raises(PluginError, match=message) as refusal:
        freeze(load_plugins(settings), settings)
    assert str(refusal.value).startswith("Plugin 'bad'")
    assert refusal.value.plugin == "bad"


def test_two_plugins_of_one_name_are_refused(write_plugin: Write, install: Callable[..., None]) -> None:
    """Two plugins with one name are refused; both sources are named."""
    install("twin", "")
    settings = write_plugin("twin", "")
    with pytest.raises(PluginError, match=r"two plugins have this name, from acme_twin and .*twin\.py"):
        load_plugins(settings)


def test_a_third_party_plugin_that_fails_to_import_is_named(install: Callable[..., None]) -> None:
    """An installed plugin that fails to import is named with its distribution."""
    install("broken", "1 / 0")
    with pytest.raises(PluginError, match=r"Plugin 'broken': cannot be imported from acme_broken: ZeroDivisionError"):
        load_plugins(Settings())


def test_a_class_is_no_plugin() -> None:
    """A class instead of an instance is refused."""

    class Forgot:
        """A plugin, if it were an instance."""

    with pytest.raises(PluginError, match="Plugin 'Forgot': is a class"):
        load_plugins(Settings(), [Forgot])


def test_one_object_twice_is_refused() -> None:
    """The same object cannot be registered as two plugins."""
    with pytest.raises(PluginError, match="is the same object as the plugin"):
        load_plugins(Settings(), [one := type("Once", (), {})(), one])


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """A missing plugins folder is an error."""
    with pytest.raises(ConfigurationError, match="does not exist"):
        load_plugins(Settings(plugins_dir=tmp_path / "none"))


PRIVATE = {
    "from apilane.model.definition import Entity": "apilane.model.definition",
    "import apilane.services.sessions": "apilane.services.sessions",
    "def later():\n    from apilane.hookspecs import hookspec": "apilane.hookspecs",
    "from apilane.plugin.identity import Actor": "apilane.plugin.identity",
    "from apilane.plugin import identity": "apilane.plugin.identity",
    "from apilane import web": "apilane.web",
    "from apilane import Actor, plugins, errors": "apilane.plugins",
    "import os, apilane.web.call": "apilane.web.call",
    "if 1: from apilane.web.call import Call": "apilane.web.call",
    "from apilane.web import (\n    call,\n)": "apilane.web",
}


@pytest.mark.parametrize("code", PRIVATE)
def test_a_private_import_is_refused(plugins_dir: Path, code: str) -> None:
    """A plugin that imports a private module stops start-up; the message names plugin, module, line and what to do."""
    (plugins_dir / "curious.py").write_text(f"import sys\n{code}\n", encoding="utf-8")
    module = PRIVATE[code].replace(".", r"\.")
    says = rf"'curious': imports the private module {module} \(.*curious.py, line [23]\); import from apilane.plugin"
    with pytest.raises(PluginError, match=says):
        load_plugins(Settings(plugins_dir=plugins_dir))


def test_a_private_import_of_a_package_is_refused(install: Callable[..., None]) -> None:
    """The installed plugins of other distributions are checked too."""
    install("prying", "def later():\n    from apilane import web")
    with pytest.raises(PluginError, match=r"'prying': imports the private module apilane\.web "):
        load_plugins(Settings())


def test_public_imports_are_admitted(plugins_dir: Path) -> None:
    """The plugin API, the client and the test kit may be imported, and so may a package with a similar name; a text
    that looks like an import is none.
    """
    lines = [
        '"""A plugin.',
        "import apilane.web is not what it does.",
        '"""',
        "from apilane.plugin import hookimpl, storage",
        "from apilane.plugin.storage import Driver",
        "import apilane.client",
        "from apilane import Actor, __version__, plugin",
        "try:",
        "    import apilane_of_others",
        "except ImportError:",
        "    pass",
    ]
    (plugins_dir / "modest.py").write_text("\n".join(lines), encoding="utf-8")
    assert "modest" in {plugin.name for plugin in load_plugins(Settings(plugins_dir=plugins_dir)).describe()}
