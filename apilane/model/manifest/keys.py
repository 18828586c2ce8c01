"""Every key a manifest may have, section by section, in the order in which ``export`` writes them.

``docs/reference/manifest.md`` is made from these tables.
"""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Final

from apilane.model.email_addresses import is_email
from apilane.model.manifest.nodes import Node
from apilane.model.manifest.problems import Problems
from apilane.model.manifest.shapes import (
    Check,
    Key,
    anything,
    choice,
    flag,
    list_of,
    mapping,
    nullable,
    refuse,
    text,
    texts,
    whole,
)

__all__ = [
    "APPLICATION",
    "CONSTRAINT",
    "EMAIL_TEMPLATE",
    "ENDPOINT",
    "ENTITY",
    "INDEX",
    "IP_POLICY",
    "MAIL",
    "MANIFEST",
    "ORDER",
    "PROPERTY",
    "RATE_LIMIT",
    "REPORT",
    "RULE",
    "SERIES",
    "check_document",
]

INT32_MAX: Final = 2147483647
INT64_MIN: Final = -9223372036854775808
INT64_MAX: Final = 9223372036854775807

_name = text(shortest=1, longest=1000)
_int64 = whole(INT64_MIN, INT64_MAX)


def _address(node: Node, problems: Problems) -> bool:
    """An IP address or range."""
    try:
        if isinstance(node.value, str):
            ip_network(node.value.strip(), strict=False)
            return True
    except ValueError:
        pass
    return refuse(node, problems, "an IP address or range such as 203.0.113.7 or 2001:db8::/32")


def _email(node: Node, problems: Problems) -> bool:
    return (isinstance(node.value, str) and is_email(node.value)) or refuse(node, problems, "an e-mail address")


def _matching(pattern: str, expected: str) -> Check:
    match = re.compile(pattern).fullmatch
    return Check(
        expected,
        lambda node, problems: (
            (isinstance(node.value, str) and match(node.value) is not None) or refuse(node, problems, expected)
        ),
    )


def _version(node: Node, problems: Problems) -> bool:
    known = node.value == 1 and isinstance(node.value, int) and not isinstance(node.value, bool)
    return known or refuse(node, problems, "the manifest version 1")


def _true(node: Node, problems: Problems) -> bool:
    return node.value is True or refuse(node, problems, "true", "leave the rule out to grant nothing")


def _properties_of_rule(node: Node, problems: Problems) -> bool:
    return node.value == "*" or texts()(node, problems)


def _parameters(node: Node, problems: Problems) -> bool:
    """Names of marks to types."""
    if not isinstance(node.value, dict):
        return refuse(node, problems, "a mapping of parameter names to types")
    for key, child in list(node.value.items()):
        if not re.fullmatch("[A-Za-z_]+", key) or key in {"Owner", "Owner_Differentiation"}:
            problems.add(
                child.line,
                child.path,
                f"'{key[:100]}' cannot be a parameter",
                "parameters are letters and '_'; Owner and Owner_Differentiation are filled by the server",
            )
            del node.value[key]
        elif not choice("Number", "String", "Boolean", "Date")(child, problems):
            del node.value[key]
    return True


def _plugins(node: Node, problems: Problems) -> bool:
    """Names of plugins to their sections."""
    if not isinstance(node.value, dict):
        return refuse(node, problems, "a mapping of plugin names to their sections")
    for key, child in list(node.value.items()):
        if not isinstance(child.value, dict):
            refuse(child, problems, "a mapping")
        if not isinstance(child.value, dict) or not anything(child, problems):
            del node.value[key]
    return True


_address_or_range = Check("IP address or CIDR range", _address)
_email_address = Check("e-mail address", _email)
_boolean_true = Check("`true`", _true)

IP_POLICY: Final[dict[str, Key]] = {
    "Logic": Key(choice("Block", "Allow"), "`Block`: who is listed is refused. `Allow`: nobody else is admitted."),
    "Addresses": Key(list_of(_address_or_range), "IPv4 and IPv6. An empty list admits everybody."),
}

MAIL: Final[dict[str, Key]] = {
    "Server": Key(nullable(text()), "Host of the SMTP server. This release stores mail settings and sends nothing."),
    "Port": Key(nullable(whole(1, 65535)), "Its port."),
    "FromAddress": Key(nullable(_email_address), "Sender of every mail."),
    "FromDisplayName": Key(nullable(text()), "The sender's name."),
    "Security": Key(choice("StartTls", "Tls", "None"), "How the connection is encrypted."),
    "UserName": Key(nullable(text()), "Account at the SMTP server."),
    "Password": Key(nullable(text(shortest=1)), "Its password, a secret: encrypted when stored, never exported."),
}

APPLICATION: Final[dict[str, Key]] = {
    "Name": Key(_name, "Finds the application when `Token` is absent.", required=True),
    "Token": Key(nullable(_name), "A GUID, which clients send with each call; made by the first `apply`."),
    "StorageProvider": Key(_name, "Name of a driver, as `apilane drivers` lists them. Never changes."),
    "ConnectionString": Key(nullable(text()), "Where the database is, a secret. Not for SQLite."),
    "DifferentiationEntity": Key(nullable(_name), "Entity that separates tenants. Never changes."),
    "Online": Key(flag, "`false` answers every call with SERVICE_UNAVAILABLE."),
    "AllowUserRegister": Key(flag, "Whether anybody may register."),
    "AllowLoginUnconfirmedEmail": Key(flag, "Whether a user may log in before the e-mail is confirmed."),
    "ForceSingleLogin": Key(flag, "Whether a login ends the user's other tokens."),
    "AuthTokenExpireMinutes": Key(whole(1, INT32_MAX), "Life of a user token since its last use."),
    "MaxAllowedFileSizeInKB": Key(whole(1, 25600), "Largest file; this release stores no files."),
    "EmailConfirmationRedirectUrl": Key(
        nullable(text(longest=10000)), "Where a browser goes after confirming an e-mail; null: the Portal's address."
    ),
    "IPPolicy": Key(nullable(mapping(IP_POLICY)), "Who may call at all. Needs a plugin that enforces it."),
    "Mail": Key(nullable(mapping(MAIL)), "How mail is sent."),
}

PROPERTY: Final[dict[str, Key]] = {
    "Name": Key(_name, "Unique in its entity, ignoring letter case.", required=True),
    "RenamedFrom": Key(
        _name, "The old name: the column is renamed and keeps its values. Ignored once that name is gone."
    ),
    "Type": Key(choice("String", "Number", "Boolean", "Date"), "Never changes."),
    "Description": Key(nullable(text()), "For people."),
    "Required": Key(flag, "Null is refused."),
    "Minimum": Key(nullable(_int64), "Least value of a Number, least length of a String in UTF-16 units."),
    "Maximum": Key(nullable(_int64), "Greatest value of a Number, greatest length of a String."),
    "DecimalPlaces": Key(nullable(whole(0, 8)), "Of a Number; further digits are cut off. null: 0."),
    "ValidationRegex": Key(nullable(text(shortest=1)), "A String must contain a match; anchor it for more."),
    "Encrypted": Key(flag, "A String is stored encrypted; it cannot be filtered or sorted. Never changes."),
}

CONSTRAINT: Final[dict[str, Key]] = {
    "Type": Key(choice("Unique", "ForeignKey"), "Which of the two it is.", required=True),
    "Properties": Key(texts(shortest=1), "Of a Unique: no two records have the same values of these."),
    "Property": Key(_name, "Of a ForeignKey: holds the `ID` of another record."),
    "Entity": Key(_name, "Of a ForeignKey: the entity that the other record is in."),
    "OnDelete": Key(
        choice("NoAction", "SetNull", "Cascade"),
        "Of a ForeignKey: when the other record is deleted, refuse, empty the property, or delete this one too.",
    ),
}

ORDER: Final[dict[str, Key]] = {
    "Property": Key(_name, "What to sort by.", required=True),
    "Direction": Key(choice("ASC", "DESC"), "Up or down."),
}

INDEX: Final[dict[str, Key]] = {
    "Properties": Key(texts(shortest=1), "In this order.", required=True),
}

ENTITY: Final[dict[str, Key]] = {
    "Name": Key(_name, "Unique, ignoring letter case; not one that the server uses itself.", required=True),
    "RenamedFrom": Key(
        _name, "The old name: the table is renamed and keeps its records. Ignored once that name is gone."
    ),
    "Description": Key(nullable(text()), "For people."),
    "ChangeTracking": Key(flag, "Keep every record as it was before each change and deletion."),
    "Differentiation": Key(flag, "Records belong to a tenant. Never changes."),
    "DefaultOrder": Key(list_of(mapping(ORDER)), "Order of Data/Get when the caller names none; `ID` comes last."),
    "Properties": Key(list_of(mapping(PROPERTY)), "The entity's own; `ID`, `Owner` and `Created` come by themselves."),
    "Constraints": Key(list_of(mapping(CONSTRAINT)), "What the database itself refuses."),
    "Indexes": Key(list_of(mapping(INDEX)), "Beside those of keys, `Owner` and unique constraints."),
}

RATE_LIMIT: Final[dict[str, Key]] = {
    "MaxRequests": Key(whole(1, INT32_MAX), "How many uses are admitted", required=True),
    "Per": Key(choice("Second", "Minute", "Hour"), "within any such span.", required=True),
}

RULE: Final[dict[str, Key]] = {
    "Entity": Key(_name, "What the rule is about; exactly one of this and the next two."),
    "CustomEndpoint": Key(_name, "A custom endpoint, which the rule lets the role call."),
    "Schema": Key(_boolean_true, "Data/Schema, which the rule lets the role call."),
    "Role": Key(_name, "`ANONYMOUS`: everybody. `AUTHENTICATED`: every user. Else a role of users.", required=True),
    "Action": Key(choice("get", "post", "put", "delete"), "Needed with `Entity`; the other two have `get` alone."),
    "Record": Key(choice("All", "Owned"), "`Owned`: only records whose `Owner` is the caller."),
    "Properties": Key(
        Check('list of text, not empty, or `"*"`', _properties_of_rule),
        'What may be read or written. `"*"`: every property there is when the manifest is applied, but no secret.',
    ),
    "RateLimit": Key(
        nullable(mapping(RATE_LIMIT)), "For each user or client address. Needs a plugin that enforces it."
    ),
}

ENDPOINT: Final[dict[str, Key]] = {
    "Name": Key(_name, "The last part of its path: `/api/Custom/{Name}`.", required=True),
    "Description": Key(nullable(text()), "For people."),
    "Kind": Key(
        _matching("[A-Za-z][A-Za-z0-9_-]{0,79}", "the name of an endpoint kind, such as sql"),
        "What runs it; kinds come from plugins. An endpoint whose kind nobody brings answers 404.",
    ),
    "Query": Key(
        text(shortest=1), "Its text, in the language of its kind, with marks such as `{Name}`.", required=True
    ),
    "Parameters": Key(
        Check("mapping of marks to `Number`, `String`, `Boolean` or `Date`", _parameters),
        "Types of the marks that callers fill.",
    ),
}

_function = _matching(r"[A-Za-z_]+\.[A-Za-z]+", "a property and a function, such as Price.Avg or ID.Count")

SERIES: Final[dict[str, Key]] = {
    "Label": Key(nullable(text()), "Title of the series."),
    "Entity": Key(_name, "Where the records are.", required=True),
    "Properties": Key(list_of(_function, shortest=1), "What is computed.", required=True),
    "GroupBy": Key(nullable(text()), "Properties, or parts of dates, separated by commas.", required=True),
    "Filter": Key(nullable(anything), "Which records count, as in Data/Get."),
}

REPORT: Final[dict[str, Key]] = {
    "Title": Key(text(shortest=1), "Finds the panel. This release stores reports and shows none.", required=True),
    "X": Key(whole(0, 11), "Column of its left edge, of 12."),
    "Y": Key(whole(0, 100_000), "Row of its upper edge."),
    "Width": Key(whole(1, 12), "In columns."),
    "Height": Key(whole(1, 1000), "In rows."),
    "Type": Key(choice("Grid", "Pie", "Line", "Bar", "Radar", "StackedBar"), "How it looks.", required=True),
    "TimeRange": Key(
        nullable(_matching(r"[1-9][0-9]{0,5}[hdmy]", "a time range such as 24h, 30d, 6m or 1y")),
        "Only records of this long.",
    ),
    "Series": Key(list_of(mapping(SERIES), shortest=1), "What it shows.", required=True),
    "MaxRecords": Key(whole(1, 1000), "Most groups of a series.", required=True),
}

EMAIL_TEMPLATE: Final[dict[str, Key]] = {
    "Event": Key(choice("UserRegisterConfirmation", "UserForgotPassword"), "What the mail is for.", required=True),
    "Active": Key(flag, "Whether it is sent. This release stores templates and sends nothing."),
    "Subject": Key(text(longest=2000), "With placeholders."),
    "Content": Key(text(), "HTML with placeholders."),
}

MANIFEST: Final[dict[str, Key]] = {
    "Apilane": Key(Check("`1`", _version), "Version of the manifest's form.", required=True),
    "Application": Key(mapping(APPLICATION), "Its name and settings.", required=True),
    "Entities": Key(list_of(mapping(ENTITY)), "Tables. The system entities may be listed too, to add to them."),
    "Security": Key(list_of(mapping(RULE)), "Who may do what; nothing is allowed without a rule."),
    "CustomEndpoints": Key(list_of(mapping(ENDPOINT)), "Calls of the application's own."),
    "Reports": Key(list_of(mapping(REPORT)), "Panels of the dashboard."),
    "EmailTemplates": Key(list_of(mapping(EMAIL_TEMPLATE)), "Mails to users."),
    "Collaborators": Key(list_of(_email_address), "Portal users who own the application beside the instance admin."),
    "Plugins": Key(
        Check("mapping of plugin names to mappings", _plugins),
        "What plugins want to know of it; each plugin checks its section. Write secrets as `${NAME}`.",
    ),
}

check_document: Final[Check] = mapping(MANIFEST)
"""The check of a whole document."""
