"""Every key a manifest may have, section by section, in the order in which ``export`` writes them."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Final

from apilane.model.addresses import is_email
from apilane.model.manifest.nodes import Node
from apilane.model.manifest.problems import Problems
from apilane.model.manifest.shapes import (
    Check,
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

__all__ = ["APPLICATION", "CONSTRAINT", "ENTITY", "MANIFEST", "PROPERTY", "RULE", "check_document"]

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
    return lambda node, problems: (
        (isinstance(node.value, str) and match(node.value) is not None) or refuse(node, problems, expected)
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


APPLICATION: Final[dict[str, Check]] = {
    "Name": _name,
    "Token": nullable(_name),
    "StorageProvider": _name,
    "ConnectionString": nullable(text()),
    "DifferentiationEntity": nullable(_name),
    "Online": flag,
    "AllowUserRegister": flag,
    "AllowLoginUnconfirmedEmail": flag,
    "ForceSingleLogin": flag,
    "AuthTokenExpireMinutes": whole(1, INT32_MAX),
    "MaxAllowedFileSizeInKB": whole(1, 25600),
    "EmailConfirmationRedirectUrl": nullable(text(longest=10000)),
    "IPPolicy": nullable(mapping({"Logic": choice("Block", "Allow"), "Addresses": list_of(_address)})),
    "Mail": nullable(
        mapping(
            {
                "Server": nullable(text()),
                "Port": nullable(whole(1, 65535)),
                "FromAddress": nullable(_email),
                "FromDisplayName": nullable(text()),
                "Security": choice("StartTls", "Tls", "None"),
                "UserName": nullable(text()),
                "Password": nullable(text(shortest=1)),
            }
        )
    ),
}

PROPERTY: Final[dict[str, Check]] = {
    "Name": _name,
    "RenamedFrom": _name,
    "Type": choice("String", "Number", "Boolean", "Date"),
    "Description": nullable(text()),
    "Required": flag,
    "Minimum": nullable(_int64),
    "Maximum": nullable(_int64),
    "DecimalPlaces": nullable(whole(0, 8)),
    "ValidationRegex": nullable(text(shortest=1)),
    "Encrypted": flag,
}

CONSTRAINT: Final[dict[str, Check]] = {
    "Type": choice("Unique", "ForeignKey"),
    "Properties": texts(shortest=1),
    "Property": _name,
    "Entity": _name,
    "OnDelete": choice("NoAction", "SetNull", "Cascade"),
}

ENTITY: Final[dict[str, Check]] = {
    "Name": _name,
    "RenamedFrom": _name,
    "Description": nullable(text()),
    "ChangeTracking": flag,
    "Differentiation": flag,
    "DefaultOrder": list_of(mapping({"Property": _name, "Direction": choice("ASC", "DESC")}, ("Property",))),
    "Properties": list_of(mapping(PROPERTY, ("Name",))),
    "Constraints": list_of(mapping(CONSTRAINT, ("Type",))),
    "Indexes": list_of(mapping({"Properties": texts(shortest=1)}, ("Properties",))),
}

RULE: Final[dict[str, Check]] = {
    "Entity": _name,
    "CustomEndpoint": _name,
    "Schema": _true,
    "Role": _name,
    "Action": choice("get", "post", "put", "delete"),
    "Record": choice("All", "Owned"),
    "Properties": _properties_of_rule,
    "RateLimit": nullable(
        mapping({"MaxRequests": whole(1, INT32_MAX), "Per": choice("Second", "Minute", "Hour")}, ("MaxRequests", "Per"))
    ),
}

ENDPOINT: Final[dict[str, Check]] = {
    "Name": _name,
    "Description": nullable(text()),
    "Kind": _matching("[A-Za-z][A-Za-z0-9_-]{0,79}", "the name of an endpoint kind, such as sql"),
    "Query": text(shortest=1),
    "Parameters": _parameters,
}

_function = _matching(r"[A-Za-z_]+\.[A-Za-z]+", "a property and a function, such as Price.Avg or ID.Count")

SERIES: Final[dict[str, Check]] = {
    "Label": nullable(text()),
    "Entity": _name,
    "Properties": list_of(_function, shortest=1),
    "GroupBy": nullable(text()),
    "Filter": nullable(anything),
}

REPORT: Final[dict[str, Check]] = {
    "Title": text(shortest=1),
    "X": whole(0, 11),
    "Y": whole(0, 100_000),
    "Width": whole(1, 12),
    "Height": whole(1, 1000),
    "Type": choice("Grid", "Pie", "Line", "Bar", "Radar", "StackedBar"),
    "TimeRange": nullable(_matching(r"[1-9][0-9]{0,5}[hdmy]", "a time range such as 24h, 30d, 6m or 1y")),
    "Series": list_of(mapping(SERIES, ("Entity", "Properties", "GroupBy")), shortest=1),
    "MaxRecords": whole(1, 1000),
}

EMAIL_TEMPLATE: Final[dict[str, Check]] = {
    "Event": choice("UserRegisterConfirmation", "UserForgotPassword"),
    "Active": flag,
    "Subject": text(longest=2000),
    "Content": text(),
}

MANIFEST: Final[dict[str, Check]] = {
    "Apilane": _version,
    "Application": mapping(APPLICATION, ("Name",)),
    "Entities": list_of(mapping(ENTITY, ("Name",))),
    "Security": list_of(mapping(RULE, ("Role",))),
    "CustomEndpoints": list_of(mapping(ENDPOINT, ("Name", "Query"))),
    "Reports": list_of(mapping(REPORT, ("Title", "Type", "Series", "MaxRecords"))),
    "EmailTemplates": list_of(mapping(EMAIL_TEMPLATE, ("Event",))),
    "Collaborators": list_of(_email),
    "Plugins": _plugins,
}

check_document: Final[Check] = mapping(MANIFEST, ("Apilane", "Application"))
"""The check of a whole document."""
