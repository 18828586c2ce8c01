"""Bytes of files (``docs/reference/protocol/wire-api.md`` section 5); their records are those of the entity
``Files``.
"""

from __future__ import annotations

from email.message import Message
from email.utils import collapse_rfc2231_value
from typing import Any, BinaryIO, Final, NamedTuple

import httpx

from apilane.client.call import Call, read_json

__all__ = ["Download", "Link", "Received", "download", "download_to", "link", "upload"]


LINK: Final = "/api/Files/Link"


class Download(NamedTuple):
    """A file: its bytes, its name and its content type."""

    content: bytes
    name: str
    content_type: str


class Received(NamedTuple):
    """A file that was written elsewhere: its name and its content type."""

    name: str
    content_type: str


class Link(NamedTuple):
    """A link to a file that works without a token. ``expires``: unix milliseconds."""

    url: str
    expires: int


def upload(name: str, content: bytes | BinaryIO) -> Call[int]:
    """Store a file; returns the ID of its record. An open binary file is read in chunks. Uploads cannot be signed."""
    return Call("POST", "/api/Files/Post", read_json(int), file=(name, content))


def download(id: int | None = None, *, uid: str | None = None) -> Call[Download]:
    """A file by the ``ID`` or the ``UID`` of its record, whole in memory. Raises ValueError unless one of them is
    given."""
    return Call("GET", "/api/Files/Download", _read_file, _chosen(id, uid), repeatable=True)


def download_to(target: BinaryIO, id: int | None = None, *, uid: str | None = None) -> Call[Received]:
    """Write a file to an open binary file, in chunks; otherwise as ``download``. After an error ``target`` may have a
    part of it."""
    return Call("GET", "/api/Files/Download", _read_head, _chosen(id, uid), into=target)


def link(id: int | None = None, *, uid: str | None = None, seconds: int = 3600) -> Call[Link]:
    """A link to a file for people and programs without a token; it ends after ``seconds``. Only this server has it."""
    query = {**_chosen(id, uid), "seconds": seconds}
    return Call("GET", LINK, _read_link, query, repeatable=True)


def _chosen(id: int | None, uid: str | None) -> dict[str, Any]:
    if (id is None) == (uid is None):
        raise ValueError("Give the id or the uid of the file, and only one of them")
    return {"fileID": id, "fileUID": uid}


def _read_file(response: httpx.Response) -> Download:
    return Download(response.content, *_read_head(response))


def _read_head(response: httpx.Response) -> Received:
    name = _file_name(response.headers.get("content-disposition", ""))
    return Received(name, response.headers.get("content-type", ""))


def _read_link(response: httpx.Response) -> Link:
    value = read_json(dict)(response)
    base, _, _ = str(response.url).partition(LINK)
    return Link(base + value["Url"], value["Expires"])


def _file_name(disposition: str) -> str:
    """The name of an attachment. ``filename*`` is preferred to ``filename``, which has only ASCII."""
    header = Message()
    header["Content-Disposition"] = disposition
    parameters = header.get_params([], "content-disposition")
    names = [value for key, value in parameters if key == "filename"]
    names.sort(key=lambda value: not isinstance(value, tuple))  # the decoder of email makes filename* a tuple
    return collapse_rfc2231_value(names[0]) if names else ""
