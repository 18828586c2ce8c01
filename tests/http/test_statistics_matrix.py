"""Statistics of every role, record scope, property, tenant and function, against the oracles: no call tells more than
the caller may read.

The applications, callers and records are those of the authorization matrix. ``tests/http/oracle.py`` decides which
records and properties the caller may read, and ``tests/http/statistics_oracle.py`` computes the figures. Neither shares
code with the product.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from itertools import product
from typing import Any
from urllib.parse import urlencode

import pytest

from apilane.services.operator_sign_in import operator_token
from apilane.testing.server import Server
from tests.http import statistics_oracle as figures
from tests.http.conftest import ADMIN, PROVIDER
from tests.http.database import Database
from tests.http.matrix import families
from tests.http.oracle import UNTOLD, Answer, Caller, EntityModel, Grant, Row, refusal
from tests.http.pipeline import Pipeline, Request
from tests.http.test_authorization_matrix import ALL, SHOWN, World, is_right

FAMILIES = ("roles", "anonymous", "authenticated", "twice")
SECRET = "Password"
DATES = {"Created", "LastLogin"}
NO_NUMBERS = {"Alpha", "Email", "Username", "Roles", "EmailConfirmed"}
"""Texts and Booleans, which have no sum and no average."""


class Inquiry:
    """The Stats calls of one caller on one entity, each with its expected answer."""

    def __init__(self, world: World, caller: Caller, entity: EntityModel, grant: Grant | None) -> None:
        self.entity = entity
        self.grant = grant
        self.readable = {name for name in entity.properties if grant and (name in grant.properties or name == "ID")}
        self.readable.discard(SECRET)
        self.rows: list[Row] = []
        if grant is not None:
            self.rows = [row for row in entity.rows.values() if world.oracle.reaches(caller, entity, grant, row)]

    def calls(self) -> Iterator[tuple[str, Answer, Request]]:
        """Kind of call, expected answer and request."""
        for name in self.entity.properties:
            for function in figures.FUNCTIONS:
                asked = f"{name.lower()}.{function.title()}"
                yield "aggregate", self._aggregate(name, function), self._request("Aggregate", properties=asked)
            yield "distinct", self._distinct(name), self._request("Distinct", property=name.upper())
            groups = [(name, None), *((name, part) for part in figures.PARTS if name in DATES)]
            for group in groups:
                item = name.upper() if group[1] is None else f"{name.upper()}.{group[1]}"
                request = self._request("Aggregate", properties="ID.Count", groupBy=item, pageSize=1000)
                yield "group", self._grouped(name, group), request
            if name != SECRET:
                leaf = {"Property": name.lower(), "Operator": "notequal", "Value": None}
                condition = {"Filters": [ALL, {"Logic": "OR", "Filters": [leaf]}]}
                text = json.dumps(condition)
                request = self._request("Aggregate", properties="ID.Count", filter=text)
                yield "filter", self._filtered(name, {"ID_count": len(self._with_value(name))}), request

    def _request(self, call: str, **query: Any) -> Request:
        return Request("GET", f"Stats/{call}?{urlencode({'entity': self.entity.name, **query})}")

    def _refusal(self, name: str, typed: str) -> Answer | None:
        if self.grant is None:
            return refusal("UNAUTHORIZED", "Unauthorized", entity=self.entity.name)
        if name not in self.readable:
            return refusal("UNAUTHORIZED", "Unauthorized", entity=self.entity.name, property=typed)
        return None

    def _aggregate(self, name: str, function: str) -> Answer:
        refused = self._refusal(name, name.lower())
        if refused is not None:
            return refused
        if name in NO_NUMBERS and function in {"sum", "avg"}:
            return refusal("ERROR", UNTOLD, entity=self.entity.name)
        return 200, figures.aggregate(self.rows, [(name, function)], [], ascending=False, provider=PROVIDER)

    def _distinct(self, name: str) -> Answer:
        return self._refusal(name, name.upper()) or (200, figures.distinct(self.rows, name))

    def _grouped(self, name: str, group: figures.Group) -> Answer:
        counts = [("ID", "count")]
        return self._refusal(name, name) or (
            200,
            figures.aggregate(self.rows, counts, [group], ascending=False, provider=PROVIDER)[:1000],
        )

    def _filtered(self, name: str, expected: dict[str, Any]) -> Answer:
        if self.grant is not None and name not in self.readable:
            message = f"Property '{name}' is not allowed on this filter"
            return refusal("INVALID_FILTER_PARAMETER", message, entity=self.entity.name)
        return self._refusal(name, name) or (200, [expected])

    def _with_value(self, name: str) -> list[Row]:
        return [row for row in self.rows if row[name] is not None]


def _is_right(expected: Answer, actual: Answer) -> bool:
    if expected[0] != 200:
        return is_right(expected, actual)
    return actual[0] == 200 and figures.same(expected[1], actual[1])


@pytest.mark.better("B-S1", "B-S2", "B-S3", "B-S4")
@pytest.mark.parametrize("name", FAMILIES)
def test_statistics_tell_what_the_caller_may_read(server: Server, name: str) -> None:
    """Every aggregate, group, distinct value and filter of every caller has only readable records and properties."""
    family = families()[name]
    manifest = family.manifest()
    manifest["Application"]["Token"] = str(uuid.uuid4())
    token = server.apply(manifest)
    wire = Pipeline(server.url, token)
    cells: Counter[tuple[str, int]] = Counter()
    wrong: list[str] = []
    try:
        owner = server.with_store(lambda store, _hooks: operator_token(store, ADMIN, None))
        with Database(server.settings, token) as database:
            world = World(family, wire, database, owner)
        entities = [*world.oracle.entities.values()] if name == "roles" else world.custom_entities()
        for entity, (caller, credential) in product(entities, world.callers):
            grant = world.oracle.grant(caller, entity, "get")
            calls = [*Inquiry(world, caller, entity, grant).calls()]
            answers = wire.ask(credential, [request for _, _, request in calls], portal=credential == owner)
            for (kind, expected, request), answer in zip(calls, answers, strict=True):
                cells[kind, answer[0]] += 1
                if not _is_right(expected, answer):
                    wrong.append(
                        f"{caller} {request.target}\n  expected {str(expected)[:500]}\n  actual {str(answer)[:500]}"
                    )
    finally:
        wire.close()
    print(f"{name}: {dict(cells)}")
    assert not wrong, f"{len(wrong)} mismatches, the first:\n" + "\n".join(wrong[:SHOWN])
    for kind in ("aggregate", "distinct", "group", "filter"):
        assert cells[kind, 200] > 50, cells
        assert cells[kind, 401] + cells[kind, 400] > 50, cells
