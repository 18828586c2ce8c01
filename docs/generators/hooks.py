"""The page of hooks, from ``apilane/hookspecs.py``."""

from __future__ import annotations

import inspect
import sys

from apilane.plugins import HOOKS
from generators.tables import table


def signature(name: str) -> str:
    """A hook's name with arguments and answer, as it is declared."""
    return name + str(inspect.signature(HOOKS[name])).replace("'", "")


def page() -> str:
    """One section per hook, its heading the exact signature."""
    rows = []
    sections = []
    for name, spec in HOOKS.items():
        policy = spec.apilane_policy  # type: ignore[attr-defined]
        rows.append((f"`{name}`", policy.combine, policy.on_error, policy.added))
        colour = "async def" if inspect.iscoroutinefunction(spec) else "def"
        sections.append(f"## `{colour} {signature(name)}`\n\n{inspect.getdoc(spec)}\n")
    intro = f"# Hooks\n\n{inspect.getdoc(sys.modules['apilane.hookspecs'])}\n\n"
    policies = (
        "`collect`: the lists of all plugins, joined in the order that `apilane hooks` prints. `raise`: start-up\n"
        "stops and names the plugin. An implementation is decorated with `apilane.hookspecs.hookimpl`, written in the\n"
        "spec's colour (`def` or `async def`) and may take any subset of the arguments.\n\n"
    )
    return intro + policies + table(("hook", "answers", "on error", "since"), rows) + "\n" + "\n".join(sections)
