"""Sign-in steps of a plugin on a real server: a PIN, and a colour after it for some users."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from apilane.client import Client as UserClient
from apilane.client import SignInStepRequired
from apilane.testing.client import PASSWORD, Client, error_of
from apilane.testing.server import CHEAP_PASSWORDS, PATIENT, Server

PLUGIN = """
import asyncio
import sys

from apilane.plugin import *

class Pin:
    kind = "pin"

    async def applies(self, user):
        if user.username.startswith("broken"):
            raise KeyError("a fault of the step")
        if user.username.startswith("leaving"):
            sys.exit("the way out")
        if user.username.startswith("odd"):
            return "yes"
        return not user.username.startswith("free")

    async def challenge(self, user):
        return {"Digits": 4, "Name": user.username, "Portal": user.application is None}

    async def verify(self, user, answer, asked):
        if answer == "raise":
            raise ValueError("a fault of the step")
        if answer == "truthy":
            return 1
        await asyncio.sleep(0.05)
        return answer == "1234" and asked["Digits"] == 4

class Colour:
    kind = "colour"

    async def applies(self, user):
        return user.username.startswith("twofold")

    async def challenge(self, user):
        return {}

    async def verify(self, user, answer, asked):
        return answer == {"Colour": "blue"}

@hookimpl
def apilane_register_sign_in_steps():
    return [Pin(), Colour()]
"""
MANIFEST: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "Pins", "AllowUserRegister": True, "AllowLoginUnconfirmedEmail": True},
}
OTHER = {**MANIFEST["Application"], "Name": "Other pins"}


@pytest.fixture(scope="module")
def server(everything_lives_there: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the plugin."""
    folder = tmp_path_factory.mktemp("steps")
    (folder / "plugins").mkdir()
    (folder / "plugins" / "pins.py").write_text(PLUGIN)
    settings = {**CHEAP_PASSWORDS, **PATIENT, "definition_poll_s": 0.05, "plugins_dir": folder / "plugins"}
    with Server(folder / "data", settings=settings) as running:
        yield running


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=30) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(server: Server, http: httpx.Client) -> Client:
    return Client(http, server.url, server.apply(MANIFEST))


def test_the_client_answers_a_step(server: Server, client: Client) -> None:
    """``login`` of the client library raises the step with its kind, and ``answer_step`` signs the user in."""
    client.register("library")
    with UserClient(server.url, server.apply(MANIFEST)) as library:
        with pytest.raises(SignInStepRequired) as caught:
            library.login(username="library", password=PASSWORD)
        assert (caught.value.kind, caught.value.step["Digits"]) == ("pin", 4)
        assert library.answer_step(caught.value.challenge, "1234").user["Username"] == "library"
        assert library.user_data().user["Username"] == "library"


def asked(client: Client, name: str, password: str = PASSWORD) -> dict[str, Any]:
    """The step that Login asks a user for."""
    answer = client.post("Account/Login", {"Username": name, "Password": password})
    assert answer.status_code == 400, answer.text
    step: dict[str, Any] = answer.json()["SignInStep"]
    return step


def answered(client: Client, challenge: str, answer: object = "1234") -> httpx.Response:
    return client.post("Account/SignInStep", {"Challenge": challenge, "Answer": answer})


def message_of(response: httpx.Response) -> str:
    """The message of a refusal without a token."""
    assert response.status_code == 400, response.text
    assert "AuthToken" not in response.text
    return str(response.json()["Message"])


def test_a_step_comes_before_the_token(client: Client) -> None:
    """Login answers ERROR with the step, stores no session, and the right answer gives the login object."""
    client.register("anna")
    refused = client.post("Account/Login", {"Username": "anna", "Password": PASSWORD})
    body = refused.json()
    step = body.pop("SignInStep")
    assert (refused.status_code, body["Code"], "sign-in steps" in body["Message"]) == (400, "ERROR", True)
    assert {key: step[key] for key in ("Kind", "Digits", "Name", "Portal")} == {
        "Kind": "pin",
        "Digits": 4,
        "Name": "anna",
        "Portal": False,
    }
    done = answered(client, step["Challenge"])
    assert done.status_code == 200
    assert done.json()["User"]["LastLogin"] is None
    user = client.as_user(done.json()["AuthToken"]).get("Account/UserData").json()["User"]
    assert user["LastLogin"] is not None


def test_steps_follow_one_another(client: Client) -> None:
    """The right answer to the first step gives the second one, which alone gives the token; others take no step."""
    client.register("twofold")
    second = answered(client, asked(client, "twofold")["Challenge"]).json()["SignInStep"]
    assert second["Kind"] == "colour"
    assert message_of(answered(client, second["Challenge"])) == "The answer is wrong"
    assert answered(client, second["Challenge"], {"Colour": "blue"}).json()["User"]["Username"] == "twofold"
    assert client.signed_in("free").get("Account/UserData").status_code == 200


def test_challenges_are_used_once(client: Client) -> None:
    """Of parallel right answers to one challenge one gives a token, and a later one gives none."""
    client.register("once")
    challenge = asked(client, "once")["Challenge"]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: answered(client, challenge), range(4)))
    assert sorted(each.status_code for each in answers) == [200, 400, 400, 400]
    assert "Log in again" in message_of(answered(client, challenge))


def test_guesses_are_limited(client: Client) -> None:
    """After five wrong answers a challenge refuses the right one; after twenty, new challenges of the user do too."""
    client.register("guessed")
    for _ in range(4):
        challenge = asked(client, "guessed")["Challenge"]
        assert [message_of(answered(client, challenge, f"{n}")) for n in range(5)] == ["The answer is wrong"] * 5
        assert "Log in again" in message_of(answered(client, challenge))
    refused = answered(client, asked(client, "guessed")["Challenge"])
    assert error_of(refused).code == "RATE_LIMIT_EXCEEDED"
    assert int(refused.headers["retry-after"]) > 0


@pytest.mark.parametrize("challenge", ["", "x", "v1:", "v1:é", "v1:" + "A" * 100, "v1:" + "A" * 20_000, 5, None, {}])
def test_forged_challenges(client: Client, challenge: object) -> None:
    """A text that this application did not make is refused with a clear error."""
    answer = client.post("Account/SignInStep", {"Challenge": challenge, "Answer": "1234"})
    assert answer.status_code == 400
    assert error_of(answer).code in {"ERROR", "REQUIRED", "EMPTY_BODY"}


def test_challenge_of_another_application(server: Server, http: httpx.Client, client: Client) -> None:
    """A challenge of one application is worthless in another one."""
    other = Client(http, server.url, server.apply({**MANIFEST, "Application": OTHER}))
    client.register("moved")
    other.register("moved")
    assert "Log in again" in message_of(answered(other, asked(client, "moved")["Challenge"]))


def test_new_password_ends_the_sign_in(client: Client) -> None:
    """A challenge is worthless after the user's password was changed."""
    client.register("changing")
    token = answered(client, asked(client, "changing")["Challenge"]).json()["AuthToken"]
    challenge = asked(client, "changing")["Challenge"]
    changed = client.as_user(token).put("Account/ChangePassword", {"Password": PASSWORD, "NewPassword": "Another-1234"})
    assert changed.status_code == 200
    assert "Log in again" in message_of(answered(client, challenge))
    assert asked(client, "changing", "Another-1234")["Kind"] == "pin"


@pytest.mark.parametrize(
    ("name", "cause"),
    [("broken", "a fault of the step"), ("oddly", "returned 'str'; expected bool"), ("leaving", "exit")],
)
def test_a_failing_step_denies_the_login(server: Server, client: Client, name: str, cause: str) -> None:
    """A step that raises, or that does not say yes or no, gives no token; the log names plugin, hook and cause."""
    client.register(name)
    before = len(server.output())
    assert message_of(client.post("Account/Login", {"Username": name, "Password": PASSWORD})) == "Something went wrong"
    logged = server.output()[before:]
    assert "plugin 'pins', hook apilane_register_sign_in_steps" in logged
    assert cause in logged


@pytest.mark.parametrize("answer", ["raise", "truthy", None, [], {"a": 1}, 1234, True])
def test_a_failing_check_denies_the_login(client: Client, answer: object) -> None:
    """A check that raises or returns no boolean, and any wrong kind of answer, gives no token."""
    name = f"check{abs(hash(str(answer)))}"
    client.register(name)
    message_of(answered(client, asked(client, name)["Challenge"], answer))


def test_a_user_who_is_gone(server: Server, client: Client) -> None:
    """A challenge of a user who was deleted in the meantime gives no token."""
    client.register("deleted")
    step = asked(client, "deleted")
    server.sql(client.token, 'DELETE FROM "Users" WHERE "Username" = ?', ("deleted",))
    assert message_of(answered(client, step["Challenge"]))


def test_roles_of_the_last_moment(server: Server, client: Client) -> None:
    """The token has the roles that the user has when the last step is answered."""
    client.register("demoted")
    server.sql(client.token, 'UPDATE "Users" SET "Roles" = ? WHERE "Username" = ?', ("editor", "demoted"))
    step = asked(client, "demoted")
    server.sql(client.token, 'UPDATE "Users" SET "Roles" = NULL WHERE "Username" = ?', ("demoted",))
    assert answered(client, step["Challenge"]).json()["User"]["Roles"] is None
