"""Settings of plugins: their sources, errors at start-up, and a plugin with secrets in a real server."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from apilane.control.store import ControlStore
from apilane.dispatch import Hooks, freeze
from apilane.errors import ConfigurationError
from apilane.plugins import load_plugins
from apilane.settings import Settings, load_settings
from apilane.testing.client import Client, error_of
from apilane.testing.server import CHEAP_PASSWORDS, Server

Write = Callable[..., Settings]

MAIL = """
    from pathlib import Path
    from typing import Annotated, Literal
    from msgspec import Meta, Struct
    from apilane.plugin import PluginSettings, Secret

    class Relay(Struct):
        name: str
        password: Secret | None = None
        kind: Literal["a", "b"] = "a"

    class MailSettings(Struct):
        host: Annotated[str, Meta(description="Host.")] = "localhost"
        port: int = 25
        password: Secret | None = None
        spool: Path | None = None
        tags: tuple[str, ...] = ()
        relays: list[Relay] = []

        def __post_init__(self):
            if self.host == "nowhere":
                raise ValueError("no mail goes nowhere")

    class Kept:
        enforces = frozenset()
        def __init__(self, options):
            self.options = options
        def prepare(self, application):
            return None

    @hookimpl
    def apilane_register_settings():
        return [PluginSettings(instance=MailSettings)]

    @hookimpl
    def apilane_register_availability_checks(options):
        return [Kept(options)]
    """


@pytest.fixture
def mail(write_plugin: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The settings that the plugin ``mail`` receives from a file, variables, or code."""
    monkeypatch.chdir(tmp_path)
    folder = write_plugin("mail", MAIL).plugins_dir

    def options(toml: str = "", environ: Mapping[str, str] | None = None, **code: Any) -> Any:
        if code:
            settings = Settings(plugins_dir=folder, plugins=("mail",), plugin_settings=code)
        else:
            load = "" if "load" in toml or toml.startswith("plugins =") else "APILANE_PLUGINS"
            (tmp_path / "apilane.toml").write_text(toml, encoding="utf-8")
            chosen = {load: "mail"} if load else {}
            settings = load_settings({"plugins_dir": folder}, environ={**chosen, **(environ or {})})
        (check,) = freeze(load_plugins(settings), settings).availability_checks
        return check.options  # type: ignore[attr-defined]

    return options


async def _text(secret: Any) -> str:
    text: str = await secret.get()
    return text


def text_of(secret: Any) -> str:
    """The text of a secret."""
    return asyncio.run(_text(secret))


def test_defaults_file_and_variables(mail: Callable[..., Any], tmp_path: Path) -> None:
    """A variable overrides the file and the file overrides the default; each value is read by the type of its field."""
    (tmp_path / "key").write_text("from-file\n")
    options = mail(
        '[plugins]\nload = ["mail"]\n[plugins.mail]\nhost = "file"\nport = {env = "PORT"}\n'
        'password = {env = "PASSWORD"}\ntags = ["a"]\nspool = "spool"\n'
        '[[plugins.mail.relays]]\nname = "one"\npassword = {file = "key"}\n',
        {"APILANE_MAIL_HOST": "variable", "PORT": "26", "PASSWORD": "pw"},
    )
    assert (options.host, options.port, options.tags, options.spool) == ("variable", 26, ("a",), Path("spool"))
    assert (text_of(options.password), text_of(options.relays[0].password)) == ("pw", "from-file")
    options = mail(environ={"APILANE_MAIL_TAGS": "x, y", "APILANE_MAIL_PASSWORD": "pw", "APILANE_MAIL_SPOOL": ""})
    assert (options.tags, text_of(options.password), options.spool) == (("x", "y"), "pw", None)
    assert "pw" not in repr(options)
    assert mail().port == 25
    assert mail(mail={"port": 27, "password": "pw"}).port == 27


def test_settings_do_not_show_sections() -> None:
    """Settings print no plugin values, because only plugins know which of them are secrets."""
    settings = load_settings(environ={"APILANE_MAIL_PASSWORD": "open-sesame"})
    assert "sesame" not in f"{settings!r} {settings.plugin_settings!r}"


REFUSED = {
    "unknown plugin": (
        "[plugins.mal]\nport = 1\n",
        {},
        r"mal: no plugin 'mal' is loaded \(did you mean 'mail'",
    ),
    "plugin without settings": ("[plugins.sqlite]\nport = 1\n", {}, "the plugin 'sqlite' has no settings"),
    "unknown key": ("[plugins.mail]\nprot = 1\n", {}, r"plugins\.mail: unknown setting 'prot' \(did you mean 'port'"),
    "unknown key below": (
        '[[plugins.mail.relays]]\nnme = "x"\n',
        {},
        r"mail\.relays\[0\]: unknown setting 'nme' \(did you mean 'name'",
    ),
    "type": ('[plugins.mail]\nport = "x1y2"\n', {}, "port: 'x1y2' is not accepted; expected whole number"),
    "type of a variable": ("", {"APILANE_MAIL_PORT": "x"}, "APILANE_MAIL_PORT: 'x' is not accepted; expected whole"),
    "type below a secret": ('[plugins.mail]\nrelays = "open-sesame"\n', {}, "relays: this value is not accepted"),
    "secret in clear": ('[plugins.mail]\npassword = "open-sesame"\n', {}, r"mail\.password is a secret and must not"),
    "secret in clear below": (
        '[[plugins.mail.relays]]\nname = "x"\npassword = "open-sesame"\n',
        {},
        r"relays\[0\]\.password is a secret and must not be in this file; write \{env",
    ),
    "secret that is a number": ("[plugins.mail]\npassword = 4711\n", {}, "a secret is text that is not empty"),
    "reference to nothing": ('[plugins.mail]\npassword = {env = "NO"}\n', {}, "variable NO is not set"),
    "variable without a field": (
        "",
        {"APILANE_MAIL_PROT": "1"},
        r"APILANE_MAIL_PROT: the plugin 'mail' has no such setting \(did you mean 'APILANE_MAIL_PORT'",
    ),
    "misspelt reference": (
        '[plugins.mail]\npassword = {evn = "open-sesame"}\n',
        {},
        r"mail\.password: unknown key 'evn' \(did you mean 'env'\?\)\. A secret is written as \{env = \"NAME\"\} or",
    ),
    "two references": (
        '[plugins.mail]\npassword = {env = "A", file = "open-sesame"}\n',
        {},
        r"mail\.password: A secret is written as \{env",
    ),
    "choice below a secret": (
        '[plugins.mail]\nrelays = [{name = "x", kind = "open-sesame"}]\n',
        {},
        r"relays: this value is not accepted; .* Invalid enum value - at `\$\[0\]\.kind`",
    ),
    "variable of tables": (
        "",
        {"APILANE_MAIL_RELAYS": "open-sesame"},
        r"APILANE_MAIL_RELAYS: a variable cannot hold a table .*write relays in the section \[plugins\.mail\]",
    ),
    "check of the Struct": ('[plugins.mail]\nhost = "nowhere"\n', {}, "no mail goes nowhere"),
    "no table": ("[plugins]\nmail = 5\n", {}, r"plugins\.mail: expected a table \[plugins\.mail\]"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_settings_that_do_not_fit(name: str, mail: Callable[..., Any]) -> None:
    """Start-up stops with source, setting and the expected value, and never shows a secret."""
    toml, environ, message = REFUSED[name]
    with pytest.raises(ConfigurationError, match=message) as refusal:
        mail(toml, environ)
    assert "sesame" not in str(refusal.value)
    assert "4711" not in str(refusal.value)


STRUCTS = """
    from collections.abc import Callable
    from pathlib import Path
    from msgspec import Struct
    from apilane.plugin import PluginSettings, Secret

    class Plain(Struct):
        port: int = 1

    class Formats(Struct):
        format: str = ""

    class Needed(Struct):
        port: int

    class Tables(Struct):
        ports: dict[str, int]

    class Calling(Struct):
        hooks: dict[str, list[Callable[[int], int] | None]] = {}

    class Wavy(Struct):
        wave: complex = 0j

    class Placed(Struct):
        folder: Path | None = None

    class Listed(Struct):
        keys: list[Secret] = []

    @hookimpl
    def apilane_register_settings():
        return [ANSWER]
    """

REGISTERED = {
    "two objects": ("a", "PluginSettings(instance=Plain), PluginSettings()", "put the settings into one"),
    "no PluginSettings": ("a", "Plain()", "expected PluginSettings objects"),
    "no Struct": ("a", "PluginSettings(instance=int)", "expected a subclass of msgspec.Struct"),
    "enforced without a section": ("a", "PluginSettings(enforced=True)", "give the Struct of that section"),
    "secret in a list": ("a", "PluginSettings(instance=Listed)", "Listed.keys holds a Secret"),
    "number that no file holds": ("a", "PluginSettings(instance=Wavy)", "Wavy.wave: complex is no type of a setting"),
    "function": ("a", "PluginSettings(instance=Calling)", r"Calling.hooks.KEY\[\]: Callable is no type of a setting"),
    "path in a section": ("a", "PluginSettings(application=Placed)", "Placed.folder: Path is no type of a setting"),
    "no default": ("a", "PluginSettings(application=Needed)", "Needed.port needs a default"),
    "variable of the core": (
        "log",
        "PluginSettings(instance=Formats)",
        "APILANE_LOG_FORMAT, and so has the",
    ),
}


@pytest.mark.parametrize("name", REGISTERED)
def test_structs_that_cannot_be(name: str, write_plugin: Write) -> None:
    """A plugin with a settings class that cannot work stops start-up, with its name and hook."""
    plugin, answer, message = REGISTERED[name]
    settings = write_plugin(plugin, STRUCTS.replace("ANSWER", answer), plugins=(plugin,))
    with pytest.raises(ConfigurationError, match=f"'{plugin}', hook apilane_register_settings: .*{message}"):
        freeze(load_plugins(settings), settings)


def test_variables_of_two_plugins(write_plugin: Write) -> None:
    """Two plugins whose settings have the same variable cannot be loaded together."""
    write_plugin("rate", STRUCTS.replace("ANSWER", "PluginSettings(instance=Plain)").replace("port:", "one_port:"))
    settings = write_plugin(
        "rate-one", STRUCTS.replace("ANSWER", "PluginSettings(instance=Plain)"), plugins=("rate", "rate-one")
    )
    with pytest.raises(ConfigurationError, match=r"APILANE_RATE_ONE_PORT, and so has the setting .*'rate-one'"):
        freeze(load_plugins(settings), settings)


def test_a_setting_that_is_needed(write_plugin: Write) -> None:
    """A field without a default is required."""
    body = STRUCTS.replace("ANSWER", "PluginSettings(instance=Needed)")
    settings = write_plugin("a", body, plugins=("a",))
    with pytest.raises(ConfigurationError, match=r"a\.port is missing: expected whole .* set APILANE_A_PORT"):
        freeze(load_plugins(settings), settings)


def test_a_table_that_is_needed(write_plugin: Write) -> None:
    """The message about a missing table does not name a variable, which cannot hold it."""
    body = STRUCTS.replace("ANSWER", "PluginSettings(instance=Tables)")
    settings = write_plugin("a", body, plugins=("a",))
    with pytest.raises(ConfigurationError, match=r"a\.ports is missing: expected table\. Write it there\.$"):
        freeze(load_plugins(settings), settings)


GUARD = """
    from msgspec import Struct
    from apilane.plugin import ApilaneError, Code
    from apilane.plugin import PluginSettings, Secret

    class Section(Struct, rename="pascal"):
        header: str = "x-key"
        key: Secret | None = None

    @hookimpl
    def apilane_register_settings():
        return [PluginSettings(application=Section, enforced=True)]

    class Guard:
        scheme = "guard"
        async def authenticate(self, request, application):
            section = application.options(Section)
            assert section is application.options(Section)
            sent = request.headers.get(section.header.encode())
            if section.key is None or sent == (await section.key.get()).encode():
                return None
            raise ApilaneError(Code.UNAUTHORIZED, "No key")

    @hookimpl
    def apilane_register_authenticators():
        return [Guard()]
    """

KEY, OTHER_KEY = "Open-sesame-of-the-plugin", "Another-sesame-of-the-plugin"
GUARDED = """
Apilane: 1
Application: {Name: Guarded}
Security: [{Entity: Users, Role: ANONYMOUS, Action: get, Properties: [ID]}]
Plugins: {guard: {Header: x-guard, Key: "KEY"}}
"""


def test_a_secret_of_an_application(write_plugin: Write, tmp_path: Path) -> None:
    """The plugin reads a secret at once after each apply; no file, command, audit record or log has it in clear."""
    folder = write_plugin("guard", GUARD).plugins_dir
    settings = {**CHEAP_PASSWORDS, "plugins_dir": folder, "definition_poll_s": 0.05, "log_level": "debug"}
    said = []
    with Server(tmp_path / "data", settings=settings) as server, httpx.Client(trust_env=False) as http:
        open_application = Client(http, server.url, server.apply("Apilane: 1\nApplication: {Name: Open}\n"))
        guarded = Client(http, server.url, server.apply(GUARDED.replace("KEY", KEY)))

        def read(key: str) -> int:
            headers = {"x-guard": key}
            return guarded.send("GET", "/api/Data/Get?entity=Users", None, headers).status_code

        assert (read(KEY), read("wrong")) == (200, 401)
        server.apply(GUARDED.replace("KEY", OTHER_KEY) + "  # changed\n")
        assert (read(KEY), read(OTHER_KEY)) == (401, 200)
        assert error_of(open_application.get("Data/Get", entity="Users")).message != "No key"

        def command(*arguments: str, **environ: str) -> str:
            done = subprocess.run(
                [sys.executable, "-m", "apilane", *arguments],
                env={**os.environ, **server.environ, **environ},
                capture_output=True,
                text=True,
                check=False,
            )
            said.append(done.stdout + done.stderr)
            assert done.returncode == 0, said[-1]
            return done.stdout

        exported = tmp_path / "exported.yaml"
        exported.write_text(command("export", "Guarded"))
        assert "Key: ${GUARDED_GUARD_KEY}" in exported.read_text()
        command("apply", str(exported))
        assert "nothing to change" in said[-1]
        command("apply", str(exported), GUARDED_GUARD_KEY=KEY)
        assert "Plugins.guard.Key: a secret, not shown" in said[-1]
        server.settle(guarded.token)
        assert read(KEY) == 200

        async def look(store: ControlStore, _hooks: Hooks) -> None:
            stored = await store.application(guarded.token)
            assert stored is not None
            assert stored.secrets.plugins == {"Plugins.guard.Key": KEY}
            said.append(repr(stored) + repr(await store.audit(guarded.token)))

        server.with_store(look)
    files = [server.log, *(path for path in server.data_dir.rglob("*") if path.is_file())]
    assert any(path.name == "control.db" for path in files)
    for secret in (KEY, OTHER_KEY):
        assert [text for text in said if secret in text] == []
        assert [path for path in files if secret.encode() in path.read_bytes()] == []
    without = {name: value for name, value in settings.items() if name != "plugins_dir"}
    with Server(tmp_path / "data", settings=without) as server, httpx.Client(trust_env=False) as http:
        closed = Client(http, server.url, guarded.token)
        assert error_of(closed.get("Data/Get", entity="Users")).code == "SERVICE_UNAVAILABLE"
