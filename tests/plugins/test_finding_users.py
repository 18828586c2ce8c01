"""An authenticator that trusts a header of a proxy: existing users become actors, by ID, e-mail or name."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from apilane.testing.client import Client
from apilane.testing.server import CHEAP_PASSWORDS, PATIENT, Server

PLUGIN = """
from urllib.parse import unquote
from msgspec import Struct
from apilane.plugin import PluginSettings, hookimpl

class Options(Struct):
    header: str = "x-remote-user"
    address: str = "127.0.0.1"

class Proxied:
    scheme = "proxied"
    def __init__(self, options):
        self.options = options
    async def authenticate(self, request, application):
        sent = request.headers.get(self.options.header.encode())
        if sent is None or request.client_address != self.options.address:
            return None
        kind, _, value = unquote(sent.decode()).partition("=")
        return await application.tokens.find_user(**{kind: int(value) if kind == "id" else value})

@hookimpl
def apilane_register_settings():
    return [PluginSettings(instance=Options)]

@hookimpl
def apilane_register_authenticators(options):
    return [Proxied(options)]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the plugin and another name of its header."""
    folder: Path = tmp_path_factory.mktemp("proxied")
    (folder / "plugins").mkdir()
    (folder / "plugins" / "proxied.py").write_text(PLUGIN)
    settings: dict[str, Any] = {**CHEAP_PASSWORDS, **PATIENT, "definition_poll_s": 0.05}
    settings |= {"plugins_dir": folder / "plugins", "plugins": "auth,rate_limit,counter_file,proxied"}
    settings |= {"proxied_header": "x-user"}
    with Server(folder / "data", settings=settings) as running:
        yield running


@pytest.fixture(scope="module")
def shop(server: Server) -> Iterator[Client]:
    """An application that requires confirmed e-mails, with the user Anna, who has none."""
    manifest = {
        "Apilane": 1,
        "Application": {"Name": "Proxied", "AllowUserRegister": True, "AllowLoginUnconfirmedEmail": False},
        "Entities": [{"Name": "Notes", "Properties": [{"Name": "Text"}]}],
        "Security": [{"Entity": "Notes", "Role": "AUTHENTICATED", "Action": "get", "Properties": "*"}],
    }
    with httpx.Client(trust_env=False) as http:
        client = Client(http, server.url, server.apply(manifest))
        client.register("Anna")
        yield client


def _status(shop: Client, sent: str, header: str = "x-user") -> int:
    return shop.send("GET", "/api/Data/Get?entity=Notes", headers={header: sent}).status_code


@pytest.mark.parametrize("sent", ["id=1", "name=Anna", "name=aNNA", "name=%20anna%20"])
def test_existing_users(shop: Client, sent: str) -> None:
    """A user is found by ID and by name, in any letter case, and is a signed-in user for the rules."""
    assert _status(shop, sent) == 200


@pytest.mark.parametrize(
    "sent", ["id=2", "id=0", "id=-1", f"id={2**70}", "name=Robert", "name=", "name=a%00", "email=no@x.y"]
)
def test_others_stay_anonymous(shop: Client, sent: str) -> None:
    """A user that does not exist is no actor, so the caller stays anonymous."""
    assert _status(shop, sent) == 401


def test_by_email(shop: Client, server: Server) -> None:
    """An unconfirmed e-mail identifies no user where a login requires a confirmed one; a confirmed one does."""
    ((email,),) = server.sql(shop.token, 'SELECT "Email" FROM "Users"')
    assert _status(shop, f"email={email}") == 401
    server.sql(shop.token, 'UPDATE "Users" SET "EmailConfirmed" = 1')
    assert _status(shop, f"email={unquote(email).upper()}") == 200


def test_deleted_users(shop: Client, server: Server) -> None:
    """A deleted user is no actor after one second."""
    shop.register("Evelyn")
    ((user,),) = server.sql(shop.token, 'SELECT "ID" FROM "Users" WHERE "Username" = \'Evelyn\'')
    assert _status(shop, f"id={user}") == 200
    server.sql(shop.token, 'DELETE FROM "Users" WHERE "ID" = ?', (user,))
    time.sleep(1.1)
    assert _status(shop, f"id={user}") == 401


def test_settings_of_the_plugin(shop: Client) -> None:
    """The header is the one of the plugin's settings."""
    assert _status(shop, "id=1", header="x-remote-user") == 401
