"""Resolves a manifest and the existing definition into the new definition.

An absent section leaves its part of the definition unchanged; a present section replaces it. Everything is checked.
Mistakes are added to the collected problems, and the result is valid only when there are none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from apilane.model.condition_indexes import with_condition_indexes
from apilane.model.definition import ApplicationDefinition, EmailTemplate, Endpoint
from apilane.model.enforcement import ENFORCED_PARTS
from apilane.model.mail_templates import placeholder_problem
from apilane.model.manifest.capabilities import Capabilities
from apilane.model.manifest.entities import resolve_entities
from apilane.model.manifest.merging import in_order, once, report, setting, unknown
from apilane.model.manifest.nodes import Node
from apilane.model.manifest.problems import Problems, nearest
from apilane.model.manifest.references import rename, without_dangling_rules
from apilane.model.manifest.renames import find_renames, note_new_names
from apilane.model.manifest.rules import check_conditions, resolve_rules
from apilane.model.manifest.sections import resolve_plugins
from apilane.model.manifest.settings import resolve_secrets, resolve_settings, starting_point
from apilane.model.migration import Renames
from apilane.model.names import endpoint_name_problem
from apilane.model.portal_roles import MANAGER, Collaborator, PortalRole, email_of

__all__ = ["Resolved", "resolve"]

_ENFORCERS: Final = {part.name: part.plugin for part in ENFORCED_PARTS}


class Resolved(Struct, frozen=True, kw_only=True):
    """``base``: the definition before the manifest, under the new names; None for a new application."""

    base: ApplicationDefinition | None
    after: ApplicationDefinition
    renames: Renames
    secrets: dict[str, str | None]
    literals: tuple[str, ...]
    """Key paths of plugins' secrets that the manifest contains as plain text."""


def resolve(
    document: Node,
    before: ApplicationDefinition | None,
    *,
    capabilities: Capabilities,
    stored_secrets: Mapping[str, str],
    problems: Problems,
) -> Resolved:
    """Resolve a checked document. ``stored_secrets``: the secrets that the application has, by field name."""
    item = document.get("Application") or Node({}, document.line)
    note_new_names(document.get("Entities"), problems)
    start = starting_point(item, before, capabilities, problems)
    renames = find_renames(document.get("Entities"), start, problems)
    base = rename(start, renames)
    after = resolve_settings(item, base, problems)
    after = replace(after, entities=resolve_entities(document.get("Entities"), base, problems))
    after = replace(
        after,
        custom_endpoints=_endpoints(document.get("CustomEndpoints"), after, problems),
        email_templates=_email_templates(document.get("EmailTemplates"), after, problems),
        collaborators=_collaborators(document.get("Collaborators"), after, problems),
        reports=_reports(document.get("Reports"), after, problems),
    )
    plugins = resolve_plugins(
        document.get("Plugins"), after, capabilities=capabilities, stored=stored_secrets, problems=problems
    )
    after = replace(after, plugins=plugins.sections, enforced=plugins.enforced)
    after = replace(after, rules=without_dangling_rules(after))
    after = replace(after, rules=resolve_rules(document.get("Security"), after, problems))
    if not problems.found:
        check_conditions(after, problems)
    if not problems.found:
        after = replace(after, entities=with_condition_indexes(after))
    _require_enforcers(document, item, after, capabilities, problems)
    if not problems.found:  # endpoints can be checked only against a consistent definition
        _check_storage(document, before, after, capabilities, problems)
        _check_endpoints(document, before, after, capabilities, problems)
    secrets = resolve_secrets(
        item, after, is_new=before is None, stored=stored_secrets, capabilities=capabilities, problems=problems
    )
    return Resolved(
        base=base if before is not None else None,
        after=after,
        renames=renames,
        secrets={**secrets, **plugins.secrets},
        literals=plugins.literals,
    )


def _endpoints(section: Node | None, after: ApplicationDefinition, problems: Problems) -> tuple[Endpoint, ...]:
    if section is None:
        return after.custom_endpoints
    existing = {endpoint.name.lower(): endpoint for endpoint in after.custom_endpoints}
    listed: list[Endpoint] = []
    for item in once(section.items(), "Name", "custom endpoint", problems):
        name: str = item.read("Name")
        before = existing.get(name.lower())
        wrong = endpoint_name_problem(name)
        if wrong:
            report(problems, item, "Name", f"the endpoint name {name[:100]} {wrong}", "choose another name")
        made = Endpoint(
            name=name,
            query=setting(item, "Query", before, "query", ""),
            description=setting(item, "Description", before, "description", None),
            kind=setting(item, "Kind", before, "kind", "sql"),
            parameters=setting(item, "Parameters", before, "parameters", {}),
            methods=tuple(sorted(set(setting(item, "Methods", before, "methods", ("GET",))))),
        )
        if made.kind.lower() == "sql" and item.has("Query"):
            marks = set(re.findall(r"\{([A-Za-z_]+)\}", made.query))
            for parameter in item.get("Parameters").value if item.has("Parameters") else ():  # type: ignore[union-attr]
                if parameter not in marks:
                    meant = nearest(parameter, marks)
                    report(
                        problems,
                        item,
                        "Parameters",
                        f"Query has no mark {{{parameter}}}",
                        f"did you mean {meant}?"
                        if meant
                        else f"write {{{parameter}}} in Query, or remove the parameter",
                    )
        listed.append(made)
    return in_order(existing.values(), listed, lambda endpoint: endpoint.name.lower())


def _check_storage(
    document: Node,
    before: ApplicationDefinition | None,
    after: ApplicationDefinition,
    capabilities: Capabilities,
    problems: Problems,
) -> None:
    """Report what the provider does not support (B-D8). What was so before is not reported: its tables exist."""
    if before is not None and before.entities == after.entities:
        return
    is_same_provider = before is not None and before.storage_provider == after.storage_provider
    known = set(capabilities.storage_problems(before)) if before is not None and is_same_provider else set()
    section = document.get("Entities")
    lines = {f"Entities[{item.read('Name')}]": item.line for item in section.items()} if section is not None else {}
    for place, problem in capabilities.storage_problems(after):
        if (place, problem) in known:
            continue
        line = lines.get(place.partition(".")[0], document.line)
        message = f"{after.storage_provider}: {problem}"
        problems.add(line, place, message, "change it, or choose another StorageProvider")


def _check_endpoints(
    document: Node,
    before: ApplicationDefinition | None,
    after: ApplicationDefinition,
    capabilities: Capabilities,
    problems: Problems,
) -> None:
    """Report endpoints that would fail. When entities change, the unchanged endpoints are checked too."""
    unchanged = before.custom_endpoints if before is not None and before.entities == after.entities else ()
    section = document.get("CustomEndpoints")
    listed = {item.read("Name").lower(): item for item in section.items()} if section is not None else {}
    for endpoint in after.custom_endpoints:
        if endpoint in unchanged:
            continue
        item = listed.get(endpoint.name.lower())
        for problem in capabilities.endpoint_problems(endpoint, after):
            renamed = _renamed_in(endpoint.query, problems)
            if item is not None:
                report(problems, item, "Query", problem, f"correct the Query{renamed}")
            else:
                problems.add(
                    document.line,
                    f"CustomEndpoints[{endpoint.name}].Query",
                    f"the stored endpoint would no longer work: {problem}",
                    f"list it under CustomEndpoints with a Query that fits the new entities{renamed}",
                )


def _renamed_in(query: str, problems: Problems) -> str:
    """The old names in a query, with their new names: the end of a hint."""
    words = dict.fromkeys(re.findall(r"\w+", query))
    pairs = [f"{word} is now {' or '.join(new)}" for word in words if (new := problems.new_names.get(word.lower()))]
    return f": {', '.join(pairs)}" if pairs else ""


def _email_templates(
    section: Node | None, after: ApplicationDefinition, problems: Problems
) -> tuple[EmailTemplate, ...]:
    if section is None:
        return after.email_templates
    existing = {template.event.lower(): template for template in after.email_templates}
    listed = []
    for item in once(section.items(), "Event", "event", problems):
        before = existing.get(item.read("Event").lower())
        for key in ("Subject", "Content"):
            if problem := placeholder_problem(item.read("Event"), item.read(key) if item.has(key) else ""):
                report(problems, item, key, *problem)
        listed.append(
            EmailTemplate(
                event=item.read("Event"),
                active=setting(item, "Active", before, "active", False),
                subject=setting(item, "Subject", before, "subject", ""),
                content=setting(item, "Content", before, "content", ""),
            )
        )
    return in_order(existing.values(), listed, lambda template: template.event.lower())


def _collaborators(
    section: Node | None, after: ApplicationDefinition, problems: Problems
) -> tuple[str | Collaborator, ...]:
    if section is None:
        return after.collaborators
    listed: dict[str, str | Collaborator] = {}
    for node in section.items():
        is_mapping = isinstance(node.value, dict)
        email = node.read("Email") if is_mapping else node.value
        if email is None:
            continue  # reported with the form of the document
        role = PortalRole(node.read("Role", MANAGER.value)) if is_mapping else MANAGER
        if email.lower() in listed:
            problems.add(node.line, node.path, f"{email} is listed twice", "remove one")
        listed.setdefault(email.lower(), email if role is MANAGER else Collaborator(email=email, role=role))
    return in_order(after.collaborators, listed.values(), lambda each: email_of(each).lower())


def _reports(section: Node | None, after: ApplicationDefinition, problems: Problems) -> tuple[dict[str, Any], ...]:
    """The listed panels, with canonical entity names. Keys that are absent keep their value of the panel with that
    title.
    """
    if section is None:
        return after.reports
    existing: dict[object, list[dict[str, Any]]] = {}
    for panel in after.reports:
        existing.setdefault(panel.get("Title"), []).append(panel)
    listed = []
    for item in section.items():
        series = item.get("Series")
        for each in series.items() if series is not None else ():
            node = each.get("Entity")
            entity = after.entity(node.value) if node is not None else None
            if node is not None and entity is None:
                unknown(problems, node, "entity", node.value, (e.name for e in after.entities))
            elif node is not None and entity is not None:
                node.value = entity.name
        same = existing.get(item.read("Title"))
        listed.append({**(same.pop(0) if same else {}), **item.plain()})
    return tuple(listed)


def _require_enforcers(
    document: Node, item: Node, after: ApplicationDefinition, capabilities: Capabilities, problems: Problems
) -> None:
    """Refuse parts that no loaded plugin enforces, so that nothing fails open (B-S13)."""
    if after.ip_policy is not None and "IPPolicy" not in capabilities.enforces:
        _not_enforced(item.get("IPPolicy") or item, "IPPolicy", problems)
    for part in after.enforced:
        if part not in capabilities.enforces:
            name = part.partition(".")[2]
            hint = f"enable {name}, or remove the section"
            problems.add(document.line, part, f"nothing enforces {part}: the plugin {name} is not loaded", hint)
    if "RateLimit" in capabilities.enforces or not any(rule.rate_limit for rule in after.rules):
        return
    section = document.get("Security")
    nodes = [node for rule in section.items() if (node := rule.get("RateLimit"))] if section is not None else []
    limited = [node for node in nodes if node.value is not None]
    for node in limited or [section or document]:
        _not_enforced(node, "RateLimit", problems)


def _not_enforced(node: Node, what: str, problems: Problems) -> None:
    plugin = _ENFORCERS[what]
    problems.add(
        node.line,
        node.path,
        f"nothing enforces {what}: the plugin {plugin} (apilane_{plugin}) is not loaded",
        f"enable {plugin}, or set {what} to null",
    )
