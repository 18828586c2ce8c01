"""Signatures compared with the test vectors of the protocol."""

from __future__ import annotations

import pytest

from apilane.errors import ApilaneError
from apilane.security.signatures import (
    SignatureHeaders,
    canonical_text,
    check_signature_headers,
    sign,
    signing_key,
    verifies,
)

TOKEN = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
TIME = 1750000000000
VECTORS = [
    (
        "POST",
        b"/api/Data/Post?Entity=Products",
        b'{"Name":"Widget","Price":9.99}',
        97,
        b"cPoX9edp2T0m7HzjB0QUNOslPffax848TOj/x+3bWb0=",
    ),
    (
        "GET",
        b"/api/Data/Get?Entity=Products&pageIndex=1&pageSize=20&getTotal=false",
        b"",
        134,
        b"0b5xrl07qF9yN+nJyAvjdp2IUC1VLtFjHKbCC4C7HFY=",
    ),
    ("GET", b"/api/Account/UserData?", b"", 88, b"IfsGGvA0kdRxFKb1wI34fC55grEMQb9OfX02v1O5JY8="),
    ("GET", b"/api/Account/UserData", b"", 87, b"l9ZLHC8uoFzD04kDiOgcTsUR7YR/6+D48bNy9L13XbM="),
    (
        "PUT",
        b"/api/Data/Put?Entity=Products",
        '{"ID":7,"Name":"Καφές"}'.encode(),
        95,
        b"MNtOTUl7pkb7vHsrn5WoAd4P7f92tyyFEh+GtMBcg/U=",
    ),
]


@pytest.mark.parametrize(("method", "target", "body", "length", "signature"), VECTORS)
def test_vectors(method: str, target: bytes, body: bytes, length: int, signature: bytes) -> None:
    """Canonical text and signature equal those of every published vector, and the signature verifies."""
    text = canonical_text(42, method, target, TIME, body)
    assert len(text) == length
    assert sign(TOKEN, text) == signature
    headers = SignatureHeaders(42, TIME, signature)
    assert verifies(signing_key(TOKEN), headers, method, target, body)
    assert not verifies(signing_key(TOKEN), headers, method, target, body + b" ")
    assert not verifies(signing_key(TOKEN.upper()), headers, method, target, body)


@pytest.mark.parametrize("signed", [b"/api/Account/UserData", b"/api/Account/UserData?"])
@pytest.mark.parametrize("seen", [b"/api/Account/UserData", b"/api/Account/UserData?"])
def test_bare_question_mark(signed: bytes, seen: bytes) -> None:
    """An empty query verifies with and without its question mark."""
    signature = sign(TOKEN, canonical_text(42, "GET", signed, TIME, b""))
    headers = SignatureHeaders(42, TIME, signature)
    assert verifies(signing_key(TOKEN), headers, "GET", seen, b"")


def test_one_spelling_of_the_signature() -> None:
    """Another base64 spelling of the same bytes is refused, so that each request has exactly one signature text."""
    signature = VECTORS[0][4]
    assert signature.endswith(b"0=")
    for other in (signature[:-2] + b"1=", signature[:-1], signature + b"=", b" " + signature, b"", b"\xff", b"!" * 44):
        headers = SignatureHeaders(42, TIME, other)
        assert not verifies(signing_key(TOKEN), headers, "POST", VECTORS[0][1], VECTORS[0][2])


@pytest.mark.parametrize(
    ("key_id", "timestamp", "message"),
    [
        (b"", b"1", "Incomplete signed-request headers"),
        (b"1", b"  ", "Incomplete signed-request headers"),
        (None, b"1", "Incomplete signed-request headers"),
        (b"x", b"1", "Invalid signed-request headers"),
        (b"1", b"1.5", "Invalid signed-request headers"),
        (b"1", b"9223372036854775808", "Invalid signed-request headers"),
        (b"1_0", b"1", "Invalid signed-request headers"),
        (b"9" * 5000, b"1", "Invalid signed-request headers"),
        ("١".encode(), b"1", "Invalid signed-request headers"),
    ],
)
def test_unreadable_headers(key_id: bytes | None, timestamp: bytes, message: str) -> None:
    """A blank header is reported as incomplete, one without a 64-bit integer as invalid; both are refused."""
    headers = {b"x-auth-signature": b"AA==", b"x-auth-timestamp": timestamp}
    if key_id is not None:
        headers[b"x-auth-keyid"] = key_id
    with pytest.raises(ApilaneError) as caught:
        check_signature_headers(headers)
    assert (caught.value.status, caught.value.message) == (401, message)


def test_numbers_are_written_plainly() -> None:
    """The canonical text has key id and timestamp without plus signs and leading zeros."""
    headers = {b"x-auth-signature": b"AA==", b"x-auth-keyid": b" +0042 ", b"x-auth-timestamp": b"0001750000000000"}
    read = check_signature_headers(headers)
    assert canonical_text(read.key_id, "get", b"/x", read.timestamp_ms, b"").startswith(b"42\nGET\n/x\n1750000000000\n")
