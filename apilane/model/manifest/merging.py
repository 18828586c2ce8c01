"""Merging a listed item with the existing one: absent keys, order, duplicates, and where mistakes are reported."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from apilane.model.manifest.nodes import Node
from apilane.model.manifest.problems import Problems, nearest

__all__ = ["canonical", "in_order", "once", "report", "setting", "unknown"]

T = TypeVar("T")


def setting(item: Node, key: str, existing: object | None, attribute: str, default: Any) -> Any:
    """The value of a key. If the key is absent: the value of ``existing``, or ``default`` for a new item."""
    if item.has(key):
        return item.read(key)
    return default if existing is None else getattr(existing, attribute)


def report(problems: Problems, item: Node, key: str, message: str, hint: str = "") -> None:
    """Report a mistake at an entry of ``item``, or at the item itself where the key is absent."""
    node = item.get(key) if isinstance(item.value, dict) else None
    node = item if node is None else node
    problems.add(node.line, node.path, message, hint)


def unknown(problems: Problems, node: Node, what: str, name: str, known: Iterable[str]) -> None:
    """Report a name that does not exist."""
    names = list(known)
    renamed = [new for new in problems.new_names.get(name.lower(), ()) if new in names]
    meant = renamed[0] if renamed else nearest(name, names)
    listed = ", ".join(names[:20]) + (" ..." if len(names) > 20 else "")
    hint = f"did you mean {meant}?" if meant else f"there is {listed}" if listed else ""
    problems.add(node.line, node.path, f"unknown {what} {name[:100]}", hint)


def canonical(node: Node, known: Mapping[str, T], what: str, names: Iterable[str], problems: Problems) -> T | None:
    """The entry of ``known`` (keyed by lower-case name) that ``node`` names; a missing one is reported."""
    found = known.get(node.value.lower())
    if found is None:
        unknown(problems, node, what, node.value, names)
    return found


def once(items: Iterable[Node], key: str, what: str, problems: Problems) -> list[Node]:
    """The items that have a name. A repeated name, ignoring letter case, is reported and its item left out."""
    seen: dict[str, Node] = {}
    for item in items:
        name = item.read(key)
        if name is None:
            continue
        first = seen.setdefault(name.lower(), item)
        if first is not item:
            where = f" (first in line {first.line})" if first.line else ""
            report(
                problems,
                item,
                key,
                f"the {what} {name[:100]} is listed twice{where}",
                "names ignore letter case; remove one",
            )
    return list(seen.values())


def in_order(existing: Iterable[T], listed: Iterable[T], identity: Callable[[T], object]) -> tuple[T, ...]:
    """``listed``, with existing items first and in their existing order: a different order alone is no change."""
    remaining = {identity(each): each for each in listed}
    kept = [remaining.pop(key) for each in existing if (key := identity(each)) in remaining]
    return (*kept, *remaining.values())
