"""Every citation of the protocol is valid: the page, the section, the label, the anchor of a link."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDERS = ["apilane", "drivers", "plugins", "contrib", "tests", "benchmarks", "docs"]
PROTOCOL = "docs/reference/protocol"
ROOT = Path(__file__).parents[2]

PAGES = {path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / PROTOCOL).glob("*.md"))}
NAMES = "|".join(sorted(PAGES.keys() - {"README"}))
NUMBER = r"\d+(?:\.\d+)*"
NUMBERS = rf"{NUMBER}(?:(?:, (?:and )?| and | to ){NUMBER})*"

_cited = re.compile(
    rf"(?:sections? (?P<before>{NUMBERS}) of )?(?P<ticks>`*){PROTOCOL}/(?P<page>[\w.-]+?)\.md(?P=ticks)"
    rf"(?:,? sections? (?P<after>{NUMBERS})| (?P<bare>{NUMBERS})(?= to|\)|:|;|,))?"
)
_outside = re.compile(r"(?<![\w/])" + "spec" + r"/[\w-]+\.md")
_without_folder = re.compile(rf"(?<![\w/\"'\[.])(?:{NAMES})\.md(?= (?:sections? )?\d| B-)")
_label = re.compile(r"\bB-[A-Z]\d+\b")
_link = re.compile(r"\]\(([^()\s]*)#([^()\s]+)\)")
_heading = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


def texts() -> dict[str, str]:
    """Every file that may cite, by its path in the repository; line breaks and comment marks are replaced by blanks."""
    paths = [path for folder in FOLDERS for kind in ("py", "md") for path in (ROOT / folder).rglob(f"*.{kind}")]
    found = {}
    for path in sorted([*paths, *ROOT.glob("*.md")]):
        if path != Path(__file__):
            text = path.read_text(encoding="utf-8")
            found[path.relative_to(ROOT).as_posix()] = re.sub(r"\s*\n\s*(?:# )?", " ", text)
    return found


def citations(text: str) -> Iterator[tuple[str, str]]:
    """Page and section of every citation; the section is empty where only the page is cited."""
    for found in _cited.finditer(text):
        numbers = re.findall(NUMBER, " ".join(found[name] or "" for name in ("before", "after", "bare")))
        for number in numbers or [""]:
            yield found["page"], number


def has_section(page: str, number: str) -> bool:
    """Whether a page has a heading with that number."""
    return re.search(rf"^#+ {re.escape(number)}\.? ", PAGES[page], re.MULTILINE) is not None


@pytest.fixture(scope="module")
def sources() -> dict[str, str]:
    """The texts of the repository."""
    return texts()


def test_cited_pages_and_sections_exist(sources: dict[str, str]) -> None:
    """Every cited page and section of the protocol exists in this repository."""
    cited = {(name, *citation) for name, text in sources.items() for citation in citations(text)}
    assert len(cited) > 30
    wrong = [
        f"{name}: {page}.md {number}"
        for name, page, number in sorted(cited)
        if page not in PAGES or (number and not has_section(page, number))
    ]
    assert not wrong, "\n".join(wrong)


def test_citations_name_the_folder(sources: dict[str, str]) -> None:
    """Citations name only files of this repository, and those in code include the folder of the page."""
    wrong = [f"{name}: {found[0]}" for name, text in sources.items() for found in _outside.finditer(text)]
    for name, text in sources.items():
        if name.endswith(".py"):
            wrong += [f"{name}: {found[0]}" for found in _without_folder.finditer(text)]
    assert not wrong, "\n".join(wrong)


def test_labels_exist(sources: dict[str, str]) -> None:
    """Every label such as B-S6 is explained on a page of the protocol or in the list of labels."""
    known = set(_label.findall(" ".join([*PAGES.values(), sources["docs/generators/gists.py"]])))
    wrong = [f"{name}: {label}" for name, text in sources.items() for label in set(_label.findall(text)) - known]
    assert not wrong, "\n".join(sorted(wrong))


def test_listed_labels_are_on_the_pages(sources: dict[str, str]) -> None:
    """The pages have every label of the list, except those of the Portal."""
    on_pages = set(_label.findall(" ".join(PAGES.values())))
    listed = set(_label.findall(sources["docs/generators/gists.py"]))
    assert {label for label in listed - on_pages if not label.startswith("B-P")} == set()


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as Git hosts generate them."""
    found = set()
    for heading in _heading.findall(text):
        letters = re.sub(r"[^\w\- ]", "", heading.lower())
        found.add(letters.strip().replace(" ", "-"))
    return found


@pytest.mark.parametrize("path", sorted((ROOT / "docs").rglob("*.md")), ids=lambda path: path.name)
def test_links_lead_to_a_heading(path: Path) -> None:
    """The part of a link after ``#`` is a heading of the page."""
    for target, anchor in _link.findall(path.read_text(encoding="utf-8")):
        page = path.parent / target if target else path
        if target.startswith("http"):
            continue
        assert anchor in anchors(page.read_text(encoding="utf-8")), f"{target}#{anchor}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("``{0}/errors.md`` sections 1 and 2.", [("errors", "1"), ("errors", "2")]),
        ("({0}/wire-api.md 4.4 to 4.6, errors)", [("wire-api", "4.4"), ("wire-api", "4.6")]),
        ("sections 2.4, 3 of {0}/data-model.md.", [("data-model", "2.4"), ("data-model", "3")]),
        ("{0}/security.md B-S6", [("security", "")]),
    ],
)
def test_citations_are_read(text: str, expected: list[tuple[str, str]]) -> None:
    """All usual forms of citations are recognised."""
    assert list(citations(text.format(PROTOCOL))) == expected
