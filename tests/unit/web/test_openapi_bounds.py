"""Documents of very large applications, and the number of documents in memory. No server: nothing is read or stored."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from apilane.model.definition import Action, ApplicationDefinition, Property, Rule, RuleKind
from apilane.model.json import encode_json
from apilane.model.system import custom_entity, system_entities
from apilane.plugin import ANONYMOUS, Actor
from apilane.plugin.calls import WireCall
from apilane.web.data import data_calls
from apilane.web.openapi.document import ENTITIES_MAX, application_document
from apilane.web.openapi.page import DOCUMENTS_KEPT, Documents

LETTERS = "abcdefghij"
MANY = 10_000


class Application(SimpleNamespace):
    """The parts of a loaded application that a document needs."""

    __hash__ = object.__hash__


def application(count: int, **more: Any) -> Any:
    """An application with ``count`` entities that every caller may read and write."""
    names = ["Thing_" + "".join(LETTERS[int(digit)] for digit in f"{number:05}") for number in range(count)]
    properties = tuple(Property(name=f"Text{letter}", maximum=50) for letter in LETTERS)
    rules = tuple(
        Rule(kind=RuleKind.Entity, name=name, role="ANONYMOUS", action=action, properties=("Texta", "Textb"))
        for name in names
        for action in Action
    )
    definition = ApplicationDefinition(
        token="a71a5000-0000-4000-8000-000000000002",
        name="Many",
        entities=(*system_entities(), *(custom_entity(name, properties) for name in names)),
        rules=rules,
    )
    stored = SimpleNamespace(version=1)
    return Application(definition=definition, stored=stored, token=definition.token, endpoint_kinds={}, **more)


@pytest.fixture(scope="module")
def calls() -> list[WireCall]:
    """The Data calls."""
    return data_calls(None)  # type: ignore[arg-type]  # no call is made


def test_ten_thousand_entities(calls: list[WireCall]) -> None:
    """A document describes a bounded number of entities in a bounded number of bytes; others can be selected."""
    many = application(MANY)
    document = application_document(many, calls, ANONYMOUS)
    records = [name for name in document["components"]["schemas"] if name.endswith(".Record")]
    assert len(records) == ENTITIES_MAX
    assert f"{MANY - ENTITIES_MAX} more entities" in document["info"]["description"]
    assert len(encode_json(document)) < 3_000_000
    last = many.definition.entities[-1].name
    selected = application_document(many, calls, ANONYMOUS, only=[last])
    assert f"{last}.Record" in selected["components"]["schemas"]
    assert len(encode_json(selected)) < 30_000


def test_rules_are_read_once(calls: list[WireCall], monkeypatch: pytest.MonkeyPatch) -> None:
    """The work grows with the number of rules and entities, and not with their product."""
    from apilane.web.openapi import rights

    seen = 0
    effective = rights.effective_rules

    def counting(rules: Any, *more: Any, **named: Any) -> Any:
        nonlocal seen
        rules = [*rules]
        seen += len(rules)
        return effective(rules, *more, **named)

    monkeypatch.setattr(rights, "effective_rules", counting)
    application_document(application(1000), calls, ANONYMOUS)
    assert seen == 1000 * len(Action)


def test_a_document_is_made_once_for_each_role_set(calls: list[WireCall], monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests at the same time make one document. Users with equal roles share it, a new version has another."""
    from apilane.web.openapi import page

    made = []
    make = page.application_document

    def counting(*arguments: Any, **more: Any) -> Any:
        made.append(arguments)
        return make(*arguments, **more)

    monkeypatch.setattr(page, "application_document", counting)
    small, changed = application(3), application(3)
    users = [Actor(kind="user", user_id=number, roles=frozenset({"editor"})) for number in range(5)]

    async def ask() -> None:
        documents = Documents(calls)
        await asyncio.gather(*(documents.find(small, user, "") for user in users))
        assert len(made) == 1
        await documents.find(small, ANONYMOUS, "")
        await documents.find(changed, users[0], "")
        assert len(made) == 3
        await documents.find(small, users[0], "", ["Users"])
        await documents.find(small, users[0], "", ["Users"])
        assert len(made) == 5

    asyncio.run(ask())


def test_documents_in_memory_are_bounded(calls: list[WireCall]) -> None:
    """The number of documents in memory, and their bytes, have a limit for all applications together."""
    small = application(2)

    async def ask() -> Documents:
        documents = Documents(calls)
        for number in range(DOCUMENTS_KEPT + 20):
            await documents.find(small, Actor(kind="user", roles=frozenset({f"role{number}"})), "")
        return documents

    documents = asyncio.run(ask())
    assert len(documents._kept) == DOCUMENTS_KEPT
    assert documents._bytes == sum(len(each.content) for each in documents._kept.values())
