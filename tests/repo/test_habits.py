"""Habits of the house that a linter does not check."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

ROOMS = ["apilane", "drivers", "plugins", "contrib", "tests", "benchmarks", "docs"]
MOST_LINES = 600

FOREIGN_WORDS = {
    "c857d09db23e",
    "c70eca6b0f88",
    "3ea125d0bff3",
}


def python_files(repository: Path, rooms: list[str]) -> Iterator[Path]:
    """Every Python file of the rooms, in order."""
    for room in rooms:
        yield from sorted((repository / room).rglob("*.py"))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method of a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def test_no_file_is_two_rooms(repository: Path) -> None:
    """A file over 600 lines is two files."""
    long = {
        str(path.relative_to(repository)): lines
        for path in python_files(repository, ROOMS)
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MOST_LINES
    }
    assert not long


def test_every_module_says_what_it_is_for(repository: Path) -> None:
    """Every module with code begins with a docstring."""
    silent = []
    for path in python_files(repository, ROOMS):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if tree.body and ast.get_docstring(tree) is None:
            silent.append(str(path.relative_to(repository)))
    assert not silent, "\n".join(silent)


def test_every_test_says_what_must_be_true(repository: Path) -> None:
    """Every test function has a docstring."""
    silent = [
        f"{path.relative_to(repository)}:{function.lineno} {function.name}"
        for path in python_files(repository, ["tests", "apilane/testing"])
        for function in functions(path)
        if function.name.startswith("test_") and ast.get_docstring(function) is None
    ]
    assert not silent, "\n".join(silent)


def exported(tree: ast.Module) -> set[str]:
    """What a module lists in ``__all__``."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def test_public_names_are_documented(repository: Path) -> None:
    """Every function and class that a module of the package lists in ``__all__`` has a docstring."""
    silent = []
    for path in python_files(repository, ["apilane"]):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        public = exported(tree)
        for node in tree.body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and node.name in public:
                silent += (
                    [] if ast.get_docstring(node) else [f"{path.relative_to(repository)}:{node.lineno} {node.name}"]
                )
    assert not silent, "\n".join(silent)


def test_no_machine_is_named(repository: Path) -> None:
    """Nothing in the repository names a path of an author's machine or a tool of an author's workplace.

    The tools are kept as digests, so that this file does not name them either.
    """
    texts = [
        *python_files(repository, ROOMS),
        *repository.glob("*.md"),
        *(repository / "docs").rglob("*.md"),
        repository / "Makefile",
        repository / "pyproject.toml",
    ]
    wrong = []
    for path in texts:
        text = path.read_text(encoding="utf-8")
        wrong += [f"{path}: {found}" for found in re.findall(r"(?<![\w.])/(?:work|root|home|Users)/\w+", text)]
        for word in set(re.findall(r"[a-z]{5,}", text.lower())):
            if hashlib.sha256(word.encode()).hexdigest()[:12] in FOREIGN_WORDS:
                wrong.append(f"{path}: {word}")
    assert not wrong, "\n".join(wrong)
