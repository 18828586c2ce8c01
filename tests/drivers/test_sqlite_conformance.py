"""The SQLite driver under the suite that every driver passes."""

from __future__ import annotations

from pathlib import Path

import pytest

from apilane.testing.conformance import DriverCase, DriverConformance
from apilane_sqlite import SQLiteDriver
from apilane_sqlite.provision import fresh_database


class TestSQLite(DriverConformance):
    @pytest.fixture
    def driver_case(self, tmp_path: Path) -> DriverCase:
        return DriverCase(
            make_driver=SQLiteDriver,
            fresh_address=lambda: fresh_database(tmp_path),
            make_impatient_driver=lambda: SQLiteDriver(statement_timeout_s=1),
            raising_sql="CREATE TEMP TRIGGER t BEFORE UPDATE ON [Things] "
            "BEGIN SELECT RAISE(ABORT, 'Out of stock; sorry'); END; UPDATE [Things] SET [Count] = 1",
        )
