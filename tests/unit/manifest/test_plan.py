"""From a manifest to a plan: defaults, merging, renames, consent, secrets, export."""

from __future__ import annotations

import json

import pytest

from apilane.model.definition import (
    ApplicationDefinition,
    Index,
    OnDelete,
    Property,
    PropertyType,
    Rule,
    RuleKind,
    SortKey,
)
from apilane.model.manifest.write import export_manifest
from apilane.model.plan import Plan
from apilane.model.system import HELPER_TABLES
from tests.unit.manifest.cases import SHOP, errors_of, planned

EXAMPLE = """
Apilane: 1                                   # manifest version, required
Application:
  Name: Shop                                 # required; identifies the application when Token is absent
  Token: 23d4444f-b56e-4c5a-98ed-ef251796a238  # optional; made at the first apply
  StorageProvider: MySQL
  ConnectionString: ${SHOP_DB}               # URL (mysql://user:pw@host/db) or the provider's own Key=Value; form
  DifferentiationEntity: Company             # optional; fixed after creation
  Online: true
  AllowUserRegister: true
  AllowLoginUnconfirmedEmail: true
  ForceSingleLogin: false
  AuthTokenExpireMinutes: 60
  MaxAllowedFileSizeInKB: 5120
  EmailConfirmationRedirectUrl: null
  IPPolicy: {Logic: Block, Addresses: ["203.0.113.7", "2001:db8::/32"]}     # Logic: Block | Allow
  Mail: {Server: smtp.example.com, Port: 587, FromAddress: a@example.com, FromDisplayName: Shop,
         Security: StartTls,                 # StartTls (default) | Tls | None
         UserName: a, Password: "${SHOP_MAIL_PASSWORD}"}
Entities:
  - Name: Categories
    Properties:
      - {Name: Title, Type: String, Required: true, Minimum: 1, Maximum: 100}
  - Name: Products
    Description: What the shop sells
    ChangeTracking: true
    Differentiation: false                   # carry the differentiation property
    DefaultOrder: [{Property: Created, Direction: DESC}]
    Properties:                              # custom ones only; system properties come by themselves
      - {Name: Title, Type: String, Required: true, Maximum: 200}
      - {Name: Price, Type: Number, DecimalPlaces: 2, Minimum: 0}
      - {Name: InStock, Type: Boolean}
      - {Name: Released, Type: Date}
      - {Name: Supplier, Type: String, Encrypted: true}
      - {Name: Code, Type: String, ValidationRegex: "^[A-Z]{3}$"}
      - {Name: CategoryID, Type: Number}
    Constraints:
      - {Type: Unique, Properties: [Title]}
      - {Type: ForeignKey, Property: CategoryID, Entity: Categories, OnDelete: SetNull}   # NoAction | SetNull | Cascade
    Indexes:                                 # besides those for keys, Owner, the differentiation property ...
      - {Properties: [Price, Released]}
  - Name: Users                              # system entities may be listed
    Properties:
      - {Name: Firstname, Type: String, Maximum: 50}
Security:
  - {Entity: Products, Role: ANONYMOUS, Action: get, Record: All, Properties: [Title, Price, InStock],
     RateLimit: {MaxRequests: 100, Per: Minute}}          # Record: All (default) | Owned; Per: Second | Minute | Hour
  - {Entity: Products, Role: editor, Action: post, Properties: "*"}     # "*" = every property, written out when applied
  - {Entity: Products, Role: editor, Action: put, Record: Owned, Properties: [Title, Price]}
  - {Entity: Products, Role: editor, Action: delete, Record: Owned}
  - {CustomEndpoint: CheapProducts, Role: AUTHENTICATED}
  - {Schema: true, Role: AUTHENTICATED}
CustomEndpoints:
  - Name: CheapProducts
    Description: Products below a price
    Kind: sql                                # default; plugins add kinds
    Query: SELECT ID, Title FROM Products WHERE Price < {MaxPrice}
    Parameters: {MaxPrice: Number}           # optional: Number | String | Boolean | Date
    Methods: [GET, POST]                     # default [GET]
Reports:
  - Title: Sales
    Width: 6
    Type: Line                               # Grid | Pie | Line | Bar | Radar | StackedBar
    Series:
      - {Entity: Products, Properties: [Price.Avg, ID.Count], GroupBy: "Created.year,Created.month",
         Filter: {Property: InStock, Operator: equal, Value: true}}
    MaxRecords: 100
EmailTemplates:
  - {Event: UserRegisterConfirmation, Active: true, Subject: Welcome!,
     Content: "Hello {Users.Username}, <a href='{confirmation_url}'>confirm</a>"}
Collaborators: [dev@example.com]
Plugins:
  some-plugin: {Any: thing}                  # per plugin, checked by the Struct that the plugin registers
"""

BASE = """
Apilane: 1
Application: {Name: Shop}
Entities:
  - Name: Categories
    Properties: [{Name: Title}]
  - Name: Products
    Description: Goods
    ChangeTracking: true
    DefaultOrder: [{Property: Title}]
    Properties:
      - {Name: Title, Maximum: 100}
      - {Name: Price, Type: Number, DecimalPlaces: 2}
      - {Name: CategoryID, Type: Number}
    Constraints:
      - {Type: Unique, Properties: [Title]}
      - {Type: ForeignKey, Property: CategoryID, Entity: Categories, OnDelete: SetNull}
    Indexes: [{Properties: [Price, Title]}]
Security:
  - {Entity: Products, Role: ANONYMOUS, Action: get, Properties: [Title, Price]}
  - {Entity: Categories, Role: ANONYMOUS, Action: get, Properties: "*"}
Reports:
  - Title: Sales
    Type: Line
    Series:
      - {Entity: Products, Properties: [Price.Avg], GroupBy: "Created.year,Title",
         Filter: {Logic: And, Filters: [{Property: Price, Operator: equal, Value: 1}]}}
    MaxRecords: 100
"""


def change(text: str, before: ApplicationDefinition | None = None) -> Plan:
    """The plan of these sections for the application ``BASE``."""
    return planned("Apilane: 1\nApplication: {Name: Shop}\n" + text, before or planned(BASE).after)


def shown(plan: Plan) -> list[str]:
    return [str(line) + (" !" if line.loses_data else "") for line in plan.lines]


def properties(plan: Plan, entity: str) -> tuple[Property, ...]:
    found = plan.after.entity(entity)
    assert found is not None
    return tuple(p for p in found.properties if not p.is_system)


def test_the_recorded_application_is_accepted() -> None:
    """The manifest of the recorded application becomes its definition, in written order."""
    made = planned(SHOP, filename="shop.json")
    assert [e.name for e in made.after.entities] == ["Users", "AuthTokens", "Files", "Categories", "Products", "Notes"]
    assert [p.name for p in properties(made, "Products")][:3] == ["Title", "Price", "Stock"]
    assert made.migration is not None
    assert made.migration.before == ()
    assert made.migration.after == (*made.after.entities, *HELPER_TABLES)
    assert made.after.rules[-1] == Rule(kind=RuleKind.Schema, name="Schema", role="AUTHENTICATED")


def test_the_example_of_the_specification_is_accepted() -> None:
    """Every key of the documented example is known and stored in the right field."""
    secrets = {"SHOP_DB": "mysql://u:p@h/d", "SHOP_MAIL_PASSWORD": "pw"}
    made = planned(EXAMPLE, environ=secrets)
    assert made.after.token == "23d4444f-b56e-4c5a-98ed-ef251796a238"
    assert made.after.entities[0].name == "Company"
    assert made.secrets == {"connection_string": "mysql://u:p@h/d", "mail_password": "pw"}
    assert made.after.rules[1].properties == (
        "Title",
        "Price",
        "InStock",
        "Released",
        "Supplier",
        "Code",
        "CategoryID",
    )
    assert made.after.plugins == {"some-plugin": {"Any": "thing"}}
    assert made.after.entity("Products").indexes == (Index(("Price", "Released")),)  # type: ignore[union-attr]
    again = planned(EXAMPLE, made.after, environ=secrets, secrets=made.secrets)  # type: ignore[arg-type]
    assert again.is_empty
    assert again.lines == ()


def test_defaults_of_a_new_definition() -> None:
    """Defaults are: String, no decimals, all records, the settings of the data model, the first report panel."""
    made = change("Entities: [{Name: Items, Properties: [{Name: Text}, {Name: Size, Type: Number}]}]\n").after
    text, size = made.entity("Items").properties[-2:]  # type: ignore[union-attr]
    assert (text.type, text.decimal_places) == (PropertyType.String, None)
    assert size.decimal_places == 0
    fresh = planned("Apilane: 1\nApplication: {Name: Shop}\n").after
    assert (fresh.online, fresh.auth_token_expire_minutes, fresh.max_allowed_file_size_in_kb) == (True, 60, 100)
    assert fresh.reports[0]["Title"] == "User registrations per day"


def test_an_absent_section_is_left_as_it_is() -> None:
    """A manifest with only the name changes nothing."""
    made = change("")
    assert made.is_empty
    assert made.migration is None


def test_an_absent_key_keeps_what_exists_and_an_empty_list_removes() -> None:
    """Keys that an item omits keep their values; ``[]`` removes the items."""
    kept = change(
        "Entities: [{Name: Categories},\n"
        "  {Name: Products, Properties: [{Name: Title}, {Name: Price}, {Name: CategoryID}]}]\n"
    )
    assert kept.is_empty
    emptied = change(
        "Entities: [{Name: Categories}, {Name: Products, Constraints: [], Indexes: [], DefaultOrder: []}]\n"
    )
    assert shown(emptied) == [
        '~ Entities[Products].DefaultOrder: [{"Property":"Title","Direction":"ASC"}] -> []',
        '~ Entities[Products].Indexes: [{"Properties":["Price","Title"]}] -> []',
        "- Entities[Products].Constraints[Unique Title]",
        "- Entities[Products].Constraints[ForeignKey CategoryID]",
    ]
    assert not emptied.loses_data


def test_what_is_no_longer_listed_is_removed_with_all_that_names_it() -> None:
    """Removing an entity or property also removes its constraints, orders, indexes and rules, and needs consent."""
    made = change("Entities: [{Name: Products, Properties: [{Name: Price}, {Name: CategoryID}]}]\n")
    assert shown(made) == [
        '~ Entities[Products].DefaultOrder: [{"Property":"Title","Direction":"ASC"}] -> []',
        '~ Entities[Products].Indexes: [{"Properties":["Price","Title"]}] -> []',
        "- Entities[Products].Properties[Title]: with all its values !",
        "- Entities[Products].Constraints[Unique Title]",
        "- Entities[Products].Constraints[ForeignKey CategoryID]",
        "- Entities[Categories]: with all its records !",
        '~ Security[Products ANONYMOUS get].Properties: ["Title","Price"] -> ["Price"]',
        "- Security[Categories ANONYMOUS get]",
    ]
    assert made.after.entity("Users") is not None


@pytest.mark.parametrize(
    "property",
    [
        "{Name: Title, Maximum: 99}",
        "{Name: Title, Maximum: 101}",
        "{Name: Title, Maximum: null}",
        "{Name: Title, Minimum: 1}",
        "{Name: Title, Required: true}",
        "{Name: Title, Description: x}",
        "{Name: Title, ValidationRegex: x}",
    ],
)
def test_changed_rules_of_a_property_lose_nothing(property: str) -> None:
    """A rule that stored values do not fit is refused, so no change of a rule needs consent."""
    made = change(
        "Entities: [{Name: Categories},\n"
        f"  {{Name: Products, Properties: [{property}, {{Name: Price}}, {{Name: CategoryID}}]}}]\n"
    )
    assert len(made.lines) == 1
    assert not made.loses_data


def test_fewer_decimals_lose_nothing() -> None:
    """Fewer DecimalPlaces are refused where stored values have more, so they need no consent."""
    for places in (1, 3):
        price = f"{{Name: Price, DecimalPlaces: {places}}}"
        listed = f"[{{Name: Title}}, {price}, {{Name: CategoryID}}]"
        text = f"Entities: [{{Name: Categories}}, {{Name: Products, Properties: {listed}}}]\n"
        assert not change(text).loses_data


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        (
            "Application: {Name: Shop, StorageProvider: MySQL}",
            "Application.StorageProvider",
            "cannot change from SQLite",
        ),
        ("Application: {Name: Shop, DifferentiationEntity: Co}", "Application.DifferentiationEntity", "cannot change"),
        (
            "Application: {Name: Shop}\nEntities: [{Name: Products, Differentiation: true}]",
            "Entities[Products].Differentiation",
            "cannot change",
        ),
        (
            "Application: {Name: Shop}\nEntities: [{Name: Products, Properties: [{Name: Title, Type: Number}]}]",
            "Entities[Products].Properties[Title].Type",
            "cannot change from String to Number",
        ),
        (
            "Application: {Name: Shop}\nEntities: [{Name: Products, Properties: [{Name: Title, Encrypted: true}]}]",
            "Entities[Products].Properties[Title].Encrypted",
            "cannot change",
        ),
        (
            "Application: {Name: Shop}\nEntities: [{Name: Products, Properties: [{Name: title}]}]",
            "Entities[Products].Properties[title].Name",
            "exists as Title",
        ),
    ],
)
def test_refused_changes(text: str, key: str, message: str) -> None:
    """A change that existing applications cannot have is an error with its place."""
    [error] = errors_of("Apilane: 1\n" + text, planned(BASE).after)
    assert error.key == key
    assert message in error.message


def test_a_rename_moves_along_what_names_it() -> None:
    """RenamedFrom keeps the data and renames the item in constraints, orders, indexes, rules and reports."""
    text = """
Entities:
  - {Name: Kinds, RenamedFrom: Categories, Properties: [{Name: Label, RenamedFrom: Title}]}
  - Name: Goods
    RenamedFrom: Products
    Properties: [{Name: Label, RenamedFrom: Title}, {Name: Price}, {Name: KindID, RenamedFrom: CategoryID}]
"""
    made = change(text)
    assert made.migration is not None
    assert made.migration.renames.entities == {"Kinds": "Categories", "Goods": "Products"}
    assert made.migration.renames.properties == {
        ("Kinds", "Label"): "Title",
        ("Goods", "Label"): "Title",
        ("Goods", "KindID"): "CategoryID",
    }
    assert not made.loses_data
    assert all(line.kind == "changed" for line in made.lines)
    goods = made.after.entity("Goods")
    assert goods is not None
    assert goods.default_order == (SortKey("Label"),)
    assert goods.indexes == (Index(("Price", "Label")),)
    foreign_key = goods.constraints[-1]
    assert (foreign_key.property, foreign_key.entity, foreign_key.on_delete) == ("KindID", "Kinds", OnDelete.SetNull)  # type: ignore[union-attr]
    assert made.after.rules[0].name == "Goods"
    assert made.after.rules[0].properties == ("Label", "Price")
    series = made.after.reports[0]["Series"][0]
    assert (series["Entity"], series["GroupBy"]) == ("Goods", "Created.year,Label")
    assert change(text, made.after).is_empty


def test_conditions_follow_renames() -> None:
    """A renamed property keeps its place in conditions; a dropped one that a condition names is refused."""
    where = "{Logic: OR, Filters: [{Property: Price, Operator: less, Value: 5}]}"
    rules = f"Security: [{{Entity: Goods, Role: editor, Action: get, Properties: [Price], Where: {where}}}]\n"
    head = "Apilane: 1\nApplication: {Name: Shop}\n"
    before = planned(head + "Entities: [{Name: Goods, Properties: [{Name: Price, Type: Number}]}]\n" + rules).after
    renamed = head + "Entities: [{Name: Goods, Properties: [{Name: Cost, RenamedFrom: Price, Type: Number}]}]\n"
    [rule] = planned(renamed, before).after.rules
    assert rule.where == '{"Logic":"OR","Filters":[{"Property":"Cost","Operator":"less","Value":5}]}'
    dropped = head + "Entities: [{Name: Goods, Properties: [{Name: Stock, Type: Number}]}]\n" + rules
    assert any("Price" in error.message for error in errors_of(dropped, None))


def test_renames_that_cannot_be() -> None:
    """A rename is an error when both names exist, or when two items claim one old name."""
    before = planned(BASE).after
    head = "Apilane: 1\nApplication: {Name: Shop}\n"
    [error] = errors_of(head + "Entities: [{Name: Products, RenamedFrom: Categories}]\n", before)
    assert "both Categories and Products exist" in error.message
    [error] = errors_of(
        head + "Entities: [{Name: Alpha, RenamedFrom: Products}, {Name: Beta, RenamedFrom: Products}]\n", before
    )
    assert "renamed twice" in error.message
    [error] = errors_of(head + "Entities: [{Name: Alpha, RenamedFrom: Products}, {Name: Products}]\n", before)
    assert "Products is renamed and listed as well" in error.message
    exchanged = "Entities: [{Name: Categories, RenamedFrom: Products}, {Name: Products, RenamedFrom: Categories}]\n"
    assert any("third name" in error.hint for error in errors_of(head + exchanged, before))


@pytest.mark.better("B-D3")
def test_every_property_is_written_out_without_secrets() -> None:
    """``*`` becomes the properties that get may read, or post and put may write, without Password and Token."""
    rules = "".join(
        f"  - {{Entity: {entity}, Role: editor, Action: {action}, Properties: '*'}}\n"
        for entity, action in (
            ("Users", "get"),
            ("Users", "put"),
            ("AuthTokens", "get"),
            ("Products", "get"),
            ("Products", "put"),
        )
    )
    users_get, users_put, tokens, products_get, products_put = (
        r.properties for r in change("Security:\n" + rules).after.rules
    )
    assert users_get == ("ID", "Email", "Username", "Created", "LastLogin", "EmailConfirmed", "Roles")
    assert users_put == ("Email", "Username", "Roles")
    assert tokens == ("ID", "Owner", "Created")
    assert products_get == ("ID", "Owner", "Created", "Title", "Price", "CategoryID")
    assert products_put == ("Title", "Price", "CategoryID")


def test_names_are_found_in_any_case_and_stored_as_they_are_spelled() -> None:
    """Rules, constraints and reports may write names in another letter case; the stored spelling is the entity's."""
    made = change("Security: [{Entity: products, Role: editor, Action: get, Properties: [TITLE, id]}]\n")
    assert made.after.rules[0].name == "Products"
    assert made.after.rules[0].properties == ("Title", "ID")


def test_the_order_of_a_list_is_no_change() -> None:
    """Another order of entities, properties, rules or endpoints is not a change."""
    made = change(
        "Entities: [{Name: Products, Properties: [{Name: CategoryID}, {Name: Price}, {Name: Title}]},\n"
        "  {Name: Categories}]\n"
        "Security:\n  - {Entity: Categories, Role: ANONYMOUS, Action: get, Properties: '*'}\n"
        "  - {Entity: Products, Role: ANONYMOUS, Action: get, Properties: [Title, Price]}\n"
    )
    assert made.is_empty


def test_system_entities_stay_and_take_what_they_may() -> None:
    """Users accepts properties, tracking and constraints; a list without the system entities leaves them unchanged."""
    made = change(
        "Entities: [{Name: Categories}, {Name: Products},\n"
        "  {Name: Users, ChangeTracking: false, Properties: [{Name: Nick}],\n"
        "   Constraints: [{Type: Unique, Properties: [Nick]}]}]\n"
    )
    users = made.after.entity("Users")
    assert users is not None
    assert not users.change_tracking
    assert len([c for c in users.constraints if c.is_system]) == 2
    assert not made.loses_data
    later = change("Entities: [{Name: Categories}, {Name: Products}]\n", made.after)
    assert later.is_empty
    assert change(
        "Entities: [{Name: Categories}, {Name: Products}, {Name: Users, Properties: []}]\n", made.after
    ).loses_data


def test_a_stored_secret_stays_without_its_variable() -> None:
    """A reference to a missing variable keeps the stored secret; the same value again is not a change."""
    text = "Mail: {Server: s, Password: '${PW}'}"
    manifest = f"Apilane: 1\nApplication: {{Name: Shop, {text}}}\n"
    made = planned(manifest, environ={"PW": "one"})
    assert made.secrets == {"mail_password": "one"}
    assert planned(manifest, made.after, secrets={"mail_password": "one"}).is_empty
    assert planned(manifest, made.after, environ={"PW": "one"}, secrets={"mail_password": "one"}).is_empty
    changed = planned(manifest, made.after, environ={"PW": "two"}, secrets={"mail_password": "one"})
    assert shown(changed) == ["~ Application.Mail.Password: a secret, not shown"]
    assert errors_of(manifest, made.after)


def test_secrets_are_never_exported() -> None:
    """The export has references instead of secrets, and applying it changes nothing."""
    secrets = {"connection_string": "mysql://u:hunter2@h/d", "mail_password": "hunter3"}
    environ = {"SHOP_DB": secrets["connection_string"], "SHOP_MAIL_PASSWORD": secrets["mail_password"]}
    made = planned(EXAMPLE, environ=environ)
    for format in ("yaml", "json"):
        text = export_manifest(made.after, format, secrets=secrets)  # type: ignore[arg-type]
        assert "hunter" not in text
        assert "${SHOP_CONNECTION_STRING}" in text
        assert planned(text, made.after, filename=f"a.{format}", secrets=secrets).is_empty


def test_the_export_follows_the_order_of_the_specification() -> None:
    """Sections and keys of the export have the documented order; a system entity with default values is omitted."""
    document = json.loads(export_manifest(planned(SHOP, filename="shop.json").after, "json"))
    assert list(document) == [
        "Apilane",
        "Application",
        "Entities",
        "Security",
        "CustomEndpoints",
        "Reports",
        "EmailTemplates",
        "Collaborators",
        "Plugins",
    ]
    assert [entity["Name"] for entity in document["Entities"]] == ["Users", "Categories", "Products", "Notes"]
    assert list(document["Entities"][2]) == ["Name", "ChangeTracking", "DefaultOrder", "Properties", "Constraints"]


def test_reports_and_templates_are_kept() -> None:
    """Sections of missing plugins are stored as written."""
    made = change("EmailTemplates: [{Event: UserForgotPassword, Subject: Hi}]\nReports: []\n")
    assert made.after.reports == ()
    assert made.after.email_templates[0].subject == "Hi"


def test_doubtful_addresses_get_a_warning() -> None:
    """An entry with host bits, or one that is no address, is accepted, and the plan says what it means."""
    doubtful = {
        "203.0.113.5/24": "means all addresses of 203.0.113.0/24; write 203.0.113.0/24, or 203.0.113.5 for one address",
        "::ffff:10.0.0.5/104": "means all addresses of 10.0.0.0/8; "
        "write 10.0.0.0/8, or ::ffff:10.0.0.5 for one address",
        "2001:db8::1/32": "means all addresses of 2001:db8::/32; write 2001:db8::/32, or 2001:db8::1 for one address",
    }
    addresses = json.dumps([*doubtful, "203.0.113.0/24", "::1", "10.0.0.1/32", "::ffff:127.0.0.1"])
    made = planned(f"Apilane: 1\nApplication: {{Name: Shop, IPPolicy: {{Addresses: {addresses}}}}}\n")
    expected = [f"! Application.IPPolicy.Addresses: {text} {advice}" for text, advice in doubtful.items()]
    assert [str(line) for line in made.lines if line.kind == "warning"] == expected
