"""The pytest plugin for tests on database servers: ``pytest_plugins = ["apilane.testing.plugin"]`` in a conftest.

``server_url`` returns the URL of a server, or skips with the reason; ``--require-drivers`` turns the skip into a
failure. ``--matrix`` writes the results of the conformance suite for each driver (``matrix``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from apilane.testing.databases import KINDS, NoServerError, SharedServers
from apilane.testing.matrix import MatrixWriter

__all__ = ["ServerUrl"]

ServerUrl = Callable[[str], str]
"""Takes a kind of server (``apilane.testing.databases.KINDS``) and returns a URL; skips the test when there is none."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("apilane", "Apilane's drivers")
    group.addoption(
        "--require-drivers",
        default="",
        metavar="NAMES",
        help="drivers whose tests must not be skipped, separated by commas: sqlite, " + ", ".join(KINDS),
    )
    group.addoption(
        "--matrix",
        type=Path,
        metavar="FILE",
        help="write the results of the conformance suite for each driver, as JSON; run the whole suite for it",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse an unknown name, which would otherwise have no effect."""
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
    """The URL of a server for the whole run: ``server_url("postgresql")``."""
    folder = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):  # with pytest-xdist the folder of a worker is inside that of the run
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
