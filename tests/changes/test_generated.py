"""Changes between generated applications on generated records, compared with a model in plain Python."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.changes.model import World, changed, worlds
from tests.changes.workshop import Workshop


def stored(shop: Workshop, name: str, columns: list[str]) -> list[dict[str, Any]]:
    names = ", ".join(f'"{column}"' for column in columns)
    rows = shop.sql(f'SELECT {names} FROM "{name}" ORDER BY "ID"')
    return [dict(zip(columns, row, strict=True)) for row in rows]


def check(shop: Workshop, world: World) -> None:
    """Every expected record exists with every value; there is no table more or less."""
    custom = {e.name for e in shop.stored.definition.entities if not e.is_system}
    assert custom == set(world.forms)
    tables = {name for kind, name, _ in shop.tables() if kind == "table"}
    assert custom <= tables
    assert not {name for name in tables - custom if not name.startswith(("H_", "sqlite_"))} - {
        e.name for e in shop.stored.definition.entities
    }
    for name, listed in world.forms.items():
        assert stored(shop, name, ["ID", *(p["Name"] for p in listed)]) == world.records[name]


def check_idempotence(shop: Workshop, document: dict[str, Any]) -> None:
    """Applying it again, or exporting and applying it, changes nothing."""
    assert shop.plan(document).is_empty
    version, tables = shop.stored.version, shop.tables()
    shop.apply(document)
    exported = shop.exported()
    plan = shop.plan(exported)
    assert plan.is_empty
    assert plan.lines == ()
    shop.apply(exported)
    assert (shop.stored.version, shop.tables(), shop.exported()) == (version, tables, exported)


def fill(shop: Workshop, world: World) -> None:
    for name, listed in world.records.items():
        if listed:
            shop.insert(name, *listed)
            snapshot = 'INSERT INTO "H_Entity_Change_Tracking" ("Entity", "RecordID", "Data", "Created")'
            shop.sql(f"{snapshot} VALUES (?, ?, ?, 0)", *((name, each["ID"], json.dumps(each)) for each in listed))


def check_history(shop: Workshop, before: World, after: World) -> None:
    """Snapshots of kept properties hold the same values under the new names."""
    for name in after.forms:
        old = after.extras.get(name, {}).get("RenamedFrom", name)
        if old not in before.forms:
            continue
        renamed = {p.get("RenamedFrom", p["Name"]): p["Name"] for p in after.forms[name]}
        query = f'SELECT "Data" FROM "H_Entity_Change_Tracking" WHERE "Entity" = \'{name}\' ORDER BY "ID"'
        found = [json.loads(text) for (text,) in shop.sql(query)]
        assert found == [{renamed.get(key, key): each[key] for key in each} for each in before.records[old]]


def example(data: st.DataObject) -> None:
    before = data.draw(worlds())
    after = data.draw(changed(before))
    with TemporaryDirectory() as folder, asyncio.Runner() as runner:
        shop = Workshop(Path(folder) / "data", runner)
        try:
            shop.apply(before.manifest())
            fill(shop, before)
            check(shop, before)
            check_idempotence(shop, before.manifest())
            assert shop.survey(after.manifest()).misfits == ()
            shop.apply(after.manifest())
            check(shop, after)
            check_history(shop, before, after)
            check_idempotence(shop, after.manifest())
        finally:
            shop.close()


_SETTINGS = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    # Shrinking makes hundreds of instances, so it is off; the seed identifies a failure.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)


@given(st.data())
@settings(_SETTINGS, max_examples=15)
def test_changes_keep_what_they_should(data: st.DataObject) -> None:
    """After a change every record and value that should survive exists, and applying again changes nothing."""
    example(data)


@pytest.mark.slow
@given(st.data())
@settings(_SETTINGS, max_examples=300)
def test_many_changes_keep_what_they_should(data: st.DataObject) -> None:
    """The same, for many more applications."""
    example(data)
