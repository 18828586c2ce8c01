"""Imports go in one direction through the top-level packages, and the core imports no plugin and no driver."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ORDER = [
    *("model", "sql", "storage", "plugin", "control", "events", "runtime", "services", "instance"),
    *("web", "manage", "app", "asgi", "litestar", "server", "cli"),
]
"""The top-level packages in order (called rooms here): a room may import itself and rooms to its left."""

SERVES_ALL = {
    "errors": set(),
    "logs": set(),
    "settings": {"errors"},
    "security": {"errors", "settings"},
    "hookspecs": {"errors", "settings", "security", "storage", "model", "plugin"},
    "plugin_imports": set(),
    "plugins": {"errors", "settings", "hookspecs", "plugin_imports"},
    "plugin_settings": {"errors", "settings", "model", "plugin"},
    "dispatch": {
        "errors",
        "settings",
        "security",
        "hookspecs",
        "plugins",
        "plugin_settings",
        "storage",
        "sql",
        "model",
        "plugin",
    },
}
"""Rooms that every other may import, with the rooms that they may import."""

STANDS_ALONE = {"client": {"errors", "security"}}
"""Rooms that no other may import, with the rooms that they may import. ``cli`` may, for its commands over a server."""

SHIPPED_TO_TESTS = {"testing"}
"""May import everything; no other module imports it."""

ROOMS = ["drivers", "plugins", "contrib"]


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """The dotted names that a file imports, with the line; a relative import fails at once."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            names = [f"apilane.{alias.name}" for alias in node.names] if node.module == "apilane" else [node.module]
            yield from ((str(name), node.lineno) for name in names)


def room_of(path: Path, package: Path) -> str:
    """The first part below the package: ``model`` for model/json.py, ``app`` for app.py."""
    return path.relative_to(package).parts[0].removesuffix(".py")


def allowed(room: str) -> set[str]:
    """The top-level packages that ``room`` may import."""
    if room in SERVES_ALL | STANDS_ALONE:
        return (SERVES_ALL | STANDS_ALONE)[room] | {room}
    left = set(ORDER[: ORDER.index(room) + 1])
    return left | set(SERVES_ALL) | (set(STANDS_ALONE) if room == "cli" else set())


def test_rooms_import_in_one_direction(repository: Path) -> None:
    """No module of the core imports a package to the right of its own."""
    package = repository / "apilane"
    wrong = []
    for path in sorted(package.rglob("*.py")):
        room = room_of(path, package)
        if room in SHIPPED_TO_TESTS or room in {"__init__", "__main__"}:
            continue
        for name, line in imported(path):
            target = name.split(".")[1] if name.startswith("apilane.") else None
            if target and target not in allowed(room):
                wrong.append(f"{path.relative_to(repository)}:{line}: {room} imports {target}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("room", ROOMS)
def test_core_imports_no_other_room(repository: Path, room: str) -> None:
    """The core finds plugins and drivers by entry points only."""
    packages = {path.name for path in (repository / room).iterdir() if path.is_dir()} | {room}
    wrong = [
        f"{path.relative_to(repository)}:{line}: {name}"
        for path in sorted((repository / "apilane").rglob("*.py"))
        for name, line in imported(path)
        if name.split(".")[0] in packages
    ]
    assert not wrong, "\n".join(wrong)


def test_only_two_files_know_pluggy(repository: Path) -> None:
    """Only the hook specifications, the loader and the freezing of hooks import pluggy."""
    knowing = {
        str(path.relative_to(repository))
        for path in (repository / "apilane").rglob("*.py")
        if any(name.split(".")[0] == "pluggy" for name, _ in imported(path))
    }
    assert knowing == {"apilane/hookspecs.py", "apilane/plugins.py", "apilane/dispatch.py"}


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_what_is_documented(repository: Path, room: str) -> None:
    """Drivers, plugins and templates import only names of the core that its page lists as stable."""
    page = (repository / "docs/reference/python.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^## `(apilane[\w.]*)`", page, re.MULTILINE))
    wrong = [
        f"{path.relative_to(repository)}:{line}: {name}"
        for path in sorted((repository / room).rglob("*.py"))
        for name, line in imported(path)
        if name.split(".")[0] == "apilane"
        and not any(name == module or name == f"{module}.{name.rpartition('.')[2]}" for module in documented)
    ]
    assert not wrong, "\n".join(wrong)
