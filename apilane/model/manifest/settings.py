"""The section ``Application``: identity, settings and secrets (docs/reference/protocol/data-model.md section 1)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from apilane.model.definition import ApplicationDefinition, IPPolicy, Mail
from apilane.model.manifest.capabilities import Capabilities
from apilane.model.manifest.environment import report_missing
from apilane.model.manifest.merging import report, setting
from apilane.model.manifest.nodes import UNUSABLE, Node
from apilane.model.manifest.problems import Problems, nearest
from apilane.model.manifest.reports import FIRST_PANEL
from apilane.model.names import application_name_problem, differentiation_name_problem
from apilane.model.system import system_entities
from apilane.security.tokens import canonical_guid

__all__ = ["PLAIN_SETTINGS", "resolve_secrets", "resolve_settings", "starting_point", "token_of"]

PLAIN_SETTINGS = {
    "Online": "online",
    "AllowUserRegister": "allow_user_register",
    "AllowLoginUnconfirmedEmail": "allow_login_unconfirmed_email",
    "ForceSingleLogin": "force_single_login",
    "AuthTokenExpireMinutes": "auth_token_expire_minutes",
    "HistoryRetentionDays": "history_retention_days",
    "MaxAllowedFileSizeInKB": "max_allowed_file_size_in_kb",
    "EmailConfirmationRedirectUrl": "email_confirmation_redirect_url",
}


def token_of(item: Node) -> str | None:
    """The token of a manifest in canonical form; None when there is no token, or when it is not a GUID."""
    text = item.read("Token")
    return canonical_guid(text) if isinstance(text, str) else None


def starting_point(
    item: Node, before: ApplicationDefinition | None, capabilities: Capabilities, problems: Problems
) -> ApplicationDefinition:
    """The definition that the manifest changes: the existing one, or a new application with its system entities."""
    name = item.read("Name", before.name if before else "")
    wrong = application_name_problem(name) if item.has("Name") else None
    if wrong:
        report(problems, item, "Name", f"the application name {wrong}", "choose another name")
    if item.read("Token") is not None and token_of(item) is None:
        report(problems, item, "Token", "the token is not a GUID", "leave Token out to have one made")
    provider = _provider(item, before, capabilities, problems)
    tenant = _differentiation(item, before, problems)
    if before is not None:
        return replace(before, name=name)
    return ApplicationDefinition(
        token=token_of(item) or str(uuid.uuid4()),
        name=name,
        storage_provider=provider,
        differentiation_entity=tenant,
        entities=system_entities(tenant),
        reports=(FIRST_PANEL,),
    )


def _provider(item: Node, before: ApplicationDefinition | None, capabilities: Capabilities, problems: Problems) -> str:
    given: str = setting(item, "StorageProvider", before, "storage_provider", "SQLite")
    installed = {name.lower(): name for name in capabilities.providers}
    if before is not None:
        if given.lower() != before.storage_provider.lower():
            report(
                problems,
                item,
                "StorageProvider",
                f"the storage provider of an existing application cannot change from {before.storage_provider}",
                "make a new application and move the records",
            )
        return before.storage_provider
    if given.lower() not in installed:
        meant = nearest(given, installed.values())
        names = ", ".join(sorted(installed.values())) or "nothing"
        report(
            problems,
            item,
            "StorageProvider",
            f"there is no driver for {given[:100]}",
            (f"did you mean {meant}? " if meant else "") + f"installed: {names}",
        )
    return installed.get(given.lower(), given)


def _differentiation(item: Node, before: ApplicationDefinition | None, problems: Problems) -> str | None:
    given: str | None = setting(item, "DifferentiationEntity", before, "differentiation_entity", None)
    if before is not None:
        if given != before.differentiation_entity:
            report(
                problems,
                item,
                "DifferentiationEntity",
                "the DifferentiationEntity of an existing application cannot change",
                f"it is {before.differentiation_entity or 'null'}",
            )
        return before.differentiation_entity
    wrong = differentiation_name_problem(given) if given is not None else None
    if wrong:
        report(problems, item, "DifferentiationEntity", f"the name {given} {wrong}", "choose another name")
        return None
    return given


def resolve_settings(item: Node, base: ApplicationDefinition, problems: Problems) -> ApplicationDefinition:
    """``base`` with the settings of the section."""
    values: dict[str, Any] = {
        attribute: setting(item, key, base, attribute, None) for key, attribute in PLAIN_SETTINGS.items()
    }
    policy, mail = item.get("IPPolicy"), item.get("Mail")
    if policy is not None:
        values["ip_policy"] = None if policy.value is None else _policy(policy, base.ip_policy)
    if mail is not None:
        values["mail"] = None if mail.value is None else _mail(mail, base.mail)
    return replace(base, **values)


def _policy(item: Node, existing: IPPolicy | None) -> IPPolicy:
    addresses = setting(item, "Addresses", existing, "addresses", ())
    return IPPolicy(
        logic=setting(item, "Logic", existing, "logic", "Block"),
        addresses=tuple(address.strip() for address in addresses),
    )


def _mail(item: Node, existing: Mail | None) -> Mail:
    return Mail(
        server=setting(item, "Server", existing, "server", None),
        port=setting(item, "Port", existing, "port", None),
        from_address=setting(item, "FromAddress", existing, "from_address", None),
        from_display_name=setting(item, "FromDisplayName", existing, "from_display_name", None),
        security=setting(item, "Security", existing, "security", "StartTls"),
        user_name=setting(item, "UserName", existing, "user_name", None),
    )


def resolve_secrets(
    item: Node,
    base: ApplicationDefinition,
    *,
    is_new: bool,
    stored: Mapping[str, str],
    capabilities: Capabilities,
    problems: Problems,
) -> dict[str, str | None]:
    """The secrets that change, by field name of the application's secrets; None removes one.

    ``stored``: the secrets that the application has. A missing environment variable leaves a stored secret unchanged.
    """
    changed: dict[str, str | None] = {}
    _connection_string(
        item,
        provider=base.storage_provider,
        is_new=is_new,
        stored=stored,
        changed=changed,
        capabilities=capabilities,
        problems=problems,
    )
    mail = item.get("Mail")
    if mail is not None and mail.value is None:
        if "mail_password" in stored:
            changed["mail_password"] = None
    elif mail is not None and (password := mail.get("Password")) is not None:
        _secret(password, "mail_password", stored, changed, problems)
    return changed


def _connection_string(
    item: Node,
    *,
    provider: str,
    is_new: bool,
    stored: Mapping[str, str],
    changed: dict[str, str | None],
    capabilities: Capabilities,
    problems: Problems,
) -> None:
    node = item.get("ConnectionString")
    if "StorageProvider" in item.refused:
        return  # reported, and ``provider`` is a default
    if provider in capabilities.embedded:
        if node is not None and node.value:
            report(
                problems,
                item,
                "ConnectionString",
                f"{provider} takes no ConnectionString",
                "remove it; the database is a file of this instance",
            )
    elif node is not None and node.value:
        _secret(node, "connection_string", stored, changed, problems)
    elif provider in capabilities.providers and (node is not None or (is_new and item.lacks("ConnectionString"))):
        report(
            problems,
            item,
            "ConnectionString",
            f"{provider} needs a ConnectionString",
            "add ConnectionString: ${NAME} and set that environment variable",
        )


def _secret(
    node: Node, field: str, stored: Mapping[str, str], changed: dict[str, str | None], problems: Problems
) -> None:
    if node.value is UNUSABLE:
        if field not in stored:
            report_missing(node, problems)
    elif node.value != stored.get(field):
        changed[field] = node.value
