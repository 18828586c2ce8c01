"""The conformance suite for storage drivers: Apilane's requirements for a driver, as tests.

A driver's test file needs only this::

    class TestMyDriver(DriverConformance):
        @pytest.fixture
        def driver_case(self, tmp_path):
            return DriverCase(make_driver=MyDriver, fresh_address=lambda: ...)

With ``scope="class"``, as a class method, the tests of a class use one database. This is faster where tables are slow
to create.

Known gaps go into ``known``: test name -> reason; they are strict, so a gap that closes is noticed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import ClassVar

import pytest

# This comes before the imports of the test modules, so that a failing assert shows its values.
pytest.register_assert_rewrite(
    *(
        f"{__name__}.{module}"
        for module in (
            "concurrency",
            "conditions",
            "connections",
            "constraints",
            "exclusion",
            "features",
            "helper_tables",
            "filters",
            "hostile",
            "limits",
            "migrations",
            "records",
            "scripts",
            "secrets",
            "statistics",
            "types",
            "unique_texts",
            "units",
        )
    )
)

from apilane.testing.conformance.case import Database, DriverCase, open_database  # noqa: E402
from apilane.testing.conformance.concurrency import Concurrency  # noqa: E402
from apilane.testing.conformance.conditions import Conditions  # noqa: E402
from apilane.testing.conformance.connections import Connections  # noqa: E402
from apilane.testing.conformance.constraints import Constraints  # noqa: E402
from apilane.testing.conformance.exclusion import Exclusion  # noqa: E402
from apilane.testing.conformance.features import FlagsProven  # noqa: E402
from apilane.testing.conformance.filters import Filters  # noqa: E402
from apilane.testing.conformance.helper_tables import PrivateTables  # noqa: E402
from apilane.testing.conformance.hostile import Hostile  # noqa: E402
from apilane.testing.conformance.limits import LimitsTold  # noqa: E402
from apilane.testing.conformance.migrations import Migrations  # noqa: E402
from apilane.testing.conformance.records import Records  # noqa: E402
from apilane.testing.conformance.scripts import Scripts  # noqa: E402
from apilane.testing.conformance.secrets import Secrets  # noqa: E402
from apilane.testing.conformance.statistics import Statistics  # noqa: E402
from apilane.testing.conformance.types import Types  # noqa: E402
from apilane.testing.conformance.unique_texts import UniqueTexts  # noqa: E402
from apilane.testing.conformance.units import Units  # noqa: E402

__all__ = ["Database", "DriverCase", "DriverConformance"]


class DriverConformance(
    Connections,
    Records,
    Types,
    Filters,
    Conditions,
    Statistics,
    Constraints,
    UniqueTexts,
    Units,
    Concurrency,
    Exclusion,
    Scripts,
    Secrets,
    PrivateTables,
    Migrations,
    Hostile,
    LimitsTold,
    FlagsProven,
):
    """Every test of the suite; subclasses override ``driver_case`` and may fill ``known``."""

    known: ClassVar[dict[str, str]] = {}

    @pytest.fixture
    def driver_case(self) -> DriverCase:
        """The driver under test."""
        raise NotImplementedError("override the fixture driver_case")

    @pytest.fixture(scope="class")
    @classmethod
    def emptied(cls) -> dict[int, tuple[DriverCase, str]]:
        """Emptied databases to use again, by case: creating tables takes most of the time of a test."""
        return {}

    @pytest.fixture
    def db(self, driver_case: DriverCase, emptied: dict[int, tuple[DriverCase, str]]) -> Iterator[Database]:
        """A database with the suite's tables, all empty: a fresh one, or the emptied one of an earlier test of the
        case."""
        with asyncio.Runner() as runner:
            _, address = emptied.pop(id(driver_case), (driver_case, None))
            database = open_database(driver_case, runner, address)
            try:
                yield database
                if not database.altered:
                    database.empty()
                    emptied[id(driver_case)] = (driver_case, database.address)
            finally:
                database.close()

    @pytest.fixture(autouse=True)
    def _expected_gaps(self, request: pytest.FixtureRequest) -> None:
        reason = self.known.get(request.node.originalname)
        if reason is not None:
            request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
