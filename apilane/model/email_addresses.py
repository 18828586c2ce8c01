"""The syntax of e-mail addresses (docs/reference/protocol/data-model.md section 4.3): a single address without any
other text, equal to its parsed form.
"""

from __future__ import annotations

from email.errors import MessageError
from email.headerregistry import Address

__all__ = ["is_email"]

LENGTH_MAX = 320
"""RFC 5321: 64 for the local part, 255 for the domain; the standard parser is slow on megabytes."""


def is_email(text: str) -> bool:
    """Whether ``text`` is a single address without display name, comments or blanks. A domain needs no dot here."""
    if not text.isprintable() or " " in text or not 3 <= len(text) <= LENGTH_MAX:
        return False
    # The standard parser accepts only ASCII. Other letters are allowed here, so ``x`` replaces each of them.
    spec = "".join(letter if letter.isascii() else "x" for letter in text)
    try:
        return Address(addr_spec=spec).addr_spec == spec
    except (MessageError, ValueError, IndexError):  # the standard parser raises IndexError on some fragments
        return False
