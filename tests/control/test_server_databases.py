"""Applying definitions whose tables are on a database server: the cases that exist only there."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from apilane.testing.plugin import ServerUrl
from apilane_mysql.progress import PROGRESS_TABLE
from apilane_mysql.provision import administer, drop_database, fresh_database
from apilane_postgresql import provision as postgresql
from apilane_postgresql.provision import drop_database as drop_postgresql_database
from apilane_postgresql.provision import execute
from tests.manifests import SHOP, read_manifest


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A manifest whose connection string comes from the environment."""
    manifest = read_manifest(SHOP)
    del manifest["CustomEndpoints"]
    manifest["Security"] = [rule for rule in manifest["Security"] if "CustomEndpoint" not in rule]
    manifest["Application"] |= {"StorageProvider": "MySQL", "ConnectionString": "${SHOP_DB}"}
    file = tmp_path / "shop.json"
    file.write_text(json.dumps(manifest))
    return file


def apply(file: Path, address: str, **more: str) -> tuple[int, str]:
    """Run ``apilane apply``; its exit code and output."""
    command = [sys.executable, "-m", "apilane", "apply", str(file), "--yes", "--data-dir", str(file.parent / "data")]
    environment = {**os.environ, "SHOP_DB": address, **more}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(params=["MySQL", "PostgreSQL"])
def two_databases(request: pytest.FixtureRequest, server_url: ServerUrl) -> Iterator[tuple[str, str, str]]:
    """A provider, and two empty databases of it."""
    provider: str = request.param
    server = server_url(provider.lower())
    if provider == "MySQL":
        made = fresh_database(server), fresh_database(server)
        yield provider, *made
        for address in made:
            drop_database(address)
    else:
        first, second = (asyncio.run(postgresql.fresh_database(server)) for _ in range(2))
        yield provider, first, second
        for address in (first, second):
            asyncio.run(postgresql.drop_database(address, server))


def test_control_store_and_application_are_apart(shop: Path, two_databases: tuple[str, str, str]) -> None:
    """An application in the control store's database is refused, new or moved there, and so is the reverse."""
    provider, control, other = two_databases
    manifest = json.loads(shop.read_text())
    manifest["Application"]["StorageProvider"] = provider
    shop.write_text(json.dumps(manifest))
    store = {"APILANE_CONTROL_PROVIDER": provider, "APILANE_CONTROL_URL": control}
    code, text = apply(shop, control, **store)
    assert code == 1
    assert "is the control store of an instance" in text
    code, text = apply(shop, other, **store)
    assert code == 0, text
    code, text = apply(shop, control, **store)
    assert code == 1
    assert "is the control store of an instance" in text
    code, text = apply(shop, other, **(store | {"APILANE_CONTROL_URL": other, "APILANE_DATA_DIR": "elsewhere"}))
    assert code == 1
    assert "holds the tables of an application" in text


def test_unfinished_tables_are_no_success(shop: Path, server_url: ServerUrl) -> None:
    """While a change of the tables is unfinished, applying the previous definition does not report success."""
    server = server_url("mysql")
    address = fresh_database(server)
    try:
        code, text = apply(shop, address)
        assert code == 0, text
        table = f"`{urlsplit(address).path[1:]}`.`{PROGRESS_TABLE}`"
        begun = f"INSERT INTO {table} (`ID`, `Statement`, `Done`) VALUES (1, 'ALTER TABLE `Notes` ...', 0)"
        administer(address, begun)
        code, text = apply(shop, address)
        assert code == 1
        assert "half-way" in text
    finally:
        drop_database(address)


def test_a_new_connection_string_must_lead_to_the_tables(shop: Path, server_url: ServerUrl) -> None:
    """A connection string to a database without the application's tables is refused; its data would be lost."""
    server = server_url("mysql")
    address, empty = fresh_database(server), fresh_database(server)
    try:
        assert apply(shop, address)[0] == 0
        code, text = apply(shop, empty)
        assert code == 1
        assert "none of its tables" in text
        assert apply(shop, address)[0] == 0
    finally:
        drop_database(address)
        drop_database(empty)


def test_an_unfit_database_is_refused_before_anything_is_made(tmp_path: Path, server_url: ServerUrl) -> None:
    """A database that doctor calls unfit (LATIN1) is refused by apply and its dry run, also as the control store, and
    the application of another file is not made."""
    server = server_url("postgresql")
    name = f"latin_{os.getpid()}"
    asyncio.run(execute(server, f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"))
    address = urlsplit(server)._replace(path=f"/{name}").geturl()
    try:
        first = "Apilane: 1\nApplication: {Name: First}\nEntities: [{Name: Items, Properties: [{Name: Title}]}]\n"
        (tmp_path / "first.yaml").write_text(first)
        place = 'Name: Second, StorageProvider: PostgreSQL, ConnectionString: "${SHOP_DB}"'
        (tmp_path / "second.yaml").write_text(first.replace("Name: First", place))
        command = [sys.executable, "-m", "apilane"]
        data = ["--data-dir", str(tmp_path / "data")]
        both = [str(tmp_path / "first.yaml"), str(tmp_path / "second.yaml")]
        environment = {**os.environ, "SHOP_DB": address}
        store = {**environment, "APILANE_CONTROL_URL": address, "APILANE_CONTROL_PROVIDER": "PostgreSQL"}
        for arguments, variables in (
            (["apply", *both, *data], environment),
            (["apply", *both, *data, "--dry-run"], environment),
            (["apply", both[0], *data], store),
        ):
            done = subprocess.run(
                [*command, *arguments], capture_output=True, text=True, check=False, env=variables, timeout=60
            )
            assert (done.returncode, done.stdout) == (1, ""), done.stderr
            assert "encoding is LATIN1" in done.stderr
            assert "ENCODING 'UTF8'" in done.stderr
        assert not list((tmp_path / "data").glob("apps/*"))
        checked = [*command, "doctor", both[1], *data]
        done = subprocess.run(checked, capture_output=True, text=True, check=False, env=environment, timeout=60)
        assert done.returncode == 1
        assert "encoding is LATIN1" in done.stdout
    finally:
        asyncio.run(drop_postgresql_database(address, server))
