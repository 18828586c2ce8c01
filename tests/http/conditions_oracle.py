"""What rules with conditions grant, in plain Python, without the product's code."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

Record = dict[str, Any]
Rule = dict[str, Any]
ME = {"User": "ID"}
ROLES = ("doctor", "nurse", "clerk")
PROPERTIES = ("DoctorID", "Status", "Note", "Flag", "Price")
_ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    "greater": lambda a, b: a > b,
    "greaterorequal": lambda a, b: a >= b,
    "less": lambda a, b: a < b,
    "lessorequal": lambda a, b: a <= b,
    "startswith": lambda a, b: a.lower().startswith(b.lower()),
    "contains": lambda a, b: a in b if isinstance(b, list) else b.lower() in a.lower(),
    "notcontains": lambda a, b: a not in b if isinstance(b, list) else b.lower() not in a.lower(),
    "equal": lambda a, b: a == b,
    "notequal": lambda a, b: a != b,
}


def holds(condition: dict[str, Any] | None, record: Record, user_id: int | None) -> bool:
    """Whether a record meets a condition for a caller."""
    if condition is None:
        return True
    if "Filters" in condition:
        each = [holds(item, record, user_id) for item in condition["Filters"]]
        return all(each) if condition.get("Logic", "AND") == "AND" else any(each)
    stored, operator, wanted = record[condition["Property"]], condition["Operator"], condition["Value"]
    if wanted is None:
        return (stored is None) == (operator == "equal")
    if wanted == ME:
        wanted = user_id
        if wanted is None:
            return False
    if isinstance(wanted, bool):
        return bool(stored) is (wanted if operator == "equal" else not wanted)
    return stored is not None and _ORDERED[operator](stored, wanted)


def effective(rules: Sequence[Rule], action: str, roles: Sequence[str] | None) -> list[Rule]:
    """The rules of an action for a user with roles; None: an anonymous caller."""
    held = {"ANONYMOUS"} if roles is None else {"ANONYMOUS", "AUTHENTICATED", *roles}
    return [rule for rule in rules if rule["Action"] == action and rule["Role"] in held]


def met(rules: Sequence[Rule], record: Record, user_id: int | None) -> list[Rule]:
    """The rules whose ``Where`` a record meets."""
    return [rule for rule in rules if holds(rule.get("Where"), record, user_id)]


def granted(rules: Sequence[Rule]) -> set[str]:
    """The properties of rules."""
    return {name for rule in rules for name in rule.get("Properties", ())}


def checked(rule: Rule, record: Record, user_id: int | None) -> bool:
    """Whether a stored record meets the ``Check`` of a rule, or its ``Where`` in place of it."""
    return holds(rule.get("Check", rule.get("Where")), record, user_id)


def visible(rules: Sequence[Rule], records: Sequence[Record], user_id: int | None) -> list[Record]:
    """What Data/Get answers."""
    names, found = granted(rules), []
    for record in records:
        matching = met(rules, record, user_id)
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


def put(rules: Sequence[Rule], record: Record, change: Record, user_id: int | None) -> tuple[Record, int] | None:
    """The record after a put, and its count; None: UNAUTHORIZED."""
    before = met(rules, record, user_id)
    kept = {name: value for name, value in change.items() if name in granted(before)}
    if not kept:
        return record, 0
    after = record | kept
    if not set(kept) <= granted([rule for rule in before if checked(rule, after, user_id)]):
        return None
    return after, 1


def post(rules: Sequence[Rule], sent: Record, user_id: int | None) -> Record | None:
    """The record that a post stores; None: UNAUTHORIZED."""
    names = granted(rules)
    stored = {name: sent.get(name) if name in names else None for name in PROPERTIES}
    holding = [rule for rule in rules if checked(rule, stored, user_id)]
    return stored if holding and set(sent) & names <= granted(holding) else None


def random_condition(chance: random.Random, depth: int = 2) -> dict[str, Any]:
    """A condition of any form."""
    if depth and chance.random() < 0.35:
        items = [random_condition(chance, depth - 1) for _ in range(chance.randint(1, 3))]
        return {"Logic": chance.choice(["AND", "OR"]), "Filters": items}
    property, operator, value = chance.choice(
        [
            ("DoctorID", "equal", ME),
            ("DoctorID", "equal", ME),
            ("DoctorID", "notequal", ME),
            ("DoctorID", "equal", None),
            ("Status", chance.choice(["equal", "notequal", "greater", "lessorequal"]), chance.randint(0, 3)),
            ("Status", chance.choice(["contains", "notcontains"]), [1, 2, 3][: chance.randint(1, 3)]),
            ("Note", chance.choice(["startswith", "contains", "notcontains", "equal", "notequal"]), "a"),
            ("Note", chance.choice(["equal", "notequal"]), None),
            ("Flag", chance.choice(["equal", "notequal"]), chance.random() < 0.5),
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
        if action in ("post", "put") and chance.random() < 0.6:
            rule["Check"] = random_condition(chance)
        rules.append(rule)
    return rules


def random_values(chance: random.Random, users: Sequence[int]) -> Record:
    """Values of every property."""
    return {
        "DoctorID": chance.choice([None, *users, *users]),
        "Status": chance.choice([None, 0, 1, 2, 3]),
        "Note": chance.choice([None, "a", "Apple", "bad", "c"]),
        "Flag": chance.choice([None, True, False]),
        "Price": chance.randint(1, 99),
    }
