"""Every combination of role, action, record scope, property list, tenant and record owner, against the oracle.

The server is called over HTTP and its database is read after every write; ``tests/http/oracle.py`` computes the
expected result. Rules of the specification that are not combinations are in ``test_authorization_rules.py``.
"""

from __future__ import annotations

import itertools
import json
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest

from apilane.services.operator_sign_in import operator_token
from apilane.testing.client import PASSWORD
from apilane.testing.server import Server
from tests.http import matrix
from tests.http.conftest import ADMIN
from tests.http.database import Database
from tests.http.matrix import ACTIONS, CUSTOM, OTHER_TENANT, TENANT_COLUMN, TENANT_ENTITY, Family, Seat, families
from tests.http.oracle import UNTOLD, Answer, Caller, EntityModel, Oracle, Row
from tests.http.pipeline import Pipeline, Request

SHOWN = 20
"""Mismatches that a failure prints."""
UNKNOWN_ID = 10**12
"""An ID without a record."""
PROBES: dict[str, Any] = {"Alpha": "a1", "Gamma": 2, TENANT_COLUMN: OTHER_TENANT, "Username": "user0007", "ID": 0}
"""The value to filter for, by property; other properties are compared with ``PROBE_ABOVE``."""
PROBE_ABOVE = {"Beta": 1, "Created": 1_700_000_000_100, "LastLogin": 0}


def is_right(expected: Any, actual: Any) -> bool:
    """Equal, with keys of records in the same order; a value that the specification leaves open always matches."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        if "ID" in expected and list(expected) != list(actual):
            return False
        return expected.keys() == actual.keys() and all(is_right(expected[key], actual[key]) for key in expected)
    if isinstance(expected, list | tuple) and isinstance(actual, list | tuple):
        return len(expected) == len(actual) and all(map(is_right, expected, actual))
    if expected in {"No properties provided", "Not allowed"} and isinstance(actual, str):
        return actual == expected or actual.startswith(f"{expected}: ")  # B-E8
    return expected is UNTOLD or (type(expected) is type(actual) and bool(expected == actual))


ALL = {"Property": "ID", "Operator": "greater", "Value": 0}
NOTHING = {"Property": "id", "Operator": "equal", "Value": 0}


class Attempt(NamedTuple):
    """One call and its expected result."""

    where: str
    expected: Answer
    request: Request


class World:
    """One family's application with all callers signed in and all rows stored."""

    def __init__(self, family: Family, wire: Pipeline, database: Database, operator_token: str) -> None:
        self.family = family
        self.oracle: Oracle = family.oracle()
        self.wire = wire
        self.operator_token = operator_token
        self.database = database
        self.callers: list[tuple[Caller, str | None]] = []
        self.targets: dict[tuple[str, Caller], list[int]] = {}
        self.cells: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.fresh = itertools.count(1_000_000)
        self._seat()
        self._fill()
        self._begin()

    def _seat(self) -> None:
        """Store companies and bystanders of every tenant; register the callers with tenants and roles."""
        companies = (matrix.OWN_TENANT, OTHER_TENANT, matrix.EMPTY_TENANT)
        self.database.insert(TENANT_ENTITY, [{"ID": id, "Created": id, **CUSTOM} for id in companies])
        tenants: list[int | None] = [None, matrix.OWN_TENANT, OTHER_TENANT]
        bystanders = [
            {"ID": id, "Username": f"bystander{id}", "Created": id, TENANT_COLUMN: tenant, **CUSTOM}
            for id, tenant in enumerate(tenants, 1)
        ]
        self.database.insert_users(bystanders)
        self.bystanders = [user["ID"] for user in bystanders]
        people = [(seat, self._register(seat)) for seat in self.family.seats]
        for seat, id in people:
            if id is not None:
                self.database.update("Users", id, **{TENANT_COLUMN: seat.tenant})
                self.database.set_roles(id, ",".join(seat.roles) or None)
        for seat, id in people:
            caller = Caller(id, frozenset(seat.roles), seat.tenant, seat.is_owner)
            self.callers.append((caller, self._log_in(seat)))

    def _register(self, seat: Seat) -> int | None:
        if seat.name is None:
            return None
        names = {"Email": f"{seat.name}@example.com", "Username": seat.name, "Password": PASSWORD}
        user = {**names, "Alpha": f"a{seat.name[-1]}", "Beta": 2, "Gamma": 1}
        ((status, id),) = self.wire.ask(None, [Request("POST", "Account/Register", user)])
        assert status == 200, id
        return int(id)

    def _log_in(self, seat: Seat) -> str | None:
        if seat.is_owner:
            return self.operator_token
        if seat.name is None:
            return None
        credentials = {"Username": seat.name, "Password": PASSWORD}
        ((status, done),) = self.wire.ask(None, [Request("POST", "Account/Login", credentials)])
        assert status == 200, done
        return str(done["AuthToken"])

    def _fill(self) -> None:
        """Insert rows of custom entities for every caller: get, put and delete use the caller's own share."""
        for entity in self.custom_entities():
            rows: list[Row] = []
            for caller, _ in self.callers:
                share = matrix.new_rows(entity, caller, self.bystanders[0], len(rows) + 1)
                self.targets[entity.name, caller] = [row["ID"] for row in share]
                rows += share
            self.database.insert(entity.name, rows)

    def _begin(self) -> None:
        """Copy the stored rows into the oracle once; later it computes every change."""
        for entity in self.oracle.entities.values():
            entity.rows = self.stored(entity)
        for (name, id), count in self.database.snapshots().items():
            self.oracle.entities[name].history[id] = count

    def custom_entities(self) -> list[EntityModel]:
        """All but the system entities."""
        return [entity for entity in self.oracle.entities.values() if entity.has_owner]

    def stored(self, entity: EntityModel, ids: list[int] | None = None) -> dict[int, Row]:
        """Rows as stored in the database, with the values of the wire."""
        rows = self.database.rows(entity.name, ids)
        for row in rows.values():
            if entity.name == "Users":
                row |= {"Password": None, "EmailConfirmed": bool(row["EmailConfirmed"])}
        return rows

    def own_targets(self, caller: Caller, entity: EntityModel) -> list[int]:
        """IDs of records that have every owner and tenant this caller can meet."""
        if entity.name == TENANT_ENTITY:
            return [matrix.OWN_TENANT, OTHER_TENANT, matrix.EMPTY_TENANT]
        if entity.name == "Users":
            return [*self.bystanders, *([caller.user_id] if caller.user_id else [])]
        return self.targets[entity.name, caller]

    def check(self, where: str, expected: Any, actual: Any) -> None:
        """Record a mismatch."""
        if not is_right(expected, actual):
            self.wrong.append(f"{where}\n    expected {str(expected)[:600]}\n    actual   {str(actual)[:600]}")

    # --- the actions

    def ask(self, token: str | None, attempts: list[Attempt]) -> None:
        """Send all attempts and compare every answer."""
        requests = [attempt.request for attempt in attempts]
        answers = self.wire.ask(token, requests, portal=token == self.operator_token)
        for attempt, answer in zip(attempts, answers, strict=True):
            self.check(attempt.where, attempt.expected, answer)

    def try_get(self, caller: Caller, token: str | None, entity: EntityModel) -> None:
        """Get the list, every record by its ID, and use every property in filter and sort."""
        oracle, where = self.oracle, f"{entity.name} get {caller}"
        target = f"Data/Get?entity={entity.name}&getTotal=true&pageSize="
        attempts = [Attempt(where, oracle.get(caller, entity), Request("GET", f"{target}1000"))]
        for id in [*self.own_targets(caller, entity), UNKNOWN_ID]:
            request = Request("GET", f"Data/GetByID?entity={entity.name}&id={id}")
            attempts.append(Attempt(f"{where} by ID {id}", oracle.get_by_id(caller, entity, id), request))
        grant = oracle.grant(caller, entity, "get")
        if grant is not None:
            readable = [name for name in entity.properties if name == "ID" or name in grant.properties]
            allowed = [name for name in readable if name != "Password"]
            refused = [name for name in entity.properties if name not in (*allowed, "Password")]
            queries = [_Query([_leaf(name, caller) for name in allowed], allowed)]
            for name in refused:
                queries.append(_Query([NOTHING, {**_leaf(name, caller), "Property": name.upper()}, NOTHING]))
                queries.append(_Query(sort=["ID", name.lower(), "ID"]))
            for query in queries:
                expected = oracle.get(
                    caller, entity, filter=query.filter, sort=query.sort, properties=query.show, size=5
                )
                request = Request("GET", f"{target}5&{query.text()}")
                attempts.append(Attempt(f"{where} {query}", expected, request))
        self.ask(token, attempts)

    def try_put(self, caller: Caller, token: str | None, entity: EntityModel) -> None:
        """Put all properties; each allowed property alone; and one with each forbidden property, which fails."""
        targets = self.own_targets(caller, entity)
        forbidden = {"Owner": self.bystanders[1], "Created": 5, TENANT_COLUMN: OTHER_TENANT, "Unknown": 1}
        number = self.wire.calls
        values = {"Alpha": f"p{number}", "Beta": number, "Gamma": -number, **forbidden}
        grant = self.oracle.grant(caller, entity, "put")
        allowed = grant.properties & self.oracle.writable(caller, entity).keys() if grant else set()
        alone = [
            {"ID": id, name: values[name]} for id, name in zip(targets, sorted(allowed & values.keys()), strict=False)
        ]
        bodies = [[{"ID": id, **values} for id in [*targets, UNKNOWN_ID]], alone]
        for position, name in enumerate(sorted(values.keys() - allowed)):
            bodies.append([*alone, {"ID": targets[position % len(targets)], name: values[name]}])
        attempts = []
        for body in filter(None, bodies):
            expected = self.oracle.put(caller, entity, body)
            request = Request("PUT", f"Data/Put?entity={entity.name}", body)
            attempts.append(Attempt(f"{entity.name} put {caller} {body}", expected, request))
        self.ask(token, attempts)
        wanted = {id: entity.rows[id] for id in sorted(targets)}
        self.check(f"{entity.name} put {caller}: stored", wanted, self.stored(entity, targets))

    def try_post(self, caller: Caller, token: str | None, entity: EntityModel) -> None:
        """Post one record with every property, including those that no caller may write."""
        number = self.wire.calls
        forbidden = {"ID": 1, "Owner": self.bystanders[1], "Created": 5, TENANT_COLUMN: OTHER_TENANT, "Unknown": 1}
        body = {"Alpha": f"n{number}", "Beta": number, "Gamma": number, **forbidden}
        status, expected = self.oracle.post(caller, entity, body)
        request = Request("POST", f"Data/Post?entity={entity.name}", body)
        (answer,) = self.wire.ask(token, [request], portal=token == self.operator_token)
        where = f"{entity.name} post {caller}"
        if status != 200 or answer[0] != 200:
            self.check(where, (status, expected), answer)
            return
        (id,) = answer[1]
        (row,) = self.stored(entity, [id]).values()
        self.check(f"{where}: stored", {name: expected.get(name, row[name]) for name in row}, row)
        self.check(f"{where}: new", True, id not in entity.rows and abs(row["Created"] / 1000 - time.time()) < 60)
        entity.rows[id] = row

    def try_delete(self, caller: Caller, token: str | None, entity: EntityModel) -> None:
        """Delete the caller's records; referenced ones separately, because they make the whole call fail."""
        shares = [self.own_targets(caller, entity)]
        if not entity.has_owner:
            shares = [[id] for id in shares[0] if id != matrix.EMPTY_TENANT] + [self._victims(entity)]
        attempts = []
        for ids in shares:
            expected = self.oracle.delete(caller, entity, ids)
            text = ",".join(map(str, [*ids, UNKNOWN_ID]))
            request = Request("DELETE", f"Data/Delete?entity={entity.name}&ids={text}")
            attempts.append(Attempt(f"{entity.name} delete {caller} {ids}", expected, request))
        self.ask(token, attempts)

    def _victims(self, entity: EntityModel) -> list[int]:
        """New records of a system entity without references, one for each tenant."""
        ids = [next(self.fresh) for _ in range(3)]
        rows: list[Row] = [{"ID": id, "Created": id, **CUSTOM} for id in ids]
        if entity.name == "Users":
            for row, tenant in zip(rows, (None, matrix.OWN_TENANT, OTHER_TENANT), strict=True):
                row |= {"Username": f"victim{row['ID']}", TENANT_COLUMN: tenant}
            self.database.insert_users(rows)
        else:
            self.database.insert(entity.name, rows)
        entity.rows |= self.stored(entity, ids)
        return ids

    def compare_whole(self) -> None:
        """At the end the database has exactly the oracle's rows, and one snapshot for each change."""
        kept = self.database.snapshots()
        for entity in self.oracle.entities.values():
            self.check(f"{entity.name}: all rows", entity.rows, self.stored(entity))
            history = {id: count for (name, id), count in kept.items() if name == entity.name}
            self.check(f"{entity.name}: history", entity.history, dict(sorted(history.items())))

    def run(self) -> None:
        """Run every action of every caller on every entity; deletes run last, because others need the rows."""
        entities = [*self.oracle.entities.values()] if self.family.name == "roles" else self.custom_entities()
        tries = {"get": self.try_get, "put": self.try_put, "post": self.try_post, "delete": self.try_delete}
        for action, attempt in tries.items():
            for entity, (caller, token) in product(entities, self.callers):
                attempt(caller, token, entity)
                self.cells[action] += 1
        self.compare_whole()


class _Query:
    """A filter with its conditions in an inner group; a sort; property names in another letter case."""

    def __init__(self, leaves: Sequence[dict[str, Any]] = (), sort: Sequence[str] = ()) -> None:
        self.filter: dict[str, Any] | None = None
        if leaves:
            self.filter = {"Logic": "AND", "Filters": [ALL, {"Logic": "OR", "Filters": list(leaves)}, ALL]}
        self.sort = list(sort)
        self.show = "beta, COMPANY_ID ,nothing"

    def text(self) -> str:
        """The query string."""
        parts = {"properties": self.show}
        if self.filter:
            parts["filter"] = json.dumps(self.filter)
        if self.sort:
            parts["sort"] = json.dumps([{"Property": typed, "Direction": "ASC"} for typed in self.sort])
        return urlencode(parts)

    def __repr__(self) -> str:
        return f"filter {self.filter} sort {self.sort}"


def _leaf(name: str, caller: Caller) -> dict[str, Any]:
    if name in PROBE_ABOVE:
        return {"Property": name, "Operator": "greater", "Value": PROBE_ABOVE[name]}
    value = caller.user_id if name == "Owner" else PROBES.get(name)
    return {"Property": name, "Operator": "equal", "Value": value}


@pytest.mark.better("B-S1", "B-S3")
@pytest.mark.parametrize("name", families())
def test_every_combination_is_answered_as_the_rules_say(server: Server, name: str) -> None:
    """Status, code, visible records, properties, counts and stored values equal the oracle's for every caller."""
    family = families()[name]
    manifest = family.manifest()
    manifest["Application"]["Token"] = str(uuid.uuid4())
    token = server.apply(manifest)
    wire = Pipeline(server.url, token)
    try:
        owner = server.with_store(lambda store, _hooks: operator_token(store, ADMIN, None))
        with Database(server.settings, token) as database:
            world = World(family, wire, database, owner)
            world.run()
    finally:
        wire.close()
    print(f"{name}: {dict(world.cells)} cells, {wire.calls} calls")
    assert not world.wrong, f"{len(world.wrong)} mismatches, the first:\n" + "\n".join(world.wrong[:SHOWN])


def test_every_combination_occurs() -> None:
    """The five applications together cover every possible role set, action, scope, property list, tenant and owner."""
    met = set()
    for family in families().values():
        oracle = family.oracle()
        entities = [entity for entity in oracle.entities.values() if entity.has_owner]
        callers = [Caller(id if seat.name else None, frozenset(seat.roles), seat.tenant, seat.is_owner)
                   for id, seat in enumerate(family.seats, 10)]  # fmt: skip
        for entity, caller, action in product(entities, callers, ACTIONS):
            rules = matrix.rule_kind(oracle.rules(caller, entity, action), entity)
            side = (matrix.role_kind(caller), caller.tenant is not None, action, rules)
            met |= {(*side, matrix.row_kind(caller, entity, row)) for row in matrix.new_rows(entity, caller, 1, 1)}
    missing = set(_possible()) - met
    assert not missing, sorted(missing, key=str)[:SHOWN]


def _possible() -> list[tuple[Any, ...]]:
    lists = ("empty", "one", "several", "all", "overlapping")
    rules = [("none", "none"), *product(("All", "Owned", "mixed"), lists)]
    rows = product(("absent", "null", "own", "other"), ("own", "other", "none"))
    callers = product(("anonymous", "authenticated", "one", "two"), (False, True))
    return [
        ((kind, has_tenant, action, rule, row))
        for (kind, has_tenant), action, rule, row in product(callers, ACTIONS, rules, [*rows])
        if not (kind == "anonymous" and (has_tenant or row[1] == "own"))  # an anonymous caller has neither
        and not (not has_tenant and row[0] == "own")
    ]
