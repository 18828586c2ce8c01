"""A value that people configure and that must not be shown: a password, an API key."""

from __future__ import annotations

from hmac import compare_digest
from typing import NoReturn

__all__ = ["Secret"]


class Secret:
    """Field type for a secret in the settings of a plugin.

    ``await secret.get()`` gives the text. Printing, encoding, copying and pickling never do.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    async def get(self) -> str:
        """The text, for the moment in which it is used."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("A secret is not copied or pickled; pass the object on.")
