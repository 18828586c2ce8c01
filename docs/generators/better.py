"""The page of requirements beyond the protocol, from the markers of the tests that prove them. It runs no test."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from generators.gists import BUILT, LATER
from generators.tables import table

ROOT = Path(__file__).parents[2]
INTRO = """# Better than the protocol

This server removes weaknesses of the wire protocol. Each line has a label, the requirement, and the tests that prove
it. These tests have the marker `better("LABEL")`; `pytest -m better` runs all of them.

"""
NEXT = """
## Not built yet

Requirements of parts that are missing in this release.

"""


def page() -> str:
    """Labels with their requirement and its tests, then the requirements that are not built yet."""
    proofs = proven()
    rows = [(label, gist, "<br>".join(proofs.get(label, ["**no test**"]))) for label, gist in BUILT.items()]
    return (
        INTRO
        + table(("label", "what", "proven by"), rows)
        + NEXT
        + table(("label", "what", "waits for"), [(label, *line) for label, line in LATER.items()])
    )


def proven() -> dict[str, list[str]]:
    """The tests of each label, in the order of files and lines."""
    proofs = defaultdict(list)
    for label, place in markers():
        proofs[label].append(place)
    return dict(proofs)


def markers() -> Iterator[tuple[str, str]]:
    """Every label of every marker, with the test that has it."""
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
