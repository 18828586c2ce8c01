"""The page of requirements beyond the protocol is complete (tests/plugins checks that it is up to date)."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def better(repository: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that reads the markers."""
    monkeypatch.syspath_prepend(str(repository / "docs"))
    from generators import better

    for name in [name for name in sys.modules if name.partition(".")[0] == "generators"]:
        monkeypatch.delitem(sys.modules, name)
    return better


def test_every_label_is_known(better: ModuleType) -> None:
    """A marker names a built requirement; a waiting requirement is moved when it gets its first test."""
    assert {label: places for label, places in better.proven().items() if label not in better.BUILT} == {}


def test_every_built_line_is_proven(better: ModuleType) -> None:
    """Each built requirement has a test with its label."""
    proven = better.proven()
    assert [label for label in better.BUILT if label not in proven] == []
    assert set(better.BUILT).isdisjoint(better.LATER)
