"""Schemathesis calls the demo application as its OpenAPI document says, with usual, extreme and random values.

No answer is an unexpected failure, and every answer has a documented status, content type, header and schema.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from apilane.testing.client import Client
from apilane.testing.server import Server

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
ENDS_THE_SESSION = ("/api/Account/Logout", "/api/Account/RenewAuthToken", "/api/Account/ChangePassword")
EXAMPLES = 3
"""Random calls of each operation, after those with usual and extreme values."""
SEED = 19


def run(client: Client, folder: Path, *options: str) -> tuple[set[str], dict[str, set[int]]]:
    """Run Schemathesis as a client. Returns the tested operations, and the statuses by path."""
    report = folder / "calls.har"
    headers = [f"--header={name}: {value}" for name, value in client.headers().items()]
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{client.url}/openapi.json"]
    command += [*headers, "--url", client.url, "--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing"]
    command += ["--max-examples", str(EXAMPLES), "--seed", str(SEED), "--continue-on-failure", "--no-color"]
    command += ["--report", "har", "--report-har-path", str(report), *options]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-8000:] + ran.stderr[-2000:]
    selected = re.search(r"Selected: (\d+)/\d+\s+Tested: (\d+)", ran.stdout)
    assert selected is not None, ran.stdout
    assert selected[1] == selected[2], ran.stdout
    statuses: dict[str, set[int]] = defaultdict(set)
    for entry in json.loads(report.read_text(encoding="utf-8"))["log"]["entries"]:
        path = urlsplit(entry["request"]["url"]).path
        statuses[f"{entry['request']['method']} {path}"].add(entry["response"]["status"])
    return set(statuses), statuses


def listed(client: Client) -> set[str]:
    """The operations of a client's document."""
    document: dict[str, Any] = client.http.get(f"{client.url}/openapi.json", headers=client.headers()).json()
    return {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}


@pytest.fixture(scope="module")
def editor(atlas: Client, operator: Client) -> Client:
    """A user with the role ``editor``, and some records."""
    user = atlas.signed_in("eddy")
    (found,) = (each for each in operator.records("Users") if each["Username"] == "eddy")
    operator.change("Users", {"ID": found["ID"], "Roles": "editor"})
    (country,) = operator.add(
        "Countries", {"Name": "Greece", "Code": "GR", "LongCode": "GRC", "Continent": "Europe", "Population": 1}
    )
    (city,) = operator.add("Cities", {"Name": "Athens", "CountryID": country, "Latitude": 37.98, "Longitude": 23.73})
    user.add("Favourites", {"CityID": city})
    user.add("Trips", {"Title": "A week", "CityID": city, "Starts": "2027-04-30", "Budget": 2.5, "Notes": "private"})
    return user


def test_anonymous_callers(editor: Client, tmp_path: Path) -> None:
    """Every call of a caller without a token."""
    anonymous = editor.as_user(None)
    tested, statuses = run(anonymous, tmp_path)
    assert tested >= listed(anonymous)
    assert 200 in statuses["GET /api/Data/Get"]


def test_users(editor: Client, tmp_path: Path) -> None:
    """Every call of a user with a role; those that end the token come last."""
    wanted = listed(editor)
    tested, statuses = run(editor, tmp_path, *(f"--exclude-path={path}" for path in ENDS_THE_SESSION))
    last, _ = run(editor, tmp_path, *(f"--include-path={path}" for path in ENDS_THE_SESSION))
    assert tested | last >= wanted
    for call in ("GET /api/Data/Get", "POST /api/Data/Post", "GET /api/Stats/Aggregate", "GET /api/Account/UserData"):
        assert 200 in statuses[call], call


def test_operators(operator: Client, editor: Client, server: Server, tmp_path: Path) -> None:
    """Every call of an operator, and no line about a failure in the log of the server."""
    wanted = {each.replace("{name}", "Try") for each in listed(operator)}
    tested, statuses = run(operator, tmp_path)
    custom = {re.sub(r"(/api/Custom)/.*", r"\1/Try", each) for each in tested}
    assert custom >= wanted
    for call in ("POST /api/Data/Post", "GET /api/Application/Export", "GET /api/EntityHistory/Get"):
        assert 200 in statuses[call], call
    assert "Traceback" not in server.output()
