"""The lines of a plan: what people read before they apply it, with warnings and suggestions."""

from __future__ import annotations

import pytest
from msgspec import Struct
from msgspec.structs import replace

from apilane.plugin.settings import Secret
from tests.unit.manifest.cases import EVERYTHING, HEAD, errors_of, planned
from tests.unit.manifest.test_plan import BASE, change, shown


class Server(Struct, rename="pascal"):
    host: str
    port: int = 25


class MailSection(Struct, rename="pascal"):
    server: Server
    password: Secret
    topics: list[str] = []
    note: str | None = None


def test_a_new_application_is_shown_with_all_that_is_not_the_default() -> None:
    """The plan of a new application shows its settings, IP policy, constraints and limits."""
    made = planned(
        "Apilane: 1\n"
        "Application: {Name: Shop, Online: false, IPPolicy: {Logic: Allow, Addresses: [203.0.113.7]}}\n"
        "Entities:\n"
        "  - {Name: Kinds, Properties: [{Name: Title}]}\n"
        "  - Name: Items\n"
        "    Properties: [{Name: Code}, {Name: Kind_ID, Type: Number}]\n"
        "    Constraints:\n"
        "      - {Type: Unique, Properties: [Code]}\n"
        "      - {Type: ForeignKey, Property: Kind_ID, Entity: Kinds, OnDelete: Cascade}\n"
        "Security:\n"
        "  - {Entity: Items, Role: AUTHENTICATED, Action: get, Record: Owned, Properties: [Code],\n"
        "     RateLimit: {MaxRequests: 5, Per: Hour}}\n"
        "  - {Schema: true, Role: ANONYMOUS}\n"
    )
    assert [line for line in shown(made) if "Reports" not in line] == [
        "+ Application: Shop (SQLite)",
        "+ Application.Online: false",
        '+ Application.IPPolicy: {"Logic":"Allow","Addresses":["203.0.113.7"]}',
        "+ Entities[Kinds]: Title",
        "+ Entities[Items]: Code, Kind_ID",
        "+ Entities[Items].Constraints[Unique Code]",
        "+ Entities[Items].Constraints[ForeignKey Kind_ID]: to Kinds, on delete Cascade",
        "+ Security[Items AUTHENTICATED get]: only owned records; Code; at most 5 per Hour",
        "+ Security[Schema ANONYMOUS get]",
    ]


def test_a_new_property_is_shown_with_its_rules() -> None:
    """The line of a new property names its type and rules."""
    made = change(
        "Entities: [{Name: Categories}, {Name: Products,\n"
        "  Properties: [{Name: Title}, {Name: Price}, {Name: CategoryID},\n"
        "  {Name: Size, Type: Number, Required: true, Minimum: 1, Maximum: 9, DecimalPlaces: 2},\n"
        "  {Name: Code, ValidationRegex: '^a', Encrypted: true}]}]\n"
    )
    assert shown(made) == [
        "+ Entities[Products].Properties[Size]: Number, required, minimum 1, maximum 9, decimal places 2",
        "+ Entities[Products].Properties[Code]: String, pattern ^a, encrypted",
    ]


def test_long_values_are_shown_where_they_differ() -> None:
    """A change in the middle of a long query shows the two places, not two equal beginnings."""
    long = "SELECT " + ", ".join(f"Column{chr(97 + n)}" for n in range(26)) + "\\nFROM Products"
    section = 'CustomEndpoints: [{Name: Totals, Query: "%s"}]\n'
    before = change(section % long).after
    made = change(section % f"{long} WHERE 1=1", before)
    same = r"...olumny, Columnz\nFROM Products"
    assert shown(made) == [f"~ CustomEndpoints[Totals].Query: {same} -> {same} WHERE 1=1"]
    changed = long.replace("Columnc", "Columnx")
    (line,) = shown(change(section % changed, before))
    old, new = line.removeprefix("~ CustomEndpoints[Totals].Query: ").split(" -> ")
    assert "Columnc" in old
    assert "Columnx" in new
    assert max(len(old), len(new)) < 130


def test_a_changed_plugin_section_shows_its_keys() -> None:
    """A changed section of a plugin shows the keys that changed, with their values and without secrets."""

    capabilities = replace(EVERYTHING, plugin_sections={"mail": MailSection})
    head = "Apilane: 1\nApplication: {Name: Shop}\nPlugins: {mail: {Password: '${PW}', Server: "
    first = planned(
        head + "{Host: a, Port: 25}, Note: x, Topics: [a]}}", capabilities=capabilities, environ={"PW": "one"}
    )
    made = planned(
        head + "{Host: a, Port: 26}, Topics: [a, b]}}",
        first.after,
        capabilities=capabilities,
        environ={"PW": "two"},
        secrets=first.secrets,  # type: ignore[arg-type]
    )
    assert shown(made) == [
        "~ Plugins.mail.Password: a secret, not shown",
        "~ Plugins[mail].Server.Port: 25 -> 26",
        '~ Plugins[mail].Topics: ["a"] -> ["a","b"]',
    ]
    assert "two" not in str(shown(made))


def test_a_changed_report_shows_its_keys() -> None:
    """A changed report panel shows the keys that changed."""
    panel = "Reports: [{Title: Prices, Type: Grid, MaxRecords: %d, Series: [{Entity: Products, Properties: [Price.Avg],"
    panel += " GroupBy: Title}]}]\n"
    before = change(panel % 10).after
    assert shown(change(panel % 20, before)) == ["~ Reports[Prices].MaxRecords: 10 -> 20"]


@pytest.mark.better("B-X4")
def test_a_unique_that_spans_tenants_is_a_warning() -> None:
    """A unique constraint over the records of all tenants tells one tenant what another has, and gets a warning."""
    head = "Apilane: 1\nApplication: {Name: Shop, DifferentiationEntity: Company}\nEntities:\n"
    head += "  - {Name: Items, Differentiation: true, Properties: [{Name: Code}], Constraints: [%s]}\n"
    head += "  - {Name: Kinds, Properties: [{Name: Code}], Constraints: [{Type: Unique, Properties: [Code]}]}\n"
    made = planned(head % "{Type: Unique, Properties: [Code]}")
    expected = "! Entities[Items].Constraints[Unique Code]: it spans the tenants, so an error tells one tenant that "
    expected += "another one has the value; add PerTenant: true, unless that is intended"
    assert [line for line in shown(made) if line.startswith("!")] == [expected]
    for constraint in (
        "{Type: Unique, Properties: [Code], PerTenant: true}",
        "{Type: Unique, Properties: [Code, Company_ID]}",
    ):
        assert not planned(head % constraint).has_warnings


def test_a_changed_constraint_shows_its_keys() -> None:
    """PerTenant and WithinReach of a constraint can be switched, and an absent key leaves them as they are."""
    head = "Apilane: 1\nApplication: {Name: Shop, DifferentiationEntity: Company}\nEntities:\n"
    head += "  - Name: Items\n    Differentiation: true\n    Properties: [{Name: Code}, {Name: KindID, Type: Number}]\n"
    head += "    Constraints:\n      - {Type: Unique, Properties: [Code]%s}\n"
    head += "      - {Type: ForeignKey, Property: KindID, Entity: Company%s}\n"
    before = planned(head % (", PerTenant: true", ", WithinReach: true")).after
    assert not shown(planned(head % ("", ""), before))
    assert [
        line
        for line in shown(planned(head % (", PerTenant: false", ", WithinReach: false"), before))
        if "!" not in line
    ] == [
        "~ Entities[Items].Constraints[Unique Code].PerTenant: true -> false",
        "~ Entities[Items].Constraints[ForeignKey KindID].WithinReach: true -> false",
    ]


def test_an_unknown_kind_is_a_warning() -> None:
    """A custom endpoint of a kind that no loaded plugin provides gets a warning, with the nearest kind or all kinds."""
    section = "CustomEndpoints: [{Name: Totals, Kind: %s, Query: x}]\n"
    head = "Apilane: 1\nApplication: {Name: Shop}\n"
    known = replace(EVERYTHING, endpoint_kinds=frozenset({"sql", "graph"}))
    for kind, hint in {"sqll": "did you mean sql?", "python": "the loaded plugins provide: graph, sql"}.items():
        made = planned(head + section % kind, capabilities=known)
        text = f"no loaded plugin provides the kind {kind}, and calls answer 404; {hint}"
        assert shown(made)[-1] == f"! CustomEndpoints[Totals].Kind: {text}"
        assert made.has_warnings
    assert not planned(head + section % "SQL", capabilities=known).has_warnings


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("update", "put"),
        ("insert", "post"),
        ("create", "post"),
        ("read", "get"),
        ("remove", "delete"),
        ("GET", "get"),
        ("delte", "delete"),
        ("execute", None),
    ],
)
def test_suggestions_for_actions(word: str, meant: str | None) -> None:
    """Words of other systems get the action that they mean, and an unrelated word gets no suggestion."""
    errors = errors_of(HEAD + f"Security: [{{Entity: Users, Role: ANONYMOUS, Action: {word}}}]\n")
    assert [error.hint for error in errors] == [f"did you mean {meant}?" if meant else ""]


@pytest.mark.parametrize("again", [False, True])
def test_an_old_name_suggests_the_new_one(again: bool) -> None:
    """A reference to a renamed entity or property names its new name, also after the rename was applied."""
    text = (
        "Entities:\n  - Name: Goods\n    RenamedFrom: Products\n    Properties: [{Name: Label, RenamedFrom: Title}]\n"
        "%sSecurity: [{Entity: %s, Role: ANONYMOUS, Action: get, Properties: [%s]}]\n"
    )
    order = "    DefaultOrder: [{Property: %s}]\n"
    before = change(text % (order % "Label", "Goods", "Label")).after if again else planned(BASE).after
    (entity,) = errors_of(HEAD + text % ("", "Products", "Label"), before)
    assert (entity.message, entity.hint) == ("unknown entity Products", "did you mean Goods?")
    first, second = errors_of(HEAD + text % (order % "Title", "Goods", "Title"), before)
    assert {first.message, second.message} == {"unknown property Title", "unknown property of Goods Title"}
    assert {first.hint, second.hint} == {"did you mean Label?"}


def test_no_suggestion_is_better_than_a_wrong_one() -> None:
    """A name that resembles no known name gets the list of known names."""
    (error,) = errors_of(HEAD + "Security: [{Entity: Items, Role: ANONYMOUS, Action: get}]\n")
    assert error.hint == "there is Users, AuthTokens, Files"
