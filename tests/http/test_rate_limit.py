"""Rate limits over real HTTP with two workers (docs/reference/protocol/security.md section 4, B-S6).

The server trusts the tests as a proxy, so that they can set the address of the caller.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from apilane.model.plan import ManifestErrors
from apilane.testing.client import Client, WireError, error_of
from apilane.testing.server import CHEAP_PASSWORDS, PATIENT, Server

TOO_MANY = WireError("RATE_LIMIT_EXCEEDED", "Too many requests")
SETTINGS = {**CHEAP_PASSWORDS, **PATIENT, "definition_poll_s": 0.05, "trusted_proxies": "127.0.0.0/8"}

NewApplication = Callable[..., str]
From = Callable[..., Client]


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two workers that trust the tests as a proxy."""
    with Server(tmp_path_factory.mktemp("limits") / "data", workers=2, settings=SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def caller(proxied: Server) -> Iterator[From]:
    """Create a caller of an application from an address; each call uses a new connection."""
    opened: list[httpx.Client] = []

    def make(token: str, address: str = "203.0.113.1") -> Client:
        client = httpx.Client(
            trust_env=False,
            timeout=30,
            headers={"X-Forwarded-For": address},
            limits=httpx.Limits(max_keepalive_connections=0),  # each call can reach either worker
        )
        opened.append(client)
        return Client(client, proxied.url, token)

    yield make
    for client in opened:
        client.close()


def manifest(*rules: dict[str, Any]) -> dict[str, Any]:
    """An application with two entities and these rules."""
    entities = [{"Name": name, "Properties": [{"Name": "Text", "Required": True}]} for name in ("Notes", "Others")]
    return {
        "Apilane": 1,
        "Application": {"Name": f"Limits {time.time_ns()}", "StorageProvider": "SQLite"},
        "Entities": entities,
        "Security": list(rules),
    }


def rule(action: str = "get", limit: int | None = None, *, role: str = "ANONYMOUS", **more: Any) -> dict[str, Any]:
    """A rule on Notes; ``limit`` uses per hour, unless ``Per`` is given."""
    per = more.pop("Per", "Hour")
    properties = {} if action == "delete" else {"Properties": ["Text"]}
    made: dict[str, Any] = {"Entity": "Notes", "Role": role, "Action": action, **properties, **more}
    if limit is not None:
        made["RateLimit"] = {"MaxRequests": limit, "Per": per}
    return made


def outcome(response: httpx.Response) -> bool:
    """Whether a call was admitted, with any other result; a refusal must have the complete error."""
    if response.status_code == 200 or response.json()["Code"] != "RATE_LIMIT_EXCEEDED":
        assert "retry-after" not in response.headers
        return True
    assert error_of(response) == TOO_MANY
    assert response.status_code == 400
    assert "retry-after" in response.headers["access-control-expose-headers"]
    assert 1 <= int(response.headers["retry-after"]) <= 3600
    return False


ACTIONS: dict[str, tuple[str, Callable[[Client], httpx.Response]]] = {
    "Get": ("get", lambda client: client.get("Data/Get", entity="Notes")),
    "Get, name as typed": ("get", lambda client: client.get("Data/Get", entity="nOTES")),
    "GetByID": ("get", lambda client: client.get("Data/GetByID", entity="Notes", id=1)),
    "Post": ("post", lambda client: client.post("Data/Post", {"Text": "x"}, entity="Notes")),
    "Put": ("put", lambda client: client.put("Data/Put", {"ID": 1, "Text": "y"}, entity="Notes")),
    "Delete": ("delete", lambda client: client.delete("Data/Delete", entity="Notes", ids="1")),
}


@pytest.mark.better("B-S6")
@pytest.mark.parametrize("name", ACTIONS)
def test_every_data_call(proxied: Server, caller: From, name: str) -> None:
    """The limit of a rule counts each call that the rule covers."""
    action, call = ACTIONS[name]
    client = caller(proxied.apply(manifest(rule(action, 3))))
    assert [outcome(call(client)) for _ in range(5)] == [True] * 3 + [False] * 2


@pytest.mark.better("B-S6")
def test_schema(proxied: Server, caller: From) -> None:
    """A limit on the Schema rule counts the calls of Data/Schema."""
    limited = {"Schema": True, "Role": "ANONYMOUS", "RateLimit": {"MaxRequests": 2, "Per": "Hour"}}
    client = caller(proxied.apply(manifest(limited)))
    assert [outcome(client.get("Data/Schema")) for _ in range(3)] == [True, True, False]


@pytest.mark.better("B-S6")
def test_what_shares_a_count(proxied: Server, caller: From) -> None:
    """All calls under one rule share a count, in any letter case; each action and each entity has its own."""
    rules = [rule("get", 2), rule("post", 2), {**rule("get", 2), "Entity": "Others"}]
    client = caller(proxied.apply(manifest(*rules)))
    assert outcome(client.get("Data/Get", entity="Notes"))
    assert outcome(client.get("Data/GetByID", entity="NOTES", id=5))
    assert not outcome(client.get("Data/Get", entity="notes"))
    assert [outcome(client.post("Data/Post", {"Text": "x"}, entity="Notes")) for _ in range(3)] == [True, True, False]
    assert [outcome(client.get("Data/Get", entity="Others")) for _ in range(3)] == [True, True, False]


@pytest.mark.better("B-S6")
def test_callers_have_their_own(proxied: Server, caller: From) -> None:
    """Users are counted by user ID from any address, others by address, and each application separately."""
    definition = manifest(rule("get", 2))
    token = proxied.apply(definition)
    first, second = caller(token, "203.0.113.1"), caller(token, "2001:db8::1")

    def admitted(client: Client, times: int = 3) -> int:
        return sum(outcome(client.get("Data/Get", entity="Notes")) for _ in range(times))

    assert [admitted(first), admitted(second)] == [2, 2]
    assert admitted(caller(token, "2001:0DB8:0::0001")) == 0
    assert admitted(caller(token, "::ffff:203.0.113.1")) == 0
    anna, ben = first.signed_in("anna"), first.signed_in("bernard")
    assert [admitted(anna), admitted(ben)] == [2, 2]
    assert admitted(second.as_user(anna.user)) == 0
    assert admitted(first.as_user(first.login("anna"))) == 0
    again = copy.deepcopy(definition)
    again["Application"]["Name"] += " again"
    assert admitted(caller(proxied.apply(again))) == 2


@pytest.mark.better("B-S6")
@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"ANONYMOUS": (1, "Hour"), "AUTHENTICATED": (3, "Hour")}, 3),
        ({"ANONYMOUS": (3, "Hour"), "AUTHENTICATED": (1, "Hour")}, 3),
        ({"ANONYMOUS": (1, "Hour"), "AUTHENTICATED": None}, None),
        ({"ANONYMOUS": (5, "Hour"), "editor": (2, "Minute")}, 2),
        ({"ANONYMOUS": (2, "Hour"), "other": (5, "Hour")}, 2),
        ({"ANONYMOUS": (2, "Hour"), "other": None}, 2),
    ],
)
def test_the_most_generous_effective_rule(
    proxied: Server, caller: From, limits: dict[str, tuple[int, str] | None], expected: int | None
) -> None:
    """Of the caller's rules one without a limit wins, otherwise the highest rate; other roles' rules never count."""
    rules = [
        rule("get", limit[0], role=role, Per=limit[1]) if limit else rule("get", role=role)
        for role, limit in limits.items()
    ]
    roles = {"Entity": "Users", "Role": "AUTHENTICATED", "Action": "put", "Properties": ["Roles"]}
    token = proxied.apply(manifest(*rules, roles))
    user = caller(token).signed_in("editor")
    user.change("Users", {"ID": 1, "Roles": "editor"})
    time.sleep(1.1)  # until both workers read the new role
    admitted = [outcome(user.get("Data/Get", entity="Notes")) for _ in range(7)]
    assert admitted == [True] * (expected or 7) + [False] * (7 - (expected or 7))


@pytest.mark.better("B-S6")
def test_window(proxied: Server, caller: From) -> None:
    """Refused calls are not counted, Retry-After is right, and the window slides."""
    client = caller(proxied.apply(manifest(rule("get", 2, Per="Second"), rule("post", 1, Per="Minute"))))

    def get() -> bool:
        return outcome(client.get("Data/Get", entity="Notes"))

    for _ in range(3):
        assert get()
        assert get()
        refused = client.get("Data/Get", entity="Notes")
        assert refused.headers["retry-after"] == "1"
        while time.sleep(0.02) is None and not get():  # would never end if refused calls were counted
            pass
        time.sleep(1.01)
    assert outcome(client.post("Data/Post", {"Text": "x"}, entity="Notes"))
    waits = []
    for _ in range(2):
        waits.append(int(client.post("Data/Post", {"Text": "x"}, entity="Notes").headers["retry-after"]))
        time.sleep(1)
    assert waits[0] in (59, 60)
    assert waits[1] in (waits[0] - 1, waits[0] - 2)


def test_place_among_the_checks(proxied: Server, caller: From) -> None:
    """Unknown entities and missing rules come before the limit and are not counted; body and database come after."""
    client = caller(proxied.apply(manifest(rule("post", 4), rule("get", 1))))
    for _ in range(3):
        assert error_of(client.post("Data/Post", {}, entity="Nope")).message == "Entity Nope does not exist"
        assert error_of(client.post("Data/Post", {}, entity="Others")).code == "UNAUTHORIZED"
        assert error_of(client.put("Data/Put", {}, entity="Notes")).code == "UNAUTHORIZED"
        signed = client.send("GET", "/api/Data/Get?entity=Notes", headers={"x-auth-signature": "AAAA"})
        assert error_of(signed).code == "UNAUTHORIZED"
    codes = [
        error_of(client.post("Data/Post", body, entity="Notes")).code
        for body in (b"{", {"Nope": 1}, {"Text": None}, b"", b"{", {"Text": None})
    ]
    assert codes == ["EMPTY_BODY", "REQUIRED", "REQUIRED", "EMPTY_BODY", *["RATE_LIMIT_EXCEEDED"] * 2]
    broken_filter = client.get("Data/Get", entity="Notes", filter="{")
    assert error_of(broken_filter).code == "INVALID_FILTER_PARAMETER"
    assert not outcome(client.get("Data/Get", entity="Notes"))


@pytest.mark.better("B-S6")
def test_exact_among_workers(proxied: Server, caller: From) -> None:
    """Two workers together admit exactly the limit."""
    token = proxied.apply(manifest(rule("get", 100)))
    clients = [caller(token) for _ in range(8)]

    def many(client: Client) -> int:
        return sum(outcome(client.get("Data/Get", entity="Notes")) for _ in range(40))

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(many, clients)) == 100


def test_counts_survive_a_change_of_the_application(proxied: Server, caller: From) -> None:
    """After a change of the application the counts continue; a raised limit admits the difference."""
    definition = manifest(rule("get", 2))
    client = caller(proxied.apply(definition))
    assert [outcome(client.get("Data/Get", entity="Notes")) for _ in range(3)] == [True, True, False]
    definition["Security"][0]["RateLimit"]["MaxRequests"] = 5
    proxied.apply(definition)
    time.sleep(0.3)
    assert [outcome(client.get("Data/Get", entity="Notes")) for _ in range(4)] == [True, True, True, False]


@pytest.mark.better("B-S13")
def test_the_plugin_taken_away(tmp_path: Path, http: httpx.Client) -> None:
    """With the plugin the limit is enforced; without it the application is closed and ``apply`` names the plugin."""
    definition = manifest(rule("get", 1))
    with Server(tmp_path / "data", settings=SETTINGS) as whole:
        token = whole.apply(definition)
        client = Client(http, whole.url, token)
        assert [outcome(client.get("Data/Get", entity="Notes")) for _ in range(2)] == [True, False]
    with Server(tmp_path / "data", settings={**SETTINGS, "plugins": "auth,counter_file"}) as bare:
        client = Client(http, bare.url, token)
        assert error_of(client.get("Data/Get", entity="Notes")).code == "SERVICE_UNAVAILABLE"
        assert error_of(client.get("Account/UserData")).code == "SERVICE_UNAVAILABLE"
        with pytest.raises(ManifestErrors, match=r"apilane_rate_limit|rate_limit"):
            bare.apply({**definition, "Application": {**definition["Application"], "Name": "Another"}})
    with Server(tmp_path / "data", settings=SETTINGS) as whole:
        client = Client(http, whole.url, token)
        assert not outcome(client.get("Data/Get", entity="Notes"))
