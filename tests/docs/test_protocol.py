"""The tables of the protocol pages are correct: calls, operators, codes, and the test vectors of signed requests.

The examples on these pages are run by ``test_pages.py``.
"""

from __future__ import annotations

import ast
import hashlib
import hmac
import json
from base64 import b64encode
from collections.abc import Iterator

import httpx
import pytest

from apilane.errors import DEFAULT_MESSAGES, ApilaneError
from apilane.model.definition import Entity, Property, PropertyType
from apilane.model.filter import Leaf, Operator, parse_filter
from apilane.security import signatures
from apilane.testing.server import CHEAP_PASSWORDS, Server
from tests.docs.pages import ROOT

PAGES = ROOT / "docs" / "reference" / "protocol"
KEY_ID, TOKEN, TIMESTAMP_MS = 42, "3f2504e0-4f89-41d3-9a0c-0305e82c3301", 1750000000000


def rows(page: str, heading: str) -> Iterator[list[str]]:
    """The cells of the first table below a heading."""
    text = (PAGES / page).read_text(encoding="utf-8")
    _, found, below = text.partition(f"\n{heading}\n")
    assert found, f"{page} has no heading {heading}"
    _, found, table = below.partition("\n| ---")
    assert found, f"{page} has no table below {heading}"
    for line in table.splitlines()[1:]:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in line.strip("|").split("|")]


# --- calls ----------------------------------------------------------------------------------------------------------


def calls() -> list[tuple[str, str, bool]]:
    """Method, path and whether it is built, of every call on the first page."""
    listed = []
    for call, state in rows("README.md", "## Calls"):
        method, _, path = call.partition(" ")
        listed.append((method, path.strip("`"), state.startswith("built")))
    return listed


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with every plugin and no application."""
    with Server(tmp_path_factory.mktemp("server") / "data", settings=CHEAP_PASSWORDS) as running:
        yield running


@pytest.mark.parametrize(("method", "path", "is_built"), calls())
def test_the_call_is_there_or_not(server: Server, method: str, path: str, is_built: bool) -> None:
    """A built call is answered by its own action; a call that is not built yet is 404 ``NOT_FOUND``."""
    named = path.replace("{name}", "Anything").replace("{appToken}", TOKEN)
    answer = httpx.request(method, f"{server.url}{named}", trust_env=False)
    if is_built:
        assert answer.status_code not in (404, 405)
    else:
        assert (answer.status_code, answer.json()["Code"]) == (404, "NOT_FOUND")


def test_every_path_of_the_code_is_listed() -> None:
    """Each ``/api/`` path that the core or a plugin declares is in the list as built."""
    built = {path.lower().replace("{name}", "") for _, path, is_built in calls() if is_built}
    assert declared() <= built


def declared() -> set[str]:
    """The paths of calls among the string constants of the code."""
    found = set()
    for folder in (ROOT / "apilane" / "web", ROOT / "plugins"):
        for path in folder.rglob("*.py"):
            nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
            parts = [part for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values]
            for node in nodes:
                match node:
                    case ast.Constant(value=str(text)) if text.startswith("/api/") and text.count("/") == 3:
                        if node not in parts:
                            found.add(text.lower())
    return {text for text in found if not any(other.startswith(text) for other in found - {text})}  # no prefixes


# --- operators ------------------------------------------------------------------------------------------------------

VALUES = {"String": "a", "Number": 1, "Date": "2026-03-01", "Boolean": True}
ENTITY = Entity(name="Things", properties=tuple(Property(name=f"A{name}", type=PropertyType[name]) for name in VALUES))


def read(operator: str | int, type_name: str) -> Operator | None:
    """The operator of a condition on a property of a type; None when it is refused."""
    condition = {"Property": f"A{type_name}", "Operator": operator, "Value": VALUES[type_name]}
    try:
        node = parse_filter(json.dumps(condition), ENTITY, {f"a{name.lower()}" for name in VALUES})
    except ApilaneError:
        return None
    assert isinstance(node, Leaf)
    return node.operator


def test_the_table_of_operators_is_complete() -> None:
    """The page lists every operator once, with its number."""
    listed = [(int(number), name.strip("`")) for number, name, *_ in rows("query-language.md", "### 1.2 Operators")]
    assert listed == list(enumerate(Operator))


@pytest.mark.parametrize("row", list(rows("query-language.md", "### 1.2 Operators")))
def test_operators_mean_what_the_table_says(row: list[str]) -> None:
    """Number, name and aliases select the same operator, in any letter case, and only for the listed types."""
    number, name, aliases, fits = row
    fitting = fits.split(", ")
    texts = [name.strip("`"), *(alias.strip("`") for alias in aliases.split())]
    for spelling in (int(number), *texts, *(text.upper() for text in texts)):
        for type_name in VALUES:
            expected = Operator(name.strip("`")) if type_name in fitting else None
            assert read(spelling, type_name) is expected, (spelling, type_name)


# --- errors ---------------------------------------------------------------------------------------------------------


def test_codes_and_messages() -> None:
    """The page lists every code with its default message."""
    listed = {code.strip("`"): message for code, message, _ in rows("errors.md", "## 2. Codes")}
    assert listed == {code.value: message for code, message in DEFAULT_MESSAGES.items()}


# --- signed requests ------------------------------------------------------------------------------------------------


def vectors() -> list[list[str]]:
    """The test vectors: method, target, body, hash of the body, bytes of the canonical text, signature."""
    text = (PAGES / "security.md").read_text(encoding="utf-8")
    _, found, table = text.partition("| method | target | body |")
    assert found
    lines = table.splitlines()[2:]
    cells = [line.strip("| ").split(" | ") for line in lines[: lines.index("")]]
    return [[cell.strip("`").removeprefix("–") for cell in row] for row in cells]


@pytest.mark.parametrize("vector", vectors())
def test_vectors_of_signed_requests(vector: list[str]) -> None:
    """The page's vectors follow from its description, and the server accepts their signatures."""
    method, target, body_text, digest, length, signature = vector
    body = body_text.encode()
    assert b64encode(hashlib.sha256(body).digest()).decode() == digest
    text = "\n".join([str(KEY_ID), method, target, str(TIMESTAMP_MS), digest]).encode()
    assert len(text) == int(length)
    assert b64encode(hmac.digest(TOKEN.encode(), text, "sha256")).decode() == signature
    headers = signatures.SignatureHeaders(KEY_ID, TIMESTAMP_MS, signature.encode())
    assert signatures.verifies(signatures.signing_key(TOKEN), headers, method, target.encode(), body)


def test_the_canonical_text_in_hexadecimal() -> None:
    """The page shows the canonical text of the first vector in hexadecimal."""
    method, target, _, digest, *_ = vectors()[0]
    text = "\n".join([str(KEY_ID), method, target, str(TIMESTAMP_MS), digest])
    assert f"\n{text.encode().hex()}\n" in (PAGES / "security.md").read_text(encoding="utf-8")


def test_the_vectors_are_found() -> None:
    """The page has five vectors, with a body and without, and states their key id, token and timestamp."""
    assert len(vectors()) == 5
    assert {bool(body) for _, _, body, *_ in vectors()} == {True, False}
    text = (PAGES / "security.md").read_text(encoding="utf-8")
    assert f"key id `{KEY_ID}`, token `{TOKEN}`, timestamp `{TIMESTAMP_MS}`" in text
