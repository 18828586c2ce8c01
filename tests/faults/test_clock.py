"""The machine's clock is set back by a day, or forward: callers recover their access, and limits still count."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from apilane.security.signatures import canonical_text, sign
from apilane.services.operator_sign_in import operator_token
from apilane.testing.client import PASSWORD, Client, error_of
from tests.faults.clock import DAY_S, Clock
from tests.faults.model import MANIFEST
from tests.faults.victim import SETTINGS, Victim, wait_until

FAILURES = 3
LIMIT = 5
MINUTE_S, QUARTER_S = 60, 15 * 60
TRUSTED_S = 1.2
"""Longer than a worker caches the facts about a token."""
PROBES = 8
DIRECTIONS = pytest.mark.parametrize("offset_s", [-DAY_S, DAY_S], ids=["back", "forward"])


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clock]:
    """The clock of ``server``."""
    with pytest.MonkeyPatch.context() as patch:
        yield Clock(tmp_path_factory.mktemp("clock"), patch)


@pytest.fixture(scope="module")
def server(clock: Clock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    """Two workers that let few wrong passwords through."""
    folder = tmp_path_factory.mktemp("server") / "data"
    with Victim(folder, workers=2, settings=SETTINGS | {"rate_limit_login_account_failures": FAILURES}) as running:
        yield running
        assert "Traceback" not in running.output(), running.output()[-3000:]


@pytest.fixture(autouse=True)
def _right_again(clock: Clock) -> Iterator[None]:
    yield
    clock.set(0)


def _application(server: Victim, http: httpx.Client, name: str, token_minutes: int = 60, **group_rules: Any) -> Client:
    rules = [
        {**rule, **(group_rules if rule["Entity"] == "Groups" and rule["Action"] == "post" else {})}
        for rule in MANIFEST["Security"]
    ]
    named = {**MANIFEST["Application"], "Name": name, "AuthTokenExpireMinutes": token_minutes}
    return Client(http, server.url, server.apply({**MANIFEST, "Application": named, "Security": rules}))


def test_the_clock_is_the_server_s(server: Victim, clock: Clock, http: httpx.Client) -> None:
    """A write during the wrong time carries that time: the other tests really move the server's clock."""
    user = _application(server, http, "Shown").signed_in("user")
    for offset_s in (-DAY_S, DAY_S):
        clock.set(offset_s)
        (id,) = user.add("Groups", {"Name": f"at {offset_s}"})
        ((created,),) = server.sql(user.token, 'SELECT "Created" FROM "Groups" WHERE "ID" = ?', (id,))
        assert abs(created - time.time() * 1000 - offset_s * 1000) < 60_000


def test_tokens_when_set_back(server: Victim, clock: Clock, http: httpx.Client) -> None:
    """Signed-in users stay signed in, others can sign in and out, and this still holds after the clock is corrected."""
    application = _application(server, http, "Tokens back")
    user = application.signed_in("user")
    clock.set(-DAY_S)
    time.sleep(TRUSTED_S)
    assert not any(user.is_anonymous() for _ in range(PROBES))
    late = application.signed_in("late")
    assert late.add("Groups", {"Name": "late"})
    assert late.get("Account/Logout").text == "1"
    assert late.is_anonymous()
    clock.set(0)
    time.sleep(TRUSTED_S)
    assert not any(user.is_anonymous() for _ in range(PROBES))


def test_tokens_when_set_forward(server: Victim, clock: Clock, http: httpx.Client) -> None:
    """Tokens past their lifetime end, signing in works at once, and still holds after the clock is corrected."""
    application = _application(server, http, "Tokens forward")
    user = application.signed_in("user")
    clock.set(DAY_S)
    time.sleep(TRUSTED_S)
    assert user.is_anonymous()
    user = application.as_user(application.login("user"))
    assert user.add("Groups", {"Name": "forward"})
    clock.set(0)
    time.sleep(TRUSTED_S)
    assert not any(user.is_anonymous() for _ in range(PROBES))
    assert application.login("user")


@DIRECTIONS
def test_rate_limit(server: Victim, clock: Clock, http: httpx.Client, offset_s: int) -> None:
    """A limit holds before, during and after: never more calls than it admits, never a wait longer than its window."""
    limit = {"MaxRequests": LIMIT, "Per": "Minute"}
    user = _application(server, http, f"Limited {offset_s}", 7 * 24 * 60, RateLimit=limit).signed_in("user")
    number = iter(range(1000))

    def admitted() -> int:
        """How many calls of a series longer than the limit are admitted."""
        found = 0
        for _ in range(LIMIT + 3):
            response = user.post("Data/Post", {"Name": f"limited {next(number)}"}, entity="Groups")
            found += response.status_code == 200
            if response.status_code != 200:
                assert error_of(response).code == "RATE_LIMIT_EXCEEDED"
                assert 0 < int(response.headers["retry-after"]) <= MINUTE_S + 1
        return found

    assert admitted() == LIMIT
    clock.set(offset_s)
    if offset_s > 0:  # the window has ended
        assert admitted() == LIMIT
    assert admitted() == 0
    clock.set(offset_s + MINUTE_S + 1)
    assert admitted() == LIMIT
    clock.set(0)
    # After a return from the past the window has ended, from the future it has not; a minute later both have ended.
    assert admitted() == (LIMIT if offset_s < 0 else 0)
    clock.set(MINUTE_S + 1)
    assert admitted() == LIMIT


@DIRECTIONS
def test_throttled_sign_in(server: Victim, clock: Clock, http: httpx.Client, offset_s: int) -> None:
    """Wrong passwords are throttled at any clock, and the right one works a quarter of an hour later."""
    application = _application(server, http, f"Throttled {offset_s}")
    application.register("user")

    def sign_in(password: str) -> str:
        response = application.post("Account/Login", {"Username": "user", "Password": password})
        if response.status_code == 200:
            return "signed in"
        error = error_of(response)
        if error.code == "RATE_LIMIT_EXCEEDED":
            assert 0 < int(response.headers["retry-after"]) <= QUARTER_S + 1
            return "wait"
        return error.message

    def guess() -> list[str]:
        return [sign_in("Wrong-passw0rd") for _ in range(FAILURES + 2)]

    throttled = ["Invalid login attempt"] * FAILURES + ["wait"] * 2
    assert guess() == throttled
    clock.set(offset_s)
    assert guess() == (["wait"] * (FAILURES + 2) if offset_s < 0 else throttled)
    clock.set(offset_s + QUARTER_S + 1)
    assert sign_in(PASSWORD) == "signed in"
    assert guess() == throttled
    clock.set(0)
    assert guess() == (throttled if offset_s < 0 else ["wait"] * (FAILURES + 2))
    clock.set(QUARTER_S + 1)
    assert sign_in(PASSWORD) == "signed in"


def test_a_signed_change_works_once(server: Victim, clock: Clock, http: httpx.Client) -> None:
    """A signed request is never executed twice, however the clock moves; new ones work with the server's time."""
    application = _application(server, http, "Signed")
    application.register("user")
    answer = application.post("Account/Login", {"Username": "user", "Password": PASSWORD}).json()
    target = "/api/Data/Post?entity=Groups"

    def signed(name: str) -> tuple[bytes, dict[str, str]]:
        body, now_ms = b'{"Name":"%s"}' % name.encode(), clock.now_ms()
        text = canonical_text(answer["AuthTokenID"], "POST", target.encode(), now_ms, body)
        return body, {
            "Content-Type": "application/json",
            "x-auth-keyid": str(answer["AuthTokenID"]),
            "x-auth-timestamp": str(now_ms),
            "x-auth-signature": sign(answer["AuthToken"], text).decode(),
        }

    used: list[tuple[bytes, dict[str, str]]] = []
    # A day ahead the token itself has expired, so new requests are tried up to half an hour ahead.
    for offset_s in (0, -120, 120, 0, -DAY_S, 0, 30 * MINUTE_S, -DAY_S, 120, 0):
        clock.set(offset_s)
        for body, headers in used:
            assert application.send("POST", target, body, headers).status_code == 401, offset_s
        body, headers = signed(f"signed {len(used)}")
        assert application.send("POST", target, body, headers).status_code == 200, offset_s
        used.append((body, headers))
    clock.set(DAY_S)
    assert {application.send("POST", target, *each).status_code for each in used} == {401}
    stored = server.sql(application.token, 'SELECT COUNT(*) FROM "Groups"')
    assert stored == [(len(used),)]


def test_operator_tokens(server: Victim, clock: Clock, http: httpx.Client) -> None:
    """An operator stays signed in when the clock is set back, not when half a day ahead, and again afterwards."""
    application = _application(server, http, "Owned")
    token = server.with_store(lambda store, _hooks: operator_token(store, "admin@example.com", None))
    owner = application.as_operator(token)

    def serves() -> set[int]:
        time.sleep(TRUSTED_S)
        return {owner.get("Data/Get", entity="Groups").status_code for _ in range(PROBES)}

    assert serves() == {200}
    clock.set(-DAY_S)
    assert serves() == {200}
    clock.set(DAY_S)
    assert serves() == {401}
    clock.set(0)
    assert serves() == {200}


@DIRECTIONS
def test_definitions_are_followed(server: Victim, clock: Clock, http: httpx.Client, offset_s: int) -> None:
    """A definition changed during the wrong time is served within a second, and so is one changed afterwards."""
    user = _application(server, http, f"Followed {offset_s}").signed_in("user")
    assert not user.is_anonymous()
    stored = server.with_store(lambda store, _hooks: store.application(user.token))
    assert stored is not None
    document = {**MANIFEST, "Application": {**MANIFEST["Application"], "Name": f"Followed {offset_s}"}}
    for offset, online in ((offset_s, False), (0, True)):
        clock.set(offset)
        server.apply({**document, "Application": {**document["Application"], "Online": online}})

        def agree(expected: bool = online) -> bool:
            answers = [user.get("Data/Get", entity="Groups").text for _ in range(PROBES)]
            return all(("offline" not in text) == expected for text in answers)

        assert wait_until(agree, "every worker follows") < 1.0
