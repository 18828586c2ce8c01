"""An upload as it arrives: finds the part ``FileUpload`` of a multipart body and gives its content in chunks.

Memory is bounded by the chunks that the server receives; nothing else is kept.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

from multipart import (
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
    content_disposition_unquote,
    parse_options_header,
)

from apilane.plugin import ApilaneError, CallView, Code
from apilane_files.names import sent_name

__all__ = ["UploadForm"]

PART: Final = "fileupload"
BOUNDARY_MAX: Final = 200
AROUND_MAX_BYTES: Final = 65_536
"""The most bytes of other parts, and of headers and boundaries."""
SLACK_BYTES: Final = 1_048_576
"""Beyond this the core ends the body, without a text for the caller; the checks here come first."""
PARTS_MAX: Final = 32
HEADERS_MAX: Final = 16
NO_FILE: Final = "No file found to upload"


class UploadForm:
    """The body of ``call``. ``max_kb``: largest content, in KB of 1024 bytes; the errors name it."""

    def __init__(self, call: CallView, max_kb: int) -> None:
        self._max_bytes = max_kb * 1024
        self._too_large = ApilaneError(Code.ERROR, f"Maximum file size {max_kb} KB")
        declared = call.headers.get(b"content-length", b"")
        if declared.isdigit() and (len(declared) > 15 or int(declared) > self._max_bytes + AROUND_MAX_BYTES):
            raise self._too_large
        self._parser = PushMultipartParser(
            _boundary(call), max_segment_count=PARTS_MAX, max_header_count=HEADERS_MAX, max_header_size=AROUND_MAX_BYTES
        )
        self._events = self._read(call.stream(self._max_bytes + SLACK_BYTES))
        self.size = 0
        """Bytes of the content so far."""

    async def _read(self, body: AsyncIterator[bytes]) -> AsyncIterator[MultipartSegment | bytes | None]:
        """The events of the parser. Raises ERROR for a body that is not well-formed or incomplete."""
        around = 0
        try:
            async for chunk in body:
                around += len(chunk)
                for event in self._parser.parse(chunk):
                    if isinstance(event, bytes):
                        around -= len(event)
                    yield event
                if around > AROUND_MAX_BYTES + len(chunk):
                    raise _broken("too much between the parts")
            self._parser.close()
        except MultipartError as error:
            raise _broken(str(error)) from None

    async def find(self) -> str:
        """Go to the file and return its name as sent. Raises ERROR when there is none."""
        others = 0
        async for event in self._events:
            if isinstance(event, MultipartSegment):
                name = _file_name(event)
                if name:
                    return name
            elif event is not None:
                others += len(event)
                if others > AROUND_MAX_BYTES:
                    raise _broken("the parts before the file are too large")
        raise ApilaneError(Code.ERROR, NO_FILE)

    async def content(self) -> AsyncGenerator[bytes, None]:
        """The content of the file that ``find`` went to, then check the rest of the body."""
        async for event in self._events:
            if event is None:
                break
            assert isinstance(event, bytes)  # noqa: S101 -- a segment follows only after None
            self.size += len(event)
            if self.size > self._max_bytes:
                raise self._too_large
            yield event
        if not self.size:
            raise ApilaneError(Code.ERROR, NO_FILE)
        others = 0
        async for event in self._events:
            if isinstance(event, MultipartSegment) and _file_name(event):
                raise ApilaneError(Code.ERROR, "The body has several files; upload one file in each call")
            others += len(event) if isinstance(event, bytes) else 0
            if others > AROUND_MAX_BYTES:
                raise _broken("the parts after the file are too large")


def _boundary(call: CallView) -> str:
    header = call.headers.get(b"content-type", b"").decode("latin-1")
    kind, options = parse_options_header(header)
    if kind != "multipart/form-data":
        raise ApilaneError(Code.ERROR, "Unsupported Media Type: send multipart/form-data", status=415)
    boundary: str = options.get("boundary", "")
    if not boundary or len(boundary) > BOUNDARY_MAX or not boundary.isascii() or not boundary.isprintable():
        raise _broken("the header Content-Type has no valid boundary")
    return boundary


def _file_name(segment: MultipartSegment) -> str | None:
    """The name of the file in a part ``FileUpload``; None for another part."""
    if (segment.name or "").lower() != PART:
        return None
    disposition = next(value for name, value in segment.headerlist if name == "Content-Disposition")
    _, options = parse_options_header(disposition, unquote=content_disposition_unquote)
    return sent_name(disposition, options.get("filename") or segment.filename)


def _broken(why: str) -> ApilaneError:
    return ApilaneError(Code.ERROR, f"The body is not valid multipart/form-data: {why}")
