"""Signed requests: headers, canonical text and verification (``spec/security.md`` section 6.2). Pure.

Who holds which token is a plugin's question; the core only refuses headers that cannot be read.
"""

from __future__ import annotations

import hmac
from binascii import a2b_base64, b2a_base64
from hashlib import sha256
from typing import NamedTuple

from apilane.errors import ApilaneError, Code

__all__ = [
    "SIGNATURE_HEADER",
    "WINDOW_MS",
    "SignatureHeaders",
    "canonical_text",
    "check_signature_headers",
    "sign",
    "signature_bytes",
    "verifies",
]

KEY_ID_HEADER = b"x-auth-keyid"
TIMESTAMP_HEADER = b"x-auth-timestamp"
SIGNATURE_HEADER = b"x-auth-signature"
WINDOW_MS = 120_000
"""How far a timestamp may be from the server's clock, both ways."""
_INT64 = range(-(2**63), 2**63)


class SignatureHeaders(NamedTuple):
    """The three headers of a signed request, read."""

    key_id: int
    timestamp_ms: int
    signature: bytes


def check_signature_headers(headers: dict[bytes, bytes]) -> SignatureHeaders:
    """Read the headers. UNAUTHORIZED when key id or timestamp is blank, or no 64-bit integer."""
    key_id, timestamp = headers.get(KEY_ID_HEADER, b"").strip(), headers.get(TIMESTAMP_HEADER, b"").strip()
    if not key_id or not timestamp:
        raise ApilaneError(Code.UNAUTHORIZED, "Incomplete signed-request headers")
    numbers = _integer(key_id), _integer(timestamp)
    if numbers[0] is None or numbers[1] is None:
        raise ApilaneError(Code.UNAUTHORIZED, "Invalid signed-request headers")
    return SignatureHeaders(numbers[0], numbers[1], headers[SIGNATURE_HEADER].strip())


def _integer(text: bytes) -> int | None:
    digits = text[1:] if text[:1] in b"+-" else text
    if not digits.isdigit() or len(digits) > 40:
        return None
    value = int(text)
    return value if value in _INT64 else None


def canonical_text(key_id: int, method: str, raw_target: bytes, timestamp_ms: int, body: bytes) -> bytes:
    """What is signed: five lines, the body as the base64 of its SHA-256."""
    digest = b2a_base64(sha256(body).digest(), newline=False)
    return b"%d\n%s\n%s\n%d\n%s" % (key_id, method.upper().encode(), raw_target, timestamp_ms, digest)


def sign(token: str, text: bytes) -> bytes:
    """The signature of a canonical text as it travels: base64 of HMAC-SHA256 under the token's text."""
    return b2a_base64(hmac.digest(token.encode(), text, "sha256"), newline=False)


def signature_bytes(text: bytes) -> bytes | None:
    """A signature as it travels, decoded; None when it is no base64."""
    try:
        return a2b_base64(text, strict_mode=True)
    except ValueError:
        return None


def verifies(
    token: str, given: bytes, headers: SignatureHeaders, *, method: str, raw_target: bytes, body: bytes
) -> bool:
    """Whether ``given`` is the token's signature of a request, compared in constant time.

    A bare ``?`` at the end may be lost before it reaches a server, so an empty query is tried with and without it.
    """
    targets = [raw_target]
    if raw_target.endswith(b"?"):
        targets.append(raw_target[:-1])
    elif b"?" not in raw_target:
        targets.append(raw_target + b"?")
    valid = False
    for target in targets:
        text = canonical_text(headers.key_id, method, target, headers.timestamp_ms, body)
        valid |= hmac.compare_digest(hmac.digest(token.encode(), text, "sha256"), given)
    return valid
