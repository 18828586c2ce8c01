"""Running the text of an endpoint before it is stored, as owners do
(docs/reference/protocol/query-language.md section 8.4).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from apilane.errors import ApilaneError
from apilane.instance import Instance
from apilane.model.definition import Endpoint
from apilane.plugin.identity import Actor
from apilane.runtime.application import ApplicationRuntime
from apilane.services.capabilities import capabilities_of
from apilane.services.manifest_plans import plan_files
from apilane.settings import Settings
from apilane.sql.statement import Statement
from apilane_custom_endpoints.calls import encode_result_sets, try_out

OWNER = Actor(kind="operator", credential="dev@example.com")
MANIFEST = {
    "Apilane": 1,
    "Application": {"Name": "Trials"},
    "Entities": [{"Name": "Notes", "Properties": [{"Name": "Text"}]}],
}

Wait = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[tuple[ApplicationRuntime, Wait]]:
    """An application with a table of notes, and a function that runs coroutines."""
    settings = Settings(data_dir=tmp_path, admin_email="admin@example.com", admin_password="Adm1n-password")
    instance = Instance(settings)

    async def make() -> ApplicationRuntime | None:
        await instance.open(serve=False)
        capabilities = capabilities_of(instance.hooks)
        files = [("trials.json", json.dumps(MANIFEST).encode())]
        (plan,) = await plan_files(files, store=instance.store, capabilities=capabilities)
        stored = await instance.changes.apply(plan, actor="tests")
        return await instance.applications.find(stored.definition.token)

    with asyncio.Runner() as runner:
        application = runner.run(make())
        assert application is not None
        yield application, runner.run
        runner.run(instance.close())


def _endpoint(query: str, **parameters: str) -> Endpoint:
    return Endpoint(name="Trial", query=query, parameters=parameters)


def test_what_it_writes_is_undone(opened: tuple[ApplicationRuntime, Wait]) -> None:
    """The results equal those of a call, and nothing is stored (B-Q9)."""
    application, wait = opened
    endpoint = _endpoint("INSERT INTO Notes (Created, Text) VALUES (1, {S}); SELECT Text FROM Notes", S="String")
    for _ in range(2):
        assert wait(try_out(application, endpoint, {"S": "it's"}, OWNER)) == [[{"Text": "it's"}]]
    assert list(wait(application.session.fetch(Statement("SELECT ID FROM Notes")))) == []


def test_owner_is_a_parameter(opened: tuple[ApplicationRuntime, Wait]) -> None:
    """{Owner} has the value of the parameter with that name, or null (B-Q8, B-Q9)."""
    application, wait = opened
    endpoint = _endpoint("SELECT {Owner} id")
    for typed, value in {"7": 7, "x": None, "": None, "9" * 5000: None}.items():
        assert wait(try_out(application, endpoint, {"Owner": typed}, OWNER)) == [[{"id": value}]]


def test_owners_read_why_it_fails(opened: tuple[ApplicationRuntime, Wait]) -> None:
    """A failure has the database's own message, and is rolled back too
    (docs/reference/protocol/errors.md section 1.5).
    """
    application, wait = opened
    for query, says in {
        "SELECT Nope FROM Notes": "no such column: Nope",
        "DROP TABLE Notes": "may not do this: DROP TABLE Notes",
        "INSERT INTO Notes (Created) VALUES (1); SELECT abs(-9223372036854775808)": "does not fit into 64 bits",
        "SELEC": "syntax error",
    }.items():
        with pytest.raises(ApilaneError, match=says):
            wait(try_out(application, _endpoint(query), {}, OWNER))
    assert list(wait(application.session.fetch(Statement("SELECT ID FROM Notes")))) == []


def test_a_kind_without_a_plugin(opened: tuple[ApplicationRuntime, Wait]) -> None:
    """An endpoint of another kind gets the answer of an unknown endpoint."""
    application, wait = opened
    with pytest.raises(ApilaneError) as caught:
        wait(try_out(application, Endpoint(name="Trial", query="x", kind="other"), {}, OWNER))
    assert caught.value.status == 404


@pytest.mark.parametrize(
    ("returned", "says"),
    [
        (None, "returned NoneType, not a list of result sets"),
        ("text", "returned str, not a list of result sets"),
        ({"a": 1}, "returned dict, not a list of result sets"),
        ([{"a": 1}], "returned dict, not a list of rows as a result set"),
        (["text"], "returned str, not a list of rows"),
        ([b"bytes"], "returned bytes, not a list of rows"),
        ([None], "returned NoneType, not a list of rows"),
        ([[{"a": 1}, "text"]], "returned str, not a mapping of column names to values as a row"),
        ([[{"a": 1}, None]], "returned NoneType, not a mapping"),
        ([[[("a", 1)]]], "returned list, not a mapping"),
    ],
)
def test_a_result_of_another_shape(returned: Any, says: str) -> None:
    """A kind whose result has another shape is an error that names the kind and the endpoint."""
    with pytest.raises(TypeError, match=f"the kind 'other' of endpoint Trial {says}"):
        asyncio.run(encode_result_sets(returned, Endpoint(name="Trial", query="x", kind="other")))


@pytest.mark.parametrize(
    ("returned", "body"),
    [
        ([], b"[]"),
        ([[]], b"[[]]"),
        (((), ({"a": 1},)), b'[[],[{"a":1}]]'),
        ([[MappingProxyType({"a": float("nan")})]], b'[[{"a":null}]]'),
        ([[{"a": 1}] * 501], b"[[" + b",".join([b'{"a":1}'] * 501) + b"]]"),
    ],
)
def test_results_of_the_right_shape(returned: Any, body: bytes) -> None:
    """Any sequences and mappings are arrays and objects in JSON."""
    assert asyncio.run(encode_result_sets(returned, Endpoint(name="Trial", query="x"))) == body
