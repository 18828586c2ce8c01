"""What a program may do, worked out from the documentation in plain Python. It shares no code with the product.

A grant of an action is None (refused) or the set of properties. ``ID`` is not in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

__all__ = ["granted"]

Rule = Mapping[str, object]


def _by_rules(rules: Iterable[Rule], entity: str, action: str, roles: frozenset[str]) -> set[str] | None:
    """The properties that the rules give, or None without a rule."""
    held = {"ANONYMOUS", "AUTHENTICATED"} | roles
    mine = [r for r in rules if r["Entity"] == entity and r["Action"] == action and r["Role"] in held]
    if not mine:
        return None
    names: set[str] = set()
    for rule in mine:
        listed = rule.get("Properties", [])
        assert isinstance(listed, list)
        names |= set(listed)
    return names


def _by_scopes(scopes: Sequence[str], entity: str, action: str, every: Iterable[str]) -> set[str] | None:
    """The properties that the scopes leave, or None where no scope covers the action."""
    found: set[str] | None = None
    for scope in scopes:
        text = scope.replace(" ", "").lower()
        if text == "read":
            text = "*:get"
        elif text == "write":
            text = "*:" + ("" if action == "get" else action)
        elif text == "files":
            text = "files:*"
        matched = re.match(r"^(.*):([a-z*]+)(\((.*)\))?$", text)
        if matched is None or matched[1] not in {"*", entity.lower()} or matched[2] not in {"*", action}:
            continue
        listed = set(every)
        if matched[4] is not None:
            listed = {name for name in every if name.lower() in matched[4].split(",")}
        found = listed if found is None else found | listed
    return found


def granted(
    rules: Iterable[Rule], scopes: Sequence[str], entity: str, action: str, roles: frozenset[str], every: Iterable[str]
) -> set[str] | None:
    """The properties of an entity with which a program may do an action; None: it may not."""
    by_rules = _by_rules(rules, entity, action, roles)
    by_scopes = _by_scopes(scopes, entity, action, every)
    return None if by_rules is None or by_scopes is None else by_rules & by_scopes
