"""Bytes of files (``docs/reference/protocol/wire-api.md`` section 5); their records are those of the entity
``Files``.
"""

from __future__ import annotations

from email.message import Message
from email.utils import collapse_rfc2231_value
from typing import BinaryIO, NamedTuple

import httpx

from apilane.client.call import Call, read_json

__all__ = ["Download", "download", "upload"]


class Download(NamedTuple):
    """A file: its bytes, its name and its content type."""

    content: bytes
    name: str
    content_type: str


def upload(name: str, content: bytes | BinaryIO) -> Call[int]:
    """Store a file; returns the ID of its record. Uploads cannot be signed."""
    return Call("POST", "/api/Files/Post", read_json(int), file=(name, content))


def download(id: int | None = None, *, uid: str | None = None) -> Call[Download]:
    """A file by the ``ID`` or the ``UID`` of its record, whole in memory. Raises ValueError unless one of them is
    given."""
    if (id is None) == (uid is None):
        raise ValueError("Give the id or the uid of the file, and only one of them")
    return Call("GET", "/api/Files/Download", _read_file, {"fileID": id, "fileUID": uid}, repeatable=True)


def _read_file(response: httpx.Response) -> Download:
    name = _file_name(response.headers.get("content-disposition", ""))
    return Download(response.content, name, response.headers.get("content-type", ""))


def _file_name(disposition: str) -> str:
    """The name of an attachment. ``filename*`` is preferred to ``filename``, which has only ASCII."""
    header = Message()
    header["Content-Disposition"] = disposition
    parameters = header.get_params([], "content-disposition")
    names = [value for key, value in parameters if key == "filename"]
    names.sort(key=lambda value: not isinstance(value, tuple))  # the decoder of email makes filename* a tuple
    return collapse_rfc2231_value(names[0]) if names else ""
