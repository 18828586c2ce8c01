"""``apilane doctor`` reports problems and what to do about them; it changes nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.manifests import SHOP, read_manifest


def apilane(*arguments: object) -> tuple[int, str]:
    """Run the command; its exit code and stdout."""
    command = [sys.executable, "-m", "apilane", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + (done.stderr if done.returncode and not done.stdout else "")


@pytest.fixture
def instance(tmp_path: Path) -> Path:
    """A data folder with one application."""
    code, text = apilane("apply", SHOP, "--data-dir", tmp_path / "data", "--yes")
    assert code == 0, text
    return tmp_path / "data"


def test_a_new_folder_stays_unchanged(tmp_path: Path) -> None:
    """Before the first use the doctor reports no problem and creates no file."""
    code, text = apilane("doctor", "--data-dir", tmp_path / "data")
    assert code == 0
    assert "not created yet" in text
    assert not (tmp_path / "data").exists()


def test_a_healthy_instance_has_no_findings(instance: Path) -> None:
    """The doctor checks data folder, control store and every application; every line of a healthy one is ok."""
    code, text = apilane("doctor", "--data-dir", instance)
    assert code == 0
    assert {line.split()[0] for line in text.splitlines()} == {"ok"}, text
    assert [line.split(":")[0].split()[1] for line in text.splitlines()][-1] == "application"


def test_a_lost_database_is_named(instance: Path) -> None:
    """An application whose database file is missing fails with advice and exit code 1; no empty file is created."""
    (file,) = instance.glob("apps/*/data.db")
    file.unlink()
    code, text = apilane("doctor", "--data-dir", instance)
    assert code == 1
    (line,) = [line for line in text.splitlines() if line.startswith("FAIL")]
    assert "data.db is missing" in line
    assert "backup" in line
    assert not file.exists()


def test_a_damaged_database_is_named(instance: Path) -> None:
    """A damaged database file fails, and the other applications are still checked."""
    (file,) = instance.glob("apps/*/data.db")
    content = bytearray(file.read_bytes())
    content[4096 : 3 * 4096] = b"x" * 8192
    file.write_bytes(content)
    code, text = apilane("doctor", "--data-dir", instance)
    assert code == 1
    assert "FAIL  application Shop" in text
    assert "ok    control store" in text


def test_a_wrong_key_is_named(instance: Path) -> None:
    """A master key of another instance is reported before it is used to decrypt."""
    import base64

    (instance / "master.key").write_text(base64.b64encode(b"k" * 32).decode())
    code, text = apilane("doctor", "--data-dir", instance)
    assert code == 1
    assert "master key" in text


def test_a_manifest_whose_variable_is_missing(tmp_path: Path) -> None:
    """A manifest whose connection string refers to a missing variable is reported, and is not a success."""
    manifest = read_manifest(SHOP)
    manifest["Application"] |= {"StorageProvider": "PostgreSQL", "ConnectionString": "${NOWHERE_DATABASE}"}
    file = tmp_path / "shop.json"
    file.write_text(json.dumps(manifest))
    code, text = apilane("doctor", file, "--data-dir", tmp_path / "data")
    assert code == 1
    assert "the environment variable NOWHERE_DATABASE is not set" in text


def test_the_database_of_a_manifest(tmp_path: Path) -> None:
    """The connection string of a manifest is tried before it is applied; a failure is reported without the password."""
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


@pytest.mark.parametrize(
    ("application", "line"),
    [
        ({"Name": "${NOPE}"}, "shop.json:1: Application.Name: the environment variable NOPE is not set. Set it"),
        ({"StorageProvider": "${NOPE}", "ConnectionString": "x"}, "Application.StorageProvider: the environment vari"),
        ({"StorageProvider": 7, "ConnectionString": "x"}, "Application.StorageProvider: expected text, found the numb"),
        (["Shop"], "Application: expected a mapping"),
        (None, "shop.json:1: not JSON"),
    ],
)
def test_a_manifest_with_mistakes(tmp_path: Path, application: object, line: str) -> None:
    """Mistakes in the form of a manifest are reported as findings, with exit code 1."""
    manifest = read_manifest(SHOP)
    if isinstance(application, dict):
        application = manifest["Application"] | application
    file = tmp_path / "shop.json"
    file.write_text(json.dumps(manifest | {"Application": application}) if application else "{,}")
    code, text = apilane("doctor", file, "--data-dir", tmp_path / "data")
    assert code == 1
    assert "FAIL" in text
    assert line in text
    assert "Traceback" not in text
