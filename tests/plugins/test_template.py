"""The template plugin, installed beside Apilane with pip and copied with ``apilane new``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NAMES = ("availability_checks", "endpoint_kinds", "record_handlers", "settings", "tables")
HOOKS = ", ".join(f"apilane_register_{name}" for name in NAMES)


def run(*command: str | Path, folder: Path, path: Path | None = None) -> str:
    """Run a command; its output. ``path``: a folder of packages that precede the installed ones."""
    environment = {**os.environ, "PYTHONPATH": str(path or "")}
    done = subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install(source: Path, folder: Path) -> Path:
    """Install a distribution with pip into a folder, without the network; the folder."""
    site = folder / "site"
    offline = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-index", "--no-build-isolation")
    run("pip", "install", *offline, "--target", site, source, folder=folder)
    return site


def files(folder: Path) -> dict[str, str]:
    """The content of every file in a folder, by relative path."""
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["template", "opening-hours"])
def test_a_plugin_installed_and_tested_like_a_third_party(name: str, repository: Path, tmp_path: Path) -> None:
    """The template, and a copy made by ``apilane new``, can be installed, are listed and pass their tests."""
    source = tmp_path / f"apilane-{name}"
    if name == "template":
        shutil.copytree(repository / "contrib/template-plugin", source, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        run("apilane", "new", "plugin", name, folder=tmp_path)
        assert "template" not in str(files(source)).lower()
    site = install(source, tmp_path)
    (listed,) = [
        line for line in run("apilane", "plugins", folder=tmp_path, path=site).splitlines() if source.name in line
    ]
    assert listed.split(maxsplit=3) == [name.replace("-", "_"), "0.1.0", source.name, HOOKS]
    tested = run("pytest", "-q", "-p", "no:cacheprovider", "tests", folder=source, path=site)
    assert "10 passed" in tested


def test_the_wheel_carries_the_template(repository: Path, tmp_path: Path) -> None:
    """``apilane new`` makes the same copy from the wheel, without the repository."""
    site = install(repository, tmp_path)
    run("apilane", "new", "plugin", "one", "--folder", "shipped", folder=tmp_path, path=site)
    run("apilane", "new", "plugin", "one", "--folder", "here", folder=tmp_path)
    assert files(tmp_path / "shipped") == files(tmp_path / "here")
    assert (site / "apilane/templates/plugin").is_dir()
    assert (site / "apilane/templates/driver").is_dir()


@pytest.mark.parametrize(
    ("name", "reason"),
    [("auth", "is installed already"), ("Two Words", "is not a valid name"), ("mine", "exists already")],
)
def test_names_that_cannot_be(name: str, reason: str, tmp_path: Path) -> None:
    """A name that is in use or invalid is refused, and no file is written."""
    (tmp_path / "apilane-mine").mkdir()
    command = [sys.executable, "-m", "apilane", "new", "plugin", name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, reason in done.stderr, len(done.stderr.splitlines())) == (1, True, 1)
    assert [path.name for path in tmp_path.rglob("*")] == ["apilane-mine"]


@pytest.mark.parametrize("name", ["template-driver", "cloud-files"])
def test_a_driver_installed_and_tested_like_a_third_party(name: str, repository: Path, tmp_path: Path) -> None:
    """The template driver, and a copy by ``apilane new``, can be installed, are listed and pass the driver suite."""
    source = tmp_path / f"apilane-{name}"
    if name == "template-driver":
        shutil.copytree(repository / "contrib/template-driver", source, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        run("apilane", "new", "driver", name, folder=tmp_path)
        assert "templatedriver" not in str(files(source)).lower()
    site = install(source, tmp_path)
    listed = run("apilane", "drivers", folder=tmp_path, path=site)
    assert ("CloudFiles" if name == "cloud-files" else "Template") in [line.split()[0] for line in listed.splitlines()]
    tested = run("pytest", "-q", "-p", "no:cacheprovider", "tests", folder=source, path=site)
    assert " passed" in tested
    assert "xfailed" not in tested
