"""Objects that applications share after compilation: those that follow from equal entities and rules, and no key."""

from __future__ import annotations

import gc

import msgspec

from apilane.model.definition import Action, ApplicationDefinition, Entity, Property, PropertyType, Rule, RuleKind
from apilane.model.system import system_entities
from apilane.runtime.compiled import Compilations
from apilane.security.encryption import Cipher
from apilane_sqlite import SQLiteDriver

DRIVER = SQLiteDriver()
KEY, OTHER_KEY = Cipher(b"k" * 32), Cipher(b"o" * 32)


def _entity(*, encrypted: bool = False) -> Entity:
    """A new object for each call: equal to the others, but not identical."""
    key = Property(name="ID", type=PropertyType.Number, decimal_places=0, required=True, is_primary_key=True)
    return Entity(name="Books", properties=(key, Property(name="Title", maximum=100, encrypted=encrypted)))


def _definition(token: str, *roles: str) -> ApplicationDefinition:
    rules = tuple(
        Rule(kind=RuleKind.Entity, name="Books", role=role, action=Action.get, properties=("Title",)) for role in roles
    )
    return ApplicationDefinition(token=token, name=token, entities=(*system_entities(), _entity()), rules=rules)


def test_equal_entities_share() -> None:
    """Equal entities of one provider are compiled once, and released with the last application that uses them."""
    compilations, driver = Compilations(), SQLiteDriver()
    first = compilations.entity(_entity(), driver, KEY)
    assert compilations.entity(_entity(), driver, OTHER_KEY) is first
    changed = msgspec.structs.replace(_entity(), name="Novels")
    assert compilations.entity(changed, driver, KEY) is not first
    del first
    gc.collect()
    assert not compilations._entities


def test_encrypted_properties_are_not_shared() -> None:
    """An entity with encrypted properties is compiled for each application, with that application's key."""
    compilations, driver = Compilations(), SQLiteDriver()
    compiled = [compilations.entity(_entity(encrypted=True), driver, key) for key in (KEY, OTHER_KEY)]
    for entity, key, other in zip(compiled, (KEY, OTHER_KEY), (OTHER_KEY, KEY), strict=True):
        store = entity.stores["Title"]
        assert store is not None
        stored = store("a secret")
        assert key.decrypt(stored) == "a secret"
        assert other.decrypt(stored) != "a secret"
        (record,) = entity.maker(("ID", "Title"))([(1, stored)])
        assert msgspec.json.decode(msgspec.json.encode(record)) == {"ID": 1, "Title": "a secret"}


def test_equal_rules_share_plans() -> None:
    """Plans are shared for equal entities, rules and separation; a difference in one of them gives separate plans."""
    compilations = Compilations()
    first = compilations.plans(_definition("one", "editor"), DRIVER)
    assert compilations.plans(_definition("two", "editor"), DRIVER) is first
    four, five = _definition("four", "editor"), _definition("five", "editor")
    others = [
        compilations.plans(_definition("three", "reader"), DRIVER),
        compilations.plans(msgspec.structs.replace(four, differentiation_entity="Books"), DRIVER),
        compilations.plans(msgspec.structs.replace(five, entities=(_entity(),)), DRIVER),
    ]
    assert len({id(plans) for plans in (first, *others)}) == 4
    roles = frozenset({"reader"})
    assert first.plan("books", Action.get, True, roles, None) is None
    assert others[0].plan("books", Action.get, True, roles, None) is not None


def test_shared_definitions() -> None:
    """A shared definition equals the one that was read, and keeps no data of the first application."""
    compilations = Compilations()
    plans = compilations.plans(_definition("one", "editor"), DRIVER)
    assert (plans.definition.token, plans.definition.name) == ("", "")
    shared = compilations.share(_definition("two", "editor"), DRIVER)
    assert shared == _definition("two", "editor")
    assert shared.entities is plans.definition.entities
