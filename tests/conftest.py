"""What every test may use; servers and databases live beside the tests that need them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["apilane.testing.plugin"]

ROOT = Path(__file__).parent.parent

# A slow machine is no failure: the clock decides nothing.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts background jobs like this, and what the tests start and interrupt would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options."""
    parser.addoption("--update-golden", action="store_true", help="write the golden files, compare nothing")


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def http() -> Iterator[httpx.Client]:
    """One connection pool; waits longer than the server may queue a write."""
    with httpx.Client(trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own APILANE_ variables must not change what a test sees (APILANE_TEST_ ones name servers)."""
    for name in list(os.environ):
        if name.startswith("APILANE_") and not name.startswith("APILANE_TEST_"):
            monkeypatch.delenv(name)
