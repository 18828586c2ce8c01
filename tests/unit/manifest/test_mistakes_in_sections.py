"""Mistakes in every other section: each is reported with its place, all in one run."""

from __future__ import annotations

import pytest

from tests.unit.manifest.cases import EVERYTHING, HEAD, NOTHING_ENFORCED, errors_of, planned

GET_USERS = "Security:\n  - {Entity: Users, Role: editor, Action: get, "

# name: (text after HEAD, line, key, part of the message, part of the hint)
MISTAKES = {
    # rules
    "rule of an unknown entity": (
        "Security:\n  - {Entity: User, Role: editor, Action: get}\n",
        4,
        "Security[0].Entity",
        "unknown entity User",
        "did you mean Users?",
    ),
    "rule of an unknown endpoint": (
        "Security:\n  - {CustomEndpoint: Top, Role: editor}\n",
        4,
        "Security[0].CustomEndpoint",
        "unknown custom endpoint Top",
        "",
    ),
    "rule of an unknown property": (
        "Security:\n  - {Entity: Users, Role: editor, Action: get, Properties: [Emial]}\n",
        4,
        "Security[0].Properties[0]",
        "unknown property of Users Emial",
        "did you mean Email?",
    ),
    "condition on an unknown property": (
        GET_USERS + "Where: {Property: Emial, Operator: equal, Value: a}}\n",
        4,
        "Security[0].Where",
        "unknown property",
        "",
    ),
    "condition on a secret": (
        GET_USERS + "Where: {Property: Password, Operator: equal, Value: a}}\n",
        4,
        "Security[0].Where",
        "not allowed",
        "",
    ),
    "condition over a path": (
        GET_USERS + "Where: {Property: ID.Name, Operator: equal, Value: 1}}\n",
        4,
        "Security[0].Where",
        "ID in the path ID.Name is no foreign key of Users",
        "",
    ),
    "condition of the wrong type": (
        GET_USERS + "Where: {Property: Email, Operator: equal, Value: {User: ID}}}\n",
        4,
        "Security[0].Where",
        "Email is String",
        "",
    ),
    "condition with a value of the user of another type": (
        GET_USERS + "Where: {Property: ID, Operator: equal, Value: {User: Email}}}\n",
        4,
        "Security[0].Where",
        "{User: Email} is String, and ID is Number",
        "",
    ),
    "condition with a wrong moment": (
        GET_USERS + "Where: {Property: Created, Operator: less, Value: {Now: 1y}}}\n",
        4,
        "Security[0].Where",
        "the moment 1y",
        "",
    ),
    "empty condition": (
        GET_USERS + "Where: {Filters: []}}\n",
        4,
        "Security[0].Where",
        "it has no condition",
        "",
    ),
    "too many conditions": (
        GET_USERS + "Where: {Filters: [" + ", ".join(["{Property: ID, Operator: equal, Value: 1}"] * 51) + "]}}\n",
        4,
        "Security[0].Where",
        "it has 51 conditions",
        "",
    ),
    "check in a get rule": (
        GET_USERS + "Check: {Property: ID, Operator: equal, Value: 1}}\n",
        4,
        "Security[0].Check",
        "Check has no meaning in a get rule",
        "use Where",
    ),
    "condition that is no object": (
        "Security:\n  - {Entity: Users, Role: editor, Action: get, Where: mine}\n",
        4,
        "Security[0].Where",
        "expected a condition",
        "",
    ),
    "rule without an action": (
        "Security:\n  - {Entity: Users, Role: editor}\n",
        4,
        "Security[0].Entity",
        "needs an Action",
        "",
    ),
    "rule with an unknown action": (
        "Security:\n  - {Entity: Users, Role: editor, Action: read}\n",
        4,
        "Security[0].Action",
        "expected get or post",
        "",
    ),
    "post on Users": (
        "Security:\n  - {Entity: Users, Role: editor, Action: post}\n",
        4,
        "Security[0].Action",
        "Users cannot be given the action post",
        "get, put, delete",
    ),
    "put on Files": (
        "Security:\n  - {Entity: Files, Role: editor, Action: put}\n",
        4,
        "Security[0].Action",
        "cannot be given",
        "",
    ),
    "delete on AuthTokens": (
        "Security:\n  - {Entity: AuthTokens, Role: editor, Action: delete}\n",
        4,
        "Security[0].Action",
        "cannot be",
        "",
    ),
    "role in upper case": (
        "Security:\n  - {Entity: Users, Role: Editor, Action: get}\n",
        4,
        "Security[0].Role",
        "the role Editor is neither",
        "",
    ),
    "rule of nothing": ("Security:\n  - {Role: editor}\n", 4, "Security[0]", "has no subject", "exactly one"),
    "rule of two things": (
        "Security:\n  - {Entity: Users, Schema: true, Role: editor}\n",
        4,
        "Security[0]",
        "names Entity and Schema",
        "",
    ),
    "rate limit without its window": (
        "Security:\n  - {Entity: Users, Role: editor, Action: get, RateLimit: {MaxRequests: 1}}\n",
        4,
        "Security[0].RateLimit",
        "the key Per is missing",
        "",
    ),
    # the rest
    "parameter of another type": (
        "CustomEndpoints:\n  - {Name: Top, Query: 'SELECT {Limit}', Parameters: {Limit: Integer}}\n",
        4,
        "CustomEndpoints[Top].Parameters.Limit",
        "expected Number or String",
        "",
    ),
    "parameter without a mark": (
        "CustomEndpoints:\n  - {Name: Top, Query: 'SELECT {Limit}', Parameters: {Limits: Number}}\n",
        4,
        "CustomEndpoints[Top].Parameters",
        "Query has no mark {Limits}",
        "did you mean Limit?",
    ),
    "parameter without a mark, the kind in capitals": (
        "CustomEndpoints:\n  - {Name: Top, Kind: SQL, Query: 'SELECT {Limit}', Parameters: {Limits: Number}}\n",
        4,
        "CustomEndpoints[Top].Parameters",
        "Query has no mark {Limits}",
        "did you mean Limit?",
    ),
    "parameter Owner": (
        "CustomEndpoints:\n  - {Name: Top, Query: 'SELECT {Owner}', Parameters: {Owner: Number}}\n",
        4,
        "CustomEndpoints[Top].Parameters.Owner",
        "cannot be a parameter",
        "",
    ),
    "endpoint with another method": (
        "CustomEndpoints:\n  - {Name: Top, Query: 'SELECT 1', Methods: [GET, PUT]}\n",
        4,
        "CustomEndpoints[Top].Methods[1]",
        "expected GET or POST",
        "",
    ),
    "endpoint without GET": (
        "CustomEndpoints:\n  - {Name: Top, Query: 'SELECT 1', Methods: [POST]}\n",
        4,
        "CustomEndpoints[Top].Methods",
        "expected [GET] or [GET, POST]",
        "every endpoint answers GET",
    ),
    "endpoint with a method instead of a list": (
        "CustomEndpoints:\n  - {Name: Top, Query: 'SELECT 1', Methods: POST}\n",
        4,
        "CustomEndpoints[Top].Methods",
        "expected a list",
        "",
    ),
    "endpoint without a query": (
        "CustomEndpoints:\n  - Name: Top\n",
        4,
        "CustomEndpoints[Top]",
        "Query is missing",
        "",
    ),
    "report of an unknown entity": (
        (
            "Reports:\n  - {Title: T, Type: Pie, MaxRecords: 9,\n"
            "     Series: [{Entity: User, Properties: [ID.Count], GroupBy: X}]}\n"
        ),
        5,
        "Reports[0].Series[0].Entity",
        "unknown entity User",
        "Users?",
    ),
    "report type": (
        (
            "Reports:\n  - {Title: T, Type: Pi, MaxRecords: 9,\n"
            "     Series: [{Entity: Users, Properties: [ID.Count], GroupBy: X}]}\n"
        ),
        4,
        "Reports[0].Type",
        "expected Grid or Pie",
        "did you mean Pie?",
    ),
    "event": ("EmailTemplates:\n  - {Event: Welcome}\n", 4, "EmailTemplates[0].Event", "expected UserRegister", ""),
    "collaborator": ("Collaborators: [dev]\n", 3, "Collaborators[0]", "expected an e-mail address", ""),
    "collaborator twice": ("Collaborators: [a@b.de, A@b.de]\n", 3, "Collaborators[1]", "listed twice", ""),
    "plugin that is not loaded": (
        "Plugins:\n  some-plug: {}\n",
        4,
        "Plugins.some-plug",
        "not loaded",
        "did you mean some-plugin?",
    ),
    "section that the plugin refuses": (
        "Plugins:\n  some-plugin: {Any: 1}\n",
        4,
        "Plugins.some-plugin.Any",
        "Expected `str`",
        "",
    ),
    "variable that is not set": (
        "Entities:\n  - Name: Items\n    Description: ${NOT_SET}\n",
        5,
        "Entities[Items].Description",
        "NOT_SET is not set",
        "",
    ),
    "reference that is none": (
        "Entities:\n  - Name: Items\n    Description: ${a b}\n",
        5,
        "Entities[Items].Description",
        "not a valid reference",
        "$${",
    ),
}

APPLICATION = {
    "name too short": ("{Name: Abc}", "Application.Name", "has 3 characters; 4 to 100", ""),
    "name missing": ("{Online: true}", "Application", "the key Name is missing", ""),
    "token that is not a GUID": ("{Name: Shop, Token: abc}", "Application.Token", "not a GUID", ""),
    "provider": (
        "{Name: Shop, StorageProvider: MySQ}",
        "Application.StorageProvider",
        "no driver for MySQ",
        "MySQL? installed: MySQL, SQLite",
    ),
    "connection string of an embedded provider": (
        "{Name: Shop, ConnectionString: x}",
        "Application.ConnectionString",
        "SQLite takes no ConnectionString",
        "",
    ),
    "no connection string": (
        "{Name: Shop, StorageProvider: mysql}",
        "Application",
        "MySQL needs a ConnectionString",
        "",
    ),
    "differentiation name": (
        "{Name: Shop, DifferentiationEntity: My_Co}",
        "Application.DifferentiationEntity",
        "only the letters",
        "",
    ),
    "differentiation by a reserved word": (
        "{Name: Shop, DifferentiationEntity: users}",
        "Application.DifferentiationEntity",
        "reserved",
        "",
    ),
    "minutes": ("{Name: Shop, AuthTokenExpireMinutes: 0}", "Application.AuthTokenExpireMinutes", "1 to 2147483647", ""),
    "file size": (
        "{Name: Shop, MaxAllowedFileSizeInKB: 25601}",
        "Application.MaxAllowedFileSizeInKB",
        "1 to 25600",
        "",
    ),
    "flag": ("{Name: Shop, Online: 1}", "Application.Online", "expected true or false, found the number 1", ""),
    "address": (
        "{Name: Shop, IPPolicy: {Addresses: [1.2.3]}}",
        "Application.IPPolicy.Addresses[0]",
        "expected an IP address",
        "",
    ),
    "logic": ("{Name: Shop, IPPolicy: {Logic: Deny}}", "Application.IPPolicy.Logic", "expected Block or Allow", ""),
    "port": ("{Name: Shop, Mail: {Port: 65536}}", "Application.Mail.Port", "1 to 65535", ""),
    "mail security": (
        "{Name: Shop, Mail: {Security: SSL}}",
        "Application.Mail.Security",
        "StartTls or Tls or None",
        "",
    ),
    "secret not set": ("{Name: Shop, Mail: {Password: '${PW}'}}", "Application.Mail.Password", "PW is not set", ""),
}


@pytest.mark.better("B-D2")
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_names_its_place_and_what_to_do(name: str) -> None:
    """Every rule that a manifest breaks is reported alone, with file, line, key path, message and hint."""
    text, line, key, message, hint = MISTAKES[name]
    [error] = errors_of(HEAD + text)
    assert (error.file, error.line, error.key) == ("a.yaml", line, key)
    assert message in error.message
    assert hint in error.hint


@pytest.mark.parametrize("name", APPLICATION)
def test_a_mistake_in_the_settings_names_its_place(name: str) -> None:
    """Mistakes in the Application section are reported alone, with their place."""
    text, key, message, hint = APPLICATION[name]
    [error] = errors_of(f"Apilane: 1\nApplication: {text}\n")
    assert (error.line, error.key) == (2, key)
    assert message in error.message
    assert hint in error.hint


@pytest.mark.better("B-P3")
def test_all_mistakes_are_reported_at_once() -> None:
    """Mistakes of form, names and references are reported together, in the order of their lines."""
    text = (
        "Apilane: 2\nApplication: {Name: Abc, Onlin: true}\nEntities:\n  - Name: Items\n    Properties:\n"
        "      - {Name: Title, Requird: true, Type: Texts}\nSecurity:\n  - {Entity: Item, Role: X, Action: get}\n"
    )
    errors = errors_of(text)
    assert [(error.line, error.key) for error in errors] == [
        (1, "Apilane"),
        (2, "Application.Onlin"),
        (2, "Application.Name"),
        (6, "Entities[Items].Properties[Title].Requird"),
        (6, "Entities[Items].Properties[Title].Type"),
        (8, "Security[0].Entity"),
    ]


def test_the_same_mistake_in_json_and_toml_has_its_key() -> None:
    """A mistake in JSON has a line too; in TOML it has the key path."""
    [error] = errors_of('{"Apilane": 1,\n "Application": {\n  "Name": "Abc"}}', filename="a.json")
    assert (error.file, error.line, error.key) == ("a.json", 3, "Application.Name")
    [error] = errors_of('Apilane = 1\n[Application]\nName = "Abc"\n', filename="a.toml")
    assert (error.file, error.line, error.key) == ("a.toml", None, "Application.Name")


@pytest.mark.better("B-S13")
def test_what_nothing_enforces_is_refused() -> None:
    """An IP list or a rate limit without its plugin is refused with the plugin's name (B-S13)."""
    text = (
        "Apilane: 1\nApplication:\n  Name: Shop\n  IPPolicy: {Addresses: [10.0.0.0/8]}\nSecurity:\n"
        "  - {Entity: Users, Role: editor, Action: get,\n     RateLimit: {MaxRequests: 1, Per: Hour}}\n"
    )
    policy, limit = errors_of(text, capabilities=NOTHING_ENFORCED)
    assert (policy.line, policy.key) == (4, "Application.IPPolicy")
    assert "apilane_ip_policy" in policy.message
    assert (limit.line, limit.key) == (7, "Security[0].RateLimit")
    assert "apilane_rate_limit" in limit.message
    assert errors_of(text) == []


@pytest.mark.better("B-S13")
def test_a_limit_that_stays_is_refused_without_its_plugin() -> None:
    """A manifest that leaves a rate limit in place is refused while no plugin enforces it."""
    rule = "Security: [{Entity: Users, Role: editor, Action: get, RateLimit: {MaxRequests: 1, Per: Hour}}]\n"
    before = planned(HEAD + rule, capabilities=EVERYTHING).after
    [error] = errors_of(HEAD, before, capabilities=NOTHING_ENFORCED)
    assert "apilane_rate_limit" in error.message
    rule = "Security: [{Entity: Users, Role: editor, Action: get, RateLimit: null}]\n"
    assert errors_of(HEAD + rule, before, capabilities=NOTHING_ENFORCED) == []
