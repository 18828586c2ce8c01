"""Calls, pages and commands of a plugin, on a real server: they pass the same checks as the core's calls."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import httpx
import pytest

from apilane.app import create_app
from apilane.client import ConnectionFailed
from apilane.errors import ConfigurationError
from apilane.services.operator_sign_in import operator_token
from apilane.settings import Settings
from apilane.testing.client import Client, error_of
from apilane.testing.server import CHEAP_PASSWORDS, Server

PLUGIN = """
import hashlib
from pathlib import Path

import click
from litestar import get, post

from apilane.plugin import *

BIG = Path(__file__).with_name("big.bin")

async def read(call):
    return Reply(encode_json({"entity": call.entity.name, "may": call.access.properties}))

async def digest(call):
    seen, found = 0, hashlib.sha256()
    async for part in call.stream(5_000_000):
        seen += len(part)
        found.update(part)
    return Reply(encode_json([seen, found.hexdigest()]))

async def part(call):
    body = FileBody(BIG, call.integer("offset", 0), call.integer("length", 0) or None)
    return Reply(body, common=((b"content-type", b"application/octet-stream"),))

async def lines(call):
    async def chunks():
        for number in range(3):
            yield b"line %d\\n" % number
        if call.text("fail"):
            raise RuntimeError("cannot go on")
    return Reply(chunks(), common=((b"content-type", b"text/plain"),))

async def whose(call):
    return Reply(encode_json([call.actor.kind, call.actor.credential]))

async def change(call):
    async def run():
        return 3
    return Write(run=run, what=lambda: "Toys/Change", outcome=lambda done: f"{done} changed")

async def broken(call):
    raise ValueError("a fault of the plugin")

@hookimpl
def apilane_register_calls():
    return [
        WireCall(path="/api/Toys/Read", method="GET", action=read, access=Data(Action.get, "Toys")),
        WireCall(path="/api/Toys/Digest", method="POST", action=digest, access=Open(), body="stream", audited=False),
        WireCall(path="/api/Toys/Part", method="GET", action=part, access=Open()),
        WireCall(path="/api/Toys/Lines", method="GET", action=lines, access=Open()),
        WireCall(path="/api/Toys/Whose", method="GET", action=whose, access=Account(user=True)),
        WireCall(path="/api/Toys/Operator", method="GET", action=whose, access=Operator()),
        WireCall(path="/api/Toys/Change", method="PUT", action=change, access=Open(), audited=True),
        WireCall(path="/api/Toys/Broken", method="GET", action=broken, access=Open()),
    ]

@get("/toys/open", media_type="text/html")
async def open_page() -> str:
    return "<p>open</p>"

@get("/toys/mine")
async def my_page(call: PageCall) -> dict[str, object]:
    return {"kind": call.actor.kind, "application": call.application.definition.name}

@get("/toys/operator")
async def operator_page(call: PageCall) -> str:
    return call.actor.credential

@get("/toys/admin")
async def admin_page(call: PageCall) -> str:
    return call.actor.credential

@get("/toys/listed")
async def listed_page(call: PageCall) -> str:
    return call.entity.name

@hookimpl
def apilane_register_routes():
    return [
        Page(open_page, Open()),
        Page(my_page, Account(user=True)),
        Page(operator_page, Operator()),
        Page(admin_page, Operator(of="instance")),
        Page(listed_page, Data(Action.get, "Toys")),
    ]

@click.command("count-entities")
@click.argument("application")
@click.option("--twice", is_flag=True)
@click.pass_obj
def count_entities(context, application, twice):
    "Count the entities of an application."
    import asyncio
    async def count():
        async with context.application(application) as opened:
            return len(opened.definition.entities) * (2 if twice else 1)
    click.echo(asyncio.run(count()))

@hookimpl
def apilane_register_commands():
    return [count_entities]
"""
MANIFEST: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "Toybox"},
    "Entities": [{"Name": "Toys", "Properties": [{"Name": "Title"}]}],
    "Security": [
        {
            "Entity": "Toys",
            "Role": "AUTHENTICATED",
            "Action": "get",
            "Properties": ["Title"],
            "RateLimit": {"MaxRequests": 2, "Per": "Hour"},
        }
    ],
    "Collaborators": ["dev@example.com"],
}
BIG = bytes(range(256)) * 1000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of plugins with the plugin of this file."""
    folder = tmp_path_factory.mktemp("toys")
    (folder / "toys.py").write_text(PLUGIN, encoding="utf-8")
    (folder / "big.bin").write_bytes(BIG)
    return folder


@pytest.fixture(scope="module")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that loads the plugin."""
    settings = {**CHEAP_PASSWORDS, "plugins_dir": folder}
    with Server(tmp_path_factory.mktemp("server") / "data", settings=settings) as running:
        yield running


@pytest.fixture(scope="module")
def toybox(server: Server) -> Iterator[Client]:
    """An anonymous caller of the application."""
    with httpx.Client(trust_env=False, timeout=30) as http:
        yield Client(http, server.url, server.apply(MANIFEST))


@pytest.fixture(scope="module")
def operator(server: Server, toybox: Client) -> Client:
    """A collaborator on the portal channel."""
    return toybox.as_operator(server.with_store(lambda store, _hooks: operator_token(store, "dev@example.com", None)))


def page(client: Client, path: str) -> httpx.Response:
    """Get a page with the client's credentials."""
    return client.http.get(client.url + path, headers=client.headers())


def test_hook_apilane_register_calls(toybox: Client) -> None:
    """A plugin's call declares its access; the core checks and counts it, and passes entity and plan to the action."""
    refused = error_of(toybox.get("Toys/Read"))
    assert (refused.code, refused.entity) == ("UNAUTHORIZED", "Toys")
    user = toybox.signed_in("reader")
    assert user.get("toys/read/").json() == {"entity": "Toys", "may": ["ID", "Title"]}
    assert user.get("Toys/Read").status_code == 200
    assert error_of(user.get("Toys/Read")).code == "RATE_LIMIT_EXCEEDED"
    assert error_of(toybox.get("Toys/Whose")).code == "UNAUTHORIZED"
    kind, credential = user.get("Toys/Whose").json()
    assert (kind, credential.split()[0]) == ("user", "session")


def test_operators_call_a_plugin(server: Server, toybox: Client, operator: Client) -> None:
    """A call for operators refuses all others, and an audited change is recorded before and after."""
    assert error_of(toybox.get("Toys/Operator")).code == "UNAUTHORIZED"
    assert error_of(toybox.signed_in("no-operator").get("Toys/Operator")).code == "UNAUTHORIZED"
    assert operator.get("Toys/Operator").json() == ["operator", "dev@example.com"]
    assert operator.put("Toys/Change", {}).json() == 3
    assert toybox.put("Toys/Change", {}).json() == 3
    records = server.with_store(lambda store, _hooks: store.audit(toybox.token))
    assert [(each.actor, each.changes) for each in records if each.after is None] == [
        ("dev@example.com", ("Toys/Change", "3 changed"))
    ]


def test_a_body_arrives_as_a_stream(toybox: Client) -> None:
    """A body is read in parts up to the action's limit; beyond it the answer is 413 and the connection is closed."""
    body = BIG * 15
    sent = {"x-application-token": toybox.token, "Content-Type": "application/octet-stream"}
    answer = toybox.http.post(f"{toybox.url}/api/Toys/Digest", content=body, headers=sent)
    assert answer.json() == [len(body), hashlib.sha256(body).hexdigest()]
    chunked = toybox.http.post(f"{toybox.url}/api/Toys/Digest", content=iter([b"a" * 70_000] * 3), headers=sent)
    assert chunked.json()[0] == 210_000
    large = toybox.http.post(f"{toybox.url}/api/Toys/Digest", content=BIG * 20, headers=sent)
    assert (error_of(large).code, large.headers["connection"]) == ("ERROR", "close")


def test_a_reply_is_a_file_or_chunks(toybox: Client) -> None:
    """A reply may be a part of a file or a stream of chunks."""
    assert toybox.get("Toys/Part").content == BIG
    assert toybox.get("Toys/Part", offset=1000, length=70_000).content == BIG[1000:71_000]
    assert toybox.get("Toys/Lines").text == "line 0\nline 1\nline 2\n"


def test_chunks_that_fail_end_the_connection(server: Server, toybox: Client) -> None:
    """A client can tell a stream that broke from a complete one."""
    with pytest.raises(ConnectionFailed, match="incomplete chunked read"):
        toybox.get("Toys/Lines", fail="yes")
    assert toybox.get("Toys/Lines").status_code == 200


def test_the_log_names_the_plugin_at_fault(server: Server, toybox: Client) -> None:
    """The caller gets no details of a plugin's failure; the log names plugin and hook."""
    answer = error_of(toybox.get("Toys/Broken"))
    assert (answer.code, answer.message) == ("ERROR", "Something went wrong")
    assert "GET /api/Toys/Broken, plugin 'toys', hook apilane_register_calls" in server.output()


def test_hook_apilane_register_routes(server: Server, toybox: Client, operator: Client) -> None:
    """A page declares its access like a call: open, a user, a rule, an operator, or an admin of the instance."""
    assert page(Client(toybox.http, toybox.url, ""), "/toys/open").text == "<p>open</p>"
    user = toybox.signed_in("visitor")
    assert page(toybox, "/toys/mine").status_code == 401
    assert page(user, "/toys/mine").json() == {"kind": "user", "application": "Toybox"}
    assert (page(toybox, "/toys/listed").status_code, page(user, "/toys/listed").text) == (401, "Toys")
    assert (page(user, "/toys/operator").status_code, page(operator, "/toys/operator").text) == (401, "dev@example.com")
    admin = toybox.as_operator(
        server.with_store(lambda store, _hooks: operator_token(store, "admin@example.com", None))
    )
    assert (page(operator, "/toys/admin").status_code, page(admin, "/toys/admin").text) == (401, "admin@example.com")
    refused = page(toybox, "/toys/operator").json()
    assert refused == {"Code": "UNAUTHORIZED", "Message": "Unauthorized", "Property": None, "Entity": None}


def test_hook_apilane_register_commands(server: Server, toybox: Client) -> None:
    """A plugin's command is found by its name, has the common options, and gets the application it asks for."""

    def run(*arguments: str) -> str:
        command = [str(Path(sys.executable).with_name("apilane")), *arguments]
        return subprocess.run(command, env=server.environ, capture_output=True, text=True, check=True).stdout

    assert "count-entities" in run("--help")
    assert "--data-dir" in run("count-entities", "--help")
    assert run("count-entities", "Toybox", "--twice") == "8\n"
    assert run("count-entities", "--data-dir", str(server.data_dir), toybox.token) == "4\n"


BAD_CALLS = {
    "twice": (
        'WireCall(path="/api/data/GET", method="GET", action=act, access=Open())',
        r"registered already by 'core'",
    ),
    "outside": ('WireCall(path="/toys", method="GET", action=act, access=Open())', r"does not begin with /api/"),
    "no access": ('WireCall(path="/api/Toys/X", method="GET", action=act, access=None)', r"declares no access"),
    "nothing declared": (
        'WireCall(path="/api/Toys/X", method="GET", action=act)',
        r"required argument 'access'",
    ),
    "not audited": (
        'WireCall(path="/api/Toys/X", method="PUT", action=act, access=Open())',
        r"does not declare whether operators' calls are audited",
    ),
    "body": (
        'WireCall(path="/api/Toys/X", method="GET", action=act, access=Open(), body="xml")',
        r"declares the body 'xml'",
    ),
    "no call": ('"/api/Toys/X"', r"returned a list with str; expected WireCall objects"),
}


@pytest.mark.parametrize(("call", "says"), BAD_CALLS.values(), ids=BAD_CALLS)
def test_bad_calls_stop_start_up(tmp_path: Path, call: str, says: str) -> None:
    """A call that is registered twice, is incomplete or has a forbidden path stops start-up and names the plugin."""
    body = f"""
        from apilane.plugin import Open, WireCall, hookimpl

        async def act(call):
            ...

        @hookimpl
        def apilane_register_calls():
            return [{call}]
        """
    (tmp_path / "bad.py").write_text(dedent(body), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=rf"Plugin 'bad'.*{says}"):
        create_app(Settings(data_dir=tmp_path / "data", plugins_dir=tmp_path))


@pytest.mark.parametrize("path", ["/api/toys", "/Version", "/health/liveness"])
def test_pages_leave_the_servers_paths_alone(tmp_path: Path, path: str) -> None:
    """A page under /api/, or at the path of a service page, stops start-up."""
    body = f"""
        from litestar import get

        from apilane.plugin import Open, Page, hookimpl

        @get("{path}")
        async def page() -> str:
            return ""

        @hookimpl
        def apilane_register_routes():
            return [Page(page, Open())]
        """
    (tmp_path / "bad.py").write_text(dedent(body), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=rf"Plugin 'bad'.*the path {path} is used by the server"):
        create_app(Settings(data_dir=tmp_path / "data", plugins_dir=tmp_path))


def test_a_command_of_the_core_is_not_replaced(tmp_path: Path) -> None:
    """A plugin's command with the name of a core command is refused, and the core's commands still work."""
    body = """
        import click

        from apilane.plugin import hookimpl

        @hookimpl
        def apilane_register_commands():
            return [click.Command("serve")]
        """
    (tmp_path / "bad.py").write_text(dedent(body), encoding="utf-8")
    command = [str(Path(sys.executable).with_name("apilane"))]
    environ = {"APILANE_PLUGINS_DIR": str(tmp_path), "PATH": ""}
    ran = subprocess.run([*command, "nothing"], env=environ, capture_output=True, text=True, check=False)
    assert (ran.returncode, "the core has a command 'serve'" in ran.stderr) == (1, True)
    helped = subprocess.run([*command, "--help"], env=environ, capture_output=True, text=True, check=True)
    assert "Commands of plugins are not listed" in helped.stderr
    assert "doctor" in helped.stdout
