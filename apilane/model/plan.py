"""The plan of a manifest: the changes as text for the operator, and as data for the service that makes them. Pure."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from apilane.model.condition_advice import condition_advice
from apilane.model.definition import ApplicationDefinition, Unique
from apilane.model.differences import PlanLine, constraint_name, differences
from apilane.model.manifest.capabilities import Capabilities
from apilane.model.manifest.environment import substitute
from apilane.model.manifest.keys import check_document
from apilane.model.manifest.nodes import UNUSABLE, Node
from apilane.model.manifest.problems import ManifestError, ManifestErrors, Problems, nearest
from apilane.model.manifest.read import read_documents
from apilane.model.manifest.resolve import resolve
from apilane.model.manifest.settings import token_of
from apilane.model.migration import Migration
from apilane.model.system import HELPER_TABLES

__all__ = ["Capabilities", "Manifest", "ManifestError", "ManifestErrors", "Plan", "PlanLine", "plan", "read_manifests"]


class Manifest:
    """One document of a manifest file after the check of its form. ``problems``: the mistakes found so far; ``plan``
    raises them.
    """

    __slots__ = ("document", "file", "name", "problems", "token")

    def __init__(self, document: Node, file: str, problems: tuple[ManifestError, ...]) -> None:
        self.document = document
        self.file = file
        self.problems = problems
        application = document.get("Application")
        self.name: str | None = application.read("Name") if application is not None else None
        self.token: str | None = token_of(application) if application is not None else None
        """In canonical form; None when the manifest identifies the application by name."""


class Plan(Struct, frozen=True, kw_only=True):
    """The change from ``before`` (None for a new application) to ``after``."""

    before: ApplicationDefinition | None
    after: ApplicationDefinition
    lines: tuple[PlanLine, ...]
    migration: Migration | None
    """None when no table changes."""
    secrets: dict[str, str | None]
    """Secrets that change, by name (see ``plan``); None removes one."""
    makes_token: bool = False
    """The token was made for this plan: the application is new, and its manifest has no token."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return self.before == self.after and not self.secrets

    @property
    def has_warnings(self) -> bool:
        """Whether the operator should correct something in the manifest."""
        return any(line.kind == "warning" for line in self.lines)

    @property
    def loses_data(self) -> bool:
        """Whether the operator must agree."""
        return any(line.loses_data for line in self.lines)

    def __repr__(self) -> str:
        return f"Plan({self.after.name}, {len(self.lines)} changes)"


def read_manifests(text: str | bytes, *, filename: str, environ: Mapping[str, str] | None = None) -> list[Manifest]:
    """The manifests of one file; ``environ`` None means the process's environment.

    Raises ManifestErrors for a file that cannot be parsed (encoding, syntax, duplicate keys). Other mistakes are
    kept in the manifests, so that ``plan`` reports them together with its own.
    """
    problems = Problems(filename)
    documents = read_documents(text, problems)
    problems.raise_if_any()
    return [_manifest(document, filename, os.environ if environ is None else environ) for document in documents]


def _manifest(document: Node, filename: str, environ: Mapping[str, str]) -> Manifest:
    problems = Problems(filename)
    substitute(document, environ, problems)
    if document.value is UNUSABLE or not check_document(document, problems):
        document.value = {}
    return Manifest(document, filename, tuple(problems.found))


def _unknown_kinds(after: ApplicationDefinition, kinds: frozenset[str] | None) -> list[PlanLine]:
    """A warning for each custom endpoint whose kind no loaded plugin provides."""
    if kinds is None:
        return []
    known = {kind.lower() for kind in kinds}
    return [
        PlanLine("warning", f"CustomEndpoints[{each.name}].Kind", _unknown_kind(each.kind, kinds))
        for each in after.custom_endpoints
        if each.kind.lower() not in known
    ]


def _doubts(after: ApplicationDefinition, capabilities: Capabilities) -> list[PlanLine]:
    """The warnings of custom endpoints."""
    return [
        PlanLine("warning", f"CustomEndpoints[{each.name}].Query", warning)
        for each in after.custom_endpoints
        for warning in capabilities.endpoint_warnings(each, after)
    ]


def _across_tenants(after: ApplicationDefinition) -> list[PlanLine]:
    """A warning for each unique constraint that tells one tenant what another one has stored."""
    return [
        PlanLine("warning", f"Entities[{entity.name}].Constraints[{constraint_name(each)}]", _ACROSS)
        for entity in after.entities
        if entity.tenant is not None
        for each in entity.constraints
        if isinstance(each, Unique) and not (each.is_system or each.per_tenant) and entity.tenant not in each.properties
    ]


_ACROSS: Final = (
    "it spans the tenants, so an error tells one tenant that another one has the value; add PerTenant: true, unless "
    "that is intended"
)


def _unknown_kind(kind: str, kinds: frozenset[str]) -> str:
    meant = nearest(kind, kinds)
    names = ", ".join(sorted(kinds)) or "none"
    hint = f"did you mean {meant}?" if meant else f"the loaded plugins provide: {names}"
    return f"no loaded plugin provides the kind {kind}, and calls answer 404; {hint}"


def plan(
    manifest: Manifest,
    before: ApplicationDefinition | None,
    *,
    capabilities: Capabilities,
    secrets: Mapping[str, str] | None = None,
) -> Plan:
    """The effect of applying ``manifest`` to ``before``; None: the instance does not have this application.

    ``secrets``: the stored secrets of the application by name: ``connection_string``, ``mail_password``, and the key
    path of a plugin's secret, such as ``Plugins.mail.Password``. Raises ManifestErrors with all mistakes of the
    manifest.
    """
    problems = Problems(manifest.file)
    problems.found.extend(manifest.problems)
    resolved = resolve(
        manifest.document, before, capabilities=capabilities, stored_secrets=secrets or {}, problems=problems
    )
    problems.raise_if_any()
    after = resolved.after
    migration = None
    if before is None or before.entities != after.entities:
        tables: tuple[Any, ...] = () if before is None else (*before.entities, *HELPER_TABLES)
        migration = Migration(before=tables, after=(*after.entities, *HELPER_TABLES), renames=resolved.renames)
    return Plan(
        before=before,
        after=after,
        lines=differences(
            before,
            resolved.base,
            after,
            resolved.renames,
            resolved.secrets,
            literals=resolved.literals,
            warnings=[
                *_unknown_kinds(after, capabilities.endpoint_kinds),
                *_doubts(after, capabilities),
                *_across_tenants(after),
                *(PlanLine("warning", place, advice) for place, advice in condition_advice(after)),
            ],
        ),
        migration=migration,
        secrets=resolved.secrets,
        makes_token=before is None and manifest.token is None,
    )
