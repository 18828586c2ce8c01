"""Applying definitions whose tables are on a database server: the cases that exist only there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from apilane.testing.plugin import ServerUrl
from apilane_mysql.progress import PROGRESS_TABLE
from apilane_mysql.provision import administer, drop_database, fresh_database
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


def apply(file: Path, address: str) -> tuple[int, str]:
    """Run ``apilane apply``; its exit code and output."""
    command = [sys.executable, "-m", "apilane", "apply", str(file), "--yes", "--data-dir", str(file.parent / "data")]
    environment = {**os.environ, "SHOP_DB": address}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)
    return done.returncode, done.stdout + done.stderr


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
