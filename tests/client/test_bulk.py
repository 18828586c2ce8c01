"""Export and import with both clients, on a real server."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from apilane.client import ApilaneError, F, ImportReport, InvalidRequest, ValidationFailed

pytestmark = pytest.mark.better("B-X6")


def test_out_and_in(user: Any, tmp_path: Path) -> None:
    """An import takes bytes, an open file or parts; its report is typed; an export is written to an open file."""
    marks = [uuid4().hex[:12] for _ in range(3)]
    lines = [f"Text\n{mark}\n".encode() for mark in marks]
    path = tmp_path / "notes.csv"
    path.write_bytes(lines[1])
    with path.open("rb") as file:
        reports = [
            user.import_from(lines[0], "Notes"),
            user.import_from(file, "Notes", dry_run=True),
            user.import_from([lines[2][:3], lines[2][3:]], "Notes"),
        ]
    done = ImportReport(1, [], [], False, None, None)
    assert reports == [done, done._replace(dry_run=True), done]
    with path.open("wb") as file:
        user.export_to(file, "Notes", format="jsonl", filter=F("Text") == marks[2], properties=["Text"])
    assert [json.loads(line)["Text"] for line in path.read_bytes().splitlines()] == [marks[2]]
    target = BytesIO()
    user.export_to(target, "Notes", sort="-ID", properties="Text", safe=True)
    assert target.getvalue().splitlines()[0] == b"ID,Text"


def test_refusals(user: Any) -> None:
    """Refused lines are in the report; a header that cannot be used raises, and so does a signed import."""
    report = user.import_from(b'{"Text": "a"}\n{"Text": 1, "ID": null}\nx\n', "Notes", format="jsonl", dry_run=True)
    assert [each.line for each in report.refused] == [3]
    with pytest.raises(ValidationFailed, match="did you mean 'Text'"):
        user.import_from(b"Txet\na\n", "Notes")
    with pytest.raises(ApilaneError):
        user.export_to(BytesIO(), "Nothing")
    with pytest.raises(InvalidRequest, match="Imports cannot be signed"):
        user.as_user(user.credentials, signed=True).import_from(b"", "Notes")
