"""Media types of files: by extension, unless the content is known to be of another type."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import puremagic

from apilane.plugin import ApilaneError, Code
from apilane_files.names import extension

__all__ = ["HEAD_BYTES", "media_type", "refuse_program"]

HEAD_BYTES: Final = 512
"""Bytes at the start of a content that are looked at."""
CERTAIN: Final = 0.3
"""Weaker matches of ``puremagic`` have signatures of one or two bytes, which texts begin with too."""
UNKNOWN: Final = "application/octet-stream"
_OFFICE: Final = "application/vnd.openxmlformats-officedocument"
TYPES: Final = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
    ".pdf": "application/pdf",
    ".doc": "application/msword",
    ".docx": f"{_OFFICE}.wordprocessingml.document",
    ".xls": "application/vnd.ms-excel",
    ".xlsx": f"{_OFFICE}.spreadsheetml.sheet",
    ".ppt": "application/vnd.ms-powerpoint",
    ".pptx": f"{_OFFICE}.presentationml.presentation",
    ".txt": "text/plain",
    ".csv": "text/csv",
    ".json": "application/json",
    ".xml": "application/xml",
    ".html": "text/html",
    ".css": "text/css",
    ".js": "application/javascript",
    ".zip": "application/zip",
    ".rar": "application/vnd.rar",
    ".7z": "application/x-7z-compressed",
    ".tar": "application/x-tar",
    ".gz": "application/gzip",
    ".mp3": "audio/mpeg",
    ".wav": "audio/wav",
    ".mp4": "video/mp4",
    ".avi": "video/x-msvideo",
    ".mov": "video/quicktime",
    ".mkv": "video/x-matroska",
}
_ACTS_AS_XML: Final = frozenset({".svg", ".xml", ".html"})


def media_type(name: str, head: bytes) -> str:
    """The type of a file by the extension of its name, or by its first bytes when they are certainly of another."""
    ending = extension(name)
    known = TYPES.get(ending)
    if known is None:
        return UNKNOWN
    other = _other_type(ending, known, head)
    return known if other is None else other.mime_type or UNKNOWN


def refuse_program(name: str, head: bytes, blocked: Collection[str]) -> None:
    """Raise ERROR for a content with a blocked extension as its type, whose name has another extension."""
    ending = extension(name)
    other = _other_type(ending, TYPES.get(ending, ""), head)
    if other is not None and other.extension.lower() in blocked:
        raise ApilaneError(
            Code.ERROR,
            f"The content is a {other.extension} file, which is not accepted under the name {ending[:60]!r} too",
        )


def _other_type(ending: str, known: str, head: bytes) -> puremagic.PureMagicWithConfidence | None:
    """The best certain match of the first bytes when no match fits the extension; else None."""
    try:
        found = [each for each in puremagic.magic_string(head) if each.confidence >= CERTAIN]
    except (puremagic.PureError, ValueError):  # nothing found
        return None
    fitting = {ending, known} - {""}
    if any(each.extension.lower() in fitting or each.mime_type in fitting for each in found):
        return None
    if ending in _ACTS_AS_XML and any(each.mime_type in {"application/xml", "text/html"} for each in found):
        return None
    return next((each for each in found if each.mime_type), None)
