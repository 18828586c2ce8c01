"""Scopes of a credential: the actions and properties to which it is limited, in addition to the rules. Pure.

| scope | covers |
| --- | --- |
| `Orders:get` | an action (`get`, `post`, `put`, `delete`, `*`) on an entity; `*` stands for every entity |
| `Orders:get(Total, Status)` | the same for some properties; `ID` can always be read |
| `Custom/Report`, `Custom/*` | a custom endpoint, or all |
| `Schema` | the schema |
| `read` | `*:get` and `Schema` |
| `write` | `*:post`, `*:put` and `*:delete` |
| `files` | `Files:*` |

Letter case is ignored. A scope grants nothing that the rules do not grant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from apilane.model.definition import Action, Rule, RuleKind

__all__ = ["Scopes", "in_scope", "read_scopes", "rules_in_scope"]

Scopes = frozenset[str] | None
"""The scopes of a credential (``in_scope``); None: unlimited."""

SHORTHANDS: Final = {
    "read": ("*:get", "schema"),
    "write": ("*:post", "*:put", "*:delete"),
    "files": ("files:*",),
    "schema": ("schema",),
}
ACTIONS: Final = (*(action.value for action in Action), "*")
_of_entity = re.compile(r"([a-z_][a-z0-9_]*|\*):([a-z]+|\*)(?:\(([a-z0-9_,\s]+)\))?").fullmatch
_of_endpoint = re.compile(r"custom/([a-z_][a-z0-9_.-]*|\*)").fullmatch
_is_property = re.compile(r"[a-z_][a-z0-9_]*").fullmatch


def read_scopes(texts: Iterable[str]) -> frozenset[str]:
    """The scopes that texts stand for, in their canonical form: lower case, without shorthands.

    Raises ValueError for the first text that is no scope; its message can be shown to the caller.
    """
    found: set[str] = set()
    for text in texts:
        found.update(_read(text))
    return frozenset(found)


def _read(text: str) -> tuple[str, ...]:
    scope = text.strip().lower()
    if scope in SHORTHANDS:
        return SHORTHANDS[scope]
    if _of_endpoint(scope):
        return (scope,)
    parts = _of_entity(scope)
    if parts is None or parts[2] not in ACTIONS:
        raise ValueError(
            f"{text[:100]!r} is no scope; expected one such as Orders:get, Orders:put(Status), Custom/Report, Schema, "
            f"files, read or write. Actions are {', '.join(ACTIONS)}."
        )
    if parts[3] is None:
        return (scope,)
    names = sorted({name.strip() for name in parts[3].split(",")})
    if not all(map(_is_property, names)):
        raise ValueError(f"{text[:100]!r} has a list with an empty name or blanks in a name.")
    if parts[2] in {"delete", "*"}:
        raise ValueError(f"{text[:100]!r}: only get, post and put have lists of properties.")
    return (f"{parts[1]}:{parts[2]}({','.join(names)})",)


def in_scope(scopes: Scopes, kind: RuleKind, name: str, action: Action) -> bool:
    """Whether the scopes of a credential cover an action, at least for some properties.

    None covers everything, an empty set nothing.
    """
    if scopes is None:
        return True
    held = {scope.partition("(")[0].lower() for scope in scopes}
    name = name.lower()
    if kind is RuleKind.Schema:
        return "schema" in held
    if kind is RuleKind.CustomEndpoint:
        return not held.isdisjoint({f"custom/{name}", "custom/*"})
    return not held.isdisjoint(_forms(name, action))


def _forms(entity: str, action: Action) -> set[str]:
    return {f"{entity}:{action.value}", f"{entity}:*", f"*:{action.value}", "*:*"}


def rules_in_scope(scopes: Scopes, rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """The rules that the scopes cover, each with the properties that the scopes cover."""
    if scopes is None:
        return tuple(rules)
    return tuple(_narrowed(scopes, rule) for rule in rules if in_scope(scopes, rule.kind, rule.name, rule.action))


def _narrowed(scopes: frozenset[str], rule: Rule) -> Rule:
    if rule.kind is not RuleKind.Entity:
        return rule
    forms = _forms(rule.name.lower(), rule.action)
    listed: set[str] = set()
    for scope in scopes:
        form, has_list, names = scope.lower().partition("(")
        if form in forms:
            if not has_list:
                return rule
            listed.update(name.strip() for name in names.rstrip(")").split(","))
    return replace(rule, properties=tuple(name for name in rule.properties if name.lower() in listed))
