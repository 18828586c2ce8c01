"""What rules with conditions grant, in plain Python, without the product's code.

Records are dictionaries. ``Scene`` has everything that a condition may look at beside the record.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

Record = dict[str, Any]
Rule = dict[str, Any]
ROLES = ("doctor", "nurse", "clerk")
PROPERTIES = ("DoctorID", "PatientID", "ParentID", "Status", "Note", "Ward", "Flag", "Planned", "Price")
TENANT = "Company_ID"
UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
DAY_MS = UNITS_MS["d"]
_ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    "greater": lambda a, b: a > b,
    "greaterorequal": lambda a, b: a >= b,
    "less": lambda a, b: a < b,
    "lessorequal": lambda a, b: a <= b,
    "startswith": lambda a, b: a.lower().startswith(b.lower()),
    "contains": lambda a, b: a in b if isinstance(b, list) else b.lower() in a.lower(),
    "notcontains": lambda a, b: a not in b if isinstance(b, list) else b.lower() not in a.lower(),
    "equal": lambda a, b: _plain(a) == _plain(b),
    "notequal": lambda a, b: _plain(a) != _plain(b),
}


def _plain(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


@dataclass
class Scene:
    """``caller``: the caller's user record; None: anonymous. ``tables``: the records of each entity.

    ``references``: by entity and property, the entity that a foreign key points to. ``tenants``: the entities whose
    records belong to a tenant.
    """

    caller: Record | None
    tables: dict[str, list[Record]]
    references: dict[tuple[str, str], str]
    now_ms: int
    tenants: frozenset[str] = field(default_factory=frozenset)

    @property
    def tenant(self) -> int | None:
        """The tenant of the caller."""
        return None if self.caller is None else self.caller.get(TENANT)

    def own(self, entity: str) -> list[Record]:
        """The records of an entity that belong to the caller's tenant; all of them where there are no tenants."""
        rows = self.tables[entity]
        return [row for row in rows if row[TENANT] == self.tenant] if entity in self.tenants else rows

    def related(self, path: str, record: Record) -> tuple[list[Record], str]:
        """The related records that a path leads to, and the property of them."""
        front, _, name = path.rpartition(".")
        if "(" in front:
            entity, key = front.rstrip(")").split("(")
            return [row for row in self.own(entity) if row[key] == record["ID"]], name
        target = self.references["Visits", front]
        return [row for row in self.own(target) if row["ID"] == record[front]], name


def holds(condition: dict[str, Any] | None, record: Record, scene: Scene) -> bool:
    """Whether a record meets a condition."""
    if condition is None:
        return True
    if "Filters" in condition:
        each = [holds(item, record, scene) for item in condition["Filters"]]
        return all(each) if condition.get("Logic", "AND") == "AND" else any(each)
    property = condition["Property"]
    if "." in property:
        rows, name = scene.related(property, record)
        return any(_leaf(row[name], condition, scene) for row in rows)
    return _leaf(record[property], condition, scene)


def _leaf(stored: Any, condition: dict[str, Any], scene: Scene) -> bool:
    operator, wanted = condition["Operator"], condition["Value"]
    if wanted is None:
        return (stored is None) == (operator == "equal")
    if isinstance(wanted, dict):
        wanted = _of_caller(wanted, scene)
        if wanted is None:
            return False
    if isinstance(wanted, bool):
        return bool(stored) is (wanted if operator == "equal" else not wanted)
    return stored is not None and _ORDERED[operator](stored, wanted)


def _of_caller(value: dict[str, str], scene: Scene) -> Any:
    if "Now" in value:
        sign, number, unit = re.findall(r"[+-]|\d+|[a-z]", value["Now"])
        return scene.now_ms + int(sign + number) * UNITS_MS[unit]
    return None if scene.caller is None else scene.caller[value["User"]]


def effective(rules: Sequence[Rule], action: str, roles: Sequence[str] | None) -> list[Rule]:
    """The rules of an action for a user with roles; None: an anonymous caller."""
    held = {"ANONYMOUS"} if roles is None else {"ANONYMOUS", "AUTHENTICATED", *roles}
    return [rule for rule in rules if rule["Action"] == action and rule["Role"] in held]


def within(rules: Sequence[Rule], record: Record, scene: Scene) -> bool:
    """Whether tenant and ownership leave a record to the caller."""
    if record[TENANT] != scene.tenant and "Visits" in scene.tenants:
        return False
    if any(rule.get("Record") == "Owned" for rule in rules):
        return scene.caller is not None and record["Owner"] == scene.caller["ID"]
    return True


def met(rules: Sequence[Rule], record: Record, scene: Scene) -> list[Rule]:
    """The rules whose ``Where`` a record meets; none when it is another tenant's or owner's."""
    return [rule for rule in rules if holds(rule.get("Where"), record, scene)] if within(rules, record, scene) else []


def granted(rules: Sequence[Rule]) -> set[str]:
    """The properties of rules."""
    return {name for rule in rules for name in rule.get("Properties", ())}


def checked(rule: Rule, record: Record, scene: Scene) -> bool:
    """Whether a stored record meets the ``Check`` of a rule, or its ``Where`` in place of it."""
    return holds(rule.get("Check", rule.get("Where")), record, scene)


def visible(rules: Sequence[Rule], records: Sequence[Record], scene: Scene) -> list[Record]:
    """What Data/Get answers."""
    names, found = granted(rules), []
    for record in records:
        matching = met(rules, record, scene)
        if matching:
            shown = granted(matching)
            found.append(
                {"ID": record["ID"]} | {name: record[name] if name in shown else None for name in sorted(names)}
            )
    return found


def usable(rules: Sequence[Rule]) -> set[str]:
    """The properties for filter, sort, aggregate and group."""
    plain = [rule for rule in rules if "Where" not in rule]
    if plain:
        return granted(plain)
    return set.intersection(*(set(rule["Properties"]) for rule in rules))


def leads_out(values: Record, scene: Scene) -> bool:
    """Whether a visit with these values refers to a record of another tenant (B-X5)."""
    targets = {name: target for (entity, name), target in scene.references.items() if entity == "Visits"}
    return any(
        values.get(name) is not None and all(row["ID"] != values[name] for row in scene.own(target))
        for name, target in targets.items()
    )


def put(rules: Sequence[Rule], record: Record, change: Record, scene: Scene) -> tuple[Record, int] | None:
    """The record after a put, and its count; None: UNAUTHORIZED. ``record`` is the one in the scene."""
    before = met(rules, record, scene)
    kept = {name: value for name, value in change.items() if name in granted(before)}
    if not kept:
        return record, 0
    was = dict(record)
    record.update(kept)  # a path may lead back to the record itself
    is_allowed = set(kept) <= granted([rule for rule in before if checked(rule, record, scene)])
    after = dict(record)
    record.update(was)
    return (after, 1) if is_allowed else None


def post(rules: Sequence[Rule], sent: Record, scene: Scene) -> Record | None:
    """The record that a post stores, with ID 0, to which nothing refers; None: UNAUTHORIZED."""
    names = granted(rules)
    stored: Record = {name: sent.get(name) if name in names else None for name in PROPERTIES}
    stored |= {"ID": 0, "Owner": None if scene.caller is None else scene.caller["ID"], TENANT: scene.tenant}
    holding = [rule for rule in rules if checked(rule, stored, scene)]
    return stored if holding and set(sent) & names <= granted(holding) else None


def random_condition(chance: random.Random, depth: int = 2) -> dict[str, Any]:
    """A condition of any form."""
    if depth and chance.random() < 0.35:
        items = [random_condition(chance, depth - 1) for _ in range(chance.randint(1, 3))]
        return {"Logic": chance.choice(["AND", "OR"]), "Filters": items}
    equal = chance.choice(["equal", "notequal"])
    compare = chance.choice(["equal", "notequal", "greater", "lessorequal", "greaterorequal", "less"])
    text = chance.choice(["startswith", "contains", "notcontains", "equal", "notequal"])
    moment = chance.choice(["-1d", "+24h", "-90m", "+0s"])
    property, operator, value = chance.choice(
        [
            ("DoctorID", "equal", {"User": "ID"}),
            ("DoctorID", equal, {"User": "ID"}),
            ("Owner", equal, {"User": "ID"}),
            ("DoctorID", "equal", None),
            ("Status", compare, chance.randint(0, 3)),
            ("Status", compare, {"User": "Level"}),
            ("Status", chance.choice(["contains", "notcontains"]), [1, 2, 3][: chance.randint(1, 3)]),
            ("Note", text, "a"),
            ("Note", equal, None),
            ("Note", equal, {"User": "Ward"}),
            ("Ward", equal, {"User": "Ward"}),
            ("Flag", equal, chance.random() < 0.5),
            ("Flag", equal, {"User": "Senior"}),
            ("Planned", chance.choice(["less", "greaterorequal"]), {"Now": moment}),
            ("Planned", chance.choice(["less", "greater"]), {"User": "Since"}),
            ("PatientID.DoctorID", equal, {"User": "ID"}),
            ("PatientID.Title", text, "a"),
            ("PatientID.Severity", compare, {"User": "Level"}),
            ("PatientID.Title", equal, {"User": "Ward"}),
            ("PatientID.Severity", equal, None),
            ("DoctorID.Level", compare, {"User": "Level"}),
            ("ParentID.DoctorID", equal, {"User": "ID"}),
            ("ParentID.Flag", equal, False),
            ("Members(VisitID).UserID", equal, {"User": "ID"}),
            ("Members(VisitID).Part", equal, chance.choice(["lead", None])),
            ("Visits(ParentID).Status", compare, 2),
        ]
    )
    return {"Property": property, "Operator": operator, "Value": value}


def random_rules(chance: random.Random) -> list[Rule]:
    """Rules of every action for a few roles, most with conditions."""
    rules: list[Rule] = []
    for action in ("get", "get", "get", "put", "put", "put", "post", "post", "delete", "delete"):
        rule: Rule = {"Entity": "Visits", "Role": chance.choice(["ANONYMOUS", "AUTHENTICATED", *ROLES, *ROLES])}
        rule["Action"] = action
        if action != "delete":
            rule["Properties"] = sorted(chance.sample(PROPERTIES, chance.randint(1, len(PROPERTIES))))
        if action != "post" and chance.random() < 0.8:
            rule["Where"] = random_condition(chance)
        if action != "post" and chance.random() < 0.08:
            rule["Record"] = "Owned"
        if action in ("post", "put") and chance.random() < 0.6:
            rule["Check"] = random_condition(chance)
        rules.append(rule)
    return rules


def random_values(chance: random.Random, scene: Scene) -> Record:
    """Values of every property."""
    users = [each["ID"] for each in scene.tables["Users"]]
    patients = [each["ID"] for each in scene.tables["Patients"]]
    return {
        "DoctorID": chance.choice([None, *users, *users]),
        "PatientID": chance.choice([None, *patients]),
        "ParentID": chance.choice([None, *(each["ID"] for each in scene.tables["Visits"][:10])]),
        "Status": chance.choice([None, 0, 1, 2, 3]),
        "Note": chance.choice([None, "a", "Apple", "bad", "c", "émile"]),
        "Ward": chance.choice([None, "ÉMILE", "Bad", "Σίσυφος"]),
        "Flag": chance.choice([None, True, False]),
        "Planned": chance.choice([None, *(scene.now_ms + days * DAY_MS for days in (-3, 3))]),
        "Price": chance.randint(1, 99),
    }
