"""``kill -9`` of a real server between a registration and the delivery of its mail."""

from __future__ import annotations

from pathlib import Path

import httpx

from apilane.testing.client import PASSWORD, Client
from apilane.testing.server import CHEAP_PASSWORDS, PATIENT
from tests.faults.victim import Victim, wait_until
from tests.mail.post_office import manifest, post_office

ROUNDS, ACCOUNTS = 3, 6


def test_a_killed_server_loses_no_mail(tmp_path: Path) -> None:
    """Every account whose registration was answered gets its mail after the restart, without another call."""
    settings = {**CHEAP_PASSWORDS, **PATIENT, "definition_poll_s": 0.05, "background_poll_s": 0.05}
    victim = Victim(tmp_path / "data", workers=2, settings={**settings, "email_timeout_s": 2})
    registered: list[str] = []
    with post_office() as office:
        victim.start()
        token = victim.apply(manifest(office.port))
        for round_number in range(ROUNDS):
            with httpx.Client(trust_env=False, timeout=30) as http:
                shop = Client(http, victim.url, token)
                for number in range(ACCOUNTS):
                    name = f"user-{round_number}-{number}"
                    body = {"Email": f"{name}@example.com", "Username": name, "Password": PASSWORD}
                    assert shop.post("Account/Register", body).status_code == 200
                    registered.append(body["Email"])
            victim.kill(victim.pid, *victim.workers())
            victim.sql(token, 'UPDATE "H_Outbox" SET "Due" = 0')  # the claims of killed processes have ended
            victim.start()
        wait_until(lambda: {mail["To"] for mail in office.mails} == set(registered), "every account has its mail")
        wait_until(lambda: not victim.sql(token, 'SELECT "ID" FROM "H_Outbox"'), "the outbox is empty")
        victim.stop()
    keys = {mail["Message-ID"] for mail in office.mails}
    assert len(keys) == len(registered), "a repeated mail has the Message-ID of the first one"
