"""Export and apply are inverse, for generated applications."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apilane.model.manifest.write import export_manifest
from apilane.model.plan import Plan, PlanLine
from tests.unit.manifest.cases import planned

_text = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=30)
_tricky = st.sampled_from(
    [
        "no",
        "1e3",
        "0o17",
        "~",
        "null",
        "${X}",
        "$${X}",
        "$$${",
        "a: b",
        "# c",
        "a\nb\n",
        " a ",
        "'",
        '"',
        "- a",
        "\t",
        "\u2028",
        "1:30",
        "=",
        "\x85",
        "é😀",
    ]
)
_texts = _text | _tricky
_names = st.text("abcdefghijklmnopqrstuvwxyzABC_", min_size=4, max_size=12).filter(
    lambda name: (
        name.lower() not in {"schema", "files", "users", "authtokens", "owner", "created"}
        and not name.lower().startswith(("h_", "sqlite_"))
        and not name.endswith(("_Data", "__backup__"))
    )
)
_flags = st.booleans()


def _unique(names: st.SearchStrategy[str], **sizes: int) -> st.SearchStrategy[list[str]]:
    return st.lists(names, unique_by=str.lower, **sizes)


@st.composite
def _properties(draw: st.DrawFn) -> list[dict[str, Any]]:
    made = []
    for name in draw(_unique(_names, max_size=5)):
        item: dict[str, Any] = {"Name": name, "Type": draw(st.sampled_from(["String", "Number", "Boolean", "Date"]))}
        item["Required"] = draw(_flags)
        if draw(_flags):
            item["Description"] = draw(_texts)
        if item["Type"] == "Number":
            item["DecimalPlaces"] = draw(st.integers(0, 8))
            item["Minimum"] = draw(st.none() | st.integers(-(2**63), 0))
        if item["Type"] == "String":
            item["Maximum"] = draw(st.none() | st.integers(1, 5000))
            item["Encrypted"] = draw(_flags)
        made.append(item)
    return made


@st.composite
def _entities(draw: st.DrawFn, tenant: str | None) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    names = draw(_unique(_names.filter(lambda name: name.lower() != (tenant or "").lower()), max_size=4))
    for name in names:
        properties = draw(_properties())
        if tenant:
            properties = [p for p in properties if p["Name"].lower() != f"{tenant}_id".lower()]
        plain = [p["Name"] for p in properties if not p.get("Encrypted")]
        item: dict[str, Any] = {"Name": name, "ChangeTracking": draw(_flags), "Properties": properties}
        item["Differentiation"] = bool(tenant) and draw(_flags)
        if plain:
            item["DefaultOrder"] = [{"Property": draw(st.sampled_from(plain)), "Direction": "DESC"}]
            item["Indexes"] = [{"Properties": plain[:3]}]
            item["Constraints"] = [{"Type": "Unique", "Properties": plain[:2]}]
            for each in properties:
                if each["Type"] == "Number" and not each["DecimalPlaces"]:
                    target = draw(st.sampled_from([*names, "Users", "AuthTokens"]))
                    reference = {"Type": "ForeignKey", "Property": each["Name"], "Entity": target}
                    item["Constraints"].append(reference | {"OnDelete": "Cascade"})
        made.append(item)
    return made


@st.composite
def _applications(draw: st.DrawFn) -> dict[str, Any]:
    tenant = draw(st.none() | st.just("Company"))
    entities = draw(_entities(tenant))
    rules: list[dict[str, Any]] = []
    for entity in entities:
        for action in draw(st.sets(st.sampled_from(["get", "post", "put", "delete"]))):
            rule = {"Entity": entity["Name"], "Role": draw(st.sampled_from(["ANONYMOUS", "editor"])), "Action": action}
            rule |= {"Properties": draw(st.sampled_from(["*", []])), "Record": draw(st.sampled_from(["All", "Owned"]))}
            rules.append(rule | ({"RateLimit": {"MaxRequests": 5, "Per": "Hour"}} if draw(_flags) else {}))
    endpoint_names = _unique(st.text("abcXYZ", min_size=1, max_size=9), max_size=3)
    endpoints = [{"Name": name, "Query": _escaped(draw(_texts.filter(bool)))} for name in draw(endpoint_names)]
    rules += [{"CustomEndpoint": each["Name"], "Role": "AUTHENTICATED"} for each in endpoints]
    for entity in entities:
        for each in entity["Properties"]:
            if "Description" in each:
                each["Description"] = _escaped(each["Description"])
    application = {"Name": "Shop", "DifferentiationEntity": tenant, "Online": draw(_flags)}
    if draw(_flags):
        application["IPPolicy"] = {"Logic": "Allow", "Addresses": ["10.0.0.0/8"]}
    if draw(_flags):
        application["Mail"] = {"Server": _escaped(draw(_texts)), "Port": 25}
    return {
        "Apilane": 1,
        "Application": application,
        "Entities": entities,
        "Security": rules,
        "CustomEndpoints": endpoints,
        "EmailTemplates": [{"Event": "UserForgotPassword", "Content": _escaped(draw(_texts))}],
        "Plugins": {"some-plugin": {"Any": _escaped(draw(_texts))}},
    }


def _escaped(text: str) -> str:
    return text.replace("${", "$${")


def _changes(plan: Plan) -> list[PlanLine]:
    """The lines of a plan without warnings, which stay until the manifest is corrected."""
    return [line for line in plan.lines if line.kind != "warning"]


@given(_applications())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_export_then_apply_changes_nothing(document: dict[str, Any]) -> None:
    """The export of any application reads back as the same, and applying its manifest twice changes nothing."""
    text = msgspec.json.encode(document).decode()
    made = planned(text, filename="a.json")
    again = planned(text, made.after, filename="a.json")
    assert again.is_empty
    assert _changes(again) == []
    for format in ("yaml", "json"):
        exported = export_manifest(made.after, format)  # type: ignore[arg-type]
        read = planned(exported, made.after, filename=f"a.{format}")
        assert _changes(read) == []
        assert read.is_empty
        fresh = planned(exported, filename=f"b.{format}")
        assert fresh.after == made.after
