"""The cost of requests of known shapes: a budget of Python function calls, and work that must not be repeated.

``budgets.json`` holds, by minor version of Python, each budget and the measured calls. After a change that needs more
calls, ``python -m tests.budgets.test_budgets`` writes the budgets of the Python that runs it.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from apilane.runtime.access import access_of, effective_rules
from apilane.sql.statement import compile_statement
from tests.budgets.subject import REQUESTS, Cost, Request, Subject

BUDGETS = Path(__file__).with_name("budgets.json")
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
SLACK = 1.03
"""The factor of a budget to the measured calls; a larger increase fails the test and needs a decision."""


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    """The product with an application, its data and a user."""
    made = Subject(tmp_path_factory.mktemp("budgets") / "data")
    yield made
    made.close()


@pytest.fixture(scope="module")
def costs(subject: Subject) -> dict[str, Cost]:
    """The cost of each request."""
    return {name: subject.cost(request) for name, request in REQUESTS.items()}


def budget_of(name: str) -> dict[str, Any]:
    """``calls`` and ``functions`` for this Python; for a version that is not listed, those with the most calls."""
    by_version = json.loads(BUDGETS.read_text())
    budgets = [by_version[VERSION]] if VERSION in by_version else list(by_version.values())
    found: dict[str, Any] = max((budget[name] for budget in budgets), key=lambda budget: budget["calls"])
    return found


def difference(before: dict[str, float], now: dict[str, float]) -> str:
    """The functions whose calls differ, the largest change first."""
    changes = {name: now.get(name, 0) - before.get(name, 0) for name in {*before, *now}}
    ordered = sorted(changes.items(), key=lambda change: (-abs(change[1]), change[0]))
    return "\n".join(f"{change:+8.2f}  {name} ({now.get(name, 0):g})" for name, change in ordered if change)


@pytest.mark.parametrize("name", REQUESTS)
def test_calls_stay_within_the_budget(costs: dict[str, Cost], name: str) -> None:
    """A request makes no more Python function calls than its budget; a budget that is far too large fails too."""
    calls, budget = costs[name].calls, budget_of(name)
    changes = (
        f"{name} makes {calls:.1f} Python function calls, its budget is {budget['calls']}.\n"
        f"By function, the change since the budget was made, and the calls now:\n"
        f"{difference(budget['functions'], costs[name].by_name())}\n"
        f"If the change is worth its calls, run: python -m tests.budgets.test_budgets"
    )
    assert calls <= budget["calls"], changes
    assert calls >= budget["calls"] * 0.8, changes


METRICS_CALLS = 3
"""The observed front, the call that it can find, and the function that counts."""


def test_metrics_cost_three_calls(costs: dict[str, Cost], tmp_path: Path) -> None:
    """With metrics a request makes three Python function calls more, and without them none of these."""
    section = {"metrics": {"token": "a-token-for-the-budget"}}
    measured = Subject(tmp_path / "data", plugin_settings=section)
    try:
        with_metrics = measured.cost(REQUESTS["GetByID"])
    finally:
        measured.close()
    assert "recorder.Recorder.ended" in with_metrics.by_name()
    assert with_metrics.calls - costs["GetByID"].calls <= METRICS_CALLS, difference(
        costs["GetByID"].by_name(), with_metrics.by_name()
    )


@pytest.mark.parametrize("name", REQUESTS)
def test_no_hook_is_called_through_pluggy(costs: dict[str, Cost], name: str) -> None:
    """A request runs no frame of pluggy: hooks are frozen into plain callables at start-up."""
    assert not [code for code in costs[name].by_code if "pluggy" in code.co_filename]


@pytest.mark.parametrize("name", REQUESTS)
def test_known_shapes_are_compiled_once(costs: dict[str, Cost], name: str) -> None:
    """A request of a known shape compiles no statement, evaluates no rule and calls nothing in SQLAlchemy."""
    codes = costs[name].by_code
    for function in (compile_statement, access_of, effective_rules):
        assert function.__code__ not in codes
    assert not [code for code in codes if "sqlalchemy" in code.co_filename]


@pytest.mark.parametrize("name", REQUESTS)
def test_references_without_tenants_cost_nothing(costs: dict[str, Cost], name: str) -> None:
    """An application without tenants and without WithinReach calls nothing of the check of references (B-X5)."""
    assert not [code for code in costs[name].by_code if code.co_filename.endswith("reference_guards.py")]


@pytest.mark.parametrize("user_id", [1, None], ids=["of a user", "of the application"])
def test_an_api_token_costs_as_much_as_a_session(subject: Subject, costs: dict[str, Cost], user_id: int | None) -> None:
    """Authentication by an API token, with the count of its use, takes at most two calls more than a session."""
    with subject.api_token("read", user_id):
        assert subject.cost(REQUESTS["GetByID"]).calls <= costs["GetByID"].calls + 2


def test_new_shapes_are_noticed(subject: Subject) -> None:
    """The first request of a shape compiles its statement, and the second does not: the count detects such work."""
    request = Request(
        "GET", "/api/Data/Get", "entity=Books&sort=%7B%22Property%22:%22Shelf%22,%22Direction%22:%22ASC%22%7D"
    )
    first, second = subject.cost_now(request), subject.cost_now(request)
    assert compile_statement.__code__ in first.by_code
    assert compile_statement.__code__ not in second.by_code


def test_long_filters_need_a_thread_once(subject: Subject) -> None:
    """A list of 500 numbers is compiled in a thread when its shape is new, and needs no thread afterwards."""
    wanted = quote(json.dumps({"Property": "Pages", "Operator": "contains", "Value": list(range(500))}))
    request = Request("GET", "/api/Data/Get", f"entity=Books&getTotal=true&filter={wanted}")
    first, second = subject.cost_now(request), subject.cost_now(request)
    assert asyncio.to_thread.__code__ in first.by_code
    assert asyncio.to_thread.__code__ not in second.by_code


@pytest.mark.parametrize("name", REQUESTS)
def test_requests_do_what_they_are_counted_for(subject: Subject, name: str) -> None:
    """The counted requests succeed with the expected answers."""
    answer = subject.answer(REQUESTS[name])
    if name.endswith("GetByID"):
        assert answer["ID"] == 7
    elif name == "SQL endpoint":
        assert answer[0][0]["ID"] == 7
    elif name.startswith("page"):
        assert len(answer["Data"]) == 20
        assert ("Total" in answer) is (name == "page with total")
    elif name in {"aggregate", "distinct"}:
        assert len(answer) == (20 if name == "aggregate" else 1)
    else:
        assert answer == 1 if name == "Put" else len(answer) == 1


def write() -> None:
    """Measure and write the budgets of this Python."""
    with tempfile.TemporaryDirectory() as folder:
        subject = Subject(Path(folder) / "data")
        costs = {name: subject.cost(request) for name, request in REQUESTS.items()}
        subject.close()
    by_version = json.loads(BUDGETS.read_text()) if BUDGETS.exists() else {}
    by_version[VERSION] = {
        name: {"calls": math.ceil(cost.calls * SLACK), "functions": cost.by_name()} for name, cost in costs.items()
    }
    lines = []
    for version, budgets in sorted(by_version.items()):
        rows = ",\n".join(f'  "{name}": {json.dumps(budget)}' for name, budget in budgets.items())
        lines.append(f'"{version}": {{\n{rows}\n}}')
    BUDGETS.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    write()
