"""Tokens in every textual form, and their keyed hash."""

from __future__ import annotations

import uuid

import pytest

from apilane.security.tokens import bearer_token, canonical_guid, new_token, token_hash

GUID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"


def test_new_tokens() -> None:
    """New tokens are canonical GUIDs of version 4 and all different."""
    tokens = {new_token() for _ in range(1000)}
    assert len(tokens) == 1000
    assert all(canonical_guid(token) == token and uuid.UUID(token).version == 4 for token in tokens)


@pytest.mark.better("B-W2")
@pytest.mark.parametrize(
    "text",
    [
        GUID,
        GUID.upper(),
        GUID.replace("-", ""),
        GUID.replace("-", "").upper(),
        f"{{{GUID}}}",
        f"({GUID})",
        f" {GUID}\t",
    ],
)
def test_every_form_names_the_same(text: str) -> None:
    """Hyphens, bare digits, braces, parentheses and either letter case give the same GUID."""
    assert canonical_guid(text) == GUID


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        GUID[:-1],
        GUID + "0",
        GUID.replace("-", "", 1),
        f"{{{GUID}",
        f"{{{GUID})",
        f"{{{GUID.replace('-', '')}}}",
        GUID.replace("3", "g"),
        GUID.replace("3", "\uff13"),
        f"{GUID}&appToken=x",
        f"{GUID}\n{GUID}",
        f"urn:uuid:{GUID}",
        "0" * 100_000,
    ],
)
def test_anything_else_is_none(text: str) -> None:
    """Any text that is not a GUID is None, without an error."""
    assert canonical_guid(text) is None


@pytest.mark.better("B-W2")
@pytest.mark.parametrize(
    ("header", "token"),
    [
        (f"Bearer {GUID}", GUID),
        (f"bearer {GUID.upper()}", GUID),
        (f"Whatever it says {GUID}", GUID),
        (GUID, GUID),
        (f'Bearer "{GUID}"', GUID),
        (f'Bearer ""{GUID}""', None),
        (f'Bearer "{GUID}', None),
        (f"Bearer {GUID} ", None),
        ("Bearer", None),
        ('Bearer "', None),
        ("", None),
        ("Bearer \xff\xfe", None),
    ],
)
def test_bearer(header: str, token: str | None) -> None:
    """The last word of the header is the token, without one pair of quotes; other texts than a GUID are none."""
    assert bearer_token(header.encode("latin-1")) == token


@pytest.mark.better("B-D4")
def test_hash_is_keyed_and_stable() -> None:
    """The same token and key give the same hash of 64 digits; another key or token gives another one."""
    key, other = b"k" * 32, b"o" * 32
    assert token_hash(key, GUID) == token_hash(key, GUID)
    assert len(token_hash(key, GUID)) == 64
    assert len({token_hash(key, GUID), token_hash(other, GUID), token_hash(key, new_token())}) == 3
