"""Names of uploaded files: reads them from the header of a part, and refuses names that deceive or cannot be stored."""

from __future__ import annotations

import re
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.utils import decode_rfc2231
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from apilane.plugin import ApilaneError, Code, is_storable_text

__all__ = ["attachment", "checked_name", "extension", "sent_name"]

NAME_LENGTH_MAX: Final = 255

_extended = re.compile(r";\s*filename\*\s*=\s*\"?([^;\"]+)", re.IGNORECASE).search
_is_encoded_word = re.compile(r"=\?[^?]+\?[bqBQ]\?[^?]*\?=").search
_deceives = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]").search
"""Control characters, line separators, and marks that change the direction of text, which hide an extension."""
_odd = re.compile(r'[^ -~]|["\\%]').sub


def sent_name(disposition: str, filename: str | None) -> str | None:
    """The file name of a part; None when it has none. ``filename``: the parameter of that name, decoded.

    ``filename*`` has priority. A ``filename`` may be an encoded word (RFC 2047), which the .NET client sends.
    """
    extended = _extended(disposition)
    if extended is not None:
        charset, _, text = decode_rfc2231(extended[1].strip())
        try:
            return unquote_to_bytes(text).decode(charset or "utf-8")
        except (LookupError, UnicodeDecodeError):
            raise ApilaneError(Code.ERROR, "The file name is not valid: filename* cannot be decoded") from None
    if filename is not None and _is_encoded_word(filename):
        try:
            return str(make_header(decode_header(filename)))
        except (HeaderParseError, LookupError, UnicodeDecodeError, ValueError):
            return filename
    return filename


def checked_name(sent: str) -> str:
    """The last part of a path that a client sent, as the name of the file. Raises ERROR for a name that is refused."""
    if _deceives(sent) or not is_storable_text(sent):
        raise ApilaneError(
            Code.ERROR, "The file name contains a control character or a mark of text direction; rename the file"
        )
    name = sent.replace("\\", "/").rpartition("/")[2].strip()
    if not name.strip("."):
        raise ApilaneError(Code.ERROR, "The file has no name; send filename")
    if len(name) > NAME_LENGTH_MAX:
        raise ApilaneError(
            Code.ERROR, f"The file name has {len(name)} characters; at most {NAME_LENGTH_MAX} are possible"
        )
    return name


def extension(name: str) -> str:
    """The extension in lower case with its dot, or empty. Windows ignores dots and blanks at the end of a name, and
    everything from a colon on."""
    stem, dot, last = name.partition(":")[0].rstrip(". ").rpartition(".")
    return f"{dot}{last}".lower() if stem or dot else ""


def attachment(name: str) -> bytes:
    """``Content-Disposition`` of a download: ``filename`` in ASCII, and ``filename*`` when that is not the name."""
    plain = _odd("_", name)
    header = f'attachment; filename="{plain}"'
    if plain != name:
        header += f"; filename*=UTF-8''{quote(name, safe='')}"
    return header.encode("ascii")
