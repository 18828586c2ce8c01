"""A configured value that must not be shown, such as a password or an API key."""

from __future__ import annotations

from hmac import compare_digest
from typing import NoReturn

__all__ = ["Secret"]


class Secret:
    """Field type for a secret in the settings of a plugin.

    ``await secret.get()`` returns the text. Printing and encoding never show it; copying and pickling raise TypeError.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    async def get(self) -> str:
        """The text; call this each time it is used, and do not keep the result."""
        return self._text

    def shorter_than(self, length: int) -> bool:
        """Whether the text has fewer characters, for the check of a setting at the start."""
        return len(self._text) < length

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("A secret is not copied or pickled; pass the object on.")
