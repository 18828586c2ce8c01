"""``apilane apply`` killed at any moment: afterwards the application is completely the old or the new one."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.changes.workshop import Workshop, entity, manifest

RECORDS = 20_000
SNAPSHOTS = 200


def one(**keys: Any) -> dict[str, Any]:
    title, amount = {"Name": "Title", "Maximum": 50}, {"Name": "Amount", "Type": "Number", "DecimalPlaces": 3}
    title |= {"RenamedFrom": "Label"}
    unique = {"Type": "Unique", "Properties": ["Title"]}
    return manifest(entity("Items", title, amount, RenamedFrom="Goods", Constraints=[unique], **keys))


def other() -> dict[str, Any]:
    label, amount = {"Name": "Label", "Maximum": 20}, {"Name": "Amount", "Type": "Number", "DecimalPlaces": 2}
    extra = {"Name": "Extra", "Type": "Number", "Required": True}
    return manifest(
        entity(
            "Goods",
            label | {"RenamedFrom": "Title"},
            amount,
            extra,
            RenamedFrom="Items",
            Indexes=[{"Properties": ["Amount"]}],
        )
    )


FORMS = {"Items": ("Title", one()), "Goods": ("Label", other())}


class Spawner:
    """``apilane apply`` in processes that can be killed."""

    def __init__(self, data_dir: Path) -> None:
        self.log = data_dir.with_suffix(".log")
        environ = {**os.environ, "APILANE_DATA_DIR": str(data_dir)}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.changes.spawner"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environ,
                text=True,
                cwd=Path(__file__).parents[2],
            )

    def run(self, file: Path, lines: int | None = None, delay_s: float = 0) -> tuple[int, int]:
        """Apply a manifest and kill it a given time after a given line: exit status, and how many lines it wrote."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        command = [[str(file), "--yes"], lines, delay_s]
        print(json.dumps(command), file=self._process.stdin, flush=True)
        status, written = json.loads(self._process.stdout.readline())
        return os.waitstatus_to_exitcode(status), written

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture
def spawner(shop: Workshop) -> Iterator[Spawner]:
    """A spawner for the instance of ``shop``."""
    made = Spawner(shop.data_dir)
    yield made
    made.close()


def check(shop: Workshop) -> str:
    """Check that definition, tables, records and history agree; returns the entity's current name."""
    found = shop.stored
    (name,) = {each.name for each in found.definition.entities} & FORMS.keys()
    label, _ = FORMS[name]
    columns = [row[1] for row in shop.sql(f'PRAGMA table_info("{name}")')]
    properties = found.definition.entity(name)
    assert properties is not None
    assert columns == [p.name for p in properties.properties]
    assert not set(columns) & ({"Title", "Label"} - {label})
    tables = {name for kind, name, _ in shop.tables() if kind == "table"}
    assert not {each for each in tables if each.endswith("__backup__")}
    assert not tables & (FORMS.keys() - {name})
    expected = (RECORDS, RECORDS * (RECORDS + 1) // 2, RECORDS)
    query = f'SELECT count(*), sum("ID"), sum("{label}" = \'title \' || "ID" AND "Amount" = "ID" * 0.5) FROM "{name}"'
    assert shop.sql(query) == [expected]
    assert shop.sql('SELECT "Version" FROM "H_Schema"') == [(found.version,)]
    keys = shop.sql('SELECT DISTINCT "Entity", "Data" FROM "H_Entity_Change_Tracking"')
    assert keys == [(name, json.dumps({"ID": 1, label: "old"}, separators=(",", ":")))]
    assert shop.sql("PRAGMA integrity_check") == [("ok",)]
    return name


@pytest.mark.parametrize("rounds", [pytest.param(12, id="12"), pytest.param(200, marks=pytest.mark.slow, id="200")])
def test_killed_at_any_moment(tmp_path: Path, shop: Workshop, spawner: Spawner, rounds: int) -> None:
    """After ``kill -9`` at a random moment the next open finds the change done or undone, and a second apply works."""
    shop.apply(FORMS["Items"][1])
    shop.insert("Items", *({"Title": f"title {n}", "Amount": n * 0.5} for n in range(1, RECORDS + 1)))
    insert = 'INSERT INTO "H_Entity_Change_Tracking" ("Entity", "RecordID", "Data", "Created") VALUES (?, 1, ?, 0)'
    shop.sql(insert, *[("Items", '{"ID":1,"Title":"old"}')] * SNAPSHOTS)
    files = {}
    for name, (_, document) in FORMS.items():
        files[name] = tmp_path / f"{name}.json"
        files[name].write_text(json.dumps(document))
    lines = 0
    for name in ("Goods", "Items"):
        status, written = spawner.run(files[name])
        assert (status, check(shop)) == (0, name)
        lines = max(lines, written)
    chance, outcomes = random.Random(1), {"undone": 0, "done": 0, "not killed": 0, "recovered": 0}
    target = "Goods"
    for _ in range(rounds):
        # Each step writes a line. The last lines, between the steps for tables and definition, are chosen most often.
        status, _ = spawner.run(files[target], lines - int(chance.expovariate(0.25)) % lines, chance.uniform(0, 0.04))
        pending = bool(shop.pending())
        shop.recover()
        assert shop.pending() == []
        done = check(shop) == target
        outcomes["not killed" if status == 0 else "done" if done else "undone"] += 1
        outcomes["recovered"] += pending
        assert done or status != 0
        assert spawner.run(files[target])[0] == 0, spawner.log.read_text()[-2000:]
        assert check(shop) == target
        target = "Items" if target == "Goods" else "Goods"
    print(f"{lines} lines, {outcomes}")
    assert outcomes["undone"]
    assert outcomes["recovered"]
