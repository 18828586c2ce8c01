"""Limits for password guesses and registrations, over real HTTP with the default settings
(docs/reference/protocol/wire-api.md B-A2).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from apilane.testing.client import PASSWORD, Client, WireError, error_of
from apilane.testing.server import CHEAP_PASSWORDS, Server
from apilane_rate_limit.throttle import SignInLimits

TOO_MANY = WireError("RATE_LIMIT_EXCEEDED", "Too many requests")
WRONG = WireError("ERROR", "Invalid login attempt")

Somewhere = Callable[[], Client]


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two workers with default limits that trust the tests as a proxy."""
    settings = {**CHEAP_PASSWORDS, "definition_poll_s": 0.05, "trusted_proxies": "127.0.0.0/8"}
    with Server(tmp_path_factory.mktemp("throttle") / "data", workers=2, settings=settings) as running:
        yield running


@pytest.fixture(scope="module")
def new_shop(proxied: Server, shop_manifest: dict[str, Any]) -> Callable[[str], str]:
    """Create a shop with this name; its token."""

    def make(name: str) -> str:
        return proxied.apply({**shop_manifest, "Application": {**shop_manifest["Application"], "Name": name}})

    return make


@pytest.fixture(scope="module")
def shop_token(new_shop: Callable[[str], str]) -> str:
    """A shop."""
    return new_shop("Throttled")


@pytest.fixture(scope="module")
def somewhere(proxied: Server, shop_token: str) -> Iterator[Somewhere]:
    """Create a caller of the shop with an address that was not used before."""
    numbers = itertools.count(1)
    opened: list[httpx.Client] = []

    def make() -> Client:
        limits = httpx.Limits(max_keepalive_connections=0)  # each call can reach either worker
        client = httpx.Client(
            trust_env=False, timeout=30, limits=limits, headers={"X-Forwarded-For": f"198.51.100.{next(numbers)}"}
        )
        opened.append(client)
        return Client(client, proxied.url, shop_token)

    yield make
    for client in opened:
        client.close()


def attempt(client: Client, password: str, **account: str) -> str:
    """The result of a login: ``in``, ``wrong`` or ``later``."""
    response = client.post("Account/Login", {"Password": password, **account})
    if response.status_code == 200:
        return "in"
    error = error_of(response)
    if error == TOO_MANY:
        assert response.status_code == 400
        assert 1 <= int(response.headers["retry-after"]) <= 900
        return "later"
    assert error == WRONG
    assert "retry-after" not in response.headers
    return "wrong"


@pytest.mark.better("B-A2")
def test_defaults() -> None:
    """The limits are those of the protocol."""
    settings = SignInLimits()
    assert (settings.login_account_failures, settings.login_address_failures) == (10, 100)
    assert settings.registrations_per_hour == 60


@pytest.mark.better("B-A2")
def test_failures_of_one_account(somewhere: Somewhere) -> None:
    """After ten failures even the right password is refused; other accounts and other addresses are not."""
    here = somewhere()
    here.register("victim")
    here.register("neighbour")
    assert [attempt(here, f"wrong {n}", Username="victim") for n in range(12)] == ["wrong"] * 10 + ["later"] * 2
    assert attempt(here, PASSWORD, Username="victim") == "later"
    assert attempt(here, PASSWORD, Username="VICTIM") == "later"
    assert attempt(here, PASSWORD, Username="neighbour") == "in"
    assert attempt(somewhere(), PASSWORD, Username="victim") == "in"


@pytest.mark.better("B-A2")
def test_throttling_tells_no_existing_account(somewhere: Somewhere) -> None:
    """An account that does not exist, by name or by e-mail, is throttled like one that exists."""
    here = somewhere()
    here.register("existing")
    here.register("another")
    accounts = [{"Username": "existing"}, {"Username": "not there"}]
    accounts += [{"Email": "another@example.com"}, {"Email": "nobody@example.com"}]
    for account in accounts:
        assert [attempt(here, "wrong", **account) for _ in range(11)] == ["wrong"] * 10 + ["later"]


@pytest.mark.better("B-A2")
def test_one_account_by_two_names(somewhere: Somewhere) -> None:
    """E-mail and user name of one account share ten failures, also with the current password of a change."""
    here = somewhere()
    user = here.signed_in("twofold")
    names = [{"Username": "twofold"}, {"Email": "twofold@example.com"}]
    assert [attempt(here, "wrong", **names[turn % 2]) for turn in range(8)] == ["wrong"] * 8
    changes = [
        user.put("Account/ChangePassword", {"Password": "wrong", "NewPassword": "Passw0rd-new"}).json()["Code"]
        for _ in range(3)
    ]
    assert changes == ["VALIDATION", "VALIDATION", "RATE_LIMIT_EXCEEDED"]
    assert attempt(here, PASSWORD, Username="twofold") == "later"


@pytest.mark.better("B-A2")
def test_success_does_not_count(somewhere: Somewhere) -> None:
    """A right password always works before the limit and is not counted; failures stay counted."""
    here = somewhere()
    here.register("frequent")
    assert {attempt(here, PASSWORD, Username="frequent") for _ in range(30)} == {"in"}
    answers = [attempt(here, password, Username="frequent") for password in ["wrong", PASSWORD] * 9 + ["wrong"]]
    assert answers == ["wrong", "in"] * 9 + ["wrong"]
    assert attempt(here, PASSWORD, Username="frequent") == "later"


def test_right_password_of_an_unconfirmed_account(
    proxied: Server, shop_manifest: dict[str, Any], somewhere: Somewhere
) -> None:
    """A login that is refused for an unconfirmed e-mail does not count as a failure."""
    settings = {**shop_manifest["Application"], "Name": "Strict", "AllowLoginUnconfirmedEmail": False}
    anywhere = somewhere()
    here = Client(anywhere.http, proxied.url, proxied.apply({**shop_manifest, "Application": settings}))
    here.register("unconfirmed")
    body = {"Username": "unconfirmed", "Password": PASSWORD}
    codes = {error_of(here.post("Account/Login", body)).code for _ in range(15)}
    assert codes == {"UNCONFIRMED_EMAIL"}


def test_what_is_no_attempt(somewhere: Somewhere) -> None:
    """A call that is refused before the password is checked does not count."""
    here = somewhere()
    here.register("careless")
    for _ in range(15):
        assert error_of(here.post("Account/Login", {"Username": "careless"})).code == "REQUIRED"
        assert error_of(here.post("Account/Login", {"Email": "x", "Password": "y"})).code == "VALIDATION"
    assert attempt(here, PASSWORD, Username="careless") == "in"


@pytest.mark.better("B-A2")
def test_failures_of_one_address(somewhere: Somewhere, new_shop: Callable[[str], str]) -> None:
    """After a hundred failures on any accounts an address is refused, in that application only."""
    here = somewhere()
    here.register("bystander")
    answers = [attempt(here, "wrong", Username=f"name {number // 5}") for number in range(102)]
    assert answers == ["wrong"] * 100 + ["later"] * 2
    assert attempt(here, PASSWORD, Username="bystander") == "later"
    assert attempt(somewhere(), PASSWORD, Username="bystander") == "in"
    next_door = Client(here.http, here.url, new_shop("Next door"))
    assert attempt(next_door, "wrong", Username="bystander") == "wrong"


@pytest.mark.better("B-A2")
def test_guesses_at_once(somewhere: Somewhere) -> None:
    """Concurrent guesses to both workers are limited like sequential ones."""
    here = somewhere()
    here.register("hunted")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: attempt(here, f"guess {number}", Username="hunted"), range(64)))
    assert sorted(answers) == ["later"] * 54 + ["wrong"] * 10


@pytest.mark.better("B-A2")
def test_registrations(somewhere: Somewhere) -> None:
    """An address may register sixty times an hour; taken names count, invalid bodies do not; other addresses go on."""
    here = somewhere()

    def register(client: Client, name: str, **more: Any) -> str:
        body = {"Email": f"{name}@example.com", "Username": name, "Password": PASSWORD, **more}
        response = client.post("Account/Register", body)
        if response.status_code == 200:
            return "done"
        error = error_of(response)
        if error == TOO_MANY:
            assert 3500 < int(response.headers["retry-after"]) <= 3600
        return error.code

    for _ in range(70):
        assert register(here, "mistyped", Password="short") == "VALIDATION"
    assert [register(here, f"masses{number}") for number in range(50)] == ["done"] * 50
    taken = [register(here, "masses0") for _ in range(12)]
    assert taken == ["UNIQUE_CONSTRAINT_VIOLATION"] * 10 + ["RATE_LIMIT_EXCEEDED"] * 2
    assert register(here, "fresh") == "RATE_LIMIT_EXCEEDED"
    assert register(here, "mistyped", Password="short") == "VALIDATION"
    assert register(somewhere(), "fresh") == "done"


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory, shop_manifest: dict[str, Any]) -> Iterator[Client]:
    """A shop on a server with default limits that trusts no proxy."""
    data_dir = tmp_path_factory.mktemp("direct") / "data"
    with Server(data_dir, settings=CHEAP_PASSWORDS) as running, httpx.Client(trust_env=False, timeout=30) as http:
        yield Client(http, running.url, running.apply(shop_manifest))


@pytest.mark.better("B-A2", "B-S7")
def test_a_made_up_header(direct: Client) -> None:
    """Without a trusted proxy X-Forwarded-For does not change the address that is counted: the limit is reached."""
    direct.register("spoofed")
    codes = []
    for number in range(12):
        answer = direct.send(
            "POST",
            "/api/Account/Login",
            b'{"Username":"spoofed","Password":"wrong"}',
            {"Content-Type": "application/json", "X-Forwarded-For": f"192.0.2.{number}"},
        )
        codes.append(error_of(answer))
    assert codes == [WRONG] * 10 + [TOO_MANY] * 2
