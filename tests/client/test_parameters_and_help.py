"""Values of custom endpoints' parameters, and the signatures that ``help`` shows."""

from __future__ import annotations

import inspect
import pydoc
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, get_type_hints
from uuid import UUID

import pytest

from apilane.client import AsyncClient, Client, Page
from apilane.client.call import target_of
from tests.client.test_requests import TOKEN, _call


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "5"),
        (-1, "-1"),
        (0.5, "0.5"),
        (Decimal("1E+3"), "1000"),
        (True, "true"),
        (False, "false"),
        ("a b&c", "a%20b%26c"),
        ("", ""),
        (date(2026, 3, 1), "2026-03-01"),
        (datetime(2026, 3, 1, 14, tzinfo=timezone(timedelta(hours=2))), "2026-03-01%2012%3A00%3A00.000"),
        (UUID(TOKEN), TOKEN),
    ],
)
def test_values_of_custom_parameters(value: Any, text: str) -> None:
    """A custom endpoint's parameter takes every type that a typed parameter can have, in its wire form."""
    assert target_of(_call(lambda c: c.custom("X", Value=value))) == f"/api/Custom/X?Value={text}"


@pytest.mark.parametrize("value", [float("nan"), Decimal("inf"), datetime(2026, 3, 1), b"x"])
def test_values_that_a_custom_parameter_cannot_have(value: Any) -> None:
    """Values without a wire form are refused before anything is sent."""
    with pytest.raises((ValueError, TypeError)):
        target_of(_call(lambda c: c.custom("X", Value=value)))


@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_signatures_show_results(client: type) -> None:
    """``help`` shows for each method the type of its result, and never the internal ``Call``."""
    assert str(inspect.signature(client.get)).endswith("total: 'bool' = False) -> 'Page'")  # type: ignore[attr-defined]
    for name, method in vars(client).items():
        if inspect.isfunction(method) and name[0] != "_" and name not in {"send", "respond"}:
            assert "Call" not in str(inspect.signature(method).return_annotation), name
            assert "Call" not in pydoc.render_doc(method).partition("\n\n")[2].partition("\n")[0], name
    assert get_type_hints(client.get)["return"] is Page  # type: ignore[attr-defined]
