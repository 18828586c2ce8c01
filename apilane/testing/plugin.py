"""The pytest plugin for tests on database servers: ``pytest_plugins = ["apilane.testing.plugin"]`` in a conftest.

``server_url`` gives a server of a kind, or skips with the reason; ``--require-drivers`` turns that skip into a failure.
``--matrix`` writes what the conformance suite found of each driver (``matrix``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from apilane.testing.databases import KINDS, NoServerError, SharedServers
from apilane.testing.matrix import MatrixWriter

__all__ = ["ServerUrl"]

ServerUrl = Callable[[str], str]
"""From a kind of server (``apilane.testing.databases.KINDS``) to the URL of one; skips where there is none."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options."""
    group = parser.getgroup("apilane", "Apilane's drivers")
    group.addoption(
        "--require-drivers",
        default="",
        metavar="NAMES",
        help="comma list of drivers whose tests must not be skipped: sqlite, " + ", ".join(KINDS),
    )
    group.addoption(
        "--matrix",
        type=Path,
        metavar="FILE",
        help="write what the conformance suite finds of each driver, as JSON; run it whole, with every driver",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a misspelt name, which would require nothing."""
    unknown = _required(config) - {"sqlite", *KINDS}
    if unknown:
        raise pytest.UsageError(f"--require-drivers: unknown {', '.join(sorted(unknown))}")
    path = config.getoption("--matrix")
    if path is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(MatrixWriter(path))


def _required(config: pytest.Config) -> set[str]:
    return {name.strip().lower() for name in config.getoption("--require-drivers").split(",") if name.strip()}


@pytest.fixture(scope="session")
def server_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerUrl]:
    """A server of a kind for the whole run: ``server_url("postgresql")``."""
    folder = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):  # of pytest-xdist: the folder of this worker lies in that of the run
        folder = folder.parent
    required = _required(request.config)
    with SharedServers(folder) as servers:

        def url(kind: str) -> str:
            try:
                return servers.url(kind)
            except NoServerError as error:
                if kind in required:
                    pytest.fail(f"--require-drivers={kind}: {error}", pytrace=False)
                pytest.skip(str(error))

        yield url
