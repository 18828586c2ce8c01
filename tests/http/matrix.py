"""The applications of the authorization matrix: every combination of roles, rules, tenants and owners, generated.

There are five families with one application each. In ``roles`` only custom roles have rules, on every kind of entity,
including the system ones; in the others ANONYMOUS, AUTHENTICATED, both, or ANONYMOUS twice have rules. This module
calls no server.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

from tests.http.oracle import Caller, EntityModel, Oracle, Row, Rule

ACTIONS = ("get", "post", "put", "delete")
TENANT_ENTITY = "Company"
TENANT_COLUMN = "Company_ID"
OWN_TENANT, OTHER_TENANT, EMPTY_TENANT = 1, 2, 3
"""Rows of the differentiation entity: the tenant of callers, of bystanders, and of no user."""
CUSTOM: dict[str, Any] = {"Alpha": None, "Beta": None, "Gamma": 0}
"""Custom properties of every entity, with the value of an omitted column; Gamma is required."""

LISTS: dict[str, tuple[str, ...]] = {
    "empty": (),
    "one": ("Alpha",),
    "pair": ("Alpha", "Beta"),
    "tail": ("Beta", "Gamma"),
    "every": ("*",),
}
GRANTS = tuple(product(("All", "Owned"), LISTS))
SHIFT = {"get": 0, "post": 3, "put": 6, "delete": 9}
"""A role has a different grant for each action, so that a rule for another action gives a wrong result."""
ROLES = tuple(f"role{letter}" for letter in "abcdefghij")
WITHOUT_RULES = ("roley", "rolez")

USERS = ("ID", "Email", "Username", "Created", "LastLogin", "EmailConfirmed", "Password", "Roles", TENANT_COLUMN)
WRITABLE_OF_USERS = ("Email", "Username", "Roles")


@dataclass(frozen=True)
class Seat:
    """A caller before it has an ID; ``name`` None is the anonymous caller, or with ``is_owner`` the owner."""

    name: str | None
    roles: tuple[str, ...] = ()
    tenant: int | None = None
    is_owner: bool = False


@dataclass
class Family:
    """One application: its entities in order, the rules, and its callers."""

    name: str
    entities: list[EntityModel]
    rules: list[Rule]
    seats: list[Seat]

    def manifest(self) -> dict[str, Any]:
        """The manifest for ``apilane apply``."""
        properties = [
            {"Name": "Alpha", "Type": "String"},
            {"Name": "Beta", "Type": "Number"},
            {"Name": "Gamma", "Type": "Number", "Required": True},
        ]
        entities = []
        for entity in self.entities:
            item: dict[str, Any] = {"Name": entity.name, "Properties": properties}
            if entity.name not in ("Users", TENANT_ENTITY):
                item |= {"Differentiation": entity.has_tenant, "ChangeTracking": entity.tracked}
            entities.append(item)
        return {
            "Apilane": 1,
            "Application": {"Name": f"Matrix {self.name}", "DifferentiationEntity": TENANT_ENTITY},
            "Entities": entities,
            "Security": [
                {
                    "Entity": rule.entity,
                    "Role": rule.role,
                    "Action": rule.action,
                    "Record": rule.record,
                    "Properties": "*" if rule.properties == ("*",) else list(rule.properties),
                }
                for rule in self.rules
            ],
        }

    def oracle(self) -> Oracle:
        """A new model without rows; ``*`` is replaced by the properties that the manifest reference promises."""
        by_name = {entity.name: entity for entity in self.entities}
        rules = [
            Rule(rule.entity, rule.role, rule.action, rule.record, _every(by_name[rule.entity], rule.action))
            if rule.properties == ("*",)
            else rule
            for rule in self.rules
        ]
        return Oracle(TENANT_ENTITY, self.entities, rules)


def _every(entity: EntityModel, action: str) -> tuple[str, ...]:
    if action == "get":
        return tuple(name for name in entity.properties if name != "Password")
    return tuple(entity.writable)  # the property list of a delete rule has no effect


def custom_entity(name: str, *, tenant: bool, tracked: bool) -> EntityModel:
    """A custom entity, its system properties first."""
    system = ("ID", "Owner", "Created", *((TENANT_COLUMN,) if tenant else ()))
    return EntityModel(name, (*system, *CUSTOM), dict(CUSTOM), has_tenant=tenant, tracked=tracked)


def system_entities() -> list[EntityModel]:
    """``Users`` and the differentiation entity, both tracked and without ``Owner``."""
    writable = {**dict.fromkeys(WRITABLE_OF_USERS), **CUSTOM}
    users = EntityModel(
        "Users", (*USERS, *CUSTOM), writable, has_owner=False, has_tenant=True, tracked=True, may_post=False
    )
    company = EntityModel(TENANT_ENTITY, ("ID", "Created", *CUSTOM), dict(CUSTOM), has_owner=False, tracked=True)
    return [company, users]


def _rules(entity: EntityModel, role: str, position: int) -> Iterator[Rule]:
    """The four rules of a role on an entity, with one grant for each action."""
    for action in ACTIONS:
        if action == "post" and not entity.may_post:
            continue
        record, listed = GRANTS[(position + SHIFT[action]) % len(GRANTS)]
        yield Rule(entity.name, role, action, record, LISTS[listed])


ANONYMOUS = Seat(None)
OWNER = Seat(None, is_owner=True)


def _users(role_sets: list[tuple[str, ...]]) -> list[Seat]:
    """Users with every set of roles, one without a tenant and one in a tenant."""
    kinds = product(role_sets, (None, OWN_TENANT))
    return [Seat(f"user{number:04}", roles, tenant) for number, (roles, tenant) in enumerate(kinds)]


_SINGLE = [(), *((role,) for role in (*ROLES, *WITHOUT_RULES))]
_PAIRS = [*combinations(ROLES, 2), *product(ROLES, WITHOUT_RULES[:1]), WITHOUT_RULES]


def _letter(position: int) -> str:
    return "abcdefghij"[position]


def _kind(tenant: bool) -> str:
    return "Tenant" if tenant else "Plain"


def _by_roles() -> Family:
    entities = system_entities()
    entities += [custom_entity(_kind(tenant), tenant=tenant, tracked=tenant) for tenant in (False, True)]
    rules = [
        rule for entity in entities for position, role in enumerate(ROLES) for rule in _rules(entity, role, position)
    ]
    return Family("roles", entities, rules, [ANONYMOUS, OWNER, *_users([*_SINGLE, *_PAIRS])])


def _with_base(name: str, base_role: str) -> Family:
    """Every grant of ``base_role``, combined with every single custom role."""
    family = Family(name, system_entities(), [], [ANONYMOUS, OWNER, *_users(_SINGLE)])
    for position, tenant in product(range(len(GRANTS)), (False, True)):
        entity = custom_entity(f"Base_{_letter(position)}_{_kind(tenant)}", tenant=tenant, tracked=position % 2 == 1)
        family.entities.append(entity)
        family.rules += _rules(entity, base_role, position)
        for other, role in enumerate(ROLES):
            family.rules += _rules(entity, role, other)
    return family


def _joined(name: str, first: str, second: str, pairs: list[tuple[int, int, bool]], seats: list[Seat]) -> Family:
    """Grants of two base roles combined; ``pairs``: positions of the grants, and whether the entity has tenants."""
    family = Family(name, system_entities(), [], seats)
    for left, right, tenant in pairs:
        title = f"Join_{_letter(left)}{_letter(right)}_{_kind(tenant)}"
        entity = custom_entity(title, tenant=tenant, tracked=(left + right) % 2 == 1)
        family.entities.append(entity)
        family.rules += [*_rules(entity, first, left), *_rules(entity, second, right)]
    return family


def families() -> dict[str, Family]:
    """New models of all five applications."""
    positions = range(len(GRANTS))
    # Each two grants are combined in both orders: one order has tenants, the other has none.
    every = [(left, right, left < right) for left, right in product(positions, positions)]
    distinct = [(left, right, tenant) for left, right in combinations(positions, 2) for tenant in (False, True)]
    made = [
        _by_roles(),
        _with_base("anonymous", "ANONYMOUS"),
        _with_base("authenticated", "AUTHENTICATED"),
        _joined("both", "ANONYMOUS", "AUTHENTICATED", every, _users([()])),
        _joined("twice", "ANONYMOUS", "ANONYMOUS", distinct, [ANONYMOUS]),
    ]
    return {family.name: family for family in made}


def new_rows(entity: EntityModel, caller: Caller, bystander: int, first_id: int) -> list[Row]:
    """Rows of an entity for one caller: every owner (own, another's, none) in every tenant (none, own, other)."""
    owners = [bystander, None] if caller.user_id is None else [caller.user_id, bystander, None]
    tenants: tuple[int | None, ...] = (None, OWN_TENANT, OTHER_TENANT) if entity.has_tenant else (None,)
    rows = []
    for id, (owner, tenant) in enumerate(product(owners if entity.has_owner else [None], tenants), first_id):
        row: Row = {"ID": id, "Created": 1_700_000_000_000 + id}
        row |= {"Alpha": f"a{id % 3}", "Beta": id % 4 or None, "Gamma": id % 5}
        if entity.has_owner:
            row["Owner"] = owner
        if entity.has_tenant:
            row[TENANT_COLUMN] = tenant
        rows.append(row)
    return rows


# --- Classification of checks, for the proof that every combination occurs


def role_kind(caller: Caller) -> str:
    """The kind of caller: owner, anonymous, authenticated (no role), one or two roles."""
    if caller.is_owner:
        return "owner"
    return "anonymous" if caller.user_id is None else ("authenticated", "one", "two")[len(caller.roles)]


def rule_kind(rules: list[Rule], entity: EntityModel) -> tuple[str, str]:
    """The kind of effective rules: (record scope, property lists)."""
    if not rules:
        return "none", "none"
    scopes = {rule.record for rule in rules}
    lists = {frozenset(rule.properties) for rule in rules}
    union = frozenset[str]().union(*lists)
    every = frozenset(_every(entity, rules[0].action))
    if union not in lists:
        kind = "overlapping" if any(a & b for a, b in combinations(lists, 2)) else "joined"
    elif union == every:
        kind = "all"
    else:
        kind = ("empty", "one", "several")[min(len(union), 2)]
    return ("mixed" if len(scopes) > 1 else scopes.pop()), kind


def row_kind(caller: Caller, entity: EntityModel, row: Row) -> tuple[str, str]:
    """The kind of row for the caller: (tenant, owner)."""
    tenant = "absent"
    if entity.has_tenant:
        value = row[TENANT_COLUMN]
        tenant = "null" if value is None else "own" if value == caller.tenant else "other"
    owner = row["Owner"] if entity.has_owner else row["ID"]
    return tenant, "none" if owner is None else "own" if owner == caller.user_id else "other"
