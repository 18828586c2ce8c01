"""Multipart bodies as clients send them, and calls of files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import httpx

from apilane.testing.client import Client

__all__ = ["BOUNDARY", "FILES", "FORM", "body", "download", "part", "upload"]

BOUNDARY = "----b"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
FILES: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "Files", "MaxAllowedFileSizeInKB": 100},
    "Security": [
        {"Entity": "Files", "Role": "AUTHENTICATED", "Action": "get", "Record": "Owned", "Properties": "*"},
        {"Entity": "Files", "Role": "AUTHENTICATED", "Action": "delete", "Record": "Owned"},
        {"Entity": "Files", "Role": "AUTHENTICATED", "Action": "post"},
    ],
}
"""An application whose users see only their own files."""


def part(content: bytes, name: str = "note.txt", *, field: str = "FileUpload", head: str | None = None) -> bytes:
    """One part. ``head``: its header lines instead of those that browsers send."""
    if head is None:
        head = f'Content-Disposition: form-data; name="{field}"; filename="{name}"\r\nContent-Type: text/plain'
    return f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + content + b"\r\n"


def body(*parts: bytes) -> bytes:
    """A complete body of parts."""
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def upload(caller: Client, content: bytes | Iterable[bytes] = b"hello", name: str = "note.txt") -> httpx.Response:
    """Post a file."""
    if isinstance(content, bytes):
        return caller.send("POST", "/api/Files/Post", body(part(content, name)), FORM)
    return caller.send("POST", "/api/Files/Post", content, FORM)


def download(caller: Client, id: int, **headers: str) -> httpx.Response:
    """Download a file; ``_`` in names of headers stands for ``-``."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return caller.send("GET", f"/api/Files/Download?fileID={id}", headers=sent)
