"""The lock (``constraints.txt``) and the supported Pythons, without the network; ``make lock-check`` resolves again."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


@pytest.fixture(scope="module")
def project(repository: Path) -> dict[str, Any]:
    """The section ``project`` of ``pyproject.toml``."""
    loaded: dict[str, Any] = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return loaded


@pytest.fixture(scope="module")
def lock(repository: Path) -> str:
    """The text of the lock."""
    return (repository / "constraints.txt").read_text(encoding="utf-8")


def declared(project: dict[str, Any]) -> Iterator[Requirement]:
    """Every requirement on another package, with all extras."""
    for text in [
        *project["dependencies"],
        *(text for extra in project["optional-dependencies"].values() for text in extra),
    ]:
        requirement = Requirement(text)
        if requirement.name != project["name"]:
            yield requirement


def test_every_requirement_is_locked(project: dict[str, Any], lock: str) -> None:
    """Each requirement has at least one locked version, and allows each locked version of its package."""
    locked: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==(\S+)", lock, re.MULTILINE):
        locked.setdefault(canonicalize_name(name), []).append(version)
    for requirement in declared(project):
        versions = locked.get(canonicalize_name(requirement.name))
        assert versions, f"{requirement.name} is not locked; run: make lock"
        assert all(version in requirement.specifier for version in versions), (
            f"{requirement}: {versions}; run: make lock"
        )


def test_the_lock_names_no_index(lock: str) -> None:
    """The lock names no package index, because that is a setting of the machine that installs."""
    assert "make lock" in lock.splitlines()[1]
    assert "://" not in lock
    assert not re.search(r"^\s*-", lock, re.MULTILINE)


def test_supported_pythons_are_tested(project: dict[str, Any], repository: Path) -> None:
    """The classifiers, ``make test-python`` and the workflow have the same Python versions."""
    versions = [text.rpartition(" ")[2] for text in project["classifiers"] if " :: Python :: 3" in text]
    makefile = (repository / "Makefile").read_text(encoding="utf-8")
    assert f"PYTHONS := {' '.join(versions)}\n" in makefile
    workflow = (repository / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    listed = ", ".join(f'"{version}"' for version in versions)
    assert f"python: [{listed}]" in workflow
