"""Applications and callers for a server that a test mistreats."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    """Connections that wait longer than the server may queue a write."""
    with httpx.Client(trust_env=False, timeout=30) as client:
        yield client
