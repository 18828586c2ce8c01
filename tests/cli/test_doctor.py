"""``apilane doctor`` finds what is wrong and says what to do; it changes nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.manifests import SHOP, read_manifest


def apilane(*arguments: object) -> tuple[int, str]:
    """Exit code and what stdout holds."""
    command = [sys.executable, "-m", "apilane", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + (done.stderr if done.returncode and not done.stdout else "")


@pytest.fixture
def instance(tmp_path: Path) -> Path:
    """A data folder with one application."""
    code, text = apilane("apply", SHOP, "--data-dir", tmp_path / "data", "--yes")
    assert code == 0, text
    return tmp_path / "data"


def test_a_new_folder_is_left_alone(tmp_path: Path) -> None:
    """Before the first command there is nothing to find, and the doctor makes nothing."""
    code, text = apilane("doctor", "--data-dir", tmp_path / "data")
    assert code == 0
    assert "not created yet" in text
    assert not (tmp_path / "data").exists()


def test_a_whole_instance_is_found_whole(instance: Path) -> None:
    """Data folder, control store and every application are looked at, and nothing fails or needs advice."""
    code, text = apilane("doctor", "--data-dir", instance)
    assert code == 0
    assert {line.split()[0] for line in text.splitlines()} == {"ok"}, text
    assert [line.split(":")[0].split()[1] for line in text.splitlines()][-1] == "application"


def test_a_lost_database_is_named(instance: Path) -> None:
    """The application whose file is gone fails with advice; exit code 1; no empty file takes its place."""
    (file,) = instance.glob("apps/*/data.db")
    file.unlink()
    code, text = apilane("doctor", "--data-dir", instance)
    assert code == 1
    (line,) = [line for line in text.splitlines() if line.startswith("FAIL")]
    assert "data.db is missing" in line
    assert "backup" in line
    assert not file.exists()


def test_a_damaged_database_is_named(instance: Path) -> None:
    """A file that is no whole database fails, and the others are looked at all the same."""
    (file,) = instance.glob("apps/*/data.db")
    content = bytearray(file.read_bytes())
    content[4096 : 3 * 4096] = b"x" * 8192
    file.write_bytes(content)
    code, text = apilane("doctor", "--data-dir", instance)
    assert code == 1
    assert "FAIL  application Shop" in text
    assert "ok    control store" in text


def test_a_wrong_key_is_named(instance: Path) -> None:
    """A master key of another instance is found before anything is decrypted with it."""
    import base64

    (instance / "master.key").write_text(base64.b64encode(b"k" * 32).decode())
    code, text = apilane("doctor", "--data-dir", instance)
    assert code == 1
    assert "master key" in text


def test_a_manifest_whose_variable_is_missing(tmp_path: Path) -> None:
    """A database whose address is not known cannot be looked at, which is said and is no success."""
    manifest = read_manifest(SHOP)
    manifest["Application"] |= {"StorageProvider": "PostgreSQL", "ConnectionString": "${NOWHERE_DATABASE}"}
    file = tmp_path / "shop.json"
    file.write_text(json.dumps(manifest))
    code, text = apilane("doctor", file, "--data-dir", tmp_path / "data")
    assert code == 1
    assert "the environment variable NOWHERE_DATABASE is not set" in text


def test_the_database_of_a_manifest(tmp_path: Path) -> None:
    """A manifest's connection string is tried before it is applied; what fails is named without the password."""
    manifest = read_manifest(SHOP)
    manifest["Application"] |= {
        "StorageProvider": "PostgreSQL",
        "ConnectionString": "postgresql://shop:s3cret-w0rd@127.0.0.1:1/shop",
    }
    file = tmp_path / "shop.json"
    file.write_text(json.dumps(manifest))
    code, text = apilane("doctor", file, "--data-dir", tmp_path / "data")
    assert code == 1
    assert "FAIL" in text
    assert "127.0.0.1" in text
    assert "s3cret" not in text
