"""The imports of a plugin: which modules of the core its code may import."""

from __future__ import annotations

import ast
import re
import sys
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

__all__ = ["private_import"]

PUBLIC_MODULES = frozenset(
    {"apilane", "apilane.asgi", "apilane.plugin", "apilane.plugin.manage", "apilane.plugin.storage"}
)
PUBLIC_PACKAGES = ("apilane.client", "apilane.testing")
"""Modules of the core that a plugin may import; the latter with everything below them."""

_mentions_the_core = re.compile(rb"\bapilane\b").search


def private_import(plugin: object) -> str | None:
    """The first import of a private module of the core in the code of a plugin, with file and line; None if there is
    none.

    Reads the source files of the plugin's package: private modules change with any release, and a plugin that needs one
    needs a hook instead. Files that do not mention the core are not parsed.
    """
    module = plugin if isinstance(plugin, ModuleType) else sys.modules.get(type(plugin).__module__)
    package = sys.modules.get(module.__name__.partition(".")[0], module) if module else None
    if package is None or package.__file__ is None:
        return None
    path = Path(package.__file__)
    for file in sorted(path.parent.rglob("*.py")) if path.name == "__init__.py" else [path]:
        source = file.read_bytes()
        for name, line in _imported(source) if _mentions_the_core(source) else ():
            if not _is_public(name):
                return f"imports the private module {name} ({file}, line {line})"
    return None


def _imported(source: bytes) -> Iterator[tuple[str, int]]:
    """The dotted names that a file imports, with their lines. A file that is not Python imports nothing."""
    try:
        with warnings.catch_warnings(action="ignore"):  # the import has shown them
            tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            if node.module in {"apilane", "apilane.plugin"}:  # their names may be modules
                yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield node.module, node.lineno


def _is_public(name: str) -> bool:
    if name.partition(".")[0] != "apilane" or name in PUBLIC_MODULES:
        return True
    if any(f"{name}.".startswith(f"{package}.") for package in PUBLIC_PACKAGES):
        return True
    parent, _, last = name.rpartition(".")
    return parent in {"apilane", "apilane.plugin"} and last in {"*", "__version__", *import_module(parent).__all__}
