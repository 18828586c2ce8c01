"""The conformance suite of Apilane's drivers, run on this driver."""

from __future__ import annotations

from pathlib import Path

import pytest

from apilane.testing.conformance import DriverCase, DriverConformance
from apilane_template_driver import TemplateDriver


class TestTemplateDriver(DriverConformance):
    @pytest.fixture
    def driver_case(self, tmp_path: Path) -> DriverCase:
        addresses = (str(tmp_path / f"{number}.db") for number in range(1000))
        return DriverCase(make_driver=TemplateDriver, fresh_address=lambda: next(addresses))
