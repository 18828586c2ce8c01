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
from apilane.testing.client import Client, WireError, error_of
from apilane.testing.server import CHEAP_PASSWORDS, Server

PLUGIN = """
import hashlib
from pathlib import Path

import click
from litestar import get, post
from litestar.exceptions import HTTPException
from msgspec import Struct

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

class Slice(Struct):
    offset: int
    length: int | None = None

PART = CallDescription(
    summary="Read a part",
    parameters=[Parameter(name="offset", type=int), Parameter(name="slices", type=list[Slice], required=True)],
    answer=dict[str, Slice],
    statuses={404: "There is no such part."},
)

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

async def unfit(call):
    kind = call.text("kind")
    if kind == "file":
        return Reply(FileBody(Path("/nowhere/at-all")))
    if kind == "text":
        return Reply("text")
    if kind == "header":
        return Reply(b"", headers=((b"x-a", b"b\\r\\nx-c: d"),))
    if kind == "mapping":
        return Reply(b"", headers={"x-a": "b"})
    if kind == "words":
        async def words():
            yield "word"
        return Reply(words())
    if kind == "early":
        async def early():
            raise RuntimeError("cannot begin")
            yield b""
        return Reply(early())
    return {"a": "dict"}

async def unrecorded(call):
    return Reply(b"1")

RUNS = []

async def missing(call):
    from apilane.plugin.storage import MissingObject
    RUNS.append(1)
    if call.text("count"):
        return Reply(encode_json(len(RUNS)))
    raise MissingObject("no such table")

class Moody:
    enforces = frozenset()
    def prepare(self, application):
        def check(request):
            if request.headers.get(b"x-mood") == b"bad":
                raise ValueError("a fault of the check")
            return False if request.headers.get(b"x-mood") == b"no" else None
        return check

@hookimpl
def apilane_register_availability_checks():
    return [Moody()]

class Odd:
    scheme = "odd"
    async def authenticate(self, request, application):
        found = request.headers.get(b"x-odd")
        return {b"text": "no actor", b"king": Actor(kind="king")}.get(found)

@hookimpl
def apilane_register_authenticators():
    return [Odd()]

@hookimpl
def apilane_register_calls():
    return [
        WireCall(path="/api/Toys/Read", method="GET", action=read, access=Data(Action.get, "Toys")),
        WireCall(path="/api/Toys/Digest", method="POST", action=digest, access=Open(), body="stream", audited=False),
        WireCall(path="/api/Toys/Part", method="GET", action=part, access=Open(), description=PART),
        WireCall(path="/api/Toys/Lines", method="GET", action=lines, access=Open()),
        WireCall(path="/api/Toys/Whose", method="GET", action=whose, access=Account(user=True)),
        WireCall(path="/api/Toys/Operator", method="GET", action=whose, access=Operator()),
        WireCall(path="/api/Toys/Change", method="PUT", action=change, access=Open(), audited=True),
        WireCall(path="/api/Toys/Broken", method="GET", action=broken, access=Open()),
        WireCall(path="/api/Toys/Unfit", method="GET", action=unfit, access=Open()),
        WireCall(path="/api/Toys/Missing", method="GET", action=missing, access=Open()),
        WireCall(path="/api/Toys/Unrecorded", method="POST", action=unrecorded, access=Open(), audited=True),
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

@post("/toys/change")
async def changing_page(call: PageCall) -> str:
    return "done"

@get("/toys/broken")
async def broken_page() -> str:
    raise ValueError("a fault of the page")

@get("/toys/later")
async def later_page() -> str:
    raise HTTPException(status_code=503, detail="Come back later", headers={"retry-after": "7"})

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
        Page(changing_page, Operator(), audited=True),
        Page(broken_page, Open()),
        Page(later_page, Open()),
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


def test_unfit_replies_are_answered_and_blamed(server: Server, toybox: Client) -> None:
    """A reply that cannot be sent is an error in the wire's shape, and the log names plugin, hook and reason."""
    reasons = {
        "file": "FileNotFoundError",
        "text": "expected bytes, a FileBody or an asynchronous iterator",
        "header": "not pairs of bytes without line breaks",
        "mapping": "not pairs of bytes without line breaks",
        "words": "the body gives chunks of str",
        "early": "cannot begin",
        "": "the action returned dict; expected a Reply or a Write",
    }
    for kind, reason in reasons.items():
        answer = error_of(toybox.get("Toys/Unfit", kind=kind))
        assert (answer.code, answer.message) == ("ERROR", "Something went wrong"), kind
        assert reason in server.output(), kind
    assert "GET /api/Toys/Unfit, plugin 'toys', hook apilane_register_calls" in server.output()


def test_an_audited_call_must_return_a_write(server: Server, toybox: Client, operator: Client) -> None:
    """An operator's call that would leave no record before the change is refused as a fault of the plugin."""
    assert toybox.post("Toys/Unrecorded", {}).json() == 1
    assert error_of(operator.post("Toys/Unrecorded", {})).message.startswith("an audited call must return a Write")


def test_a_call_is_tried_again_only_with_a_new_definition(toybox: Client) -> None:
    """An action that meets a missing table runs once while the definition stays the same."""
    before = toybox.get("Toys/Missing", count=1).json()
    assert error_of(toybox.get("Toys/Missing")).code == "ERROR"
    assert toybox.get("Toys/Missing", count=1).json() == before + 2


def test_checks_and_authenticators_that_fail_refuse(server: Server, toybox: Client) -> None:
    """A check that fails or answers with something else, and an authenticator without an Actor, refuse the request."""

    def ask(**headers: str) -> Any:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return error_of(toybox.send("GET", "/api/Toys/Lines", None, sent))

    assert ask(x_mood="no") == WireError("SERVICE_UNAVAILABLE", "Service unavailable")
    assert ask(x_mood="bad").code == "ERROR"
    assert "plugin 'toys', hook apilane_register_availability_checks" in server.output()
    for value in ("text", "king"):
        assert ask(x_odd=value) == WireError("UNAUTHORIZED", "Unauthorized")
    assert "expected an Actor" in server.output()


def test_operators_pages_are_on_record(server: Server, toybox: Client, operator: Client) -> None:
    """A page that says so puts each operator's request on record before its handler runs."""
    url = toybox.url + "/toys/change"
    assert toybox.http.post(url, headers=toybox.headers()).status_code == 401
    assert toybox.http.post(url, headers=operator.headers()).text == "done"
    records = server.with_store(lambda store, _hooks: store.audit(toybox.token))
    assert ("dev@example.com", ("POST /toys/change", "admitted")) in [(each.actor, each.changes) for each in records]


def test_pages_that_fail_answer_in_the_wires_shape(server: Server, toybox: Client) -> None:
    """A page's fault tells the caller nothing and the log everything; an HTTPException keeps status, text, headers."""
    broken = page(toybox, "/toys/broken")
    assert (broken.status_code, error_of(broken).message) == (400, "Something went wrong")
    assert "GET /toys/broken, plugin 'toys', hook apilane_register_routes" in server.output()
    later = page(toybox, "/toys/later")
    assert (later.status_code, later.headers["retry-after"]) == (503, "7")
    assert later.json()["Message"] == "Come back later"


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
    "class as access": (
        'WireCall(path="/api/Toys/X", method="GET", action=act, access=Operator)',
        r"declares the access Operator without \(\)",
    ),
    "text as action of Data": (
        'WireCall(path="/api/Toys/X", method="GET", action=act, access=Data("get", "Toys"))',
        r"declares Data\('get'\); expected Action.get",
    ),
    "per operation": (
        'WireCall(path="/api/Toys/X", method="GET", action=act, access=PerOperation())',
        r"PerOperation, which only calls of the core can",
    ),
    "method": ('WireCall(path="/api/Toys/X", method="PATCH", action=act, access=Open())', r"has the method 'PATCH'"),
    "query in the path": ('WireCall(path="/api/X?a=1", method="GET", action=act, access=Open())', r"other characters"),
    "sync action": (
        'WireCall(path="/api/Toys/X", method="GET", action=lambda call: 1, access=Open())',
        r"not a coroutine function",
    ),
    "audited by word": (
        'WireCall(path="/api/Toys/X", method="PUT", action=act, access=Open(), audited="no")',
        r"declares audited='no'",
    ),
    "no call": ('"/api/Toys/X"', r"returned a list with str; expected WireCall objects"),
}


@pytest.mark.parametrize(("call", "says"), BAD_CALLS.values(), ids=BAD_CALLS)
def test_bad_calls_stop_start_up(tmp_path: Path, call: str, says: str) -> None:
    """A call that is registered twice, is incomplete or has a forbidden path stops start-up and names the plugin."""
    body = f"""
        from apilane.plugin import Data, Open, Operator, PerOperation, WireCall, hookimpl

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


BAD_PAGES = {
    "class as access": ("Page(page, Operator)", r"declares the access Operator without \(\)"),
    "nothing": ("Page(page, None)", r"declares no access"),
    "per operation": ("Page(page, PerOperation())", r"has no operations"),
    "body check": ("Page(page, Account(body=print))", r"declares a check of the body, which only calls can"),
    "function": ("Page(print, Open())", r"expected a function decorated with litestar's get, post"),
    "twice": ("Page(page, Open()), Page(again, Open())", r"GET /bad is registered already by the plugin 'bad'"),
    "unrecorded": ("Page(change, Operator())", r"does not declare whether operators' calls are audited"),
    "call on an open page": ("Page(greedy, Open())", r"a page cannot be served"),
}


@pytest.mark.parametrize(("pages", "says"), BAD_PAGES.values(), ids=BAD_PAGES)
def test_bad_pages_stop_start_up(tmp_path: Path, pages: str, says: str) -> None:
    """A page without a usable declaration, or that Litestar cannot serve, stops start-up and names the plugin."""
    body = f"""
        from litestar import get, post

        from apilane.plugin import Account, Open, Operator, Page, PageCall, PerOperation, hookimpl

        @get("/bad")
        async def page() -> str:
            return ""

        @get("/bad")
        async def again() -> str:
            return ""

        @post("/change")
        async def change() -> str:
            return ""

        @get("/greedy")
        async def greedy(call: PageCall) -> str:
            return ""

        @hookimpl
        def apilane_register_routes():
            return [{pages}]
        """
    (tmp_path / "bad.py").write_text(dedent(body), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=rf"Plugin 'bad', hook apilane_register_routes: .*{says}"):
        create_app(Settings(data_dir=tmp_path / "data", plugins_dir=tmp_path))


def test_openapi_has_the_calls_of_plugins(toybox: Client) -> None:
    """The OpenAPI document has a plugin's calls, with the types of their descriptions, or without a description."""
    document = toybox.http.get(f"{toybox.url}/openapi.json", headers=toybox.headers()).json()
    part = document["paths"]["/api/Toys/Part"]["get"]
    assert part["summary"] == "Read a part"
    assert part["parameters"][0]["schema"] == {"type": "integer"}
    items = part["parameters"][1]["schema"]["contentSchema"]["items"]
    assert items == {"$ref": "#/components/schemas/Call.Toys_Part.Slice"}
    assert document["components"]["schemas"]["Call.Toys_Part.Slice"]["required"] == ["offset"]
    assert set(part["responses"]) == {"200", "400", "401", "404"}
    plain = document["paths"]["/api/Toys/Lines"]["get"]
    assert plain["summary"] == "Toys Lines"
    assert "requestBody" in document["paths"]["/api/Toys/Digest"]["post"]
    assert "/api/Toys/Operator" not in document["paths"]
