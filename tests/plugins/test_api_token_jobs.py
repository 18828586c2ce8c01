"""The clean-up of API tokens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from apilane_api_tokens.jobs import clean_up
from apilane_api_tokens.service import ApiTokens, Draft
from tests.changes.workshop import Workshop, entity, manifest

DAY_MS = 86_400_000


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


@pytest.fixture
def shop(tmp_path: Path, runner: asyncio.Runner) -> Iterator[Workshop]:
    made = Workshop(tmp_path / "data", runner)
    made.apply(manifest(entity("Items", {"Name": "Title"})))
    yield made
    made.close()


def test_old_rows_are_deleted(shop: Workshop, runner: asyncio.Runner) -> None:
    """Log, counts, and tokens that ended are deleted after the days of the application's section; others stay."""
    application = shop.open()
    tokens = ApiTokens(application)

    async def create() -> list[int]:
        return [(await tokens.create(Draft(name=f"{n}", scopes=["read"]), "tests")).row.id for n in range(4)]

    living, expired, revoked, fresh = runner.run(create())
    now_ms = int(time.time() * 1000)
    old_ms = now_ms - 31 * DAY_MS
    shop.sql('UPDATE "H_ApiTokens" SET "Expires" = ? WHERE "ID" = ?', (old_ms, expired))
    shop.sql('UPDATE "H_ApiTokens" SET "Revoked" = ? WHERE "ID" = ?', (old_ms, revoked))
    shop.sql('UPDATE "H_ApiTokens" SET "Revoked" = ? WHERE "ID" = ?', (now_ms - DAY_MS, fresh))
    columns = '"Token", "Time", "Address", "Call", "Status", "Uses"'
    for at in (old_ms, now_ms):
        shop.sql(f"INSERT INTO \"H_ApiTokenCalls\" ({columns}) VALUES (?, ?, '', 'GET x', 200, 1)", (living, at))
    today = now_ms // DAY_MS
    for day in (today - 401, today - 31, today):
        shop.sql(
            'INSERT INTO "H_ApiTokenDays" ("Token", "Day", "Call", "Uses", "Failed") VALUES (?, ?, \'GET x\', 1, 0)',
            (living, day),
        )
    assert runner.run(clean_up(application)) == 4
    assert {row[0] for row in shop.sql('SELECT "ID" FROM "H_ApiTokens"')} == {living, fresh}
    assert shop.sql('SELECT "Time" FROM "H_ApiTokenCalls"') == [(now_ms,)]
    assert {row[0] for row in shop.sql('SELECT "Day" FROM "H_ApiTokenDays"')} == {today - 31, today}
