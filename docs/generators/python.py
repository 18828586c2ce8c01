"""The page of the Python API: the public names of the documented modules, with signatures and fields."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import FunctionType, ModuleType

from generators.tables import table

MODULES = (
    "apilane",
    "apilane.asgi",
    "apilane.plugin",
    "apilane.plugin.manage",
    "apilane.plugin.storage",
    "apilane.client",
    "apilane.testing.client",
    "apilane.testing.conformance",
    "apilane.testing.server",
)
"""The documented modules are stable. Every other module may change without notice."""

NOT_IMPORTED = {"apilane.asgi": "The application for any ASGI server, with the settings of the environment."}
"""Modules whose import has an effect, with a description."""

ELSEWHERE = {"Settings": "The settings of one instance. Each of the [settings](settings.md) is a field."}
"""Names that have their own page."""

IN_DETAIL = ("apilane", "apilane.plugin", "apilane.plugin.storage")
"""Modules whose names are shown with signatures and fields; the others show their names only."""

INTRO = """# Python

The names that a plugin, a driver or an embedding application may import. They are stable; all other names may change
with any release. A plugin imports `apilane.plugin`. A driver, and a plugin that runs statements, also imports
`apilane.plugin.storage`. Tests also import `apilane.testing`.

"""


def about(thing: object) -> str:
    """The first paragraph of a docstring, for a cell of a table."""
    document = inspect.getdoc(thing) if inspect.isclass(thing) or inspect.isroutine(thing) else None
    if not document or document.startswith(("str(", "int(", "dict(", "Create a collection", "partial(")):
        return ""
    return document.split("\n\n")[0].replace("\n", " ")


def signature(name: str, function: FunctionType) -> str:
    """The signature of a function as written in the source; a computed default is shown as its expression."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(tree, (ast.FunctionDef, ast.AsyncFunctionDef))
    returns = f" -> {ast.unparse(tree.returns)}" if tree.returns else ""
    return f"{name}({_arguments(tree)}){returns}"


def source_of(module: ModuleType) -> str:
    """The text of a module; empty for a package without code."""
    return Path(str(module.__file__)).read_text(encoding="utf-8")


def constants(module: ModuleType) -> dict[str, str]:
    """Docstrings of the constants that a module imports from other modules of the package, by name."""
    found: dict[str, str] = {}
    homes = {
        node.module
        for node in ast.walk(ast.parse(source_of(module)))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("apilane")
    }
    for home in sorted(str(name) for name in homes):
        body = ast.parse(source_of(import_module(home))).body
        for node, following in pairwise(body):
            target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
            says = following.value if isinstance(following, ast.Expr) else None
            if isinstance(target, ast.Name) and isinstance(says, ast.Constant) and isinstance(says.value, str):
                found[target.id] = " ".join(says.value.split())
    return found


def members(kind: type) -> Iterator[tuple[str, str]]:
    """The fields and methods of a class as declared, each with its docstring."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(tree, ast.ClassDef)
    for node, following in zip(tree.body, [*tree.body[1:], None], strict=True):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("_"):
            is_property = any(getattr(each, "id", "") == "property" for each in node.decorator_list)
            prefix = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
            returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
            told = f"{node.name}:{returns[3:]}" if is_property else f"{prefix}{node.name}({_arguments(node)}){returns}"
            yield told, (ast.get_docstring(node) or "").split("\n\n")[0].replace("\n", " ")
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id[0] != "_":
            default = f" = {ast.unparse(node.value)}" if node.value is not None else ""
            says = following.value if isinstance(following, ast.Expr) else None
            text = says.value if isinstance(says, ast.Constant) and isinstance(says.value, str) else ""
            yield f"{node.target.id}: {ast.unparse(node.annotation)}{default}", " ".join(text.split())


def _arguments(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    return ast.unparse(node.args).removeprefix("self, ").removeprefix("self").removeprefix("cls, ")


def detailed(module: ModuleType) -> str:
    """A table of functions and constants, then one section per class."""
    rest, sections, said = [], [], constants(module)
    for name in module.__all__:
        thing = getattr(module, name)
        is_ours = str(getattr(thing, "__module__", "")).startswith("apilane")
        if inspect.isclass(thing) and is_ours and name not in ELSEWHERE and (found := list(members(thing))):
            cells = [(f"`{told}`", says) for told, says in found]
            sections.append(f"### `{name}`\n\n{inspect.getdoc(thing) or ''}\n\n{table(('member', ''), cells)}")
        elif inspect.isfunction(thing):
            rest.append((f"`{signature(name, thing)}`", about(thing)))
        else:
            rest.append((f"`{name}`", ELSEWHERE.get(name) or said.get(name) or about(thing)))
    return table(("name", ""), rest) + "\n" + "\n".join(sections)


def page() -> str:
    """One section per module."""
    parts = [INTRO]
    for name in MODULES:
        if name in NOT_IMPORTED:
            parts.append(f"## `{name}`\n\n" + table(("name", ""), [("`app`", NOT_IMPORTED[name])]))
            continue
        module = import_module(name)
        first = (inspect.getdoc(module) or "").split("\n\n")[0].replace("\n", " ")
        rows = [(f"`{public}`", about(getattr(module, public))) for public in module.__all__]
        body = detailed(module) if name in IN_DETAIL else table(("name", ""), rows)
        parts.append(f"## `{name}`\n\n{first}\n\n{body}")
    return "\n".join(parts)
