"""Rules of this project that a linter does not check."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

FOLDERS = ["apilane", "drivers", "plugins", "contrib", "tests", "benchmarks", "docs"]
MOST_LINES = 600


def python_files(repository: Path, folders: list[str]) -> Iterator[Path]:
    """Every Python file of the folders, in order."""
    for folder in folders:
        yield from sorted((repository / folder).rglob("*.py"))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method of a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def test_no_file_is_too_long(repository: Path) -> None:
    """No file has more than 600 lines."""
    long = {
        str(path.relative_to(repository)): lines
        for path in python_files(repository, FOLDERS)
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MOST_LINES
    }
    assert not long


def test_every_module_says_what_it_is_for(repository: Path) -> None:
    """Every module with code begins with a docstring."""
    silent = []
    for path in python_files(repository, FOLDERS):
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
    """Nothing in the repository names a path of an author's machine."""
    texts = [
        *python_files(repository, FOLDERS),
        *repository.glob("*.md"),
        *(repository / "docs").rglob("*.md"),
        repository / "Makefile",
        repository / "constraints.txt",
        repository / "pyproject.toml",
    ]
    wrong = [
        f"{path}: {found}"
        for path in texts
        for found in re.findall(r"(?<![\w.])/(?:work|root|home|Users)/\w+", path.read_text(encoding="utf-8"))
    ]
    assert not wrong, "\n".join(wrong)
