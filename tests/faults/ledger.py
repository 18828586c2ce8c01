"""The answers that each writer received, and a check that the database agrees with them.

A write without an answer may have happened or not, so a record has a set of possible states: None for absent.
Reading the database reduces the set to the state it has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from apilane.testing.server import Server

__all__ = ["Item", "Ledger", "check"]


class Item(NamedTuple):
    """The possible states of a record of Items. ``puts``: how many changes the history must contain."""

    unit: str
    amount: int
    group: int | None
    puts: int = 0


class Ledger:
    """The ledger of one writer. Its names are unique; the names of ``prizes`` are used by all writers."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.items: dict[str, set[Item | None]] = {}
        self.ids: dict[str, int] = {}
        self.groups: dict[str, set[int | None]] = {}
        """Names with their possible IDs; 0: any ID."""
        self.users: dict[str, set[bool]] = {}
        """Whether the registration may have happened."""
        self.tokens: list[str] = []
        self.prizes: dict[str, set[bool]] = {}
        """Whether this writer may have stored the prize."""
        self.surprises: list[str] = []
        self.done: Counter[str] = Counter()
        self.running_unit: list[str] = []

    def certain(self) -> list[str]:
        """Items that certainly exist, with a known ID."""
        return [name for name, states in self.items.items() if None not in states and len(states) == 1]


def check(server: Server, token: str, ledgers: Iterable[Ledger]) -> None:
    """Every acknowledged write is stored with its values, nothing else is, no unit is partial, the file is intact."""
    ledgers = list(ledgers)
    assert server.sql(token, "PRAGMA integrity_check") == [("ok",)]
    assert server.sql(token, "PRAGMA foreign_key_check") == []
    for ledger in ledgers:
        assert not ledger.surprises, ledger.surprises[:5]
    _check_groups(server, token, ledgers)
    _check_items(server, token, ledgers)
    _check_prizes(server, token, ledgers)
    _check_users(server, token, ledgers)


def _check_groups(server: Server, token: str, ledgers: list[Ledger]) -> None:
    stored = {str(name): int(id) for id, name in server.sql(token, 'SELECT "ID", "Name" FROM "Groups"')}
    for ledger in ledgers:
        for name, states in ledger.groups.items():
            found = stored.pop(name, None)
            assert found in states or (found is not None and 0 in states), (name, found, states)
            ledger.groups[name] = {found}
    assert not stored, f"no writer made the groups {stored}"


def _check_items(server: Server, token: str, ledgers: list[Ledger]) -> None:
    history = """SELECT "RecordID", COUNT(*) FROM "H_Entity_Change_Tracking" WHERE "Entity" = 'Items' GROUP BY 1"""
    puts = {int(id): int(count) for id, count in server.sql(token, history)}
    stored: dict[str, tuple[int, Item]] = {}
    for id, name, unit, amount, group in server.sql(
        token, 'SELECT "ID", "Name", "Unit", "Amount", "GroupID" FROM "Items"'
    ):
        stored[name] = (id, Item(unit, amount, group, puts.get(id, 0)))
    units: dict[str, set[bool]] = {}
    for ledger in ledgers:
        unanswered = set(ledger.running_unit)
        for name, states in ledger.items.items():
            id, found = stored.pop(name, (0, None))
            assert found in states, f"{name} is {found}, not of {states}"
            if name in ledger.ids and found is not None:
                assert id == ledger.ids[name], name
            if name in unanswered:
                units.setdefault(next(each.unit for each in states if each is not None), set()).add(found is None)
            ledger.items[name] = {found}
            ledger.ids[name] = id
        ledger.running_unit.clear()
    assert not stored, f"no writer made the items {list(stored.items())[:5]}"
    assert all(len(absent) == 1 for absent in units.values()), f"a unit is partly stored: {units}"


def _check_prizes(server: Server, token: str, ledgers: list[Ledger]) -> None:
    stored: dict[str, str] = {}
    for name, winner in server.sql(token, 'SELECT "Name", "Winner" FROM "Prizes"'):
        assert name not in stored, f"{name} was won twice"
        stored[name] = winner
    for ledger in ledgers:
        for name, states in ledger.prizes.items():
            won = stored.get(name) == ledger.name
            assert won in states, f"{name}: {ledger.name} won: {states}; stored: {stored.get(name)}"
            ledger.prizes[name] = {won}
    assert set(stored) <= {name for ledger in ledgers for name in ledger.prizes}


def _check_users(server: Server, token: str, ledgers: list[Ledger]) -> None:
    stored = [str(name) for (name,) in server.sql(token, 'SELECT "Username" FROM "Users"')]
    assert len(stored) == len(set(stored))
    for ledger in ledgers:
        for name, states in ledger.users.items():
            assert (name in stored) in states, (name, states)
            ledger.users[name] = {name in stored}
