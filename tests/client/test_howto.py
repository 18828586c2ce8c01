"""The examples of docs/howto/client.md run unchanged and in order."""

from __future__ import annotations

import re
from pathlib import Path

from apilane.client import Client
from apilane.testing.server import Server


def test_examples(repository: Path, server: Server, new_application) -> None:  # type: ignore[no-untyped-def]
    """Every Python block of the page runs on a new shop."""
    page = repository / "docs" / "howto" / "client.md"
    text = page.read_text(encoding="utf-8")
    blocks = list(re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    assert len(blocks) > 5
    names = {"SERVER": server.url, "SHOP": new_application()}
    try:
        for block in blocks:
            line = text.count("\n", 0, block.start(1))
            code = compile("\n" * line + block[1], str(page), "exec")
            exec(code, names)
    finally:
        for value in names.values():
            if isinstance(value, Client):
                value.close()


def test_every_method_is_named(repository: Path) -> None:
    """The page mentions each method of the client."""
    text = (repository / "docs" / "howto" / "client.md").read_text(encoding="utf-8")
    methods = {name for name in vars(Client) if not name.startswith("_")} - {"send", "respond"}
    assert not [name for name in methods if not re.search(rf"\b{name}\b", text)]
