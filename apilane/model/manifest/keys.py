"""Every key of a manifest, section by section, in the order in which ``export`` writes them.

``docs/reference/manifest.md`` is generated from these tables.
"""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Final

from apilane.model.email_addresses import is_email
from apilane.model.formats import FORMATS
from apilane.model.manifest.environment import report_missing
from apilane.model.manifest.nodes import UNUSABLE, Node, is_missing_secret
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
    usable,
    whole,
)
from apilane.model.portal_roles import PortalRole

__all__ = [
    "APPLICATION",
    "COLLABORATOR",
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
    "VALUES_MAX",
    "check_document",
]

INT32_MAX: Final = 2147483647
DAYS_MAX: Final = 36500
INT64_MIN: Final = -9223372036854775808
INT64_MAX: Final = 9223372036854775807

_ACTION_WORDS: Final = {
    **dict.fromkeys(("read", "select", "list", "view", "query"), "get"),
    **dict.fromkeys(("insert", "create", "add", "new"), "post"),
    **dict.fromkeys(("update", "edit", "change", "modify", "patch", "write"), "put"),
    **dict.fromkeys(("remove", "drop", "destroy"), "delete"),
}
_TYPE_WORDS: Final = {
    **dict.fromkeys(("text", "varchar", "char", "nvarchar", "uuid", "email"), "String"),
    **dict.fromkeys(("int", "integer", "bigint", "long", "float", "double", "decimal", "money", "real"), "Number"),
    **dict.fromkeys(("bool", "bit", "flag"), "Boolean"),
    **dict.fromkeys(("datetime", "timestamp", "time"), "Date"),
}
_ON_DELETE_WORDS: Final = {"restrict": "NoAction", "nullify": "SetNull", "set null": "SetNull", "no action": "NoAction"}
_DIRECTION_WORDS: Final = {"ascending": "ASC", "descending": "DESC"}
_LOGIC_WORDS: Final = {
    **dict.fromkeys(("deny", "denylist", "blacklist", "blocklist"), "Block"),
    **dict.fromkeys(("allowlist", "whitelist", "permit"), "Allow"),
}

_name = text(shortest=1, longest=1000)
_reference = Check("text, a name", _name.test)
_application_name = Check("text, 4 to 100 printable characters", _name.test)
_entity_name = Check("text, 4 to 30 letters a-z, A-Z or `_`", _name.test)
_property_name = Check("text, 4 to 120 letters a-z, A-Z or `_`", _name.test)
_endpoint_name = Check("text, 1 to 80 letters a-z or A-Z", _name.test)
_tenant_name = Check("text, 1 to 40 letters a-z or A-Z", _name.test)
_role = Check("`ANONYMOUS`, `AUTHENTICATED`, or text of two or more letters a-z", _name.test)
"""Names whose length and letters ``apilane.model.names`` checks, when all else is read."""

_parameter_type = choice("Number", "String", "Boolean", "Date", meant_by=_TYPE_WORDS)
_type = choice("String", "Number", "Boolean", "Date", meant_by=_TYPE_WORDS)
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


def _condition(node: Node, problems: Problems) -> bool:
    return isinstance(node.value, dict) or refuse(
        node, problems, "a condition such as {Property: Status, Operator: equal, Value: 1}"
    )


def _parameters(node: Node, problems: Problems) -> bool:
    """A mapping from the names of marks to types."""
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
        elif not usable(child, _parameter_type, problems):
            del node.value[key]
    return True


def _methods(node: Node, problems: Problems) -> bool:
    """A list of HTTP methods, GET among them."""
    if not list_of(choice("GET", "POST"))(node, problems):
        return False
    listed = [child.value for child in node.value]
    return "GET" in listed or refuse(node, problems, "[GET] or [GET, POST]", "every endpoint answers GET")


def _plugins(node: Node, problems: Problems) -> bool:
    """A mapping from the names of plugins to their sections."""
    if not isinstance(node.value, dict):
        return refuse(node, problems, "a mapping of plugin names to their sections", may_be_secret=True)
    for key, child in list(node.value.items()):
        if is_missing_secret(child):
            report_missing(child, problems)  # a whole section is no secret
        elif child.value is not UNUSABLE and not isinstance(child.value, dict):
            refuse(child, problems, "a mapping", may_be_secret=True)
        if not isinstance(child.value, dict) or not anything(child, problems):
            del node.value[key]
    return True


_address_or_range = Check("IP address or CIDR range", _address)
_email_address = Check("e-mail address", _email)

COLLABORATOR: Final[dict[str, Key]] = {
    "Email": Key(_email_address, "Address of the portal user. The account need not exist yet.", required=True),
    "Role": Key(choice(*(role.value for role in PortalRole)), "Role in this application; default: `manager`."),
}


def _is_collaborator(node: Node, problems: Problems) -> bool:
    return mapping(COLLABORATOR)(node, problems) if isinstance(node.value, dict) else _email_address(node, problems)


_collaborator = Check("e-mail address, or a mapping with `Email` and `Role`", _is_collaborator)
_boolean_true = Check("`true`", _true)

VALUES_MAX: Final = 200
"""Admitted values of one property."""


def _value(node: Node, problems: Problems) -> bool:
    is_fit = isinstance(node.value, str | int | float) and not isinstance(node.value, bool)
    return is_fit or refuse(node, problems, "text or a number", "put it in quotes")


IP_POLICY: Final[dict[str, Key]] = {
    "Logic": Key(
        choice("Block", "Allow", meant_by=_LOGIC_WORDS),
        "`Block`: listed addresses are refused. `Allow`: only listed addresses are admitted.",
    ),
    "Addresses": Key(list_of(_address_or_range), "IPv4 and IPv6. An empty list admits every address."),
}

MAIL: Final[dict[str, Key]] = {
    "Server": Key(
        nullable(text()), "Host of the SMTP server; null: the server that the settings of the plugin `email` name."
    ),
    "Port": Key(nullable(whole(1, 65535)), "Port of the SMTP server; null: 587, or 465 with `Tls`, or 25 with `None`."),
    "FromAddress": Key(nullable(_email_address), "Sender of every mail."),
    "FromDisplayName": Key(nullable(text()), "The sender's name."),
    "Security": Key(
        choice("StartTls", "Tls", "None"),
        "How the connection is encrypted: by STARTTLS, from the start, or not at all.",
    ),
    "UserName": Key(nullable(text()), "Account at the SMTP server."),
    "Password": Key(nullable(text(shortest=1)), "Password of the account, a secret: stored encrypted, never exported."),
}

APPLICATION: Final[dict[str, Key]] = {
    "Name": Key(_application_name, "Identifies the application when `Token` is absent.", required=True),
    "Token": Key(
        nullable(Check("GUID", _name.test)),
        "A GUID that clients send with each call. Default: the first `apply` creates one.",
    ),
    "StorageProvider": Key(
        Check("text", _name.test), "Name of a driver; `apilane drivers` lists them. Cannot be changed later."
    ),
    "ConnectionString": Key(nullable(text()), "Address and credentials of the database, a secret. Not for SQLite."),
    "DifferentiationEntity": Key(nullable(_tenant_name), "Entity that separates tenants. Cannot be changed later."),
    "Online": Key(flag, "`false`: every call is answered with SERVICE_UNAVAILABLE."),
    "AllowUserRegister": Key(flag, "Whether callers may register themselves as users."),
    "AllowLoginUnconfirmedEmail": Key(flag, "Whether a user may log in before the e-mail is confirmed."),
    "ForceSingleLogin": Key(flag, "Whether a login ends the user's other tokens."),
    "AuthTokenExpireMinutes": Key(whole(1, INT32_MAX), "A user token expires this many minutes after its last use."),
    "HistoryRetentionDays": Key(
        nullable(whole(1, DAYS_MAX)),
        "Copies of changed and deleted records are deleted after this many days; `null`: they are kept.",
    ),
    "MaxAllowedFileSizeInKB": Key(whole(1, 25600), "Largest file, in KB of 1024 bytes."),
    "EmailConfirmationRedirectUrl": Key(
        nullable(text(longest=10000)), "Page that a browser is sent to after an e-mail is confirmed; null: the Portal."
    ),
    "IPPolicy": Key(nullable(mapping(IP_POLICY)), "Client addresses that may call. Needs a plugin that enforces it."),
    "Mail": Key(nullable(mapping(MAIL)), "How the application sends mail."),
}

PROPERTY: Final[dict[str, Key]] = {
    "Name": Key(
        _property_name,
        "Unique in its entity, ignoring letter case. It begins not with `H_` and ends not in `_Data`.",
        required=True,
    ),
    "RenamedFrom": Key(
        Check("text", _name.test), "The old name: the column is renamed and keeps its values. Ignored after the rename."
    ),
    "Type": Key(_type, "Cannot be changed later."),
    "Description": Key(nullable(text()), "For people."),
    "Required": Key(flag, "Null is refused."),
    "Minimum": Key(nullable(_int64), "Smallest value of a Number, or smallest length of a String in UTF-16 units."),
    "Maximum": Key(nullable(_int64), "Largest value of a Number, or largest length of a String."),
    "DecimalPlaces": Key(nullable(whole(0, 8)), "Decimal places of a Number; more digits are cut off. null: 0."),
    "ValidationRegex": Key(
        nullable(text(shortest=1)), "A String must contain a match. To match the whole text, anchor the pattern."
    ),
    "Encrypted": Key(flag, "A String is stored encrypted and cannot be filtered or sorted. Cannot be changed later."),
    "Default": Key(
        nullable(anything),
        "Stored by Post and Register when the property is absent or the caller may not write it, and in existing "
        "records when a `Required` property is added. For a Date also `Now`. A Json default may be any value or JSON "
        "text.",
    ),
    "Values": Key(
        nullable(list_of(Check("text or number", _value))),
        f"The admitted values of a String or Number, at most {VALUES_MAX}. An empty list or null admits all.",
    ),
    "Format": Key(
        nullable(choice(*FORMATS)),
        "What a String holds. The server checks it; `Json` takes and gives JSON values, and `Markdown` takes any text.",
    ),
}

CONSTRAINT: Final[dict[str, Key]] = {
    "Type": Key(choice("Unique", "ForeignKey"), "Kind of constraint.", required=True),
    "Properties": Key(texts(shortest=1), "Unique only: no two records have the same values of these properties."),
    "PerTenant": Key(
        flag,
        "Unique only, for an entity with `Differentiation`: no two records of one tenant. The records without a tenant "
        "count as one tenant.",
    ),
    "Property": Key(_reference, "ForeignKey only: the property that holds the `ID` of another record."),
    "Entity": Key(_reference, "ForeignKey only: the entity of the other record."),
    "OnDelete": Key(
        choice("NoAction", "SetNull", "Cascade", meant_by=_ON_DELETE_WORDS),
        "ForeignKey only, when the other record is deleted: refuse, set the property to null, or delete this record.",
    ),
    "WithinReach": Key(
        flag, "ForeignKey only: a caller can refer only to records that the caller's `get` rules reach."
    ),
}

ORDER: Final[dict[str, Key]] = {
    "Property": Key(_reference, "Property to sort by.", required=True),
    "Direction": Key(choice("ASC", "DESC", meant_by=_DIRECTION_WORDS), "Ascending or descending."),
}

INDEX: Final[dict[str, Key]] = {
    "Properties": Key(texts(shortest=1), "Properties of the index, in this order.", required=True),
}

ENTITY: Final[dict[str, Key]] = {
    "Name": Key(
        _entity_name,
        "Unique, ignoring letter case. It is not `Schema`, begins not with `H_` or `sqlite_`, and ends not in "
        "`__backup__`. The system entities have their own names.",
        required=True,
    ),
    "RenamedFrom": Key(
        Check("text", _name.test), "The old name: the table is renamed and keeps its records. Ignored after the rename."
    ),
    "Description": Key(nullable(text()), "For people."),
    "ChangeTracking": Key(flag, "Keep a copy of each record before it is changed or deleted."),
    "Differentiation": Key(flag, "Records belong to a tenant. Cannot be changed later."),
    "DefaultOrder": Key(
        list_of(mapping(ORDER)), "Order of Data/Get when the caller gives no sort; `ID` is the last key."
    ),
    "Properties": Key(list_of(mapping(PROPERTY)), "Custom properties; the server adds `ID`, `Owner` and `Created`."),
    "Constraints": Key(list_of(mapping(CONSTRAINT)), "Rules that the database enforces."),
    "Indexes": Key(
        list_of(mapping(INDEX)),
        "Indexes in addition to those of keys, `Owner`, unique constraints and conditions of rules.",
    ),
}

RATE_LIMIT: Final[dict[str, Key]] = {
    "MaxRequests": Key(whole(1, INT32_MAX), "Number of uses that are admitted per `Per`.", required=True),
    "Per": Key(choice("Second", "Minute", "Hour"), "Length of the sliding window.", required=True),
}

_action = choice("get", "post", "put", "delete", meant_by=_ACTION_WORDS)

RULE: Final[dict[str, Key]] = {
    "Entity": Key(
        Check("name of an entity", _name.test),
        "An entity. A rule has exactly one of `Entity`, `CustomEndpoint` and `Schema`.",
    ),
    "CustomEndpoint": Key(_reference, "A custom endpoint that the role may call."),
    "Schema": Key(_boolean_true, "The role may call Data/Schema."),
    "Role": Key(_role, "`ANONYMOUS`: every caller. `AUTHENTICATED`: every user. Else a role of users.", required=True),
    "Action": Key(_action, "Required with `Entity`; the other kinds allow `get` only."),
    "Record": Key(choice("All", "Owned"), "`Owned`: only records whose `Owner` is the caller."),
    "Properties": Key(
        Check('list of text, not empty, or `"*"`', _properties_of_rule),
        'Properties that may be read or written. `"*"`: all properties at the time of `apply`, except secrets.',
    ),
    "Where": Key(
        nullable(Check("a condition, written as a filter", _condition)),
        "`get`, `put`, `delete`: only records that meet it. A property may be a path, such as `PatientID.DoctorID` or "
        '`Members(VisitID).UserID`; a value may be `{User: ID}`, `{User: Ward}` or `{Now: "-1d"}`.',
    ),
    "Check": Key(
        nullable(Check("a condition, written as a filter", _condition)),
        "`post`, `put`: the record as stored must meet it. Written as `Where`, which a `put` rule without it uses.",
    ),
    "RateLimit": Key(
        nullable(mapping(RATE_LIMIT)), "Counted per user or client address. Needs a plugin that enforces it."
    ),
}

ENDPOINT: Final[dict[str, Key]] = {
    "Name": Key(_endpoint_name, "The last part of its path: `/api/Custom/{Name}`.", required=True),
    "Description": Key(nullable(text()), "For people."),
    "Kind": Key(
        _matching("[A-Za-z][A-Za-z0-9_-]{0,79}", "the name of an endpoint kind, such as sql"),
        "Language of the query. Plugins provide kinds. If no plugin provides this kind, calls answer 404.",
    ),
    "Query": Key(
        text(shortest=1), "Query text in the language of the kind, with marks such as `{Name}`.", required=True
    ),
    "Parameters": Key(
        Check("mapping of marks to `Number`, `String`, `Boolean` or `Date`", _parameters),
        "Types of the marks whose values callers send.",
    ),
    "Methods": Key(
        Check("`[GET]` or `[GET, POST]`", _methods),
        "With POST, callers may also send the parameters as a JSON object in the body, which has room for long ones.",
    ),
}

_function = _matching(r"[A-Za-z_]+\.[A-Za-z]+", "a property and a function, such as Price.Avg or ID.Count")

SERIES: Final[dict[str, Key]] = {
    "Label": Key(nullable(text()), "Title of the series."),
    "Entity": Key(_reference, "Entity of the records.", required=True),
    "Properties": Key(list_of(_function, shortest=1), "Values that are computed.", required=True),
    "GroupBy": Key(nullable(text()), "Properties, or parts of dates, separated by commas.", required=True),
    "Filter": Key(nullable(anything), "Filter of the records, as in Data/Get."),
}

REPORT: Final[dict[str, Key]] = {
    "Title": Key(
        text(shortest=1), "Identifies the panel. This release stores reports and does not show them.", required=True
    ),
    "X": Key(whole(0, 11), "Column of the left edge; a row has 12 columns."),
    "Y": Key(whole(0, 100_000), "Row of the upper edge."),
    "Width": Key(whole(1, 12), "In columns."),
    "Height": Key(whole(1, 1000), "In rows."),
    "Type": Key(choice("Grid", "Pie", "Line", "Bar", "Radar", "StackedBar"), "Kind of panel.", required=True),
    "TimeRange": Key(
        nullable(_matching(r"[1-9][0-9]{0,5}[hdmy]", "a time range such as 24h, 30d, 6m or 1y")),
        "Only records of this time range.",
    ),
    "Series": Key(list_of(mapping(SERIES), shortest=1), "Series that the panel shows.", required=True),
    "MaxRecords": Key(whole(1, 1000), "Largest number of groups in a series.", required=True),
}

EMAIL_TEMPLATE: Final[dict[str, Key]] = {
    "Event": Key(choice("UserRegisterConfirmation", "UserForgotPassword"), "Event that sends the mail.", required=True),
    "Active": Key(flag, "Whether the mail is sent."),
    "Subject": Key(text(longest=2000), "Subject with placeholders ([send mail](../howto/mail.md))."),
    "Content": Key(text(), "HTML with placeholders."),
}

MANIFEST: Final[dict[str, Key]] = {
    "Apilane": Key(Check("`1`", _version), "Version of the manifest format.", required=True),
    "Application": Key(mapping(APPLICATION), "Name and settings of the application.", required=True),
    "Entities": Key(list_of(mapping(ENTITY)), "Tables. System entities may be listed to extend them."),
    "Security": Key(list_of(mapping(RULE)), "Access rules. A call that no rule grants is refused."),
    "CustomEndpoints": Key(list_of(mapping(ENDPOINT)), "Calls that the application adds."),
    "Reports": Key(list_of(mapping(REPORT)), "Panels of the dashboard."),
    "EmailTemplates": Key(list_of(mapping(EMAIL_TEMPLATE)), "Mails to users."),
    "Collaborators": Key(
        list_of(_collaborator),
        "Portal users who operate the application, in addition to the instance admin. An address alone is a manager "
        "([roles](../howto/portal.md#roles)).",
    ),
    "Plugins": Key(
        Check("mapping of plugin names to mappings", _plugins),
        "Settings of plugins for this application; each plugin checks its section. Write secrets as `${NAME}`.",
    ),
}

check_document: Final[Check] = mapping(MANIFEST)
"""The check of a whole document."""
