"""Fills a template of a mail. Values are escaped in HTML, and have no line breaks in a subject (B-D12)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from html.parser import HTMLParser
from typing import Final

__all__ = ["filled", "one_line", "plain_text"]

_placeholder = re.compile(r"\{([\w.]{1,40})\}")
_SILENT: Final = frozenset({"style", "script", "head", "title"})
_BLOCKS: Final = frozenset({"p", "div", "br", "tr", "table", "h1", "h2", "h3", "h4", "ul", "ol", "li", "hr"})


def filled(template: str, values: Mapping[str, str], *, html: bool) -> str:
    """The template with its placeholders replaced once: a value that looks like a placeholder stays as it is."""

    def value(found: re.Match[str]) -> str:
        text = values.get(found[1])
        if text is None:
            return found[0]
        return escape(text, quote=True) if html else text

    return _placeholder.sub(value, template)


def one_line(text: str) -> str:
    """A text for a header of a mail: control characters and line breaks become blanks."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def plain_text(html: str) -> str:
    """The text of a mail for readers without HTML; the address of a link follows its text."""
    parser = _Text()
    parser.feed(html)
    parser.close()
    lines = (" ".join(line.split()) for line in "".join(parser.parts).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


class _Text(HTMLParser):
    """Collects the visible text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent = 0
        self._links: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Break lines at blocks, and note the address of a link."""
        if tag in _SILENT:
            self._silent += 1
        elif tag in _BLOCKS:
            self.parts.append("\n")
        elif tag == "a":
            self._links.append(dict(attrs).get("href"))

    def handle_endtag(self, tag: str) -> None:
        """Write the address of a link."""
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag in _BLOCKS:
            self.parts.append("\n")
        elif tag == "a" and self._links and (address := self._links.pop()):
            self.parts.append(f": {address} ")

    def handle_data(self, data: str) -> None:
        """Keep visible text; its line breaks are blanks."""
        if not self._silent:
            self.parts.append(data.replace("\n", " "))
