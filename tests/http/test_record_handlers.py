"""Record handlers of a plugin around Data calls, transactions and account calls, on a real server."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import httpx
import pytest

from apilane.testing.client import PASSWORD, Client, error_of
from apilane.testing.server import CHEAP_PASSWORDS, PATIENT, Server

PLUGIN = """
import asyncio
import json
import sys
from pathlib import Path

from apilane.plugin import *

LOG = Path(__file__).with_name("log.txt")

def note(*words):
    with LOG.open("a") as opened:
        opened.write(json.dumps(words, default=str) + "\\n")

async def before(change):
    for record in change.records:
        mood = record.get("Mood")
        if mood == "slug":
            record["Slug"] = record["Title"].lower().replace(" ", "-")
        elif mood == "promote":
            record["Stage"] = "final"
        elif mood == "long":
            record["Slug"] = "x" * 100
        elif mood == "veto":
            raise ApilaneError(Code.VALIDATION, "Not with this mood", property="Mood", entity=change.entity)
        elif mood == "raise":
            raise KeyError("a fault of the handler")
        elif mood == "exit":
            sys.exit("the way out")
        elif mood == "hang":
            await asyncio.Event().wait()
        elif mood == "return":
            return {"Title": "x"}
        elif mood == "more":
            change.records.append({})
        elif mood == "unknown":
            record["Nonsense"] = 1
        elif mood == "system":
            record["Owner"] = 1
        elif mood == "id":
            record["ID"] = 77
        elif mood == "types":
            note("types", *[(name, type(record[name]).__name__) for name in ("Price", "Made", "Done", "Count")])
        elif mood == "message":
            change.add_message("note", {"from": record["Title"]})
        elif mood == "unfit message":
            change.add_message("unheard of", 1)
    note("before", change.action, change.entity, change.actor.kind, change.records)

async def after(change):
    note("after", change.action, change.entity, change.records)
    if any(record.get("Title") == "bad end" for record in change.records):
        raise ValueError("a fault after the commit")
    if any(record.get("Title") == "way out" for record in change.records):
        sys.exit("after the commit")
    if any(record.get("Title") == "too late" for record in change.records):
        change.add_message("note", "lost")

async def accounts(change):
    for record in change.records:
        if record.get("Password") == "password1":
            raise ApilaneError(Code.VALIDATION, "Too simple", property="Password", entity="Users")
        if record.get("Nick") == "taken":
            record["Nick"] = "free"
        if change.action == "create":
            record["Rank"] = "new"

async def deliver(message, application):
    note("message", message.payload)

async def event(message, application):
    payload = message.payload
    note("event", payload.action, payload.entity, payload.id, payload.values)

def is_used(application, entity):
    return entity.property("Mood") is not None

@hookimpl
def apilane_register_record_handlers():
    return [
        RecordHandler(used_by=is_used, before=before, after=after, timeout_s=0.5),
        RecordHandler(entities=frozenset({"Users"}), actions=frozenset({"create", "update"}), before=accounts,
                      after=after),
    ]

@hookimpl
def apilane_register_outbox_handlers():
    return [
        OutboxHandler(kind="note", deliver=deliver),
        OutboxHandler(kind="event", deliver=event, payload=RecordEvent,
                      events=(RecordEvents(entities=frozenset({"Items", "Users"})),)),
    ]
"""
PROPERTIES = ["Title", "Mood", "Price", "Made", "Done", "Count", "Secret"]
MANIFEST: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "Moods", "AllowUserRegister": True, "AllowLoginUnconfirmedEmail": True},
    "Entities": [
        {
            "Name": "Items",
            "Properties": [
                {"Name": "Title", "Type": "String"},
                {"Name": "Mood", "Type": "String"},
                {"Name": "Slug", "Type": "String", "Required": True, "Maximum": 50},
                {"Name": "Price", "Type": "Number", "DecimalPlaces": 2},
                {"Name": "Made", "Type": "Date"},
                {"Name": "Done", "Type": "Boolean"},
                {"Name": "Count", "Type": "Number"},
                {"Name": "Secret", "Type": "String", "Encrypted": True},
            ],
        },
        {"Name": "Plain", "Properties": [{"Name": "Item", "Type": "Number"}]},
        {"Name": "Steps", "Properties": [{"Name": "Mood", "Type": "String"}, {"Name": "Stage", "Type": "String"}]},
        {
            "Name": "Users",
            "Properties": [{"Name": "Nick", "Type": "String"}, {"Name": "Rank", "Type": "String", "Maximum": 5}],
        },
    ],
    "Security": [
        *(
            {"Entity": "Items", "Role": "ANONYMOUS", "Action": action, "Properties": PROPERTIES}
            for action in ("post", "put")
        ),
        {"Entity": "Items", "Role": "ANONYMOUS", "Action": "get", "Properties": ["ID", "Slug", *PROPERTIES]},
        {"Entity": "Items", "Role": "ANONYMOUS", "Action": "delete"},
        {"Entity": "Plain", "Role": "ANONYMOUS", "Action": "post", "Properties": ["Item"]},
        *(
            {"Entity": "Steps", "Role": "ANONYMOUS", "Action": action, **granted}
            for action in ("post", "put")
            for granted in (
                {"Properties": ["Mood"]},
                {"Properties": ["Stage"], "Check": {"Property": "Stage", "Operator": "equal", "Value": "draft"}},
            )
        ),
    ],
}


@pytest.fixture(scope="module")
def server(everything_lives_there: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the plugin."""
    folder = tmp_path_factory.mktemp("handlers")
    (folder / "plugins").mkdir()
    (folder / "plugins" / "moods.py").write_text(dedent(PLUGIN))
    settings = {**CHEAP_PASSWORDS, **PATIENT, "definition_poll_s": 0.05, "plugins_dir": folder / "plugins"}
    with Server(folder / "data", settings=settings) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    with httpx.Client(trust_env=False, timeout=30) as http:
        yield Client(http, server.url, server.apply(MANIFEST))


class Log:
    """The lines that the plugin has written since the test began."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._begin = len(self._all())

    def _all(self) -> list[Any]:
        return [json.loads(line) for line in self._file.read_text().splitlines()] if self._file.exists() else []

    def lines(self, *words: str) -> list[Any]:
        """The lines that begin with these words, without them."""
        found = [line for line in self._all()[self._begin :] if tuple(line[: len(words)]) == words]
        return [line[len(words) :] for line in found]

    def wait(self, *words: str, count: int = 1) -> list[Any]:
        """The same, when there are ``count`` of them."""
        deadline = time.monotonic() + 20
        while len(self.lines(*words)) < count:
            assert time.monotonic() < deadline, (words, self._all()[self._begin :])
            time.sleep(0.02)
        return self.lines(*words)


@pytest.fixture
def log(server: Server) -> Log:
    return Log(server.data_dir.with_name("plugins") / "log.txt")


def post(client: Client, *records: dict[str, Any]) -> httpx.Response:
    return client.post("Data/Post", list(records), entity="Items")


def stored(client: Client, id: int) -> dict[str, Any]:
    found: dict[str, Any] = client.get("Data/GetByID", entity="Items", id=id).json()
    return found


def test_a_handler_fills_a_property(client: Client, log: Log) -> None:
    """A handler sets a required property that the caller may not write, in every record of an array; its messages and
    the after-handler get the stored values and IDs."""
    ids = post(client, {"title": "A New Day", "Mood": "slug"}, {"Title": "Two", "Mood": "slug", "Slug": "mine"}).json()
    assert [stored(client, id)["Slug"] for id in ids] == ["a-new-day", "two"]
    ((records,),) = log.wait("after", "create", "Items")
    assert records == [
        {"ID": ids[0], "Title": "A New Day", "Mood": "slug", "Slug": "a-new-day"},
        {"ID": ids[1], "Title": "Two", "Mood": "slug", "Slug": "two"},
    ]
    events = log.wait("event", "create", "Items", count=2)
    assert sorted(events) == [[each.pop("ID"), each] for each in records]


def test_handlers_see_typed_values(client: Client, log: Log) -> None:
    """Handlers get values read as the types of their properties, and they are stored as if they had been sent."""
    values = {"Title": "T", "Mood": "types", "Price": "1.50", "Made": "2020-01-02", "Done": "on", "Count": "7"}
    (id,) = client.post("Data/Post", {**values, "Secret": "s3cret"}, entity="Items").json()
    ((*types,),) = log.wait("types")
    assert dict(types) | {"Price": ""} == {"Price": "", "Made": "int", "Done": "bool", "Count": "int"}
    found = stored(client, id)
    assert [found[name] for name in ("Price", "Made", "Done", "Count", "Secret")] == [
        1.5,
        1577923200000,
        True,
        7,
        "s3cret",
    ]


def test_updates_and_deletes(client: Client, log: Log) -> None:
    """Handlers of an update and a delete get the IDs; afterwards only the records that were changed."""
    first, second = post(client, {"Title": "One", "Mood": "slug"}, {"Title": "Two", "Mood": "slug"}).json()
    changes = [{"ID": first, "Title": "Uno", "Mood": "slug"}, {"ID": 999999, "Title": "Nothing"}]
    assert client.put("Data/Put", changes, entity="Items").json() == 1
    assert stored(client, first)["Slug"] == "uno"
    assert log.wait("after", "update", "Items") == [[[{**changes[0], "Slug": "uno"}]]]
    assert log.wait("event", "update", "Items") == [[first, {"Title": "Uno", "Mood": "slug", "Slug": "uno"}]]
    assert client.delete("Data/Delete", entity="Items", ids=f"{second},{first},888888").json() == [first, second]
    assert log.lines("before", "delete", "Items") == [["anonymous", [{"ID": id} for id in (first, second, 888888)]]]
    assert log.wait("after", "delete", "Items") == [[[{"ID": first}, {"ID": second}]]]
    assert sorted(log.wait("event", "delete", "Items", count=2)) == [[first, {}], [second, {}]]


def test_a_veto(client: Client, log: Log) -> None:
    """The error of a handler is the answer, and no record of the call is stored."""
    error = error_of(post(client, {"Title": "Vetoed", "Mood": "slug"}, {"Title": "V", "Mood": "veto"}))
    assert (error.code, error.property, error.entity) == ("VALIDATION", "Mood", "Items")
    assert "Not with this mood" in str(error.message)
    titles = [each["Title"] for each in client.get("Data/Get", entity="Items", pageSize=1000).json()["Data"]]
    assert "Vetoed" not in titles
    assert log.lines("after") == log.lines("event") == []


@pytest.mark.better("B-X6")
def test_imports(client: Client, log: Log) -> None:
    """Handlers fill the lines of an import, and lines that they refuse, or at which they fail, stand alone."""
    moods = ["slug", "veto", "slug", "raise", "slug"]
    lines = "".join(json.dumps({"Title": f"Line {mood}", "Mood": mood}) + "\n" for mood in moods)
    headers = {**client.headers(), "Content-Type": "application/jsonl"}
    done = client.http.post(f"{client.url}/api/Data/Import?entity=Items", content=lines, headers=headers).json()
    assert (done["Stored"], done["Stopped"]) == (3, None)
    refused = [(each["Line"], each["Code"], each["Property"]) for each in done["Refused"]]
    assert refused == [(2, "VALIDATION", "Mood"), (4, "ERROR", None)]
    assert {record["Slug"] for (_, _, records) in log.wait("after") for record in records} == {"line-slug"}


def test_values_of_a_handler_are_checked_again(client: Client) -> None:
    """A value of a handler that breaks a rule of the property is refused like one of the caller."""
    error = error_of(post(client, {"Title": "T", "Mood": "long"}))
    assert (error.code, error.property) == ("VALIDATION", "Slug")


def test_values_of_a_handler_meet_the_conditions_of_rules(client: Client) -> None:
    """A value that a handler gives to a property of a rule with ``Check`` must meet it, in post as in put."""
    refused = error_of(client.post("Data/Post", [{"Mood": "calm"}, {"Mood": "promote"}], entity="Steps"))
    assert refused.code == "UNAUTHORIZED"
    (id,) = client.post("Data/Post", {"Mood": "calm", "Stage": "draft"}, entity="Steps").json()
    assert error_of(client.put("Data/Put", {"ID": id, "Mood": "promote"}, entity="Steps")).code == "UNAUTHORIZED"


@pytest.mark.parametrize(
    ("mood", "told"),
    [
        ("raise", "KeyError: 'a fault of the handler'"),
        ("exit", "SystemExit: the way out"),
        ("hang", "before create of Items did not end within 0.5 s"),
        ("return", "returned dict; expected None, and changes made in the records"),
        ("more", "replaced, added or removed records"),
        ("unknown", "set 'Nonsense'; expected a property of Items that handlers may write"),
        ("system", "set 'Owner'; expected a property of Items that handlers may write"),
        ("id", "changed the ID of a record"),
        ("unfit message", "no loaded plugin delivers messages of the kind 'unheard of'"),
    ],
)
def test_a_broken_handler(server: Server, client: Client, mood: str, told: str) -> None:
    """A handler that raises, blocks or returns nonsense refuses the change: the caller gets a reference, and the log
    has it with the plugin and the fault."""
    error = error_of(post(client, {"Title": f"broken {mood}", "Mood": mood}))
    assert error.code == "ERROR"
    reference = str(error.message).rpartition("(reference ")[2].rstrip(")")
    _, _, after = server.output().partition(f"failure {reference} in application")
    assert "the record handler of plugin 'moods'" in after
    assert told in after
    assert post(client, {"Title": "fine", "Mood": "slug"}).status_code == 200


@pytest.mark.parametrize(
    ("title", "told"),
    [
        ("bad end", "ValueError: a fault after the commit"),
        ("way out", "SystemExit: after the commit"),
        ("too late", "RuntimeError: the change is stored already"),
    ],
)
def test_a_failure_after_the_commit(server: Server, client: Client, title: str, told: str) -> None:
    """A failure after the commit is logged with its plugin, and the caller gets the answer of a success."""
    assert post(client, {"Title": title, "Mood": "slug"}).status_code == 200
    deadline = time.monotonic() + 20
    while told not in server.output():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert "the record handler of plugin 'moods' after create of Items failed" in server.output()


def test_messages_of_a_handler(client: Client, log: Log) -> None:
    """A message that a handler adds is delivered when the change is stored, and does not exist when it is not."""
    assert post(client, {"Title": "said", "Mood": "message"}).status_code == 200
    assert log.wait("message") == [[{"from": "said"}]]
    both = ({"Title": "unsaid", "Mood": "message"}, {"Title": "x", "Mood": "veto"})
    assert post(client, *both).status_code == 400
    assert post(client, {"Title": "said too", "Mood": "message"}).status_code == 200
    assert log.wait("message", count=2) == [[{"from": "said"}], [{"from": "said too"}]]


def test_transactions(client: Client, log: Log) -> None:
    """Handlers run for each operation of a transaction, before its unit, with references as sent; afterwards they get
    the IDs. A transaction that fails has no messages and no after-handlers."""
    operations = [
        {"Action": "Post", "Entity": "Items", "Id": "new", "Data": {"Title": "In One", "Mood": "slug"}},
        {"Action": "Put", "Entity": "Items", "Data": {"ID": "$ref:new", "Count": "$ref:new"}},
        {"Action": "Post", "Entity": "Plain", "Data": {"Item": "$ref:new"}},
    ]
    answer = client.post("Data/TransactionOperations", {"Operations": operations}).json()
    (id,) = answer["Results"][0]["Created"]
    assert stored(client, id)["Slug"] == "in-one"
    assert stored(client, id)["Count"] == id
    assert log.lines("before", "update", "Items") == [["anonymous", [{"ID": "$ref:new", "Count": "$ref:new"}]]]
    assert log.wait("after", "update", "Items") == [[[{"ID": id, "Count": id}]]]
    assert log.wait("event", "update", "Items") == [[id, {"Count": id}]]
    assert log.wait("after", "create", "Items")[0][0][0]["ID"] == id
    failing = [operations[0], {"Action": "Put", "Entity": "Items", "Data": {"ID": id, "Mood": "veto"}}]
    assert client.post("Data/TransactionOperations", {"Operations": failing}).status_code == 400
    assert post(client, {"Title": "last", "Mood": "slug"}).status_code == 200
    log.wait("event", "create", "Items", count=2)
    assert len(log.lines("event", "create", "Items")) == 2


def test_accounts(client: Client, log: Log, unique: Callable[[], str]) -> None:
    """Handlers of Users run when an account is registered and changed: they refuse passwords and change properties;
    passwords are in no message and in no after-handler."""
    name = unique()
    account = {"Email": f"{name}@example.com", "Username": name, "Password": PASSWORD, "Nick": "taken"}
    assert error_of(client.post("Account/Register", {**account, "Password": "password1"})).property == "Password"
    user_id = client.post("Account/Register", account).json()
    shown = {"Email": account["Email"], "Username": name, "Nick": "free", "Rank": "new"}
    assert log.wait("after", "create", "Users") == [[[{"ID": user_id, **shown}]]]
    assert log.wait("event", "create", "Users") == [[user_id, shown]]
    signed_in = client.as_user(client.login(name))
    assert signed_in.put("Account/Update", {"Nick": "taken"}).json()["Nick"] == "free"
    assert log.wait("event", "update", "Users") == [[user_id, {"Nick": "free"}]]
    simple = {"Password": PASSWORD, "NewPassword": "password1"}
    assert error_of(signed_in.put("Account/ChangePassword", simple)).property == "Password"
    good = {"Password": PASSWORD, "NewPassword": f"{PASSWORD}2"}
    assert signed_in.put("Account/ChangePassword", good).json() is True
    assert log.wait("event", "update", "Users", count=2)[1] == [user_id, {}]


@pytest.fixture
def unique() -> Callable[[], str]:
    """A user name that was not used before."""
    return lambda: f"user{time.monotonic_ns()}"
