"""Aggregates and distinct values of random records equal those that plain Python computes."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from typing import Any

import pytest

from apilane.testing.client import Client
from tests.http import statistics_oracle as oracle
from tests.http.conftest import PROVIDER, NewClient
from tests.http.test_statistics import FIRST_MS, LAST_MS, ask

SEED = 16
NUMBERS = ("Whole", "Money", "Moment")


def _row(chance: random.Random) -> dict[str, Any]:
    """A record; a quarter of its values is null. Decimals are exact in binary, so that every provider orders alike."""

    def maybe(value: Any) -> Any:
        return None if chance.random() < 0.25 else value

    return {
        "Text": maybe(chance.choice(["a", "b", "cc", "d e"])),
        "Whole": maybe(chance.choice([-3, 0, 1, 2, 10**12])),
        "Money": maybe(Decimal(chance.randrange(-400, 400)) / 4),
        "Flag": maybe(chance.random() < 0.5),
        "Moment": maybe(chance.choice([chance.randrange(FIRST_MS, LAST_MS), chance.randrange(-(10**6), 10**6)])),
    }


@pytest.fixture(scope="module")
def filled(new_application: NewClient, lab_manifest: dict[str, Any]) -> tuple[Client, list[dict[str, Any]]]:
    """A lab with 400 random records, and the records."""
    client = new_application(lab_manifest)
    chance = random.Random(SEED)
    rows = [_row(chance) for _ in range(400)]
    wire = [{name: float(v) if isinstance(v, Decimal) else v for name, v in row.items()} for row in rows]
    ids = client.add("Values", *wire)
    return client, [{"ID": id, **row} for id, row in zip(ids, rows, strict=True)]


def _measures(chance: random.Random) -> list[oracle.Measure]:
    every = [(name, function) for name in NUMBERS for function in oracle.FUNCTIONS]
    every += [(name, function) for name in ("Text", "Flag") for function in ("count", "min", "max")]
    return chance.sample(every, chance.randint(1, 4))


def _groups(chance: random.Random) -> list[oracle.Group]:
    every: list[oracle.Group] = [("Text", None), ("Whole", None), ("Flag", None), ("Money", None), ("Moment", None)]
    every += [("Moment", part) for part in oracle.PARTS]
    return chance.sample(every, chance.randint(0, 3))


@pytest.mark.parametrize("round", range(60))
def test_random_aggregates(filled: tuple[Client, list[dict[str, Any]]], round: int) -> None:
    """Objects, order, values and types equal those that plain Python computes from the same records."""
    client, rows = filled
    chance = random.Random(SEED * 1000 + round)
    measures, groups, ascending = _measures(chance), _groups(chance), chance.random() < 0.5
    least = chance.choice([None, -3, 0, 2])
    kept = rows if least is None else [row for row in rows if row["Whole"] is not None and row["Whole"] > least]
    found = ask(
        client,
        "Aggregate",
        "Values",
        properties=",".join(f"{name}.{function}" for name, function in measures),
        groupBy=",".join(name if part is None else f"{name}.{part}" for name, part in groups),
        orderDirection="asc" if ascending else "desc",
        pageSize=1000,
        filter=None if least is None else json.dumps({"Property": "Whole", "Operator": "greater", "Value": least}),
    )
    expected = oracle.aggregate(kept, measures, groups, ascending=ascending, provider=PROVIDER)
    assert oracle.same(expected, found), (measures, groups, ascending, expected[:5], found[:5])


@pytest.mark.parametrize("name", ["Text", "Whole", "Money", "Flag", "Moment", "ID"])
def test_distinct_of_random_data(filled: tuple[Client, list[dict[str, Any]]], name: str) -> None:
    """Distinct gives each value once, in order."""
    client, rows = filled
    assert oracle.same(oracle.distinct(rows, name), ask(client, "Distinct", "Values", property=name))
