"""``apilane owner-token``: it prints only the token on stdout, and clear refusals."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
ENVIRONMENT = {"APILANE_ADMIN_EMAIL": "Boss@example.com", "APILANE_ADMIN_PASSWORD": "long-enough-password"}
GUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\n"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the command in an empty folder."""

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "apilane", *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=ENVIRONMENT,
            check=False,
        )

    return call


def test_prints_the_token_alone(run: Run) -> None:
    """Each call prints only a new token, also on a new data folder and in any letter case of the address."""
    first, second = run("owner-token", "boss@EXAMPLE.com"), run("owner-token", "Boss@example.com", "--expires", "90s")
    assert re.fullmatch(GUID, first.stdout), first
    assert re.fullmatch(GUID, second.stdout), second
    assert first.stdout != second.stdout


def test_collaborators(run: Run, tmp_path: Path) -> None:
    """A collaborator of an application gets a token; any other address gets an explanation and exit code 1."""
    manifest = {"Apilane": 1, "Application": {"Name": "Shop"}, "Collaborators": ["Dev@example.com"]}
    (tmp_path / "shop.json").write_text(json.dumps(manifest))
    assert run("apply", "shop.json").returncode == 0
    assert re.fullmatch(GUID, run("owner-token", "dev@example.com").stdout)
    refused = run("owner-token", "nobody@example.com")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("Error: There is no portal user nobody@example.com")


@pytest.mark.parametrize("text", ["", "0s", "1", "h", "-1h", "1.5h", "1 h", "366d", "9999999999h", "١h"])
def test_refused_times(run: Run, text: str) -> None:
    """An unreadable duration, zero, or more than a year is a usage error that states what is expected."""
    refused = run("owner-token", "boss@example.com", f"--expires={text}")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "90s, 30m, 1h" in refused.stderr
