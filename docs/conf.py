"""The documentation site, for Sphinx: ``make docs`` builds it. The pages are read without a network, search included.

Navigation comes from the index page, ``README.md``. A link to a page or heading that does not exist fails the build.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent

project = "Apilane"
author = "The Apilane authors"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
root_doc = "README"
exclude_patterns = ["examples/**/README.md", "generators"]
html_theme = "furo"
html_title = "Apilane"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_extra_path = ["examples/atlas/atlas.yaml", "examples/grafana-dashboard.json"]
myst_heading_anchors = 4
highlight_language = "text"
suppress_warnings = [
    "misc.highlighting_failure",
    "myst.header",
]  # shortened JSON of answers; pages begin with a comment

_link = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)#:\s]+)(#[^)\s]*)?\)")


def _without_outside(name: str, text: str) -> str:
    """Name files that are not pages instead of linking to them: the site does not contain them."""
    folder = (DOCS / name).parent

    def link(found: re.Match[str]) -> str:
        target = (folder / found[2]).resolve()
        if target.suffix == ".md" and target.is_relative_to(DOCS):
            return found[0]
        return f"{found[1]} (`{target.relative_to(DOCS.parent).as_posix()}` in the repository)"

    return _link.sub(link, text)


def _tables_of_contents(text: str) -> str:
    """The navigation: one part for each section of the index page, with the pages that it links to, in order."""
    made = []
    for section in text.split("\n## ")[1:]:
        title = section.partition("\n")[0]
        pages = [target.removesuffix(".md") for _, target, _ in _link.findall(section) if target.endswith(".md")]
        if pages:
            options = f":hidden:\n:caption: {title}\n"
            made.append(f"```{{toctree}}\n{options}\n" + "\n".join(dict.fromkeys(pages)) + "\n```\n")
    return "\n".join(made)


def _prepare(_app: Any, name: str, source: list[str]) -> None:
    text = source[0]
    if name == root_doc:
        text = f"{text}\n{_tables_of_contents(text)}"
    source[0] = _without_outside(name, text)


def _add_index(app: Any, error: Exception | None) -> None:
    if error is None and app.builder.name == "html":
        shutil.copy(Path(app.outdir) / "README.html", Path(app.outdir) / "index.html")


def setup(app: Any) -> None:
    """Connect the preparation of pages, and give the index page the name that servers look for."""
    app.connect("source-read", _prepare)
    app.connect("build-finished", _add_index)
