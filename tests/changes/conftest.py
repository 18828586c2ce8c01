"""A fresh instance for each test."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.changes.workshop import Workshop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    """An instance without applications."""
    with asyncio.Runner() as runner:
        workshop = Workshop(tmp_path / "data", runner)
        yield workshop
        workshop.close()
