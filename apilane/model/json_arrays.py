"""Reads a JSON array of objects from a body that arrives in parts. Only one incomplete object is kept in memory."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from json import JSONDecodeError, JSONDecoder

from apilane.model.json import INT_DIGITS_MAX, MAX_DEPTH, MalformedJson, decode_json

__all__ = ["ObjectStream"]

_blanks = re.compile(r"[ \t\n\r]*").match
_scan = JSONDecoder().raw_decode


class ObjectStream:
    """Splits the text of an array into its objects. ``feed`` takes the parts in order; ``end`` gives the last objects.

    Both must be read to their end. They raise ``MalformedJson``, whose text says what is wrong. ``longest``: the most
    characters of one object.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._text = ""
        self._try_at = 1
        """The length from which the text is scanned again; it doubles, so that the time grows with the length only."""
        self._next = "["
        """The characters of which one must come next: the bracket, an object or the end, a comma or the end."""
        self.count = 0
        """The number of complete objects."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing but white space has come."""
        return self._next == "[" and not self._text

    def feed(self, part: bytes) -> Iterator[dict[str, object]]:
        """The objects that are complete with this part."""
        self._add(part, last=False)
        if len(self._text) >= self._try_at:
            yield from self._objects()

    def end(self) -> Iterator[dict[str, object]]:
        """The objects that ``feed`` has not given yet. Raises MalformedJson when the array is incomplete."""
        self._add(b"", last=True)
        yield from self._objects()
        if self._next or self._text:
            raise MalformedJson("it breaks off" if self._next != "[" else "it is empty")

    def _add(self, part: bytes, *, last: bool) -> None:
        try:
            self._text += self._decode(part, last)
        except UnicodeDecodeError:
            raise MalformedJson("it is not UTF-8") from None

    def _objects(self) -> Iterator[dict[str, object]]:
        """The complete objects of the text, which then begins with an incomplete one."""
        at = 0
        while (at := _blanks(self._text, at).end()) < len(self._text):  # type: ignore[union-attr]  # it always matches
            letter = self._text[at]
            if not self._next or letter not in self._next:
                raise MalformedJson(self._unexpected(letter))
            if letter != "{":
                self._next = {"[": "{]", ",": "{", "]": ""}[letter]
                at += 1
                continue
            end = self._end_of_object(at)
            if end is None:
                break
            found = decode_json(self._text[at:end].encode("utf-8", "surrogatepass"))
            self.count += 1
            self._next = ",]"
            at = end
            yield found  # type: ignore[misc]  # an object, because it begins with a brace
        self._text = self._text[at:]
        self._try_at = max(2 * len(self._text), 1)

    def _end_of_object(self, at: int) -> int | None:
        """The end of the object that begins there; None when it is incomplete, or broken in a way that only its end
        shows.
        """
        try:
            return _scan(self._text, at)[1]
        except JSONDecodeError:
            if len(self._text) - at > self._longest:
                raise MalformedJson(f"a record is broken, or longer than {self._longest} characters") from None
            return None
        except RecursionError:
            raise MalformedJson(f"a record is nested deeper than {MAX_DEPTH}") from None
        except ValueError:
            raise MalformedJson(f"a record has an integer of more than {INT_DIGITS_MAX} digits") from None

    def _unexpected(self, letter: str) -> str:
        expected = {"[": "an array", "{]": "a record or ]", "{": "a record", ",]": ", or ]", "": "the end"}[self._next]
        return f"there is {letter!r} where {expected} is expected"
