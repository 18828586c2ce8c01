"""Generated calls of every kind against the whole application in this process.

``APILANE_TEST_FUZZ_CALLS`` sets their number, ``APILANE_TEST_FUZZ_SEED`` the choice; a seed makes the same calls.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.rendering import rendered
from tests.fuzz.requests import Call, calls
from tests.fuzz.verdict import check_answer, check_texts
from tests.fuzz.world import A, B, World

SEED = int(os.environ.get("APILANE_TEST_FUZZ_SEED", "5"))
SHARDS = 4
AT_ONCE = 4
"""Calls of one example."""
TEXTS_MAX = 1500
"""Distinct statements of a run: shapes, not values. At most 579 in 25,000 calls, some 250 in 3,000."""
UNSETTLING = ("/logout", "/renewauthtoken", "/changepassword")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Both applications, freshly made."""
    with World(tmp_path / "data") as running:
        yield running


def _try(world: World, call: Call, seen: Counter[tuple[str, int]]) -> None:
    sent = rendered(call, world.credentials)
    answer = world.call(sent.method, sent.target, sent.headers, sent.body, breaks_off=call.breaks_off)
    seen[call.path.lower().rstrip("/"), answer.status] += 1
    errors = world.errors()
    assert not errors, errors[0]
    path = call.path.lower()
    unsettled = answer.status == 200 and any(part in path for part in UNSETTLING)
    check_answer(call, sent, answer, [] if unsettled else [token for token, _ in world.credentials.values()])
    if unsettled and call.caller in world.credentials and call.caller not in ("owner", "outsider", "unknown"):
        world.sign_up(call.caller, B if call.caller == "foreign" else A)
    if call.caller == "owner" and call.method in ("PUT", "DELETE"):
        world.settle()


def _run(world: World, number: int, count: int) -> None:
    chosen = SEED * 1000 + number
    print(f"seed {SEED}, shard {number}: {count} calls")
    seen: Counter[tuple[str, int]] = Counter()

    @seed(chosen)
    @settings(
        max_examples=-(-count // AT_ONCE),
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(calls(), min_size=AT_ONCE, max_size=AT_ONCE))
    def fire(salvo: list[Call]) -> None:
        for call in salvo:
            try:
                _try(world, call, seen)
            except Exception as error:
                error.add_note(f"The call: {call}")
                raise

    fire()
    good = sum(times for (_, status), times in seen.items() if status < 300)
    print(f"{seen.total()} calls, {good} of them 2xx, {len(world.texts)} statements")
    assert seen.total() >= count
    assert good > count / 8, "most calls fail the first checks: the generator no longer fits the product"
    check_texts(world.texts)
    assert len(world.texts) < TEXTS_MAX
    for token in (A, B):
        assert world.sql("PRAGMA integrity_check", token=token) == [("ok",)]
        assert world.sql("PRAGMA foreign_key_check", token=token) == []
    assert world.sql('SELECT count(*) FROM "Orders" WHERE "Hidden" IS NOT NULL') == [(6,)]
    assert world.post("Data/Post?entity=Public", {"Text": "after"})


@pytest.mark.parametrize("number", range(2))
def test_calls(world: World, number: int) -> None:
    """For any call: no failure, the protocol's error form, no value of another caller, no value in a statement."""
    _run(world, number, int(os.environ.get("APILANE_TEST_FUZZ_CALLS", "6000")) // 2)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(SHARDS))
def test_many_calls(world: World, number: int) -> None:
    """The same holds for 100,000 calls."""
    _run(world, 100 + number, int(os.environ.get("APILANE_TEST_FUZZ_CALLS", "100000")) // SHARDS)
