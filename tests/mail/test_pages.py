"""The pages for a forgotten password (docs/reference/protocol/wire-api.md section 7), over real HTTP."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from apilane.testing.client import PASSWORD, Client
from apilane.testing.server import CHEAP_PASSWORDS, Server
from tests.mail.conftest import NewShop, register
from tests.mail.post_office import PostOffice, links, manifest, post_office
from tests.manifests import with_new_token

NEW = "another long password"
FIELD = "__RequestVerificationToken"


class Browser:
    """A caller with cookies. ``base``: the folder of the pages."""

    def __init__(self, shop: Client, address: str = "203.0.113.7") -> None:
        self.http = httpx.Client(trust_env=False, timeout=30, headers={"X-Forwarded-For": address})
        self.base = f"{shop.url}/App/{shop.token}/Account/Manage"

    def open(self, target: str) -> httpx.Response:
        """GET a page, without following redirects."""
        return self.http.get(target if target.startswith("http") else f"{self.base}/{target}")

    def send(self, page: httpx.Response, **fields: str) -> httpx.Response:
        """POST the form of a page with its hidden field."""
        found = re.search(r'<form method="post" action="([^"]+)"', page.text)
        hidden = re.search(rf'name="{FIELD}" value="([^"]+)"', page.text)
        assert found is not None, page.text
        assert hidden is not None, page.text
        action = html.unescape(found[1])
        return self.http.post(page.url.join(action), data={FIELD: hidden[1], **fields})


@pytest.fixture
def browser(shop: Client) -> Iterator[Browser]:
    """A browser on the pages of the shop."""
    opened = Browser(shop)
    with opened.http:
        yield opened


def reset_link(shop: Client, office: PostOffice) -> str:
    """The link of a new mail."""
    count = len(office.mails)
    assert shop.get("Email/ForgotPassword", email="anna@example.com").json() == "OK"
    return links(office.wait(count + 1)[-1])[0]


def place(answer: httpx.Response) -> str:
    """The last part of the target of a redirect."""
    assert answer.status_code == 302, answer.text
    return answer.headers["location"].rpartition("/")[2]


def log_in(shop: Client, password: str) -> httpx.Response:
    """Try to sign in."""
    return shop.post("Account/Login", {"Username": "anna", "Password": password})


def error_at(page: httpx.Response, field: str) -> str:
    """The error text that a field refers to."""
    found = re.search(rf'id="{field}-error">([^<]*)<', page.text)
    assert found is not None, page.text
    assert re.search(rf'name="{field}"[^>]*aria-invalid="true"', page.text)
    assert re.search(rf'name="{field}"[^>]*aria-describedby="{field}-error', page.text)
    return html.unescape(found[1])


@pytest.mark.better("B-A6")
def test_reset(shop: Client, browser: Browser, office: PostOffice, mail_server: Server) -> None:
    """From the form to the new password: the old password and every session end, and the link works once."""
    session = shop.as_user(log_in(shop, PASSWORD).json()["AuthToken"])
    assert session.get("Account/UserData").status_code == 200
    asked = browser.send(browser.open("ForgotPassword"), Email="anna@example.com")
    assert place(asked) == "ForgotPasswordConfirmation"
    assert "valid for one hour" in browser.open("ForgotPasswordConfirmation").text
    link = links(office.wait(2)[1])[0]
    page = browser.open(link)
    done = browser.send(page, Email="Anna@example.com", Password=NEW, ConfirmPassword=NEW)
    assert place(done) == "ResetPasswordConfirmation"
    assert browser.open("ResetPasswordConfirmation").status_code == 200
    assert session.get("Account/UserData").status_code == 401
    assert log_in(shop, PASSWORD).status_code == 400
    assert log_in(shop, NEW).status_code == 200
    assert place(browser.open(link)) == "Error"
    assert place(browser.send(page, Email="anna@example.com", Password=PASSWORD, ConfirmPassword=PASSWORD)) == "Error"
    assert log_in(shop, NEW).status_code == 200
    assert mail_server.sql(shop.token, 'SELECT "ID" FROM "H_Auth_Password_Reset_Tokens"') == []


@pytest.mark.better("B-A6")
def test_old_links(shop: Client, browser: Browser, office: PostOffice, mail_server: Server) -> None:
    """A link ends after an hour."""
    link = reset_link(shop, office)
    page = browser.open(link)
    assert page.status_code == 200
    mail_server.sql(shop.token, 'UPDATE "H_Auth_Password_Reset_Tokens" SET "Created" = "Created" - 3600000')
    assert place(browser.open(link)) == "Error"
    assert place(browser.send(page, Email="anna@example.com", Password=NEW, ConfirmPassword=NEW)) == "Error"
    assert log_in(shop, PASSWORD).status_code == 200


@pytest.mark.parametrize("token", ["", "%25", "x", "00000000-0000-4000-8000-000000000000", "%00", "'%20OR%201=1--"])
def test_unknown_tokens(token: str, browser: Browser) -> None:
    """A token that does not exist opens no form."""
    assert place(browser.open(f"ResetPassword?Token={token}")) == "Error"
    assert place(browser.http.post(f"{browser.base}/ResetPassword?Token={token}", data={"Password": NEW})) == "Error"


def test_another_address(shop: Client, browser: Browser, office: PostOffice) -> None:
    """With the address of another account the answer is the same, nothing changes, and the link stays valid."""
    register(shop, "bert@example.com", "bert")
    office.wait(2)
    link = reset_link(shop, office)
    for email in ("bert@example.com", "unknown@example.com"):
        sent = browser.send(browser.open(link), Email=email, Password=NEW, ConfirmPassword=NEW)
        assert place(sent) == "ResetPasswordConfirmation"
    assert log_in(shop, PASSWORD).status_code == 200
    assert shop.post("Account/Login", {"Username": "bert", "Password": PASSWORD}).status_code == 200
    assert browser.open(link).status_code == 200


def test_errors_stand_next_to_the_fields(shop: Client, browser: Browser, office: PostOffice) -> None:
    """What is wrong stands at its field; the address stays in the form, passwords do not."""
    page = browser.send(browser.open("ForgotPassword"), Email="")
    assert (page.status_code, error_at(page, "Email")) == (400, "Enter your e-mail address.")
    page = browser.send(page, Email='"><script>alert(1)</script>')
    assert "This is not an e-mail address" in error_at(page, "Email")
    assert "<script>" not in page.text
    form = browser.open(reset_link(shop, office))
    short = browser.send(form, Email="anna@example.com", Password="short", ConfirmPassword="short")
    assert error_at(short, "Password") == "The password must have 8 to 100 characters."
    assert 'value="anna@example.com"' in short.text
    other = browser.send(short, Email="anna@example.com", Password=NEW, ConfirmPassword=NEW + "?")
    assert error_at(other, "ConfirmPassword") == "The passwords are not equal."
    assert NEW not in other.text
    assert log_in(shop, PASSWORD).status_code == 200


def test_forms_of_other_sites(shop: Client, browser: Browser, office: PostOffice) -> None:
    """A form without the hidden field, with that of another browser or of another application is refused."""
    link = reset_link(shop, office)
    page = browser.open(link)
    fields = {"Email": "anna@example.com", "Password": NEW, "ConfirmPassword": NEW}
    hidden = re.search(rf'name="{FIELD}" value="([^"]+)"', page.text)
    assert hidden is not None
    for cookies, sent in (({}, hidden[1]), (dict(browser.http.cookies), ""), (dict(browser.http.cookies), "0" * 64)):
        with httpx.Client(trust_env=False, cookies=cookies) as other:
            answer = other.post(link, data={FIELD: sent, **fields})
        assert answer.status_code == 400
        assert "The form is too old" in answer.text
    assert browser.http.post(link, json=fields).status_code == 400
    assert log_in(shop, PASSWORD).status_code == 200
    cookie = page.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_headers(browser: Browser) -> None:
    """Pages run no script, are shown in no frame, send no referrer and are stored nowhere."""
    for name in (
        "ForgotPassword",
        "ForgotPasswordConfirmation",
        "ResetPasswordConfirmation",
        "Error",
        "error",
        "ERROR",
    ):
        page = browser.open(name)
        assert page.status_code == 200
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["cache-control"] == "no-store"
        assert "<script" not in page.text
        assert "style=" not in page.text
    assert browser.open("style.css").headers["content-type"].startswith("text/css")
    assert browser.open("Other").status_code == 404


def test_pages_of_an_offline_application(mail_server: Server, office: PostOffice) -> None:
    """The pages are shown while the application is offline, in lower-case paths too; unknown applications have none."""
    token = mail_server.apply(with_new_token(manifest(office.port), Online=False))
    with httpx.Client(trust_env=False, base_url=mail_server.url) as http:
        for path in (f"/App/{token}/Account/Manage/ForgotPassword", f"/app/{token}/account/manage/forgotpassword"):
            assert http.get(path).status_code == 200
        unknown = http.get("/App/00000000-0000-4000-8000-000000000000/Account/Manage/ForgotPassword")
        assert (unknown.status_code, unknown.json()["Code"]) == (400, "ERROR")


@pytest.mark.better("B-A6")
def test_the_form_is_throttled(shop: Client, browser: Browser, office: PostOffice) -> None:
    """The form and the call share their limit, for known and unknown addresses alike."""
    for email in ("anna@example.com", "unknown@example.com"):
        assert place(browser.send(browser.open("ForgotPassword"), Email=email)) == "ForgotPasswordConfirmation"
        assert shop.get("Email/ForgotPassword", email=email).json()["Code"] == "RATE_LIMIT_EXCEEDED"
        again = browser.send(browser.open("ForgotPassword"), Email=email)
        assert again.status_code == 400
        assert "tried too often" in again.text


def test_no_mail_settings(new_shop: NewShop, office: PostOffice) -> None:
    """Without mail settings the form ends at the page Error."""
    browser = Browser(new_shop(office.port, Server=None))
    with browser.http:
        assert place(browser.send(browser.open("ForgotPassword"), Email="anna@example.com")) == "Error"


def test_own_templates_and_limits(tmp_path: Path, pem: Path) -> None:
    """A folder of templates replaces single pages and the style; guesses of an address with a link are limited."""
    own = tmp_path / "pages"
    own.mkdir()
    (own / "style.css").write_text("body { background: #fee }")
    (own / "error.html").write_text('{% extends "base.html" %}{% block title %}Oh{% endblock %}')
    settings = {**CHEAP_PASSWORDS, "definition_poll_s": 0.05, "background_poll_s": 0.05, "email_templates_dir": own}
    with (
        Server(tmp_path / "data", settings={**settings, "rate_limit_login_account_failures": 2}) as server,
        post_office() as office,
        httpx.Client(trust_env=False, timeout=30) as http,
    ):
        shop = Client(http, server.url, server.apply(with_new_token(manifest(office.port))))
        register(shop)
        office.wait()
        browser = Browser(shop)
        assert browser.open("style.css").text == "body { background: #fee }"
        assert "<h1>Oh</h1>" in browser.open("Error").text
        assert "Forgot your password?" in browser.open("ForgotPassword").text
        page = browser.open(reset_link(shop, office))
        answers = [browser.send(page, Email=f"x{n}@example.com", Password=NEW, ConfirmPassword=NEW) for n in range(3)]
        assert [each.status_code for each in answers] == [302, 302, 400]
        assert "tried too often" in answers[2].text
        browser.http.close()
