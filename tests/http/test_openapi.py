"""The OpenAPI document of an application: it has every call, shows what its caller may do, and is true."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import httpx
import pytest

from apilane.app import create_app
from apilane.plugin.access import CustomEndpoint, Program
from apilane.settings import Settings
from apilane.testing.client import Client, WireError, error_of
from tests.http.conftest import AsOperator, NewClient
from tests.http.test_routes import MANIFEST as ROUTES
from tests.http.test_routes import calls, title
from tests.manifests import SHOP, read_manifest


def document_of(client: Client, **query: str) -> dict[str, Any]:
    """The document for a client."""
    answer = client.http.get(f"{client.url}/openapi.json", params=query, headers=client.headers())
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def listed(document: dict[str, Any]) -> set[str]:
    """``GET /api/Data/Get`` and so on."""
    return {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}


def schema_of(document: dict[str, Any], name: str) -> dict[str, Any]:
    """A named schema."""
    found: dict[str, Any] = document["components"]["schemas"][name]
    return found


def references(value: Any) -> set[str]:
    """Every reference in a document."""
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(references, value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


@pytest.mark.parametrize("call", calls(), ids=title)
def test_no_call_is_forgotten(call: Any) -> None:
    """Every call of the core and of the shipped plugins has a description with a summary."""
    assert call.description is not None, f"add description=CallDescription(...) to {title(call)}"
    assert call.description.summary


def test_every_route_is_in_a_document(new_application: NewClient, as_operator: AsOperator) -> None:
    """Each declared route is in the document of an operator, a user or an anonymous caller, unless it is unlisted."""
    manifest = deepcopy(ROUTES)
    manifest["CustomEndpoints"][0]["Methods"] = ["GET", "POST"]
    client = new_application(manifest)
    user = client.signed_in("reader")
    found = set().union(*(listed(document_of(each)) for each in (client, user, as_operator(client))))
    for call in calls():
        is_for_programs = isinstance(call.access, Program)  # with a scope
        if call.description is not None and call.description.listed and not is_for_programs:
            path = call.path + ("Titles" if isinstance(call.access, CustomEndpoint) else "")
            assert f"{call.method} {path}" in found
    assert not any("Degenerate" in each for each in found)


def test_the_document_depends_on_the_caller(new_application: NewClient, as_operator: AsOperator) -> None:
    """A caller reads its own calls, entities and properties, and those of no other role."""
    client = new_application(read_manifest(SHOP))
    anonymous, user = document_of(client), document_of(client.signed_in("maria"))
    operator = document_of(as_operator(client))
    assert "POST /api/Data/Post" not in listed(anonymous)
    assert {"POST /api/Data/Post", "GET /api/Account/UserData"} <= listed(user)
    assert "GET /api/Application/Export" in listed(operator) - listed(user)
    (entity,) = (each for each in anonymous["paths"]["/api/Data/Get"]["get"]["parameters"] if each["name"] == "entity")
    assert entity["schema"]["enum"] == ["Categories", "Products"]
    assert "Notes.Record" not in anonymous["components"]["schemas"]
    assert "Supplier" not in schema_of(anonymous, "Products.Record")["properties"]
    assert "Supplier" in schema_of(user, "Products.Record")["properties"]
    assert "Only the records of the caller." in schema_of(user, "Notes.Record")["description"]
    assert "ID" not in schema_of(user, "Products.New")["properties"]
    assert schema_of(user, "Products.Changed")["required"] == ["ID"]
    assert schema_of(operator, "User")["properties"]["Password"]["type"] == "null"


def test_references_lead_to_schemas(shop: Client, as_operator: AsOperator) -> None:
    """Every reference in a document has its schema, and operation IDs are unique."""
    for client in (shop, as_operator(shop)):
        document = document_of(client)
        names = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
        assert references(document) <= names
        ids = [each["operationId"] for methods in document["paths"].values() for each in methods.values()]
        assert len(ids) == len(set(ids))


def test_limits_and_endpoints_are_described(new_application: NewClient) -> None:
    """Rate limits are text, and parameters of SQL endpoints have their types."""
    manifest = read_manifest(SHOP)
    query = "SELECT [Title] FROM [Products] WHERE [Title] = {Text} AND [Price] < {Most} AND [Owner] = {Owner}"
    endpoint = {"Name": "Search", "Query": query, "Parameters": {"Text": "String"}, "Methods": ["GET", "POST"]}
    manifest["CustomEndpoints"].append(endpoint)
    manifest["Security"].append(
        {"CustomEndpoint": "Search", "Role": "ANONYMOUS", "RateLimit": {"MaxRequests": 5, "Per": "Hour"}}
    )
    document = document_of(new_application(manifest))
    assert "- Products: at most 100 calls per minute" in document["paths"]["/api/Data/Get"]["get"]["description"]
    search = document["paths"]["/api/Custom/Search"]
    types = {each["name"]: each["schema"]["type"] for each in search["get"]["parameters"]}
    assert types == {"Text": "string", "Most": "integer"}
    assert search["get"]["description"] == "Limit: at most 5 calls per hour for each caller."
    body = search["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert set(body["properties"]) == {"Text", "Most"}


def test_rules_of_properties_are_described(shop: Client) -> None:
    """A sent record has the bounds of its properties, and the record that is read has only their types."""
    document = document_of(shop.signed_in("rules"))
    sent, read = schema_of(document, "Products.New"), schema_of(document, "Products.Record")
    assert read["required"] == ["ID"]
    assert not read["additionalProperties"]
    assert sent["properties"]["Title"]["minLength"] == 2
    assert "Title" in sent["required"]
    assert not any("minLength" in each or "maximum" in each for each in read["properties"].values())
    assert read["properties"]["Released"]["type"] == ["integer", "null"]


def test_examples_are_accepted(shop: Client, lab: Client) -> None:
    """The example of a new record can be sent as it is, and the example of a new user registers one."""
    user = shop.signed_in("examples")
    category = user.add("Categories", {"Title": "Books"})
    document = document_of(user)
    for name in ("Categories", "Products", "Notes"):
        (example,) = schema_of(document, f"{name}.New")["examples"]
        for key in {"CategoryID"} & example.keys():
            example[key] = category[0]
        assert user.post("Data/Post", example, entity=name).status_code == 200, (name, example)
    (example,) = schema_of(document, "NewUser")["examples"]
    assert shop.post("Account/Register", example).status_code == 200
    document = document_of(lab)
    for name, schema in document["components"]["schemas"].items():
        if name.endswith(".New") and not name.startswith("Files") and "examples" in schema:
            answer = lab.post("Data/Post", schema["examples"][0], entity=name.removesuffix(".New"))
            assert answer.status_code == 200 or error_of(answer).code == "FOREIGN_KEY_CONSTRAINT_VIOLATION"


def test_a_document_is_read_once(shop: Client) -> None:
    """The ETag stays the same until the application or the caller's roles change, and 304 saves the body."""
    url = f"{shop.url}/openapi.json?appToken={shop.token}"
    first = shop.http.get(url)
    assert first.headers["content-type"] == "application/json; charset=utf-8"
    assert "authorization" in first.headers["vary"]
    assert first.headers["cache-control"] == "private, no-cache"
    again = shop.http.get(url, headers={"If-None-Match": f'"x", W/{first.headers["etag"]}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    user = shop.http.get(url, headers=shop.signed_in("etag").headers())
    assert user.headers["etag"] != first.headers["etag"]


def test_a_change_is_seen(server: Any, new_application: NewClient, http: httpx.Client) -> None:
    """A new version of the application has a new document within the time of any other change."""
    manifest = read_manifest(SHOP)
    client = new_application(manifest)
    before = document_of(client)
    changed = deepcopy(manifest)
    changed["Application"]["Token"] = client.token
    changed["Entities"][-1]["Properties"].append({"Name": "Colour"})
    changed["Security"].append({"Entity": "Notes", "Role": "ANONYMOUS", "Action": "get", "Properties": ["Colour"]})
    server.apply(changed)
    for _ in range(200):
        after = document_of(client)
        if after["info"]["version"] != before["info"]["version"]:
            break
        client.get("Data/Get", entity="Categories")
    assert "Colour" in schema_of(after, "Notes.Record")["properties"]


def test_admission_applies(shop: Client, new_application: NewClient) -> None:
    """The document needs a known application that is online; wrong credentials get what the role ANONYMOUS may do."""
    get = shop.http.get
    assert error_of(get(f"{shop.url}/openapi.json")).code == "ERROR"
    assert error_of(get(f"{shop.url}/openapi.json?appToken=no-guid")) == WireError("ERROR", "Something went wrong")
    offline = new_application(read_manifest(SHOP), Online=False)
    assert error_of(get(f"{shop.url}/openapi.json", headers=offline.headers())).code == "SERVICE_UNAVAILABLE"
    wrong = shop.as_user("11111111-2222-3333-4444-555555555555")
    assert document_of(wrong) == document_of(shop.as_user(None))
    older = get(f"{shop.url}/swagger/v1/swagger.json?appToken={shop.token}")
    assert older.json() == document_of(shop.as_user(None))


def test_registration_that_is_not_allowed(new_application: NewClient) -> None:
    """Register is in the document only where users may register."""
    client = new_application(read_manifest(SHOP), AllowUserRegister=False)
    assert "POST /api/Account/Register" not in listed(document_of(client))


def test_hostile_texts_are_only_texts(new_application: NewClient) -> None:
    """Names and descriptions with mark-up are JSON texts, and patterns that scripts refuse are left out."""
    manifest = read_manifest(SHOP)
    evil = '</script><img src=x onerror=alert(1)>"\\\u2028{{7*7}}'
    manifest["Entities"][-1]["Description"] = evil
    patterns = ["(a+)+$", "(?i)abc", r"\A\p{L}+\z", "[", "x" * 900]
    manifest["Entities"][-1]["Properties"] += [
        {"Name": f"Text{'abcde'[place]}", "Description": evil, "ValidationRegex": pattern}
        for place, pattern in enumerate(patterns)
        if pattern != "["
    ]
    for action in ("get", "post"):
        rule = {"Entity": "Notes", "Role": "ANONYMOUS", "Action": action, "Properties": "*"}
        manifest["Security"].append(rule)
    client = new_application(manifest, Name="<b>Shop</b> & 'co'")
    answer = client.http.get(f"{client.url}/openapi.json", headers=client.headers())
    assert answer.headers["x-content-type-options"] == "nosniff"
    document = answer.json()
    assert document["info"]["title"] == "<b>Shop</b> & 'co'"
    new = schema_of(document, "Notes.New")
    assert evil.strip() in new["description"]
    assert {name for name, each in new["properties"].items() if "pattern" in each} == {"Texta"}


def test_selected_entities(shop: Client) -> None:
    """The parameter ``entities`` selects entities; unknown ones and those of other callers are left out."""
    document = document_of(shop, entities="products,Notes,nonsense,../x")
    records = {name for name in document["components"]["schemas"] if name.endswith(".Record")}
    assert records == {"Products.Record"}
    assert "1 more entities are not described" in document["info"]["description"]


def test_a_plugin_cannot_take_the_address(tmp_path: Path) -> None:
    """A plugin's page at the address of the document stops start-up."""
    plugin = tmp_path / "taker.py"
    plugin.write_text(
        "from litestar import get\nfrom apilane.plugin import Open, Page, hookimpl\n"
        "@get('/openapi.json', sync_to_thread=False)\ndef page() -> str:\n    return ''\n"
        "@hookimpl\ndef apilane_register_routes():\n    return [Page(page, Open())]\n",
        encoding="utf-8",
    )
    with pytest.raises(Exception, match=r"the path /openapi\.json is used by the server"):
        create_app(Settings(data_dir=tmp_path / "data", plugins_dir=tmp_path))
