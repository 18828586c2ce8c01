"""The hook of mailers, and pages that name their application in the path."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import httpx
import pytest

from apilane.app import create_app
from apilane.dispatch import freeze
from apilane.errors import ConfigurationError
from apilane.plugins import PluginError, load_plugins
from apilane.settings import Settings
from apilane.testing.client import PASSWORD, Client
from apilane.testing.server import CHEAP_PASSWORDS, PATIENT, Server
from tests.faults.victim import wait_until
from tests.mail.post_office import manifest

Write = Callable[..., Settings]

PIGEONS = '''
from pathlib import Path

from apilane.plugin import PermanentFailure, hookimpl


class Pigeons:
    """Writes each mail to a file."""

    name = "Pigeons"

    def is_ready(self, application):
        return True

    async def send(self, message, application):
        if message.to.startswith("far"):
            raise PermanentFailure("too far to fly")
        with Path(__file__).with_name("sent.txt").open("a") as file:
            file.write(f"{message.sender} {message.to} {message.subject}\\n")


@hookimpl
def apilane_register_mailers(settings, options):
    return [Pigeons()]
'''


@pytest.fixture
def pigeons(tmp_path: Path) -> Iterator[Server]:
    """A server whose mailer is that of a plugin."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "pigeons.py").write_text(dedent(PIGEONS))
    settings = {**CHEAP_PASSWORDS, **PATIENT, "definition_poll_s": 0.05, "plugins_dir": folder}
    with Server(tmp_path / "data", settings=settings) as server:
        yield server


def test_hook_apilane_register_mailers(pigeons: Server, http: httpx.Client, tmp_path: Path) -> None:
    """An application that names a plugin's mailer sends through it; a failure for good is kept for the operator."""
    document = manifest(1, Server=None) | {"Plugins": {"email": {"Mailer": "pigeons"}}}
    token = pigeons.apply(document)
    shop = Client(http, pigeons.url, token)
    for name in ("anna", "far-away"):
        body = {"Email": f"{name}@example.com", "Username": name, "Password": PASSWORD}
        assert shop.post("Account/Register", body).status_code == 200
    sent = tmp_path / "plugins" / "sent.txt"
    wait_until(lambda: sent.exists() and bool(sent.read_text()), "a mail was sent")
    assert sent.read_text() == "shop@example.com anna@example.com Hi anna\n"
    wait_until(lambda: pigeons.sql(token, 'SELECT "Dead" FROM "H_Outbox"') == [(1,)], "the other one is dead")


def test_mailers_with_one_name(write_plugin: Write) -> None:
    """Two mailers with one name, and a mailer that is not asynchronous, stop start-up."""
    write_plugin("pigeons", dedent(PIGEONS))
    settings = write_plugin("second", dedent(PIGEONS).replace('"Pigeons"', '"SMTP"'))
    with pytest.raises(PluginError, match="registers a mailer 'SMTP', and so does the plugin 'email'"):
        freeze(load_plugins(settings), settings)
    write_plugin("second", dedent(PIGEONS).replace("async def", "def").replace('"Pigeons"', '"Owls"'))
    with pytest.raises(PluginError, match="send must be written with 'async def'"):
        freeze(load_plugins(settings), settings)


def test_unknown_mailer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A setting that names no mailer stops start-up, with those that there are."""
    from apilane.settings import load_settings

    monkeypatch.setenv("APILANE_EMAIL_MAILER", "owls")
    settings = load_settings(environ={"APILANE_EMAIL_MAILER": "owls", "APILANE_DATA_DIR": str(tmp_path)})
    with pytest.raises((PluginError, ConfigurationError), match="'owls'; there are: smtp"):
        freeze(load_plugins(settings), settings)


PAGE = """
from litestar import get
from apilane.plugin import Open, Operator, Page, PageCall, hookimpl

@get("/named/{{token:str}}")
async def named(call: PageCall) -> str:
    return call.application.definition.name

@hookimpl
def apilane_register_routes():
    return [Page(named, {access}, application_in={parameter!r})]
"""


@pytest.mark.parametrize(
    ("access", "parameter", "text"),
    [("Operator()", "token", "only a page with Open"), ("Open()", "other", r"no parameter \{other:str\}")],
)
def test_wrong_application_in(access: str, parameter: str, text: str, write_plugin: Write) -> None:
    """A page that names its application in the path must be open, and have this parameter."""
    settings = write_plugin("named", PAGE.format(access=access, parameter=parameter))
    with pytest.raises(PluginError, match=text):
        create_app(settings)
