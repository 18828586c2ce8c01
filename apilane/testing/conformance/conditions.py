"""Conditions of access rules: paths to related rows, and comparisons with the caller's row."""

from __future__ import annotations

from typing import Any

import pytest

from apilane.model.conditions import condition_text, parse_condition
from apilane.model.definition import ApplicationDefinition, SortKey
from apilane.model.filter import CallerValue
from apilane.runtime.conditions import OtherTables
from apilane.sql.conditions import Condition, bind_condition
from apilane.sql.select import ReadShape, select_records
from apilane.sql.statement import Value
from apilane.sql.write import select_by_ids, select_flags
from apilane.storage.protocol import Step
from apilane.testing.conformance.case import Database
from apilane.testing.conformance.tables import ENTITIES, MAKERS, PARTS, THINGS, USERS

__all__ = ["Conditions"]

DEFINITION = ApplicationDefinition(token="", name="", entities=ENTITIES)


class Conditions:
    """The tests that the module docstring describes."""

    @pytest.mark.parametrize(
        ("property", "operator", "value", "expected"),
        [
            ("Maker.Name", "equal", "Émile", {"a", "b"}),
            ("Maker.Name", "startswith", "É", {"a", "b"}),
            ("Maker.Name", "notequal", "émile", {"c"}),
            ("Maker.ID", "equal", None, set()),
            ("Maker.ID", "notequal", None, {"a", "b", "c"}),
            ("Whole.Name", "contains", ["A", "x"], {"b", "d"}),
            ("Whole.Count", "greater", 4, {"b", "d"}),
            ("Parts(Thing).ID", "greater", 0, {"a", "c"}),
            ("Things(Whole).Name", "equal", "B", {"a"}),
            ("Things(Whole).Active", "equal", False, {"a"}),
            ("Count", "greater", 4, {"a"}),
        ],
    )
    def test_paths(self, db: Database, property: str, operator: str, value: Any, expected: set[str]) -> None:
        """A path means that a related row exists and meets the condition, whichever way a statement reads the rows."""
        _rows(db)
        assert _found(db, {"Property": property, "Operator": operator, "Value": value}) == expected

    @pytest.mark.parametrize(
        ("property", "operator", "of_user", "expected"),
        [
            ("Name", "equal", "Username", {"a"}),
            ("Name", "notequal", "Username", {"b", "c", "d"}),
            ("Note", "equal", "Email", {"b"}),
            ("Note", "notequal", "Email", {"c"}),
            ("Made", "equal", "Created", {"c"}),
            ("Made", "lessorequal", "Created", {"a", "c"}),
            ("Made", "greater", "Created", {"b"}),
            ("Made", "equal", "LastLogin", set()),
            ("Made", "notequal", "LastLogin", set()),
            ("Kind", "equal", "Roles", set()),
            ("Kind", "notequal", "Roles", set()),
            ("Active", "equal", "EmailConfirmed", {"a", "c", "d"}),
            ("Active", "notequal", "EmailConfirmed", {"b"}),
            ("Whole.Name", "equal", "Username", {"b", "d"}),
        ],
    )
    def test_properties_of_the_caller(
        self, db: Database, property: str, operator: str, of_user: str, expected: set[str]
    ) -> None:
        """A value of the caller's row is compared as a literal would be, letters without case; null meets no row."""
        user = _rows(db)
        condition = {"Property": property, "Operator": operator, "Value": {"User": of_user}}
        assert _found(db, condition, user) == expected
        assert _found(db, condition, None) == set()

    def test_groups(self, db: Database) -> None:
        """Paths are joined with other conditions, also several over one table."""
        _rows(db)
        both = [
            {"Property": "Whole.Name", "Operator": "equal", "Value": "a"},
            {"Property": "Whole.Count", "Operator": "less", "Value": 9},
            {"Property": "Count", "Operator": "equal", "Value": 1},
        ]
        assert _found(db, {"Logic": "AND", "Filters": both}) == {"b"}
        both[1] = {"Property": "Parts(Thing).ID", "Operator": "notequal", "Value": None}
        assert _found(db, {"Logic": "OR", "Filters": both}) == {"a", "b", "c", "d"}


def _rows(db: Database) -> int:
    """Things a to d with makers, wholes and parts; the ID of a user who is called as thing a, with the note of b."""
    email, other = db.insert(MAKERS, Name="émile"), db.insert(MAKERS, Name="Zoë")
    user = db.insert(
        USERS,
        Username="A",
        Email="Σίσυφος@x.gr",
        Created=20,
        EmailConfirmed=False,
        Password="",
        H_Email_Fold="e",
        H_Username_Fold="a",
    )
    a = db.insert(Name="a", Maker=email, Count=5, Made=10, Active=False)
    db.insert(Name="b", Maker=email, Whole=a, Count=1, Made=30, Note="ΣΊΣΥΦΟΣ@X.GR", Active=True)
    c = db.insert(Name="c", Maker=other, Count=1, Made=20, Note="other")
    db.insert(Name="d", Whole=a)
    for thing in (a, a, c):
        db.insert(PARTS, Thing=thing)
    return user


def _found(db: Database, document: dict[str, Any], user: int | None = None) -> set[str]:
    """The names of the things that meet a condition, as four kinds of statements find them."""
    tree = parse_condition(condition_text(document), DEFINITION, THINGS)
    shape, bound = bind_condition(tree, db.dialect, OtherTables(DEFINITION, db.dialect), without_tenant=True)
    values: dict[str, Value] = {
        f"w{number}": user if isinstance(value, CallerValue) else value for number, value in enumerate(bound)
    }
    table, condition = db.table(THINGS), Condition((("w", shape),))
    names = dict(db.rows("ID", "Name"))
    listed = select_records(
        THINGS,
        table,
        ReadShape(("ID",), (condition,), None, (SortKey("Name"),), masks=(("Name", condition),)),
        db.dialect,
    )
    found = {names[row[0]] for row in db.wait(db.session.fetch(listed, listed.parameters(values)))}
    single = select_records(THINGS, table, ReadShape(("ID",), (("ID", "id"), condition)), db.dialect)
    flags = select_flags(table, (("w", shape),), 1, True, db.dialect)
    locked = select_by_ids(table, ("ID",), 1, (condition,), db.dialect)
    for id, name in names.items():
        named = {**values, "id": id, "id0": id}
        seen = db.wait(db.session.fetch(single, single.parameters(named)))
        flag, lock = db.write(Step(flags, flags.parameters(named)), Step(locked, locked.parameters(named)))
        assert [len(seen), flag.rows[0][1], len(lock.rows)] == [int(name in found)] * 3, name
    return found
