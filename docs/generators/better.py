"""The page of requirements beyond the protocol, from the markers of the tests that prove them; no test is run."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from generators.gists import BUILT, LATER
from generators.tables import table

ROOT = Path(__file__).parents[2]
INTRO = """# Better than the protocol

Where the wire protocol leaves a weakness, this server does better. Each line has a label, what it asks for, and the
tests that prove it: they carry the marker `better("LABEL")`. `pytest -m better` runs them all.

"""
NEXT = """
## Not built yet

Lines that belong to parts this release does not have.

"""


def page() -> str:
    """Labels with their gist and the tests that prove it, then those that wait."""
    proofs = proven()
    rows = [(label, gist, "<br>".join(proofs.get(label, ["**no test**"]))) for label, gist in BUILT.items()]
    return (
        INTRO
        + table(("label", "what", "proven by"), rows)
        + NEXT
        + table(("label", "what", "waits for"), [(label, *line) for label, line in LATER.items()])
    )


def proven() -> dict[str, list[str]]:
    """Tests by the labels of their markers, in the order of their places."""
    proofs = defaultdict(list)
    for label, place in markers():
        proofs[label].append(place)
    return dict(proofs)


def markers() -> Iterator[tuple[str, str]]:
    """Every label of every marker with the test that carries it."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                for decorator in node.decorator_list:
                    for label in labels(decorator):
                        yield label, f"`{path.relative_to(ROOT).as_posix()}::{node.name}`"


def labels(decorator: ast.expr) -> list[str]:
    """The labels of ``@pytest.mark.better(...)``; none for another decorator."""
    match decorator:
        case ast.Call(func=ast.Attribute(attr="better", value=ast.Attribute(attr="mark")), args=arguments):
            return [ast.literal_eval(argument) for argument in arguments]
    return []
