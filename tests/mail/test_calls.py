"""The Email calls, the mails that they cause, and the templates (docs/reference/protocol/wire-api.md section 6)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from apilane.services.operator_sign_in import operator_token
from apilane.testing.client import PASSWORD, Client, WireError, error_of
from apilane.testing.server import ManifestErrors, Server
from tests.faults.victim import wait_until
from tests.mail.conftest import NewShop, register
from tests.mail.post_office import CONTENT, PostOffice, links, manifest, text_of
from tests.manifests import with_new_token

MISSING = WireError(
    "ERROR", "Missing application email settings. Please navigate to the portal to the application's Email section."
)
CALLS = ["Email/RequestConfirmation", "Email/ForgotPassword"]
INACTIVE = {"EmailTemplates": []}


def is_idle(server: Server, shop: Client) -> bool:
    """Whether every message was delivered."""
    return not server.sql(shop.token, 'SELECT "ID" FROM "H_Outbox"')


def test_confirmation(new_shop: NewShop, mail_server: Server, office: PostOffice, http: httpx.Client) -> None:
    """The link in the mail about a new account confirms its address; a confirmed address gets no other mail."""
    shop = new_shop(office.port)
    id = register(shop)
    (link,) = links(office.wait()[0])
    answer = http.get(link, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"].rpartition("/")[2]) == (302, "AppEmailConfirmed")
    assert shop.get("Email/RequestConfirmation", email="anna@example.com").json() == "OK"
    wait_until(lambda: is_idle(mail_server, shop), "the outbox is empty")
    assert len(office.mails) == 1
    assert mail_server.sql(shop.token, 'SELECT "EmailConfirmed" FROM "Users" WHERE "ID" = ?', [id]) == [(1,)]


def test_confirmation_is_sent_again(new_shop: NewShop, office: PostOffice) -> None:
    """RequestConfirmation sends another link, also for an address in other letter case."""
    shop = new_shop(office.port)
    register(shop)
    office.wait()
    assert shop.get("Email/RequestConfirmation", email="Anna@Example.com").json() == "OK"
    first, second = office.wait(2)
    assert links(first) != links(second)
    assert second["To"] == "anna@example.com"


@pytest.mark.parametrize("call", CALLS)
def test_unknown_addresses_look_the_same(call: str, new_shop: NewShop, mail_server: Server, office: PostOffice) -> None:
    """An address without an account gets the same answer and headers, is limited in the same way, and gets no mail.

    The call stores the same message for both, and does not look at the accounts, so both take the same time.
    """
    shop = new_shop(office.port)
    register(shop)
    office.wait()
    answers = [shop.get(call, email=email) for email in ("anna@example.com", "other@example.com")]
    assert [(each.status_code, each.text) for each in answers] == [(200, '"OK"')] * 2
    first, second = ({name for name in each.headers if name != "date"} for each in answers)
    assert first == second
    for email in ("ANNA@example.com", "other@example.com"):
        assert error_of(shop.get(call, email=email)) == WireError("RATE_LIMIT_EXCEEDED", "Too many requests")
    office.wait(2)
    wait_until(lambda: is_idle(mail_server, shop), "the outbox is empty")
    assert [mail["To"] for mail in office.mails] == ["anna@example.com"] * 2


@pytest.mark.parametrize("call", CALLS)
def test_refused(call: str, new_shop: NewShop, office: PostOffice) -> None:
    """Missing settings, a blank address and a malformed one have the errors of the protocol."""
    assert error_of(new_shop(office.port, Server=None).get(call, email="anna@example.com")) == MISSING
    assert error_of(new_shop(office.port, UserName="half").get(call, email="anna@example.com")) == MISSING
    shop = new_shop(office.port)
    for blank in ({}, {"email": " "}):
        assert error_of(shop.get(call, **blank)) == WireError("ERROR", "No email provided")
    for wrong in ("anna", "a@b@c", "Anna <anna@example.com>", "a@b.co\r\nBcc: b@b.co", "a@b.co,b@b.co", "a@b.co\0"):
        assert error_of(shop.get(call, email=wrong)) == WireError("VALIDATION", "Invalid Email", "Email")
    assert office.attempts == []


def test_inactive_templates_send_nothing(new_shop: NewShop, mail_server: Server, office: PostOffice) -> None:
    """Without active templates a registration and both calls succeed, and no message is stored."""
    shop = new_shop(office.port, INACTIVE)
    register(shop)
    for call in CALLS:
        assert shop.get(call, email="anna@example.com").json() == "OK"
    assert is_idle(mail_server, shop)
    assert office.attempts == []


@pytest.mark.better("B-A3")
def test_registration_without_mail_settings(new_shop: NewShop, mail_server: Server, office: PostOffice) -> None:
    """An active template without mail settings fails no registration; the operator sees a dead message."""
    shop = new_shop(office.port, Server=None)
    assert register(shop) == 1

    def dead() -> bool:
        return mail_server.sql(shop.token, 'SELECT "Dead" FROM "H_Outbox"') == [(1,)]

    wait_until(dead, "the message is dead")


@pytest.mark.better("B-D12")
def test_values_are_escaped(new_shop: NewShop, office: PostOffice) -> None:
    """A user name with markup, a line break or a placeholder adds neither markup nor a header to the mail."""
    shop = new_shop(office.port)
    register(shop, username="<b>x</b>\r\nBcc: evil@example.com {Users.Email}")
    (mail,) = office.wait()
    assert "<b>x</b>" not in text_of(mail)
    assert "&lt;b&gt;x&lt;/b&gt;" in text_of(mail)
    assert "{Users.Email}" in text_of(mail), "a value is not filled again"
    assert mail["Bcc"] is None
    assert mail["Subject"] == "Hi <b>x</b> Bcc: evil@example.com {Users.Email}"
    assert office.attempts == ["anna@example.com"]


def test_other_letters(new_shop: NewShop, office: PostOffice) -> None:
    """Names and subjects in other scripts arrive as they were written."""
    shop = new_shop(office.port, FromDisplayName="Καφενείο, «Ελλάς»")
    register(shop, username="Ελένη")
    (mail,) = office.wait()
    assert mail["Subject"] == "Hi Ελένη"
    assert mail["From"].addresses[0].display_name == "Καφενείο, «Ελλάς»"


@pytest.mark.parametrize("wrong", ["{Users.Phone}", "{users.email}", "{reset_password_url}", "{Confirmation_URL}"])
def test_unknown_placeholders(wrong: str, mail_server: Server) -> None:
    """A placeholder that does not exist for the event is an error of ``apply``, which lists those that do."""
    document = with_new_token(manifest(2525))
    document["EmailTemplates"][0]["Content"] = f"<style>p {{color: red}}</style> {wrong}"
    with pytest.raises(ManifestErrors) as raised:
        mail_server.apply(document)
    (error,) = raised.value.errors
    assert error.key.startswith("EmailTemplates[")
    assert error.key.endswith("Content")
    assert wrong in error.message
    assert "{confirmation_url}" in error.hint


@pytest.fixture
def operator(mail_server: Server) -> Callable[[Client], Client]:
    """The client of an application as its operator."""
    token = mail_server.with_store(lambda store, _hooks: operator_token(store, "admin@example.com", None))
    return lambda client: client.as_operator(token)


def test_operators_change_templates(
    new_shop: NewShop, operator: Callable[[Client], Client], office: PostOffice
) -> None:
    """GetEmails lists both templates, Update changes one at once, and the next mail has it."""
    shop = new_shop(office.port, INACTIVE)
    portal = operator(shop)
    listed = portal.get("Email/GetEmails").json()
    assert [(each["ID"], each["EventCode"], each["Active"], each["Description"]) for each in listed] == [
        (1, "UserRegisterConfirmation", False, "Email confirmation"),
        (2, "UserForgotPassword", False, "Reset password"),
    ]
    assert listed[0]["Subject"] == "Welcome!"
    sent = {"ID": 1, "EventCode": "UserRegisterConfirmation", "Active": True, "Subject": "New", "Content": CONTENT}
    assert portal.put("Email/Update", sent).json() == "OK"
    assert portal.get("Email/GetEmails", ID=1).json() == [{**sent, "Description": "Email confirmation"}]
    register(shop)
    assert office.wait()[0]["Subject"] == "New"


def test_wrong_updates(new_shop: NewShop, operator: Callable[[Client], Client], office: PostOffice) -> None:
    """Update refuses what is blank, unknown or of another kind, names the property, and changes nothing."""
    shop = new_shop(office.port, INACTIVE)
    portal = operator(shop)
    before = portal.get("Email/GetEmails").json()
    good: dict[str, Any] = {"ID": 2, "EventCode": "UserForgotPassword", "Active": True, "Subject": "S", "Content": "C"}
    wrong: list[tuple[dict[str, Any], str, str]] = [
        ({"Subject": " "}, "REQUIRED", "Subject"),
        ({"Content": None}, "REQUIRED", "Content"),
        ({"Active": None}, "REQUIRED", "Active"),
        ({"EventCode": "Other"}, "VALIDATION", "EventCode"),
        ({"ID": 1}, "VALIDATION", "ID"),
        ({"Subject": "x" * 2001}, "VALIDATION", "Subject"),
        ({"Content": "{confirmation_url}"}, "VALIDATION", "Content"),
    ]
    for change, code, name in wrong:
        error = error_of(portal.put("Email/Update", {**good, **change}))
        assert (error.code, error.property) == (code, name), json.dumps(change)
    assert error_of(portal.put("Email/Update", [1])).code == "EMPTY_BODY"
    assert shop.put("Email/Update", good).status_code == 401
    assert shop.get("Email/GetEmails").status_code == 401
    assert portal.get("Email/GetEmails").json() == before


def test_secrets_nowhere(new_shop: NewShop, mail_server: Server, office: PostOffice) -> None:
    """Tokens of mails are stored as hashes only, and neither they nor addresses stand in the log."""
    shop = new_shop(office.port)
    register(shop)
    assert shop.get("Email/ForgotPassword", email="anna@example.com").json() == "OK"
    tokens = [links(mail)[0].rpartition("=")[2] for mail in office.wait(2)]
    for table in ("H_Auth_Email_Confirmation_Tokens", "H_Auth_Password_Reset_Tokens"):
        (row,) = mail_server.sql(shop.token, f'SELECT "Token" FROM "{table}"')
        assert row[0] not in tokens
    assert not [token for token in tokens if token in mail_server.output()]
    assert PASSWORD not in mail_server.output()
