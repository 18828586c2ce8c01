"""Reads the text of manifests into trees of nodes: YAML (several documents per file), JSON and TOML.

This module handles formats only; ``keys`` and ``resolve`` give the keys their meaning.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import PurePath
from typing import Any, Final, NoReturn

import re2
import yaml

from apilane.model.manifest.nodes import Builder, Node, Stop, place
from apilane.model.manifest.problems import Problems

__all__ = ["SIZE_MAX_BYTES", "plain_scalar", "read_documents"]

SIZE_MAX_BYTES: Final = 5_000_000


def read_documents(text: str | bytes, problems: Problems) -> list[Node]:
    """The documents of a manifest file, with paths; mistakes are added to ``problems``.

    The suffix of the file name selects the format: ``.json``, ``.toml``, and YAML for every other suffix.
    """
    try:
        decoded = _decode(text, problems)
        suffix = PurePath(problems.file).suffix.lower()
        if not decoded.strip():
            problems.add(None, "", "the file is empty", "a manifest begins with 'Apilane: 1' and an Application")
            return []
        documents = {".json": _read_json, ".toml": _read_toml}.get(suffix, _read_yaml)(decoded, problems)
    except Stop:
        return []
    for document in documents:
        place(document)
    return documents


def _decode(text: str | bytes, problems: Problems) -> str:
    if len(text) > SIZE_MAX_BYTES:
        problems.add(None, "", f"the file is larger than {SIZE_MAX_BYTES} bytes", "split it into several manifests")
        raise Stop
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            problems.add(error.object.count(b"\n", 0, error.start) + 1, "", "the file is not UTF-8", "save it as UTF-8")
            raise Stop from None
    unwanted = re.search("[\0\ud800-\udfff]", text)
    if unwanted:
        what = "a NUL character" if unwanted[0] == "\0" else "half of a surrogate pair"
        problems.add(text.count("\n", 0, unwanted.start()) + 1, "", f"the file contains {what}", "remove it")
        raise Stop
    return text.removeprefix("\ufeff")


# --- JSON ---------------------------------------------------------------------------------------------------------

_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]|[-+.\w]+|\n')


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _read_json(text: str, problems: Problems) -> list[Node]:
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        problems.add(error.lineno, "", f"not JSON: {error.msg} (column {error.colno})")
        raise Stop from None
    except RecursionError:
        problems.add(None, "", "nested too deep")
        raise Stop from None
    except ValueError as error:
        problems.add(None, "", f"not JSON: {error}")
        raise Stop from None
    # The syntax is valid from here on, so the tokens alone give each value and its line.
    builder, line = Builder(problems), 1
    for piece in _JSON_TOKEN.findall(text):
        if piece == "\n":
            line += 1
        elif piece in "{[":
            builder.start({} if piece == "{" else [], line)
        elif piece in "}]":
            builder.end()
        else:
            builder.scalar(json.loads(piece), line)
    return [builder.root] if builder.root is not None else []


# --- TOML ---------------------------------------------------------------------------------------------------------


# The standard parser needs quadratic time for the parts of a dotted key: 100,000 parts take minutes. RE2 is linear.
_TOML_LONG_KEY = re2.compile(r"(?:[^\s.\[\]{},#]+[ \t]*\.[ \t]*){60}")


def _read_toml(text: str, problems: Problems) -> list[Node]:
    if _TOML_LONG_KEY.search(text):
        problems.add(None, "", "a key has more than 60 dotted parts")
        raise Stop
    try:
        document = tomllib.loads(text)
    except RecursionError:
        problems.add(None, "", "nested too deep")
        raise Stop from None
    except ValueError as error:
        found = re.search(r"\(at line (\d+)", str(error))
        problems.add(int(found[1]) if found else None, "", f"not TOML: {error}")
        raise Stop from None
    builder = Builder(problems)
    _feed(builder, document)
    return [builder.root] if builder.root is not None else []


def _feed(builder: Builder, value: object) -> None:
    if isinstance(value, dict):
        builder.start({}, None)
        for key, each in value.items():
            builder.scalar(key, None)
            _feed(builder, each)
        builder.end()
    elif isinstance(value, list):
        builder.start([], None)
        for each in value:
            _feed(builder, each)
        builder.end()
    else:
        builder.scalar(value, None)


# --- YAML ---------------------------------------------------------------------------------------------------------

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_KNOWN_TAGS = {"!", "tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}

_NULL = re.compile(r"~|null|Null|NULL|").fullmatch
_INTEGER = re.compile(r"[-+]?[0-9]+").fullmatch
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?").fullmatch
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)").fullmatch
_BOOLEAN = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


def plain_scalar(text: str) -> object:
    """The value of an unquoted YAML scalar by the core schema of YAML 1.2: ``yes``, ``on`` and dates are text."""
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if _NULL(text):
        return None
    if len(text) > 400:
        return text
    if _INTEGER(text):
        return int(text)
    if _FLOAT(text):
        return float(text)
    return float(text.lower().replace(".", "", 1)) if _NOT_FINITE(text) else text


def _read_yaml(text: str, problems: Problems) -> list[Node]:
    documents: list[Node] = []
    try:
        _read_yaml_events(text, documents, problems)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = ", ".join(part for part in (error.context, error.problem) if part)
        problems.add(mark.line + 1 if mark else None, "", f"not YAML: {what}", "check indentation and quotes")
        raise Stop from None
    except yaml.YAMLError as error:
        position = getattr(error, "position", None)
        line = text.count("\n", 0, position) + 1 if isinstance(position, int) else None
        problems.add(line, "", f"not YAML: {str(error).splitlines()[0]}")
        raise Stop from None
    return documents


def _read_yaml_events(text: str, documents: list[Node], problems: Problems) -> None:
    builder = Builder(problems)
    anchors: dict[str, Node] = {}
    for event in yaml.parse(text, Loader=_LOADER):
        line = event.start_mark.line + 1 if event.start_mark else None
        node: Node | None = None
        if isinstance(event, yaml.DocumentStartEvent):
            builder, anchors = Builder(problems), {}
        elif isinstance(event, yaml.DocumentEndEvent):
            if builder.root is not None:
                documents.append(builder.root)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchors:
                problems.add(line, "", f"the alias *{event.anchor} has no anchor before it")
                raise Stop
            builder.repeat(anchors[event.anchor], line)
        elif isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            if event.tag is not None and event.tag not in _KNOWN_TAGS:
                problems.add(line, "", f"the tag {event.tag} is not allowed", "remove it; values need no tags")
                raise Stop
            if isinstance(event, yaml.ScalarEvent):
                # Only plain scalars are converted; quoted values and values tagged as text stay text.
                node = builder.scalar(plain_scalar(event.value) if event.implicit[0] else event.value, line)
            else:
                node = builder.start({} if isinstance(event, yaml.MappingStartEvent) else [], line)
            if event.anchor is not None:
                anchors[event.anchor] = node
        elif isinstance(event, yaml.CollectionEndEvent):
            builder.end()
