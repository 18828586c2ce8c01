"""The documentation site: it builds without a warning, and is read without a network."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def build(docs: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Build the site as ``make docs`` does."""
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going", str(docs), str(site)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    folder = tmp_path_factory.mktemp("site")
    done = build(repository / "docs", folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_in_the_navigation(site: Path, repository: Path) -> None:
    """Every page of the documentation is built, and the index page has it in its navigation."""
    index = (site / "index.html").read_text(encoding="utf-8")
    docs = repository / "docs"
    pages = {path.relative_to(docs).with_suffix(".html").as_posix() for path in docs.rglob("*.md")} - {"README.html"}
    assert [page for page in pages if not (site / page).exists()] == []
    assert [page for page in sorted(pages) if f'href="{page}"' not in index] == []


def test_no_page_loads_from_a_server(site: Path) -> None:
    """Scripts, styles, fonts and pictures come from the site itself, and the search has its index."""
    loaded = re.compile(r'<(?:script|img|link|iframe)\b[^>]*\b(?:src|href)="((?:https?:)?//[^"]+)"')
    foreign = {found for page in site.rglob("*.html") for found in loaded.findall(page.read_text(encoding="utf-8"))}
    assert foreign == set()
    styles = [path.read_text(encoding="utf-8") for path in site.rglob("*.css")]
    assert not [text for text in styles if re.search(r"(?:@import|url\()\s*['\"(]*(?:https?:)?//", text)]
    assert "admiss" in (site / "searchindex.js").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("link", "named"),
    [("missing.md", "missing.md"), ("explanation/security.md#no-such-heading", "no-such-heading")],
)
def test_a_broken_link_fails_the_build(repository: Path, tmp_path: Path, link: str, named: str) -> None:
    """A link to a page or a heading that does not exist fails the build."""
    docs = tmp_path / "docs"
    for name in ("conf.py", "README.md", "explanation/security.md", "examples/atlas/atlas.yaml"):
        (docs / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(repository / "docs" / name, docs / name)
    shutil.copy(repository / "docs/examples/grafana-dashboard.json", docs / "examples/grafana-dashboard.json")
    (docs / "README.md").write_text(f"# Docs\n\n## Understand\n\n[a](explanation/security.md), [b]({link})\n")
    (docs / "explanation/security.md").write_text("# Security\n")
    done = build(docs, tmp_path / "site")
    assert done.returncode != 0
    assert named in done.stderr
    (docs / "README.md").write_text("# Docs\n\n## Understand\n\n[a](explanation/security.md)\n")
    assert build(docs, tmp_path / "site").returncode == 0
