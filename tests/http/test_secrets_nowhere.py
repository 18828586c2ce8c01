"""No secret appears in logs, answers, audit, exports, the doctor or the data folder of a fully used instance.

Other tests check that callers without rights do not get a secret's value.
"""

from __future__ import annotations

import base64
import json
import stat
import subprocess
import sys
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
import pytest

from apilane.control.store import ControlStore
from apilane.dispatch import Hooks
from apilane.services.operator_sign_in import operator_token
from apilane.testing.client import Client
from apilane.testing.server import CHEAP_PASSWORDS, Server
from tests.confirmation import confirmation_token
from tests.http.conftest import PROVIDER
from tests.http.test_signed_requests import Signer

pytestmark = pytest.mark.skipif(PROVIDER != "sqlite", reason="reads the files of the data folder")

ADMIN, OLD, NEW, WRONG = "Adm1n+s3cret/One", "Old-s3cret Passw0rd+/", "New-s3cret~Passw0rd?", "Wr0ng-s3cret&Passw0rd"
MAIL, DATABASE = "Mail-s3cret:Passw0rd", "Base-s3cret-Passw0rd"
PLAIN, MISPLACED = "Very-Secret-Supplier", "Misplaced-s3cret-Value"
MANIFEST: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "Discreet"},
    "Entities": [
        {
            "Name": "Notes",
            "ChangeTracking": True,
            "Properties": [
                {"Name": "Text", "Maximum": 30},
                {"Name": "Code", "ValidationRegex": "^[A-Z]{3}$"},
                {"Name": "Amount", "Type": "Number"},
                {"Name": "Supplier", "Encrypted": True},
            ],
            "Constraints": [{"Type": "Unique", "Properties": ["Text"]}],
        },
    ],
    "Security": [
        *(
            {"Entity": "Notes", "Role": "AUTHENTICATED", "Action": action, "Properties": "*"}
            for action in ("get", "post", "put")
        ),
        *({"CustomEndpoint": name, "Role": "ANONYMOUS"} for name in ("Failing", "Raising", "Fine")),
    ],
    "CustomEndpoints": [
        {
            "Name": "Failing",
            "Query": "INSERT INTO Notes (Created, Text) VALUES (1, {S}); INSERT INTO Notes (ID, Created) VALUES (1, 1)",
            "Parameters": {"S": "String"},
        },
        {
            "Name": "Raising",
            "Query": "CREATE TEMP TRIGGER t BEFORE UPDATE ON Notes BEGIN SELECT RAISE(ABORT, 'Sold out'); END;"
            "UPDATE Notes SET Text = {S}",
            "Parameters": {"S": "String"},
        },
        {"Name": "Fine", "Query": "SELECT {A} a"},
    ],
}
MAILED: dict[str, Any] = {
    "Server": "smtp.example.com",
    "Port": 587,
    "FromAddress": "a@example.com",
    "FromDisplayName": "Discreet",
    "UserName": "a",
    "Password": "${NOWHERE_MAIL}",
}


class Life:
    """Every secret by name, the outputs that must not contain one, and the server with its files."""

    def __init__(self, server: Server, http: httpx.Client) -> None:
        self.server = server
        self.http = http
        self.secrets: dict[str, bytes] = {}
        self.said: list[tuple[str, bytes]] = []
        self.environ = {**server.environ, "NOWHERE_MAIL": MAIL}
        for name, text in (
            *(("admin password", ADMIN), ("old password", OLD), ("new password", NEW), ("wrong password", WRONG)),
            *(("mail password", MAIL), ("database password", DATABASE)),
            *(("encrypted value", PLAIN), ("misplaced value", MISPLACED)),
        ):
            self.keep(name, text)

    def keep(self, name: str, secret: str | bytes) -> None:
        """Add a secret to search for."""
        self.secrets[name] = secret.encode() if isinstance(secret, str) else secret

    def command(self, *arguments: object, environ: dict[str, str] | None = None) -> str:
        """Run ``apilane`` with these arguments and record its output."""
        command = [str(Path(sys.executable).with_name("apilane")), *map(str, arguments)]
        done = subprocess.run(
            command, capture_output=True, env={**self.environ, **(environ or {})}, check=False, timeout=60
        )
        printed = done.stderr + done.stdout
        self.said.append((f"output of apilane {arguments[0]}", printed))
        return printed.decode()

    def heard(self, response: httpx.Response) -> None:
        """Record an answer that must not contain a secret: body and headers."""
        self.said.append((f"answer to {response.request.url.path}", response.content + repr(response.headers).encode()))

    def refused(self, response: httpx.Response) -> None:
        """Record an answer that must be an error."""
        assert response.status_code >= 400, (response.request.url, response.text)
        self.heard(response)

    def files(self) -> list[Path]:
        """The log of the server, and every file of the data folder."""
        return [self.server.log, *(path for path in self.server.data_dir.rglob("*") if path.is_file())]

    def find(self, places: Iterable[tuple[str, bytes]]) -> list[tuple[str, str]]:
        """The places that contain a secret in any form, with the secret's name."""
        forms = [(name, form.lower()) for name, secret in self.secrets.items() for form in _forms(secret)]
        lowered = ((place, content.lower()) for place, content in places)
        return sorted({(place, name) for place, content in lowered for name, form in forms if form in content})


def _forms(secret: bytes) -> set[bytes]:
    """The forms of a secret, in lower case later: unchanged, without hyphens, escaped, in base 16 and 64."""
    raw = {secret}
    if len(secret) == 36 and secret.count(b"-") == 4:
        raw |= {uuid.UUID(secret.decode()).bytes, secret.replace(b"-", b"")}
    found = set(raw)
    for each in raw:
        found |= {
            each.hex().encode(),
            quote(each).encode(),
            quote(each, safe="").encode(),
            quote_plus(each).encode(),
            repr(each)[2:-1].encode(),
        }
        for before in range(3):  # within a longer text the same bytes have three encodings
            encoded = base64.b64encode(b"x" * before + each)
            inner = encoded[(0, 2, 3)[before] :].rstrip(b"=")[: -1 if (before + len(each)) % 3 else None]
            found |= {inner, inner.translate(bytes.maketrans(b"+/", b"-_"))}
    return found


def _users(life: Life, client: Client) -> None:
    """Create accounts and tokens, send passwords and tokens in wrong places, and sign requests."""
    user = client.signed_in("discreet", password=OLD)
    assert user.user
    life.keep("token", user.user)
    assert user.put("Account/ChangePassword", {"Password": OLD, "NewPassword": NEW}).json() is True
    for body in (
        {"Password": OLD, "NewPassword": WRONG},
        {"Password": WRONG, "NewPassword": OLD},
        {"NewPassword": NEW},
    ):
        life.refused(user.put("Account/ChangePassword", body))
    renewed = user.get("Account/RenewAuthToken").json()
    life.keep("renewed token", renewed)
    life.refused(user.get("Account/UserData"))
    for name in ("discreet", "unknown", WRONG):
        life.refused(client.post("Account/Login", {"Username": name, "Password": WRONG}))
    life.refused(client.post("Account/Login", {"Username": ["x"], "Password": [WRONG]}))
    life.refused(client.post("Account/Register", {"Email": "discreet@example.com", "Username": "d", "Password": WRONG}))
    life.refused(client.post("Account/Register", {"Email": WRONG, "Username": WRONG, "Password": WRONG}))
    life.refused(client.post("Account/Register", {"Email": "b@example.com", "Username": "b", "Password": WRONG * 9}))
    id = client.as_user(renewed).get("Account/UserData").json()["User"]["ID"]
    confirmation = confirmation_token(life.server, client.token, id)
    life.keep("confirmation token", confirmation)
    for text in (confirmation, confirmation.upper(), f"{{{confirmation}}}", confirmation + "x", renewed):
        life.heard(life.http.get(f"{client.url}/api/Account/Confirm", params={"appToken": client.token, "token": text}))
    signer = Signer(client, "signer")
    life.keep("signing token", signer.token)
    assert signer.call("GET", "/api/Account/UserData").status_code == 200
    for changed in ({"token": renewed}, {"shift_ms": -130_000}, {"key_id": 999_999}):
        life.refused(signer.call("GET", "/api/Account/UserData", **changed))
    ended = client.login("discreet", NEW)
    life.keep("ended token", ended)
    assert client.as_user(ended).get("Account/Logout").status_code == 200
    _data(life, client, client.as_user(renewed))


def _data(life: Life, client: Client, user: Client) -> None:
    assert user.user
    (note,) = user.add("Notes", {"Text": "one", "Supplier": PLAIN})
    assert user.put("Data/Put", {"ID": note, "Supplier": PLAIN + "2"}, entity="Notes").json() == 1
    for secret in (user.user, NEW, MISPLACED):
        for record in (
            {"Text": "one", "Supplier": secret},
            {"Text": secret * 3},
            {"Code": secret},
            {"Amount": secret},
            {"Text": {"Password": secret}},
        ):
            life.refused(user.post("Data/Post", record, entity="Notes"))
        life.refused(user.post("Data/Post", f'{{"Text": "{secret}'.encode(), entity="Notes"))
        life.refused(client.get("Data/Get", entity="Notes", authorization=secret, token=secret, password=secret))
        life.refused(client.post("Account/Login", {"Username": "discreet", "Password": WRONG}, password=secret))
        condition = {"Property": "Text", "Operator": secret, "Value": secret}
        life.refused(user.get("Data/Get", entity="Notes", filter=json.dumps(condition)))
        life.refused(user.get("Data/Get", entity="Notes", filter=f'{{"Property": "{secret}'))
        life.refused(user.get("Data/GetByID", entity="Notes", id=secret))
        for endpoint in ("Failing", "Raising"):
            life.refused(client.get(f"Custom/{endpoint}", S=secret))
        life.heard(client.get("Custom/Fine", A=secret))
        basic = base64.b64encode(f"discreet:{secret}".encode()).decode()
        for headers in (
            {"Authorization": f"Basic {basic}"},
            {"Authorization": f"Bearer {secret} x"},
            {"x-auth-keyid": secret, "x-auth-timestamp": secret, "x-auth-signature": secret},
            {"Cookie": f"token={secret}", "X-Api-Key": secret, "User-Agent": secret},
            {"x-client-id": secret, "x-forwarded-for": secret},
            {"x-application-token": secret},
            {"Content-Type": secret},
        ):
            life.refused(client.send("POST", "/api/Data/Post?entity=Notes", b"{}", headers))


def _owner(life: Life, client: Client) -> None:
    """Make audited writes as an owner, and some that fail."""
    token = life.server.with_store(lambda store, _hooks: operator_token(store, "admin@example.com", None))
    life.keep("owner token", token)
    owner = client.as_operator(token)
    ids = owner.add("Notes", {"Text": "two", "Supplier": PLAIN}, {"Text": "three", "Supplier": PLAIN})
    assert owner.change("Notes", {"ID": ids[0], "Supplier": PLAIN + "3"}) == 1
    assert owner.delete("Data/Delete", entity="Notes", ids=str(ids[1])).status_code == 200
    life.refused(owner.post("Data/Post", {"Text": "one", "Supplier": PLAIN}, entity="Notes"))
    life.refused(owner.get("Custom/Failing", S=MISPLACED))
    life.refused(client.as_user(token).get("Account/UserData"))
    life.refused(client.as_operator(str(uuid.uuid4())).get("Data/Get", entity="Notes"))
    printed = life.command("owner-token", "admin@example.com", "--expires", "1h")
    life.said.pop()
    life.keep("printed owner token", printed.strip())
    assert client.as_operator(printed.strip()).get("Data/Schema").status_code == 200


def _commands(life: Life, client: Client, folder: Path) -> None:
    """Use secrets in manifests and settings, and run the commands that describe the instance."""
    manifest = folder / "manifest.json"
    application = {**MANIFEST["Application"], "Token": client.token, "Mail": MAILED}
    manifest.write_text(json.dumps({**MANIFEST, "Application": application}))
    assert "Mail" in life.command("apply", manifest, "--dry-run")
    assert client.token in life.command("apply", manifest, "--yes")
    text = life.command("export", client.token)
    assert "_MAIL_PASSWORD}" in text, text
    addresses = {
        "NOWHERE_1": f"postgresql://shop:{DATABASE}@127.0.0.1:1/shop",
        "NOWHERE_2": f"Host=127.0.0.1;Port=1;Username=shop;Password={DATABASE};Database=shop",
        "NOWHERE_3": f"postgresql://shop:{DATABASE}@[/shop",
        "NOWHERE_4": f"nonsense://{DATABASE}",
    }
    files = [folder / f"{name}.json" for name in addresses]
    for file in files:
        elsewhere = {"Name": file.stem, "StorageProvider": "PostgreSQL", "ConnectionString": f"${{{file.stem}}}"}
        file.write_text(json.dumps({**MANIFEST, "Application": elsewhere}))
        life.command("apply", file, "--yes", environ=addresses)
    assert "FAIL" in life.command("doctor", *files, environ=addresses)
    for name in ("NOWHERE_1", "NOWHERE_3"):
        control = {"APILANE_CONTROL_URL": addresses[name], "APILANE_CONTROL_PROVIDER": "PostgreSQL"}
        life.command("doctor", environ=control)
    life.command("doctor", environ={"APILANE_MASTER_KEY": MISPLACED})
    life.command("doctor", environ={"APILANE_ARGON2_TIME_COST": "x", "APILANE_ADMIN_PASSWORD": WRONG})
    examined = life.command("doctor")
    assert "FAIL" not in examined, examined
    assert "look" not in examined, examined


@pytest.fixture(scope="module", params=["text", "json"])
def life(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, http: httpx.Client
) -> Iterator[Life]:
    """All these steps on a separate server with the most detailed log, in each of its forms."""
    folder = tmp_path_factory.mktemp("discreet")
    settings = {
        **CHEAP_PASSWORDS,
        "log_level": "debug",
        "log_format": request.param,
        "access_log": True,
        "rate_limit_login_account_failures": 50,
        "counter_file_size_mib": 1,
        "definition_poll_s": 0.05,
        "admin_password": ADMIN,
    }
    with Server(folder / "data", settings=settings) as server:
        client = Client(http, server.url, server.apply(MANIFEST))
        life = Life(server, http)
        life.keep("master key", base64.b64decode((server.data_dir / "master.key").read_text()))
        _users(life, client)
        _owner(life, client)
        _commands(life, client, folder)
        _look_into_the_store(life, client.token)
        yield life


def _look_into_the_store(life: Life, token: str) -> None:
    """Collect the keys from the control store, and the audit."""

    async def read(store: ControlStore, _hooks: Hooks) -> None:
        stored = await store.application(token)
        assert stored is not None
        assert stored.secrets.mail_password == MAIL
        life.keep("encryption key", stored.secrets.encryption_key)
        life.keep("token key", stored.secrets.token_key)
        records = await store.audit(token)
        assert len(records) > 3
        life.said.append(("audit", repr(records).encode()))
        life.said.append(("stored application", repr(stored).encode()))

    life.server.with_store(read)


def test_a_secret_would_be_found(life: Life) -> None:
    """The search finds a secret in every form: as text, escaped, in base 16 and, at any offset, in base 64."""
    for name, secret in life.secrets.items():
        around = [b"{" + secret + b"}", secret.hex().upper().encode(), quote(secret).encode()]
        around += [base64.b64encode(b"ab:"[:count] + secret + b" and more") for count in range(4)]
        around += [base64.urlsafe_b64encode(secret)]
        for content in around:
            assert ("here", name) in life.find([("here", content)]), (name, content)


@pytest.mark.better("B-D1", "B-D3", "B-D4", "B-D13", "B-S12")
def test_nothing_says_a_secret(life: Life) -> None:
    """No error, no output of a command, no audit record and no export contains a secret that was used."""
    assert len(life.said) > 80
    assert life.find(life.said) == []


@pytest.mark.better("B-D1", "B-D3", "B-D4", "B-D13", "B-S12")
def test_no_file_holds_a_secret(life: Life) -> None:
    """No file of the data folder and no line of the log contains one, while the server runs and after it has ended."""
    key = life.server.data_dir / "master.key"
    assert "GET" in life.server.output()
    for _ in range(2):
        files = life.files()
        names = {path.name for path in files}
        assert names >= {"control.db", "data.db", "master.key"}
        assert life.find((str(path), path.read_bytes()) for path in files if path != key) == []
        life.server.stop()


@pytest.mark.better("B-D13")
def test_files_are_their_owners(life: Life) -> None:
    """With any umask only the owner can read or write the files of the data folder."""
    modes = {path.name: stat.filemode(path.stat().st_mode) for path in life.files() if path != life.server.log}
    assert {name: mode for name, mode in modes.items() if mode[4:] != "------"} == {}
    assert modes["master.key"] == "-rw-------"
