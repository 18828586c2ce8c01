"""Mails over real SMTP: encryption, sign-in, answers that defer or refuse, a server that hangs."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from apilane.testing.client import Client
from apilane.testing.server import Server
from tests.faults.victim import wait_until
from tests.mail.conftest import NewShop, register
from tests.mail.post_office import USER, PostOffice, links, post_office, text_of

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
ACCOUNT = {"UserName": USER[0], "Password": USER[1]}


def dead(server: Server, shop: Client) -> list[str]:
    """The errors of the messages that are not tried again, as ``apilane outbox list`` shows them."""

    async def read(instance: object) -> list[str]:
        runtime = await instance.applications.find(shop.token)  # type: ignore[attr-defined]
        return [each.error or "" async for each in runtime.outbox.messages(dead_only=True)]

    return server.with_instance(read)


def waiting(server: Server, shop: Client) -> list[tuple[int, str]]:
    """Attempts and last error of the messages that are tried again."""

    async def read(instance: object) -> list[tuple[int, str]]:
        runtime = await instance.applications.find(shop.token)  # type: ignore[attr-defined]
        return [(each.attempts, each.error or "") async for each in runtime.outbox.messages() if not each.is_dead]

    return server.with_instance(read)


def deferred(server: Server, shop: Client, text: str, attempts: int = 1) -> bool:
    """Whether the only message has failed this often, with this text."""
    found = waiting(server, shop)
    return len(found) == 1 and found[0][0] == attempts and text in found[0][1]


def again_now(server: Server, shop: Client) -> None:
    """Let the next attempt begin now instead of after its wait: due, and marked so that the leader looks at once."""
    server.sql(shop.token, 'UPDATE "H_Outbox" SET "Due" = 0')
    server.with_store(lambda store, hooks: store.background.mark(shop.token))


@pytest.mark.parametrize("security", ["StartTls", "Tls"])
def test_encrypted_with_sign_in(security: str, new_shop: NewShop, pem: Path) -> None:
    """A mail goes over STARTTLS or TLS, and the password is sent only after the encryption has begun."""
    with post_office(pem, security, auth=True) as office:
        register(new_shop(office.port, Security=security, **ACCOUNT))
        (mail,) = office.wait()
    assert office.logins == [(USER[0], True)]
    assert (mail["From"], mail["To"], mail["Subject"]) == ("Shop <shop@example.com>", "anna@example.com", "Hi anna")
    assert "Hello anna," in text_of(mail)
    assert links(mail)[0] in text_of(mail, "plain")


def test_no_downgrade(new_shop: NewShop, mail_server: Server, office: PostOffice) -> None:
    """A server that does not offer STARTTLS gets no mail, unless the manifest says ``None``."""
    shop = new_shop(office.port, Security="StartTls")
    register(shop)
    wait_until(lambda: deferred(mail_server, shop, "STARTTLS"), "an attempt failed")
    assert office.attempts == []


def test_unknown_certificate(new_shop: NewShop, mail_server: Server, tmp_path: Path) -> None:
    """A server with a certificate that the settings do not trust gets no mail and no password."""
    from tests.mail.post_office import certificate

    with post_office(certificate(tmp_path), "Tls", auth=True) as office:
        shop = new_shop(office.port, Security="Tls", **ACCOUNT)
        register(shop)
        wait_until(lambda: deferred(mail_server, shop, "certificate"), "an attempt failed")
    assert office.logins == []


def test_wrong_password(new_shop: NewShop, mail_server: Server, pem: Path) -> None:
    """A refused sign-in is not tried again; the dead message names the cause and no password."""
    with post_office(pem, "StartTls", auth=True) as office:
        shop = new_shop(office.port, Security="StartTls", UserName=USER[0], Password="not-this-one")
        register(shop)
        wait_until(lambda: bool(dead(mail_server, shop)), "the message is dead")
        (error,) = dead(mail_server, shop)
    assert "refused the user name or the password (535" in error
    assert "not-this-one" not in error
    assert not waiting(mail_server, shop)
    assert "not-this-one" not in mail_server.output()


def test_greylisting(new_shop: NewShop, mail_server: Server, office: PostOffice) -> None:
    """An answer 4xx is tried again, and the mail arrives once."""
    office.answer = lambda receiver: f"451 Later, {len(office.attempts)}" if len(office.attempts) < 3 else None
    shop = new_shop(office.port)
    register(shop)
    for count in (1, 2):
        wait_until(lambda count=count: deferred(mail_server, shop, f"451 Later, {count}", count), "it waits")  # type: ignore[misc]
        again_now(mail_server, shop)
    office.wait()
    wait_until(lambda: not waiting(mail_server, shop), "the outbox is empty")
    assert (len(office.attempts), len(office.mails)) == (3, 1)


def test_refusal(new_shop: NewShop, mail_server: Server, office: PostOffice) -> None:
    """An answer 5xx is not tried again: the message is dead, and can be replayed."""
    office.answer = lambda receiver: "550 No such user here"
    shop = new_shop(office.port)
    register(shop)
    wait_until(lambda: bool(dead(mail_server, shop)), "the message is dead")
    assert dead(mail_server, shop) == [f"127.0.0.1:{office.port} refused the mail: 550 No such user here"]
    assert len(office.attempts) == 1


def test_a_server_that_hangs(new_shop: NewShop, mail_server: Server, office: PostOffice) -> None:
    """A mail server that stops answering costs one attempt its time limit, and no call has to wait for it."""
    office.hangs = True
    shop = new_shop(office.port)
    register(shop)
    wait_until(lambda: bool(office.attempts), "the attempt hangs")
    begun = time.monotonic()
    assert shop.get("Account/UserData").status_code == 401
    assert time.monotonic() - begun < 0.9, "the call did not wait for the time limit of the mail"
    wait_until(lambda: deferred(mail_server, shop, "did not take the mail within 1 s"), "the attempt has ended")
    office.hangs = False
    again_now(mail_server, shop)
    office.wait()


def test_a_server_that_is_down(new_shop: NewShop, mail_server: Server) -> None:
    """A registration succeeds while the mail server is down, and the mail follows when it is back."""
    with post_office() as first:
        port = first.port
    shop = new_shop(port)
    register(shop)
    wait_until(
        lambda: any("cannot be used" in error or str(port) in error for _, error in waiting(mail_server, shop)),
        "failed",
    )
    with post_office(port=port) as office:
        again_now(mail_server, shop)
        office.wait()
