"""A server with short intervals, and SMTP servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from apilane.testing.client import PASSWORD, Client
from apilane.testing.server import CHEAP_PASSWORDS, PATIENT, Server
from tests.http.conftest import everything_lives_there
from tests.mail.post_office import PostOffice, certificate, manifest, post_office
from tests.manifests import with_new_token

__all__ = ["everything_lives_there"]  # databases of the provider that APILANE_TEST_PROVIDER names

NewShop = Callable[..., Client]
SETTINGS = {
    **CHEAP_PASSWORDS,
    **PATIENT,
    "definition_poll_s": 0.05,
    "background_poll_s": 0.05,
    "email_timeout_s": 1,
    "trusted_proxies": "127.0.0.0/8",
}


@pytest.fixture(scope="session")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of the SMTP servers."""
    return certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def mail_server(everything_lives_there: None, tmp_path_factory: pytest.TempPathFactory, pem: Path) -> Iterator[Server]:
    """A server that trusts the certificate, whose users reach it where the tests do."""
    settings = {**SETTINGS, "email_ca_file": pem}
    with Server(tmp_path_factory.mktemp("mail") / "data", settings=settings) as running:
        yield running


@pytest.fixture
def office() -> Iterator[PostOffice]:
    """An SMTP server that takes every mail without encryption."""
    with post_office() as running:
        yield running


@pytest.fixture
def new_shop(mail_server: Server, http: httpx.Client) -> NewShop:
    """Create an application that sends through an SMTP server; an anonymous client of it."""

    def make(port: int, changes: dict[str, Any] | None = None, **mail: Any) -> Client:
        document = with_new_token(manifest(port, **mail) | (changes or {}))
        return Client(http, mail_server.url, mail_server.apply(document))

    return make


def register(shop: Client, email: str = "anna@example.com", username: str = "anna") -> int:
    """Register an account."""
    answer = shop.post("Account/Register", {"Email": email, "Username": username, "Password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return int(answer.text)


@pytest.fixture
def shop(new_shop: NewShop, office: PostOffice) -> Client:
    """A shop with one account."""
    shop = new_shop(office.port)
    register(shop)
    office.wait()
    return shop
