"""Fixtures and options for all tests; servers and databases are defined near the tests that need them."""

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

# A slow machine is not a failure, so examples have no deadline.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts background jobs with SIGINT ignored, and the processes that the tests start and interrupt would
    # inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options."""
    parser.addoption("--update-golden", action="store_true", help="write the golden files, compare nothing")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root folder of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def http() -> Iterator[httpx.Client]:
    """One connection pool; its timeout is longer than a write may wait in the server's queue."""
    with httpx.Client(trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's APILANE_ variables must not affect tests; APILANE_TEST_ variables name servers and stay."""
    for name in list(os.environ):
        if name.startswith("APILANE_") and not name.startswith("APILANE_TEST_"):
            monkeypatch.delenv(name)
