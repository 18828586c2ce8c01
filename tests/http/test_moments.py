"""A control store and an application's tables that are from different moments, on every driver."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from apilane.errors import ConfigurationError
from apilane.testing.client import Client, WireError, error_of
from apilane.testing.server import CHEAP_PASSWORDS, Server
from tests.http.test_places import MANIFEST

UNAVAILABLE = WireError("SERVICE_UNAVAILABLE", "Service unavailable")


def first_manifest() -> dict[str, Any]:
    """The manifest with a token of its own, by which a test on a server finds the database again."""
    return {**MANIFEST, "Application": {"Name": "Notes", "Token": str(uuid4())}}


def wider(token: str, **more: Any) -> dict[str, Any]:
    """The manifest with another property."""
    manifest = copy.deepcopy(MANIFEST)
    manifest["Application"] = {"Name": "Notes", "Token": token, **more}
    manifest["Entities"][0]["Properties"].append({"Name": "Author", "Type": "String"})
    manifest["Security"][1]["Properties"].append("Author")
    return manifest


def doctor(server: Server) -> tuple[int, str]:
    """Exit code and output of ``apilane doctor`` on the data folder of a server."""
    command = [str(Path(sys.executable).with_name("apilane")), "doctor"]
    ran = subprocess.run(command, env=server.environ, capture_output=True, text=True, check=False)
    return ran.returncode, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ('UPDATE "H_Schema" SET "Version" = 1', "are at version 1, its definition needs version 2"),
        ('UPDATE "H_Schema" SET "Version" = 7', "are at version 7, its definition at 3"),
        ('DELETE FROM "H_Schema"', "holds no tables of an application"),
        ('UPDATE "H_Fingerprint" SET "Fingerprint" = \'x\'', "but that version had other entities"),
    ],
)
def test_tables_of_another_moment(tmp_path: Path, http: httpx.Client, change: str, named: str) -> None:
    """Tables that do not belong to the definition are not served: one log line, doctor fails, apply refuses."""
    with Server(tmp_path / "data", settings=CHEAP_PASSWORDS) as first:
        token = first.apply(first_manifest())
        first.apply(wider(token))
        first.apply(wider(token, MaxAllowedFileSizeInKB=7))  # changes no table
        assert Client(http, first.url, token).get("Data/Get", entity="Notes").status_code == 200
    first.sql(token, change)
    with Server(tmp_path / "data", settings=CHEAP_PASSWORDS) as second:
        client = Client(http, second.url, token)
        for _ in range(5):
            assert error_of(client.get("Data/Get", entity="Notes")) == UNAVAILABLE
            assert error_of(client.post("Data/Post", {"Text": "x"}, entity="Notes")) == UNAVAILABLE
        assert second.output().count(named) == 1
        assert "Traceback" not in second.output()
        code, said = doctor(second)
        assert code == 1
        assert f"FAIL  application Notes ({token})" in said
        assert named in said
        with pytest.raises(ConfigurationError, match=r"backups of the same moment\. Nothing was changed"):
            second.apply(wider(token, MaxAllowedFileSizeInKB=8))
        with pytest.raises(ConfigurationError, match=r"backups of the same moment\. Nothing was changed"):
            second.apply(wider(token, MaxAllowedFileSizeInKB=7))


@pytest.mark.sqlite_only("it copies the files of the databases")
@pytest.mark.parametrize("restored", ["control.db", "data.db"])
def test_one_restored_without_the_other(tmp_path: Path, http: httpx.Client, restored: str) -> None:
    """One database restored without the other is refused in both directions, and both restored are served."""
    server = Server(tmp_path / "data", settings=CHEAP_PASSWORDS)
    with server:
        token = server.apply(first_manifest())
    path = server.data_dir / restored if restored == "control.db" else server.database(token)
    shutil.copy(path, tmp_path / "old")
    with server:
        server.apply(wider(token))
        assert Client(http, server.url, token).get("Data/Get", entity="Notes").status_code == 200
    shutil.copy(path, tmp_path / "new")
    (tmp_path / "old").replace(path)
    with server:
        client = Client(http, server.url, token)
        assert error_of(client.get("Data/Get", entity="Notes")) == UNAVAILABLE
        older = "the control store is older" if restored == "control.db" else "the database is older"
        assert server.output().count(older) == 1
        (tmp_path / "new").replace(path)
    with server:
        assert Client(http, server.url, token).get("Data/Get", entity="Notes").status_code == 200
        assert doctor(server)[0] == 0


@pytest.mark.sqlite_only("it copies the files of the databases")
@pytest.mark.parametrize("restored", ["control.db", "data.db"])
def test_another_moment_with_the_same_version(tmp_path: Path, http: httpx.Client, restored: str) -> None:
    """A database that is restored alone from a moment with the same version number and other entities is refused."""
    server, first = Server(tmp_path / "data", settings=CHEAP_PASSWORDS), first_manifest()
    token = first["Application"]["Token"]
    longer = copy.deepcopy(first)
    longer["Entities"][0]["Properties"].append({"Name": "Title", "Type": "String"})
    with server:
        server.apply(first)
    paths = [server.data_dir / "control.db", server.database(token)]
    for path in paths:
        shutil.copy(path, tmp_path / f"first-{path.name}")
    path = next(path for path in paths if path.name == restored)
    with server:
        server.apply(wider(token))
    shutil.copy(path, tmp_path / "wider")
    for each in paths:
        (tmp_path / f"first-{each.name}").replace(each)
    with server:
        server.apply(longer)
        assert Client(http, server.url, token).get("Data/Get", entity="Notes").status_code == 200
    shutil.copy(path, tmp_path / "longer")
    (tmp_path / "wider").replace(path)
    with server:
        client = Client(http, server.url, token)
        for _ in range(3):
            assert error_of(client.get("Data/Get", entity="Notes")) == UNAVAILABLE
        assert server.output().count("are at version 2, as its definition needs, but that version had other") == 1
        code, said = doctor(server)
        assert (code, "one of the two databases was restored alone" in said) == (1, True)
        with pytest.raises(ConfigurationError, match=r"Nothing was changed\. .*--adopt-tables"):
            server.apply(wider(token, MaxAllowedFileSizeInKB=8))
        (tmp_path / "longer").replace(path)
    with server:
        assert Client(http, server.url, token).get("Data/Get", entity="Notes").status_code == 200
        assert doctor(server)[0] == 0


@pytest.mark.sqlite_only("it copies the files of the databases")
def test_records_of_an_older_backup(tmp_path: Path, http: httpx.Client) -> None:
    """Tables that are restored alone, with the entities of the definition, are served: only records are older."""
    server, first = Server(tmp_path / "data", settings=CHEAP_PASSWORDS), first_manifest()
    token = first["Application"]["Token"]
    with server:
        server.apply(first)
        server.apply(wider(token))
    shutil.copy(server.database(token), tmp_path / "old")
    with server:
        server.apply(wider(token, MaxAllowedFileSizeInKB=7))
        assert Client(http, server.url, token).post("Data/Post", {"Text": "x"}, entity="Notes").status_code == 200
    (tmp_path / "old").replace(server.database(token))
    with server:
        assert Client(http, server.url, token).get("Data/Get", entity="Notes").json() == {"Data": []}
        assert doctor(server)[0] == 0


def adopting(server: Server, manifest: dict[str, Any], *more: str) -> tuple[int, str]:
    """Exit code and output of ``apilane apply --adopt-tables``."""
    path = server.data_dir.parent / "adopted.json"
    path.write_text(json.dumps(manifest))
    command = [str(Path(sys.executable).with_name("apilane")), "apply", "--adopt-tables", *more, str(path)]
    ran = subprocess.run(command, env=server.environ, capture_output=True, text=True, check=False)
    return ran.returncode, ran.stdout + ran.stderr


def test_other_tables_of_the_same_version(tmp_path: Path, http: httpx.Client) -> None:
    """Tables with the right version and other columns: doctor and apply say so; they can be adopted."""
    first = first_manifest()
    token = first["Application"]["Token"]
    with Server(tmp_path / "data", settings=CHEAP_PASSWORDS) as server:
        server.apply(first)
        assert Client(http, server.url, token).post("Data/Post", {"Text": "kept"}, entity="Notes").status_code == 200
        server.apply(wider(token))
    server.sql(token, 'ALTER TABLE "Notes" DROP COLUMN "Author"')
    lacks = "the table Notes lacks the column Author"
    with server:
        client = Client(http, server.url, token)
        code, said = doctor(server)
        assert code == 1
        assert lacks in said
        assert "--adopt-tables" in said
        with pytest.raises(ConfigurationError, match=rf"{lacks}\. .*Nothing was changed\. .*--adopt-tables"):
            server.apply(wider(token))
        code, said = adopting(server, wider(token))
        assert (code, lacks in said) == (1, True)
        code, said = adopting(server, first, "--dry-run")
        assert (code, "adopted as they are" in said, "LOSES DATA" in said) == (0, True, False)
        code, said = adopting(server, first)
        assert (code, f"Notes {token}" in said) == (0, True)
        assert client.get("Data/Get", entity="Notes", properties="Text").json() == {"Data": [{"ID": 1, "Text": "kept"}]}
        server.apply(wider(token))
        assert client.get("Data/Get", entity="Notes", properties="Text,Author").json() == {
            "Data": [{"ID": 1, "Text": "kept", "Author": None}]
        }
        assert doctor(server)[0] == 0


@pytest.mark.sqlite_only("it copies the files of the databases")
@pytest.mark.parametrize("restored", ["control.db", "data.db"])
def test_apply_repairs_what_was_restored_alone(tmp_path: Path, http: httpx.Client, restored: str) -> None:
    """A database restored without the other is taken over by the manifest that describes its tables, and no other."""
    server, first = Server(tmp_path / "data", settings=CHEAP_PASSWORDS), first_manifest()
    token = first["Application"]["Token"]
    with server:
        server.apply(first)
        assert Client(http, server.url, token).post("Data/Post", {"Text": "kept"}, entity="Notes").status_code == 200
    path = server.data_dir / restored if restored == "control.db" else server.database(token)
    shutil.copy(path, tmp_path / "old")
    with server:
        server.apply(wider(token))
        server.apply(wider(token, MaxAllowedFileSizeInKB=7))
    (tmp_path / "old").replace(path)
    fitting, other = (wider(token), first) if restored == "control.db" else (first, wider(token))
    with server:
        code, said = adopting(server, other)
        assert (code, "are not those of the manifest: the table Notes" in said) == (1, True)
        assert adopting(server, fitting)[0] == 0
        client = Client(http, server.url, token)
        assert client.get("Data/Get", entity="Notes", properties="Text").json() == {"Data": [{"ID": 1, "Text": "kept"}]}
        server.apply(wider(token))
        assert client.get("Data/Get", entity="Notes", properties="Author").json() == {
            "Data": [{"ID": 1, "Author": None}]
        }
        assert doctor(server)[0] == 0
