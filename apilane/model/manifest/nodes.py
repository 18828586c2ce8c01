"""The tree that every format is read into: plain values, each with its line and key path.

The builder refuses input that no manifest needs and that could do harm: duplicate keys, deep nesting, expanding
aliases, NUL characters, lone surrogates, very large numbers.
"""

from __future__ import annotations

import math
from typing import Any, Final

from apilane.model.manifest.problems import Problems

__all__ = ["SECRET_KEYS", "UNUSABLE", "Builder", "Node", "is_missing_secret", "place"]

DEPTH_MAX: Final = 60
ALIAS_NODES_MAX: Final = 10_000
NUMBER_DIGITS_MAX: Final = 40

UNUSABLE: Final = object()
"""The value of a node whose mistake has been reported."""


class Node:
    """One value: a scalar, a list of nodes, or a dict of nodes by key (an entry has the line of its key)."""

    __slots__ = ("line", "path", "reference", "refused", "value")

    def __init__(self, value: Any, line: int | None) -> None:
        self.value = value
        self.line = line
        self.path = ""
        self.refused: set[str] = set()
        """Keys of a mapping whose values were wrong and have been reported."""
        self.reference: str | None = None
        """Name of the environment variable that gives the whole value; if ``value`` is UNUSABLE, the variable is
        missing.
        """

    def get(self, key: str) -> Node | None:
        """The entry of a mapping."""
        found: Node | None = self.value.get(key)
        return found

    def has(self, key: str) -> bool:
        return key in self.value

    def lacks(self, key: str) -> bool:
        """Whether the key is absent from the mapping. A refused key counts as present."""
        return key not in self.value and key not in self.refused

    def read(self, key: str, default: Any = None) -> Any:
        """The plain value of an entry; ``default`` when absent."""
        found = self.value.get(key)
        return default if found is None else found.plain()

    def items(self) -> list[Node]:
        """The items of a list."""
        return list(self.value)

    def plain(self) -> Any:
        """The value as plain Python objects, without lines."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


SECRET_KEYS: Final = frozenset({"Application.ConnectionString", "Application.Mail.Password"})
"""Secrets of the core. The Structs of plugins define the others (``apilane.model.manifest.sections``)."""


def is_missing_secret(node: Node) -> bool:
    """Whether the node is a secret whose environment variable is missing. The application may have it already.

    In the section of a plugin every value may be a secret: only the Struct of the plugin tells.
    """
    is_missing = node.value is UNUSABLE and node.reference is not None
    return is_missing and (node.path in SECRET_KEYS or node.path.startswith("Plugins."))


def place(node: Node, path: str = "") -> None:
    """Set the path of a node and of all nodes below it; list items are named by their ``Name`` if they have one."""
    node.path = path
    if isinstance(node.value, dict):
        for key, child in node.value.items():
            place(child, f"{path}.{key}" if path else key)
    elif isinstance(node.value, list):
        for position, child in enumerate(node.value):
            name = child.value.get("Name") if isinstance(child.value, dict) else None
            label = name.value if name is not None and isinstance(name.value, str) and name.value else position
            place(child, f"{path}[{label}]")


class Stop(Exception):
    """Reading stops; the mistake has been reported."""


class Builder:
    """Builds one tree from a flat sequence of starts, scalars and ends, which the reader of each format supplies."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._open: list[tuple[Node, str | None, int | None]] = []
        self._expanded = 0
        self.root: Node | None = None
        self._key: str | None = None
        self._key_line: int | None = None

    def _stop(self, line: int | None, message: str, hint: str = "") -> Stop:
        self._problems.add(line, "", message, hint)
        return Stop()

    @property
    def wants_key(self) -> bool:
        """Whether the next scalar is a key."""
        return bool(self._open) and isinstance(self._open[-1][0].value, dict) and self._key is None

    def start(self, value: dict[str, Node] | list[Node], line: int | None) -> Node:
        """Open a mapping or list."""
        if self.wants_key:
            raise self._stop(line, "found a mapping or list where a key is expected", "keys are text")
        if len(self._open) >= DEPTH_MAX:
            raise self._stop(line, f"nested deeper than {DEPTH_MAX} levels")
        node = Node(value, line)
        self._open.append((node, self._key, self._key_line))
        self._key = None
        return node

    def end(self) -> Node:
        """Close the innermost mapping or list."""
        node, self._key, self._key_line = self._open.pop()
        self._add(node)
        return node

    def scalar(self, value: object, line: int | None) -> Node:
        """A key or a scalar value."""
        if isinstance(value, str):
            self._check_text(value, line)
        if self.wants_key:
            if not isinstance(value, str):
                raise self._stop(line, f"the key {value!r} is not text", "put it in quotes")
            self._key, self._key_line = value, line
            return Node(value, line)
        if isinstance(value, float) and not math.isfinite(value):
            raise self._stop(line, "a number is too large, infinite or NaN")
        if isinstance(value, int) and abs(value) >= 10**NUMBER_DIGITS_MAX:
            raise self._stop(line, f"a number has more than {NUMBER_DIGITS_MAX} digits")
        node = Node(value, line)
        self._add(node)
        return node

    def repeat(self, node: Node, line: int | None) -> None:
        """Add ``node`` again as a copy, for an alias."""
        if any(each[0] is node for each in self._open):
            raise self._stop(line, "an alias refers to a value that contains the alias", "write the value out")
        if self.wants_key:
            self.scalar(node.value if not isinstance(node.value, dict | list) else None, line)
            return
        self._add(self._copy(node, line))

    def _copy(self, node: Node, line: int | None) -> Node:
        self._expanded += 1
        if self._expanded > ALIAS_NODES_MAX:
            raise self._stop(
                line, f"aliases expand to more than {ALIAS_NODES_MAX} values", "write the values out without aliases"
            )
        if isinstance(node.value, dict):
            return Node({key: self._copy(child, line) for key, child in node.value.items()}, node.line)
        if isinstance(node.value, list):
            return Node([self._copy(child, line) for child in node.value], node.line)
        return Node(node.value, node.line)

    def _add(self, node: Node) -> None:
        if not self._open:
            self.root = node
            return
        parent = self._open[-1][0]
        if isinstance(parent.value, list):
            parent.value.append(node)
            return
        assert self._key is not None  # noqa: S101 - wants_key guards every value
        first = parent.value.get(self._key)
        if first is not None:
            self._problems.add(
                self._key_line,
                self._path(self._key),
                "duplicate key",
                "remove one of the two" + (f"; the first is in line {first.line}" if first.line else ""),
            )
        else:
            node.line = self._key_line or node.line
            parent.value[self._key] = node
        self._key = None

    def _path(self, key: str) -> str:
        """The path of a key of the innermost mapping."""
        path = ""
        for position, (_, opened_at, _) in enumerate(self._open):
            if opened_at is not None:
                path += f".{opened_at}" if path else opened_at
            elif position:
                path += f"[{len(self._open[position - 1][0].value)}]"
        return f"{path}.{key}" if path else key

    def _check_text(self, text: str, line: int | None) -> None:
        if "\0" in text:
            raise self._stop(line, "text contains a NUL character", "remove it")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise self._stop(line, "text contains half of a surrogate pair", "write the whole character") from None
