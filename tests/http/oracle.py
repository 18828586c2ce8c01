"""The specification's access rules for reads and writes, in plain Python over a list of rows.

Written from the specification alone, without code of the product, so that the two can disagree. It covers only the
needs of the authorization matrix: no value validation, no paging beyond the first page, three filter operators.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]
Answer = tuple[int, Any]
"""HTTP status and decoded body."""

UNTOLD = "(the specification leaves this open)"
"""Marks a part of an error where any value is right."""


def refusal(code: str, message: str, *, entity: str | None = None, property: str | None = None) -> Answer:
    """The standard error body; status 401 is used for UNAUTHORIZED only."""
    body = {"Code": code, "Message": message, "Property": property, "Entity": entity}
    return (401 if code == "UNAUTHORIZED" else 400), body


@dataclass(frozen=True)
class Rule:
    """One stored rule. ``properties``: names as in the schema."""

    entity: str
    role: str
    action: str
    record: str
    properties: tuple[str, ...]


@dataclass(frozen=True)
class Caller:
    """A caller; ``user_id`` None: anonymous, or an owner of the application."""

    user_id: int | None = None
    roles: frozenset[str] = frozenset()
    tenant: int | None = None
    is_owner: bool = False

    def has_role(self, role: str) -> bool:
        """Whether the caller has a role; role names are compared exactly."""
        if role == "ANONYMOUS":
            return True
        return self.user_id is not None and (role == "AUTHENTICATED" or role in self.roles)


@dataclass
class EntityModel:
    """One entity. ``properties`` in schema order; ``writable`` maps names to the values of omitted columns."""

    name: str
    properties: tuple[str, ...]
    writable: Mapping[str, Any]
    has_owner: bool = True
    has_tenant: bool = False
    tracked: bool = False
    may_post: bool = True
    rows: dict[int, Row] = field(default_factory=dict)
    history: dict[int, int] = field(default_factory=dict)
    """The number of snapshots by record ID."""


@dataclass(frozen=True)
class Grant:
    """The combined effect of the caller's effective rules for an entity and an action."""

    properties: frozenset[str]
    owned: bool


class Oracle:
    """The entities of one application with their rows. Writes change ``rows`` as the specification demands."""

    def __init__(self, tenant_entity: str, entities: Iterable[EntityModel], rules: Sequence[Rule]) -> None:
        self.tenant_entity = tenant_entity
        self.tenant_column = f"{tenant_entity}_ID"
        self.entities = {entity.name: entity for entity in entities}
        self._rules: dict[tuple[str, str], list[Rule]] = {}
        for rule in rules:
            self._rules.setdefault((rule.entity, rule.action), []).append(rule)

    def rules(self, caller: Caller, entity: EntityModel, action: str) -> list[Rule]:
        """The caller's effective rules."""
        return [rule for rule in self._rules.get((entity.name, action), []) if caller.has_role(rule.role)]

    def grant(self, caller: Caller, entity: EntityModel, action: str) -> Grant | None:
        """Union of the property lists; Owned if any rule says so (B-S1). None: no rule grants the action.

        Owners have every grant, with or without rules.
        """
        if caller.is_owner:
            return Grant(frozenset(entity.properties), owned=False)
        rules = self.rules(caller, entity, action)
        if not rules:
            return None
        union = frozenset(name for rule in rules for name in rule.properties)
        return Grant(union, any(rule.record == "Owned" for rule in rules))

    def writable(self, caller: Caller, entity: EntityModel) -> Mapping[str, Any]:
        """``EntityModel.writable``, and for owners the differentiation property (B-D11)."""
        if caller.is_owner and entity.has_tenant:
            return {**entity.writable, self.tenant_column: None}
        return entity.writable

    def reaches(self, caller: Caller, entity: EntityModel, grant: Grant, row: Row) -> bool:
        """Whether a row is within the record scope and the caller's tenant."""
        if caller.is_owner:
            return True
        if entity.has_tenant and row[self.tenant_column] != caller.tenant:
            return False
        if not grant.owned:
            return True
        if caller.user_id is None:  # B-S3
            return False
        if entity.has_owner:
            return bool(row["Owner"] == caller.user_id)
        if entity.name == self.tenant_entity:  # B-S4
            return caller.tenant is not None and bool(row["ID"] == caller.tenant)
        return bool(row["ID"] == caller.user_id)

    def _readable(self, entity: EntityModel, grant: Grant) -> list[str]:
        return [name for name in entity.properties if name == "ID" or name in grant.properties]

    # --- reading

    def get(
        self,
        caller: Caller,
        entity: EntityModel,
        *,
        filter: Mapping[str, Any] | None = None,
        sort: Sequence[str] = (),
        properties: str | None = None,
        size: int = 1000,
    ) -> Answer:
        """Data/Get with ``getTotal``: the first page. ``sort``: property names as sent, all ascending."""
        grant = self.grant(caller, entity, "get")
        if grant is None:
            return refusal("UNAUTHORIZED", "Unauthorized", entity=entity.name)
        readable = self._readable(entity, grant)
        forbidden = next((name for name in _named(filter, entity) if name not in readable), None)
        if forbidden:
            message = f"Property '{forbidden}' is not allowed on this filter"
            return refusal("INVALID_FILTER_PARAMETER", message, entity=entity.name)
        keys = {typed: name for typed in sort if (name := schema_name(entity, typed))}
        for typed, name in keys.items():
            if name not in readable:
                message = f"Invalid sort parameter. Property '{typed}' is not allowed"
                return refusal("INVALID_SORT_PARAMETER", message, entity=entity.name)
        found = [row for row in entity.rows.values() if self.reaches(caller, entity, grant, row)]
        found = [row for row in found if _matches(filter, entity, row)]
        order = [*keys.values(), "ID"]
        found.sort(key=lambda row: [(row[name] is not None, row[name] or 0) for name in order])
        shown = _picked(readable, properties)
        return 200, {"Data": [{name: row[name] for name in shown} for row in found[:size]], "Total": len(found)}

    def get_by_id(self, caller: Caller, entity: EntityModel, id: int) -> Answer:
        """Data/GetByID."""
        grant = self.grant(caller, entity, "get")
        if grant is None:
            return refusal("UNAUTHORIZED", "Unauthorized", entity=entity.name)
        row = entity.rows.get(id)
        if row is None or not self.reaches(caller, entity, grant, row):
            return refusal("NOT_FOUND", "Record not found")
        return 200, {name: row[name] for name in self._readable(entity, grant)}

    # --- writing

    def put(self, caller: Caller, entity: EntityModel, body: Sequence[Mapping[str, Any]]) -> Answer:
        """Data/Put with an array; it changes all records or none (B-W6)."""
        grant = self.grant(caller, entity, "put")
        if grant is None:
            return refusal("UNAUTHORIZED", "Unauthorized", entity=entity.name)
        writable = self.writable(caller, entity)
        changes = [
            {name: value for key, value in sent.items() if (name := schema_name(entity, key)) in writable
             and name in grant.properties}
            for sent in body
        ]  # fmt: skip
        if not all(changes):
            return refusal("NO_PROPERTIES_PROVIDED", "No properties provided", entity=entity.name)
        matched = 0
        for sent, change in zip(body, changes, strict=True):
            row = entity.rows.get(sent["ID"])
            if row is not None and self.reaches(caller, entity, grant, row):
                row.update(change)
                self._snapshot(entity, row)
                matched += 1
        return 200, matched

    def post(self, caller: Caller, entity: EntityModel, body: Mapping[str, Any]) -> Answer:
        """Data/Post with one object; on success the body is the row to store, without ``ID`` and ``Created``."""
        grant = self.grant(caller, entity, "post")
        if grant is None:
            return refusal("UNAUTHORIZED", "Unauthorized", entity=entity.name)
        if not entity.may_post:
            return refusal("ERROR", "Not allowed", entity=entity.name)
        if not grant.properties & set(entity.writable):
            return refusal("NO_PROPERTIES_PROVIDED", "No properties provided", entity=entity.name)
        writable = self.writable(caller, entity)
        row = {name: body.get(name) if name in grant.properties else default for name, default in writable.items()}
        if entity.has_owner:
            row["Owner"] = caller.user_id
        if entity.has_tenant and not caller.is_owner:
            row[self.tenant_column] = caller.tenant
        return 200, row

    def delete(self, caller: Caller, entity: EntityModel, ids: Sequence[int]) -> Answer:
        """Data/Delete; it deletes no record when one of them is still referenced."""
        grant = self.grant(caller, entity, "delete")
        if grant is None:
            return refusal("UNAUTHORIZED", "Unauthorized", entity=entity.name)
        gone = sorted(
            id for id in ids if id in entity.rows and self.reaches(caller, entity, grant, entity.rows[id])
        )  # fmt: skip
        if any(self._is_referred_to(entity, id) for id in gone):
            code, message = "FOREIGN_KEY_CONSTRAINT_VIOLATION", "Foreign key constraint violation"
            return refusal(code, message, entity=UNTOLD, property=UNTOLD)
        for id in gone:
            self._snapshot(entity, entity.rows[id])
            del entity.rows[id]
        return 200, gone

    @staticmethod
    def _snapshot(entity: EntityModel, row: Row) -> None:
        if entity.tracked:
            entity.history[row["ID"]] = entity.history.get(row["ID"], 0) + 1

    def _is_referred_to(self, entity: EntityModel, id: int) -> bool:
        column = {"Users": "Owner", self.tenant_entity: self.tenant_column}.get(entity.name)
        if column is None:
            return False
        others = (other for other in self.entities.values() if column in other.properties)
        return any(row[column] == id for other in others for row in other.rows.values())


def schema_name(entity: EntityModel, typed: str) -> str | None:
    """Property names ignore letter case."""
    return next((name for name in entity.properties if name.lower() == typed.lower()), None)


def _named(filter: Mapping[str, Any] | None, entity: EntityModel) -> list[str]:
    """Every property that a filter names, at every level, in order."""
    if filter is None:
        return []
    if "Filters" in filter:
        return [name for item in filter["Filters"] for name in _named(item, entity)]
    name = schema_name(entity, filter["Property"])
    return [name] if name else []


def _matches(filter: Mapping[str, Any] | None, entity: EntityModel, row: Row) -> bool:
    if filter is None:
        return True
    if "Filters" in filter:
        join = any if filter["Logic"] == "OR" else all
        return join(_matches(item, entity, row) for item in filter["Filters"])
    name = schema_name(entity, filter["Property"])
    assert name is not None
    value, wanted = row[name], filter["Value"]
    if wanted is None:
        return value is None
    if value is None:
        return False
    return bool(value > wanted if filter["Operator"] == "greater" else value == wanted)


def _picked(readable: Sequence[str], properties: str | None) -> list[str]:
    if properties is None:
        return list(readable)
    wanted = {name.strip().lower() for name in properties.split(",")}
    return [name for name in readable if name == "ID" or name.lower() in wanted]
