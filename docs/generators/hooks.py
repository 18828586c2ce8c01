"""The page of hooks, from ``apilane/hookspecs.py``."""

from __future__ import annotations

import ast
import inspect
import sys
from itertools import pairwise

from apilane.plugins import HOOKS
from generators.tables import table

SPECS = "apilane.hookspecs"


def signature(name: str) -> str:
    """A hook's name with its arguments and its result, as declared."""
    return name + str(inspect.signature(HOOKS[name])).replace("'", "")


def text_below(name: str) -> str:
    """The docstring below a constant of the hook specifications."""
    for node, following in pairwise(ast.parse(inspect.getsource(sys.modules[SPECS])).body):
        match node, following:
            case ast.Assign(targets=[ast.Name(id=found)]), ast.Expr(value=ast.Constant(value=str(text))):
                if found == name:
                    return inspect.cleandoc(text)
    raise LookupError(name)


def page() -> str:
    """The policies in a table, then one section per hook; its heading is the exact signature."""
    rows = []
    sections = []
    for name, spec in HOOKS.items():
        policy = spec.apilane_policy  # type: ignore[attr-defined]
        rows.append((f"`{name}`", policy.combine, policy.on_error, policy.added))
        keyword = "async def" if inspect.iscoroutinefunction(spec) else "def"
        sections.append(f"## `{keyword} {signature(name)}`\n\n{inspect.getdoc(spec)}\n")
    intro = f"# Hooks\n\n{inspect.getdoc(sys.modules[SPECS])}\n\n"
    policies = (
        "Mark an implementation with `apilane.plugin.hookimpl`. It may leave out any of the arguments.\n"
        "`apilane hooks` prints the plugins of each hook in the order in which they are asked.\n\n"
        f"**combine**. {text_below('Combine')}\n\n"
        f"**on error**. {text_below('OnError')}\n\n"
    )
    return intro + policies + table(("hook", "combine", "on error", "since"), rows) + "\n" + "\n".join(sections)
