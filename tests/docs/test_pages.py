"""The commands of the documentation, run in a temporary folder against a real server, print the shown output."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from apilane.testing.server import free_port
from tests.docs.pages import ROOT, Terminal, before, blocks, play, steady

DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
PLAYED = [name for name in PAGES if blocks((DOCS / name).read_text(encoding="utf-8"))]


@pytest.mark.parametrize("name", PLAYED)
def test_the_page_shows_what_happens(name: str, tmp_path: Path) -> None:
    """Every command of the page, run in order in one shell, prints the output that is shown below it."""
    site = tmp_path / "site"
    offline = {"PIP_TARGET": str(site), "PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0"}
    folder = tmp_path / "empty"
    folder.mkdir()
    port = str(free_port())
    with Terminal(folder, port, {**offline, "PYTHONPATH": str(site)}) as terminal:
        for block in [*before(DOCS / name), *blocks((DOCS / name).read_text(encoding="utf-8"))]:
            for command, printed in play(block, terminal):
                assert (command.text, steady(printed, port)) == (command.text, steady(command.output))


def test_the_tutorial_is_played() -> None:
    """The tutorial pages and the protocol pages are among the pages that are run."""
    protocol = {name for name in PAGES if name.startswith("reference/protocol/")}
    assert len(protocol) == 6
    assert {"tutorial/first-application.md", "howto/multi-tenancy.md", "howto/write-a-plugin.md", *protocol} <= set(
        PLAYED
    )


@pytest.mark.parametrize("name", PAGES)
def test_commands_with_output_are_marked(name: str) -> None:
    """Each block with commands and output is marked to be run."""
    text = (DOCS / name).read_text(encoding="utf-8")
    marked = {block.text for block in blocks(text)}
    shown = re.findall(r"^```console\n(.*?)```\n", text, re.DOTALL | re.MULTILINE)
    assert [block for block in shown if block.startswith("$ ") and block not in marked] == []


@pytest.mark.parametrize("name", PAGES)
def test_every_place_the_page_names_exists(name: str) -> None:
    """All links and paths of the page exist."""
    page = DOCS / name
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^):#]+)(?:#[^)]*)?\)", text)
    paths = re.findall(r"`((?:apilane|drivers|plugins|benchmarks|docs|contrib|tests)/[\w./-]*)`", text)
    missing = [link for link in links if not (page.parent / link).exists()]
    assert missing + [path for path in paths if not (ROOT / path).exists()] == []


def test_every_page_is_in_the_index() -> None:
    """Every page can be reached from docs/README.md."""
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    assert [name for name in PAGES if name != "README.md" and f"({name})" not in index] == []
