"""Small checks of the form of manifest values: text, flags, whole numbers, choices, lists and mappings.

A check reports mistakes and returns whether the node may be used. Mappings and lists drop refused nodes. Later code
therefore sees only values of the right form, and one mistake is reported once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from apilane.model.manifest.nodes import UNUSABLE, Node, is_missing_secret
from apilane.model.manifest.problems import Problems, nearest
from apilane.model.manifest.read import plain_scalar
from apilane.model.text import utf16_length

__all__ = [
    "Check",
    "Key",
    "anything",
    "choice",
    "flag",
    "list_of",
    "mapping",
    "nullable",
    "text",
    "texts",
    "usable",
    "whole",
]


class Check(NamedTuple):
    """A check; ``kind`` describes the accepted values in messages and in the documentation."""

    kind: str
    test: Callable[[Node, Problems], bool]

    def __call__(self, node: Node, problems: Problems) -> bool:
        """Whether the node may be used; if not, the reason is reported."""
        return self.test(node, problems)


class Key(NamedTuple):
    """One key of a mapping. ``about``: its meaning and rules for the documentation, one or two sentences."""

    check: Check
    about: str
    required: bool = False


def described(value: object) -> str:
    """A value as an error message shows it."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    shown = str(value)
    shown = shown if len(shown) <= 40 else shown[:40] + "..."
    return (
        f"the text '{shown}'"
        if isinstance(value, str)
        else f"the number {shown}"
        if isinstance(value, int | float)
        else shown
    )


def refuse(node: Node, problems: Problems, expected: str, hint: str = "", *, may_be_secret: bool = False) -> bool:
    """Report that a value has the wrong form. A value that may be a secret is not shown."""
    hides = may_be_secret and node.value is not None and not isinstance(node.value, dict | list)
    found = "another value" if hides else described(node.value)
    problems.add(node.line, node.path, f"expected {expected}, found {found}", hint)
    return False


def _typed(node: Node) -> None:
    """Convert a value from the environment as an unquoted scalar."""
    if node.reference is not None and isinstance(node.value, str):
        node.value = plain_scalar(node.value)


def nullable(check: Check) -> Check:
    """Accepts null, and every value that ``check`` accepts."""
    return Check(f"{check.kind}, or null", lambda node, problems: node.value is None or check(node, problems))


def text(*, shortest: int = 0, longest: int | None = None) -> Check:
    """Text of a length in UTF-16 units."""

    def check(node: Node, problems: Problems) -> bool:
        if not isinstance(node.value, str):
            quotable = node.value is not None and not isinstance(node.value, dict | list)
            return refuse(node, problems, "text", "put it in quotes" if quotable else "")
        length = utf16_length(node.value)
        if length < shortest:
            return refuse(
                node, problems, "text that is not empty" if shortest == 1 else f"{shortest} characters or more"
            )
        if longest is not None and length > longest:
            problems.add(node.line, node.path, f"has {length} characters", f"at most {longest} are allowed")
            return False
        return True

    limit = "" if longest is None else f", at most {longest:,} characters"
    return Check(f"text{', not empty' if shortest else ''}{limit}", check)


def _flag(node: Node, problems: Problems) -> bool:
    _typed(node)
    return isinstance(node.value, bool) or refuse(node, problems, "true or false")


flag = Check("true or false", _flag)


def whole(lowest: int, highest: int) -> Check:
    """A whole number within bounds."""

    def check(node: Node, problems: Problems) -> bool:
        _typed(node)
        fits = isinstance(node.value, int) and not isinstance(node.value, bool) and lowest <= node.value <= highest
        return fits or refuse(node, problems, f"a whole number from {lowest} to {highest}")

    return Check(f"whole number, {_number(lowest)} to {_number(highest)}", check)


def _number(value: int) -> str:
    """A bound as text; bounds of 64 bits are written as a power."""
    return {2**63 - 1: "2^63-1", -(2**63): "-2^63"}.get(value, f"{value:,}")


def choice(*names: str, meant_by: Mapping[str, str] = MappingProxyType({})) -> Check:
    """One of the given words in exact spelling. ``meant_by``: suggestions for other words, in lower case."""

    def check(node: Node, problems: Problems) -> bool:
        if isinstance(node.value, str) and node.value in names:
            return True
        word = node.value if isinstance(node.value, str) else ""
        meant = meant_by.get(word.lower()) or nearest(word, names)
        return refuse(node, problems, " or ".join(names), f"did you mean {meant}?" if meant else "")

    return Check(" or ".join(f"`{name}`" for name in names), check)


def _anything(node: Node, problems: Problems) -> bool:
    if isinstance(node.value, dict | list):
        children = node.value.values() if isinstance(node.value, dict) else node.value
        verdicts = [_anything(child, problems) for child in children]  # a list, so that every mistake is reported
        return all(verdicts)
    if node.value is UNUSABLE:
        return is_missing_secret(node)
    return (
        node.value is None
        or isinstance(node.value, str | int | float)
        or refuse(
            node,
            problems,
            "text, a number, true, false, null, a list or a mapping",
            "put it in quotes",
            may_be_secret=True,
        )
    )


anything = Check("anything that JSON can hold", _anything)


def list_of(item: Check, *, shortest: int = 0) -> Check:
    """A list; items that ``item`` refuses are dropped."""

    def check(node: Node, problems: Problems) -> bool:
        if not isinstance(node.value, list):
            hint = "write [] for an empty list, or leave the key out" if node.value is None else ""
            return refuse(node, problems, "a list", hint)
        if len(node.value) < shortest:
            problems.add(node.line, node.path, "the list is empty", f"at least {shortest} is needed")
            return False
        node.value = [child for child in node.value if usable(child, item, problems)]
        return True

    return Check(f"list of: {item.kind}", check)


def texts(*, shortest: int = 0) -> Check:
    """A list of texts."""
    return list_of(text(shortest=1), shortest=shortest)


def usable(node: Node, check: Check, problems: Problems) -> bool:
    """Whether ``check`` accepts ``node``; nodes that were already reported are refused without a second report."""
    return node.value is not UNUSABLE and check(node, problems)


def mapping(keys: Mapping[str, Key]) -> Check:
    """A mapping with known keys; unknown and refused entries are dropped.

    A secret whose environment variable is missing is kept, and ``resolve`` handles it. A mapping that lacks a required
    key is still used, so that its other entries are checked too.
    """

    def check(node: Node, problems: Problems) -> bool:
        if not isinstance(node.value, dict):
            return refuse(node, problems, f"a mapping with the keys {', '.join(keys)}")
        for key, known in keys.items():
            if known.required and key not in node.value:
                problems.add(node.line, node.path, f"the key {key} is missing", f"add {key}")
        kept: dict[str, Node] = {}
        for key, child in node.value.items():
            if key not in keys:
                meant = nearest(key, keys)
                hint = f"did you mean {meant}?" if meant else f"known keys: {', '.join(keys)}"
                problems.add(child.line, child.path, f"unknown key {key[:100]}", hint)
            elif is_missing_secret(child) or usable(child, keys[key].check, problems):
                kept[key] = child
            else:
                node.refused.add(key)
        node.value = kept
        return True

    return Check("mapping", check)
