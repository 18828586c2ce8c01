"""Snapshots of records before each change (docs/reference/protocol/data-model.md section 7).

The call that reads them is not built yet.
"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from apilane.testing.client import PASSWORD, Client
from apilane.testing.server import Server


def _history(server: Server, client: Client, entity: str, id: int) -> list[tuple[int | None, dict[str, Any], int]]:
    text = 'SELECT "Owner", "Data", "Created" FROM "H_Entity_Change_Tracking" WHERE "Entity" = ? AND "RecordID" = ?'
    rows = server.sql(client.token, f'{text} ORDER BY "ID"', (entity, id))
    return [(owner, json.loads(data), created) for owner, data, created in rows]


@pytest.fixture(scope="module")
def keeper(shop: Client) -> Client:
    """A user who may change products."""
    return shop.signed_in("keeper", Firstname="K")


def test_put_and_delete(server: Server, keeper: Client) -> None:
    """Put and Delete keep the complete old row and the acting user; encrypted columns stay ciphertext."""
    record = {"Title": "tracked", "Price": 1.5, "InStock": True, "Released": "2026-01-31", "Supplier": "Acme"}
    (id,) = keeper.add("Products", record)
    assert _history(server, keeper, "Products", id) == []
    before = keeper.record("Products", id)
    assert keeper.change("Products", {"ID": id, "Price": 2}) == 1
    assert keeper.delete("Data/Delete", entity="Products", ids=id).json() == [id]
    (owner, first, created), (_, second, _) = _history(server, keeper, "Products", id)
    supplier = first.pop("Supplier")
    assert supplier not in ("", "Acme", None)
    assert first == {name: value for name, value in before.items() if name != "Supplier"}
    assert (second["Price"], second["Supplier"]) == (2, supplier)
    assert owner == before["Owner"]
    assert abs(created - time.time() * 1000) < 60_000


def test_array(server: Server, keeper: Client) -> None:
    """Each matched record of an array gets one snapshot per change; a record out of the caller's reach gets none."""
    first, second = keeper.add("Products", {"Title": "array a"}, {"Title": "array b"})
    changes = [
        {"ID": first, "Stock": 1},
        {"ID": first, "Stock": 2},
        {"ID": 999_999, "Stock": 1},
        {"ID": second, "Stock": 3},
    ]
    assert keeper.change("Products", changes) == 3
    stocks = [data["Stock"] for _, data, _ in _history(server, keeper, "Products", first)]
    assert stocks == [None, 1]
    assert len(_history(server, keeper, "Products", second)) == 1
    assert _history(server, keeper, "Products", 999_999) == []


@pytest.mark.better("B-D10")
def test_atomic(server: Server, keeper: Client) -> None:
    """A change that fails leaves no snapshot."""
    first, second = keeper.add("Products", {"Title": "atomic a"}, {"Title": "atomic b"})
    changes = [{"ID": first, "Stock": 1}, {"ID": second, "Title": "atomic a"}]
    assert keeper.put("Data/Put", changes, entity="Products").status_code == 400
    assert _history(server, keeper, "Products", first) == []


def test_untracked(server: Server, keeper: Client) -> None:
    """An entity without change tracking gets no snapshots."""
    (id,) = keeper.add("Notes", {"Text": "a"})
    keeper.change("Notes", {"ID": id, "Text": "b"})
    keeper.delete("Data/Delete", entity="Notes", ids=id)
    assert _history(server, keeper, "Notes", id) == []


@pytest.mark.better("B-D10", "B-D17")
def test_account_update(server: Server, shop: Client) -> None:
    """Account/Update keeps the user's old row without the password (B-D10); a login adds no snapshot."""
    user = shop.signed_in("historic", Firstname="before")
    id = user.get("Account/UserData").json()["User"]["ID"]
    assert user.put("Account/Update", {"Firstname": "after"}).status_code == 200
    assert user.put("Account/ChangePassword", {"Password": PASSWORD, "NewPassword": "Another-one1"}).status_code == 200
    assert shop.login("historic", "Another-one1")
    history = _history(server, shop, "Users", id)
    assert history
    owner, data, _ = history[0]
    assert (owner, data["Firstname"], data["EmailConfirmed"], data["Roles"]) == (id, "before", False, None)
    assert all("Password" not in kept and not any(name.startswith("H_") for name in kept) for _, kept, _ in history)
