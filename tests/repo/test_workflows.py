"""The workflows of the repository's host are valid and refer to existing things."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from apilane.storage.connection_strings import parse_address
from apilane.testing.databases import KINDS

SCHEMES = {"sqlserver": "sqlserver", "mysql": "mysql", "mariadb": "mysql", "postgresql": "postgresql"}


@pytest.fixture(scope="module")
def workflow() -> dict[str, Any]:
    """The workflow that runs the tests."""
    path = Path(__file__).parents[2] / ".github" / "workflows" / "tests.yml"
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


def _commands(workflow: dict[str, Any]) -> list[str]:
    return [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]


def test_it_runs_on_every_push(workflow: dict[str, Any]) -> None:
    """The workflow runs on every push; YAML reads the key ``on`` as true."""
    assert "push" in workflow[True]


def test_every_kind_of_server_is_there(workflow: dict[str, Any]) -> None:
    """SQL Server, MySQL 8 and 9, MariaDB and PostgreSQL each have an address that its driver can read."""
    servers = workflow["jobs"]["database"]["strategy"]["matrix"]["include"]
    assert [server["image"].rpartition("/")[2].partition("-")[0] for server in servers] == [
        "server:2022", "mysql:8", "mysql:9", "mariadb:11.4", "postgres:17",
    ]  # fmt: skip
    for server in servers:
        scheme = server["url"].partition(":")[0]
        assert SCHEMES[scheme] == server["driver"]
        address = parse_address(f"{server['url']}x", provider="any", schemes=[scheme], default_port=1)
        assert address.port == server["port"]
        assert address.password in workflow["jobs"]["database"]["services"]["database"]["env"].values()


def test_the_variables_are_the_ones_that_tests_read(workflow: dict[str, Any]) -> None:
    """The workflow sets the variables of ``apilane.testing.databases`` and the HTTP suite, and requires the drivers."""
    servers = workflow["jobs"]["database"]["strategy"]["matrix"]["include"]
    assert {server["variable"] for server in servers} <= {f"APILANE_TEST_{kind.upper()}_URL" for kind in KINDS}
    assert all(server["variable"] == f"APILANE_TEST_{server['driver'].upper()}_URL" for server in servers)
    steps = {step.get("name", ""): step for step in workflow["jobs"]["database"]["steps"]}
    assert steps["HTTP suite"]["env"] == {"APILANE_TEST_PROVIDER": "${{ matrix.driver }}"}
    conftest = Path(__file__).parents[1] / "http" / "conftest.py"
    assert '"APILANE_TEST_PROVIDER"' in conftest.read_text(encoding="utf-8")


def test_its_commands_exist(workflow: dict[str, Any]) -> None:
    """Its make targets and test folders exist, and its packages are those that the Makefile names."""
    root = Path(__file__).parents[2]
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    commands = "\n".join(_commands(workflow))
    for target in re.findall(r"^make ([\w-]+)$", commands, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    for folder in re.findall(r" (tests/\w+)", commands):
        assert (root / folder).is_dir()
    wanted = re.search(r'^tools:.*\n.*PACKAGES="([^"]+)"', makefile, re.MULTILINE)
    assert wanted is not None
    installed = set(re.findall(r"[\w-]+", _commands(workflow)[0]))
    assert set(wanted[1].split()) <= installed
