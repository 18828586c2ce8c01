"""``${NAME}`` in manifests is the value of an environment variable; ``$${`` is a literal ``${``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from apilane.model.manifest.nodes import UNUSABLE, Node, is_missing_secret
from apilane.model.manifest.problems import Problems

__all__ = ["escape", "report_missing", "substitute"]

_MARK = re.compile(r"\$\$\{|\$\{([^}]*)(\}?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*").fullmatch


def substitute(node: Node, environ: Mapping[str, str], problems: Problems) -> None:
    """Replace the references in every text at and below ``node``; keys stay unchanged.

    A missing variable is a mistake, except for a secret, which the application may already have stored: its node
    becomes UNUSABLE with ``reference`` set, and ``resolve`` decides.
    """
    if isinstance(node.value, dict):
        for child in node.value.values():
            substitute(child, environ, problems)
    elif isinstance(node.value, list):
        for child in node.value:
            substitute(child, environ, problems)
    elif isinstance(node.value, str) and "${" in node.value:
        _substitute_text(node, environ, problems)


def _substitute_text(node: Node, environ: Mapping[str, str], problems: Problems) -> None:
    text: str = node.value
    missing: list[str] = []

    def replace(found: re.Match[str]) -> str:
        name = found[1]
        if name is None:
            return "${"
        if not found[2] or not _NAME(name):
            problems.add(
                node.line,
                node.path,
                f"'{found[0][:40]}' is not a valid reference to an environment variable",
                "write ${NAME}, or $${ for a literal ${",
            )
            node.value = UNUSABLE
            return ""
        value = environ.get(name)
        if value is None:
            missing.append(name)
        elif "\0" in value or not _encodable(value):
            problems.add(node.line, node.path, f"the environment variable {name} does not hold UTF-8 text")
            node.value = UNUSABLE
        return value or ""

    replaced = _MARK.sub(replace, text)
    whole = _MARK.fullmatch(text)
    if whole is not None and whole[1] is not None:
        node.reference = whole[1]
    if node.value is UNUSABLE:
        node.reference = None
    elif not missing:
        node.value = replaced
    else:
        node.value = UNUSABLE
        node.reference = ", ".join(missing)
        if not is_missing_secret(node):
            report_missing(node, problems)


def report_missing(node: Node, problems: Problems) -> None:
    """Report a node whose environment variable is not set."""
    problems.add(
        node.line, node.path, f"the environment variable {node.reference} is not set", "set it and apply again"
    )


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def escape(text: str) -> str:
    """``text`` escaped, so that a manifest reads it as the same text."""
    return text.replace("${", "$${")
