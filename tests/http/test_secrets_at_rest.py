"""No file of the instance has passwords, tokens or encrypted values in clear (B-D3, B-D4, B-D13)."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from apilane.testing.client import Client
from apilane.testing.server import Server
from tests.http.conftest import PROVIDER

OLD, NEW = "Old-secret-Passw0rd", "New-secret-Passw0rd"
SUPPLIER = "Very-Secret-Supplier"


@pytest.fixture(scope="module")
def secrets(server: Server, shop: Client) -> list[str]:
    """Secrets that the server received or sent, after each of them was used."""
    user = shop.signed_in("secretive", password=OLD)
    ids = user.add("Products", {"Title": "secret", "Supplier": SUPPLIER})
    user.change("Products", {"ID": ids[0], "Supplier": SUPPLIER + "2"})
    user.put("Account/ChangePassword", {"Password": OLD, "NewPassword": NEW})
    renewed = user.get("Account/RenewAuthToken").json()
    shop.post("Account/Login", {"Username": "secretive", "Password": "Wrong-secret-Passw0rd"})
    shop.get("Account/Confirm", token="11111111-2222-4333-8444-555555555555")
    assert user.user
    return [OLD, NEW, "Wrong-secret-Passw0rd", user.user, renewed, SUPPLIER, str(server.settings.admin_password)]


def _files(server: Server) -> list[Path]:
    return [server.log, *(path for path in server.data_dir.rglob("*") if path.is_file())]


@pytest.mark.better("B-D1", "B-D3", "B-D4")
def test_no_file_holds_a_secret(server: Server, secrets: list[str]) -> None:
    """No file of the data folder and no output of the server contains a secret as text, as hex or as base64."""
    files = _files(server)
    assert PROVIDER != "sqlite" or server.data_dir / "control.db" in files
    for path in files:
        content = path.read_bytes()
        for secret in secrets:
            plain = secret.encode()
            for form in (plain, plain.hex().encode(), base64.b64encode(plain)[:-4], plain.replace(b"-", b"")):
                assert form.lower() not in content.lower(), (path.name, secret)


@pytest.mark.better("B-D13")
def test_master_key_lies_alone(server: Server, secrets: list[str]) -> None:
    """Only the owner of the master key's file can read it, and no other file contains the key."""
    assert secrets
    key_file = server.data_dir / "master.key"
    assert key_file.stat().st_mode & 0o077 == 0
    key = key_file.read_bytes().strip()
    raw = base64.b64decode(key)
    for path in _files(server):
        if path != key_file:
            content = path.read_bytes()
            assert key not in content, path
            assert raw not in content, path


@pytest.mark.better("B-D13", "B-D3")
def test_the_same_value_twice(server: Server, shop: Client, secrets: list[str]) -> None:
    """Equal encrypted values and equal passwords are stored differently."""
    assert secrets
    user = shop.signed_in("twin", password=NEW)
    user.add("Products", {"Title": "twin a", "Supplier": "same"}, {"Title": "twin b", "Supplier": "same"})
    suppliers = server.sql(shop.token, """SELECT "Supplier" FROM "Products" WHERE "Title" LIKE 'twin _'""")
    passwords = server.sql(shop.token, 'SELECT "Password" FROM "Users"')
    assert len(set(suppliers)) == 2
    assert len(set(passwords)) == len(passwords) == 2
    assert all(password.startswith("$argon2id$") for (password,) in passwords)


@pytest.mark.better("B-D3")
def test_default_cost(tmp_path: Path, http, shop_manifest) -> None:  # type: ignore[no-untyped-def]
    """With default settings a password hash has the cost of the settings: 19 MiB and two passes."""
    with Server(tmp_path / "data") as server:
        client = Client(http, server.url, server.apply(shop_manifest))
        client.signed_in("costly")
        ((stored,),) = server.sql(client.token, 'SELECT "Password" FROM "Users"')
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
