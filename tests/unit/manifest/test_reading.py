"""Reading manifest files: formats, lines, hostile content, the environment."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apilane.model.manifest.keys import APPLICATION, CONSTRAINT, ENTITY, MANIFEST, RULE
from apilane.model.manifest.read import SIZE_MAX_BYTES
from apilane.model.plan import ManifestErrors, read_manifests
from tests.unit.manifest.cases import errors_of, planned

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)

# name: (file name, content, line, part of the message)
UNREADABLE = {
    "empty": ("a.yaml", "", None, "the file is empty"),
    "empty json": ("a.json", " \n", None, "the file is empty"),
    "too large": ("a.yaml", "#" * (SIZE_MAX_BYTES + 1), None, "larger than"),
    "not UTF-8": ("a.yaml", b"Apilane: 1\nName: \xff\n", 2, "not UTF-8"),
    "NUL": ("a.yaml", "Apilane: 1\n\0", 2, "NUL"),
    "escaped NUL": ("a.yaml", 'Apilane: 1\nA: "\\0"\n', 2, "NUL"),
    "escaped NUL in JSON": ("a.json", '{\n"a": "\\u0000"}', 2, "NUL"),
    "lone surrogate in JSON": ("a.json", '{"a":\n "\\ud800"}', 2, "surrogate"),
    "lone surrogate": ("a.yaml", "a: \ud800", 1, "surrogate"),
    "alias bomb": ("a.yaml", BOMB, None, "aliases expand"),
    "recursive alias": ("a.yaml", "a: &a [*a]\n", 1, "refers to a value that contains"),
    "alias of nothing": ("a.yaml", "a: *b\n", 1, "no anchor"),
    "python tag": ("a.yaml", "a: 1\nb: !!python/object/apply:os.system [ls]\n", 2, "not allowed"),
    "binary tag": ("a.yaml", "a: !!binary aGk=\n", 1, "not allowed"),
    "deep yaml": ("a.yaml", "[\n" * 5000, None, "nested deeper"),
    "deep yaml in a line": ("a.yaml", "[" * 5000, None, "nest"),  # libyaml reads ahead, and has its own limit
    "deep json": ("a.json", "[" * 100_000 + "]" * 100_000, None, "nested"),
    "deep toml": ("a.toml", "a = " + "[" * 20_000 + "]" * 20_000, None, "nested"),
    "long key in TOML": ("a.toml", "a." * 100_000 + "a = 1", None, "dotted parts"),
    "key that is no text": ("a.yaml", "1: a\n", 1, "the key 1 is not text"),
    "key that is a list": ("a.yaml", "? [a]\n: b\n", 1, "where a key is expected"),
    "duplicate key": ("a.yaml", "Apilane: 1\nApilane: 1\n", 2, "duplicate key"),
    "duplicate key in JSON": ("a.json", '{"a": {"b": 1,\n"b": 2}}', 2, "duplicate key"),
    "duplicate key in TOML": ("a.toml", "a = 1\na = 2\n", 2, "Cannot overwrite"),
    "YAML syntax": ("a.yaml", "a: 1\nb: [\n", 3, "not YAML"),
    "tab": ("a.yaml", "a:\n\tb: 1\n", 2, "not YAML"),
    "JSON syntax": ("a.json", '{"a": 1\n"b": 2}', 2, "not JSON"),
    "JSON NaN": ("a.json", '{"a": NaN}', None, "NaN is not JSON"),
    "JSON overflow": ("a.json", '{"a": 1e999}', 1, "too large"),
    "JSON digits": ("a.json", '{"a": ' + "9" * 5000 + "}", None, "not JSON"),
    "many digits": ("a.yaml", "a: " + "9" * 50, 1, "digits"),
    "YAML infinity": ("a.yaml", "a: .inf", 1, "too large, infinite"),
    "TOML syntax": ("a.toml", "a = 1\nb = \n", 2, "not TOML"),
    "TOML not a number": ("a.toml", "a = nan\n", None, "NaN"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_is_a_clear_error(name: str) -> None:
    """An unreadable or hostile file gives one error, with the line if there is one, within a short time."""
    filename, content, line, message = UNREADABLE[name]
    start = time.perf_counter()
    with pytest.raises(ManifestErrors) as caught:
        read_manifests(content, filename=filename, environ={})
    assert time.perf_counter() - start < 5
    [error] = caught.value.errors
    assert message in error.message
    assert line is None or error.line == line


@pytest.mark.parametrize("content", ["[]", "- a\n", "hello", "~", "---\n---\n", "1"])
def test_a_document_that_is_no_mapping_is_a_clear_error(content: str) -> None:
    """A list, a text, a number or an empty document at the top level is an error."""
    for manifest in read_manifests(content, filename="a.yaml", environ={}):
        assert any("expected a mapping" in error.message for error in manifest.problems)


def test_a_duplicate_key_tells_where_the_first_stands() -> None:
    """A duplicate key is an error with the whole path and the line of the first one."""
    [error] = errors_of("Apilane: 1\nApplication:\n  Name: Shop\n  Mail:\n    Port: 1\n    Port: 2\n")
    assert (error.line, error.key) == (6, "Application.Mail.Port")
    assert "line 5" in error.hint


@given(st.binary(max_size=200))
def test_no_bytes_crash_a_reader(content: bytes) -> None:
    """Any file content gives a manifest or ManifestErrors."""
    for filename in ("a.yaml", "a.json", "a.toml"):
        errors_of_any(content, filename)


_keys = st.sampled_from(
    [*MANIFEST, *APPLICATION, *ENTITY, *RULE, *CONSTRAINT, "Query", "Parameters", "Series", "Title"]
)
_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_keys, inner, max_size=6),
    max_leaves=30,
)


@given(st.dictionaries(_keys, _anything, max_size=8))
def test_no_types_crash_the_checks(document: dict[str, object]) -> None:
    """Values of wrong types at any place are errors, never a traceback."""
    errors_of_any(json.dumps(document).encode(), "a.json")


def errors_of_any(content: bytes, filename: str) -> None:
    try:
        manifests = read_manifests(content, filename=filename, environ={})
    except ManifestErrors:
        return
    for manifest in manifests:
        assert manifest.file == filename
    if len(manifests) == 1:
        errors_of(content, filename=filename)


def test_several_documents_are_several_manifests() -> None:
    """One YAML file may hold several applications."""
    text = "Apilane: 1\nApplication: {Name: First}\n---\nApilane: 1\nApplication: {Name: Second}\n"
    assert [m.name for m in read_manifests(text, filename="a.yaml", environ={})] == ["First", "Second"]


def test_aliases_repeat_a_value() -> None:
    """Small aliases are allowed and repeat their value."""
    text = (
        "Apilane: 1\nApplication: {Name: Shop}\nEntities:\n"
        "  - {Name: First, Properties: &p [{Name: Title}]}\n  - {Name: Second, Properties: *p}\n"
    )
    assert [p.name for p in planned(text).after.entities[-1].properties][-1] == "Title"


def test_texts_that_other_readers_take_for_something_else_are_texts() -> None:
    """``no``, ``on``, dates and times without quotes are texts."""
    for text in ("no", "on", "2024-01-01", "1:30", "=", "<<"):
        made = planned(f"Apilane: 1\nApplication: {{Name: Shop}}\nEntities: [{{Name: Items, Description: {text}}}]\n")
        assert made.after.entities[-1].description == text


def test_the_environment_fills_references() -> None:
    """``${NAME}`` is replaced, also inside text and for numbers; ``$${`` is a literal ``${``."""
    text = (
        "Apilane: 1\nApplication: {Name: 'The ${X}', Mail: {Port: '${PORT}', Password: '${PW}'}}\n"
        "Entities: [{Name: Items, Description: 'a $${X} b ${X}'}]\n"
    )
    made = planned(text, environ={"X": "Shop", "PORT": "25", "PW": "secret ${X}"})
    assert made.after.name == "The Shop"
    assert made.after.mail is not None
    assert made.after.mail.port == 25
    assert made.after.entities[-1].description == "a ${X} b Shop"
    assert made.secrets == {"mail_password": "secret ${X}"}


def test_a_flood_of_mistakes_ends() -> None:
    """At most a thousand mistakes are reported, because the search for nearest names takes time."""
    text = "Apilane: 1\nApplication: {Name: Shop}\n" + "".join(f"k{number}: 1\n" for number in range(100_000))
    with pytest.raises(ManifestErrors) as caught:
        read_manifests(text, filename="a.yaml", environ={})
    assert len(caught.value.errors) == 1000
