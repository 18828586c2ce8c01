"""Finds tokens in files and in the history of Git repositories. Offline: it knows them by their checksum."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from apilane_api_tokens.form import find_tokens, shown

__all__ = ["Found", "scan_history", "scan_paths"]

CHUNK: Final = 1 << 20
OVERLAP: Final = 128
"""Characters of a chunk that are searched again together with the next one; longer than a token."""
SKIPPED: Final = frozenset({".git", ".hg", ".svn", "node_modules", "__pycache__"})


class Found(NamedTuple):
    """A place with a token: ``path:line``, or ``commit path``; the token is cut."""

    place: str
    shown: str


def scan_paths(paths: Iterable[Path]) -> list[Found]:
    """Search files, and folders with everything below them. Links are not followed; unreadable files are left out."""
    found: list[Found] = []
    for path in paths:
        for file in _files(path):
            found += _in_file(file)
    return found


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(set(folders) - SKIPPED)
        yield from (Path(folder, name) for name in sorted(files))


def _in_file(path: Path) -> Iterator[Found]:
    """The tokens of a file, read in chunks. Bytes are read as Latin-1: tokens are ASCII."""
    if path.is_symlink() or not path.is_file():
        return
    line, before = 1, ""
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                text = before + chunk.decode("latin-1")
                is_last = len(chunk) < CHUNK
                kept = len(text) if is_last else len(text) - OVERLAP
                for match in find_tokens(text):
                    if match.start() < kept:
                        yield Found(f"{path}:{line + text.count(chr(10), 0, match.start())}", shown(match[0]))
                line += text.count("\n", 0, kept)
                before = text[kept:]
    except OSError:
        return


def scan_history(folder: Path) -> Sequence[Found]:
    """Search every commit of the Git repository that has ``folder``; nothing where there is no repository or no git."""
    command = ["git", "-C", str(folder), "log", "--all", "-p", "--no-color", "--no-textconv", "--no-ext-diff"]
    command += ["--format=commit %H", "-U0", "--", "."]
    try:
        git = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # noqa: S603 - no shell
    except OSError:
        return []
    found: dict[Found, None] = {}
    commit = path = ""
    with git:
        assert git.stdout is not None  # noqa: S101 - it is a pipe
        for raw in git.stdout:
            line = raw.decode("latin-1")
            if line.startswith("commit "):
                commit = line[7:19]
            elif line.startswith("+++ "):
                path = line[4:].strip().removeprefix("b/")
            elif line.startswith("+"):
                for match in find_tokens(line):
                    found[Found(f"commit {commit} {path}", shown(match[0]))] = None
    return list(found)
