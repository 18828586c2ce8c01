"""The command line: help, version, listings, and one clear line for every expected failure."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from apilane.cli.main import COMMANDS, cli

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run ``python -m apilane`` in an empty folder."""

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "apilane", *arguments], capture_output=True, text=True, cwd=tmp_path, check=False
        )

    return call


def test_version(run: Run) -> None:
    """--version prints the version of the distribution."""
    assert version("apilane") in run("--version").stdout


def test_help_lists_every_command(run: Run) -> None:
    """--help names each command."""
    ran = run("--help")
    assert ran.returncode == 0
    assert all(f" {name} " in ran.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help(name: str) -> None:
    """Each command and each of its options has a help text."""
    import click

    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.name == name
    assert command.help
    assert all(option.help for option in command.params if isinstance(option, click.Option))


def test_plugins_lists_what_is_loaded(run: Run, tmp_path: Path) -> None:
    """``plugins`` lists name, version, source and hooks of each plugin, including the files of the plugins folder."""
    (tmp_path / "mine.py").write_text("__version__ = '0.9'\n")
    lines = run("plugins", "--plugins-dir", ".").stdout.splitlines()
    assert lines[0].split() == ["NAME", "VERSION", "SOURCE", "HOOKS"]
    assert ["mine", "0.9", "mine.py", "-"] in [line.split() for line in lines]
    assert any(line.split()[::3] == ["sqlite", "apilane_register_drivers"] for line in lines)


def test_hooks_lists_policy_and_order(run: Run) -> None:
    """``hooks`` lists each hook with its policy for answers and errors, and its plugins in order."""
    lines = [line.split() for line in run("hooks").stdout.splitlines()]
    drivers = ["mysql,", "postgresql,", "sqlite,", "sqlserver"]
    assert ["apilane_register_drivers", "named", "fail", *drivers] in lines


def test_drivers_lists_versions_and_features(run: Run) -> None:
    """``drivers`` lists each provider with the version of its client and its features."""
    (line,) = [line for line in run("drivers").stdout.splitlines() if line.startswith("SQLite ")]
    assert "apsw" in line
    assert "embedded" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plugins", "--plugins-dir", "none"], "Error: The plugins folder none does not exist"),
        (["serve", "--port", "x"], "Error: Setting port: 'x' is not accepted"),
        (["hooks", "--config", "none"], "Error: Cannot read the settings file none"),
        (["plugins", "--plugins-dir", "."], "Error: Plugin 'bad': cannot be imported from bad.py: ZeroDivisionError"),
    ],
)
def test_an_expected_failure_is_one_line(run: Run, tmp_path: Path, arguments: list[str], message: str) -> None:
    """An expected failure gives exit code 1 and one line on stderr, never a traceback."""
    (tmp_path / "bad.py").write_text("1 / 0\n")
    ran = run(*arguments)
    assert ran.returncode == 1
    assert ran.stderr.startswith(message)
    assert ran.stderr.count("\n") == 1
    assert ran.stdout == ""
