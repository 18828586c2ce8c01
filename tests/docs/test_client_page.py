"""The table of methods in docs/howto/client.md has the parameters of the client.

The examples of the page run in ``tests/client/test_howto.py``.
"""

from __future__ import annotations

import inspect
import re

import pytest

from apilane.client import AsyncClient, Client
from tests.docs.pages import ROOT

TEXT = (ROOT / "docs" / "howto" / "client.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"`(\w+)\(([\w, ]*)\)`", TEXT.partition("## All methods")[2])


@pytest.mark.parametrize(("name", "parameters"), SHOWN)
@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_parameters_are_the_clients(client: type, name: str, parameters: str) -> None:
    """Each method in the table has exactly these parameters, in this order."""
    (_, *expected) = inspect.signature(getattr(client, name)).parameters
    assert parameters.split(", ") == (expected or [""])


def test_every_method_is_in_the_table() -> None:
    """The table contains every method."""
    methods = {name for name, method in vars(Client).items() if inspect.isfunction(method) and name[0] != "_"}
    assert methods - {name for name, _ in SHOWN} == {"send", "respond"}
