"""The checks of ``apilane doctor`` for an SQLite file."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

import apsw

from apilane.plugin.storage import Finding

__all__ = ["diagnose"]

SAFE_VERSION: Final = (3, 51, 3)
"""The first SQLite version with the fix of the WAL-reset corruption."""
LOW_SPACE_BYTES: Final = 500 * 1024 * 1024


def diagnose(path: str) -> list[Finding]:
    """Version, free space, rights, and integrity. Takes as long as reading the file once."""
    version = apsw.sqlite_lib_version()
    findings = [Finding(f"SQLite {version}")]
    if tuple(map(int, version.split("."))) < SAFE_VERSION:
        wanted = ".".join(map(str, SAFE_VERSION))
        findings = [
            Finding(f"SQLite {version}", f"Install a newer apsw: SQLite before {wanted} can damage files.", True)
        ]
    free = shutil.disk_usage(Path(path).parent).free
    if free < LOW_SPACE_BYTES:
        findings.append(Finding(f"{free // 2**20} MiB of disk space left", "Free some space.", serious=free < 2**20))
    for place in (path, str(Path(path).parent)):
        if not os.access(place, os.W_OK):
            findings.append(Finding(f"{place} cannot be written", "Let the server's user write it.", serious=True))
    connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
    try:
        problem = connection.execute("PRAGMA quick_check(1)").get
    finally:
        connection.close()
    whole = problem == "ok"
    findings.append(
        Finding(
            "The file is whole" if whole else f"The file is damaged: {problem}",
            "" if whole else "Restore it from a backup.",
            not whole,
        )
    )
    return findings
