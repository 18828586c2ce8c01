"""The model: entities with their properties and constraints. Every change shows its plan first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from litestar import get, post
from litestar.params import FromPath

from apilane.plugin.manage import ManagementPage, Permission, PortalPage
from apilane_portal.review import named, refuse, review_part
from apilane_portal.site import Answer, Web, guarded, render

__all__ = ["model_pages"]

Document = dict[str, Any]
Fields = Mapping[str, str]


@get("/apps/{token:str}/model")
async def model(token: FromPath[str], management: ManagementPage) -> Answer:
    """All entities with their properties, and the forms to change them."""

    async def work() -> Answer:
        application = await management.application(token)
        entities = sorted(application.definition.entities, key=lambda entity: entity.is_system)
        return await render(
            "model.html",
            management,
            title="Model",
            application=application,
            here="model",
            entities=entities,
            can_edit=application.may(Permission.edit_definition),
        )

    return await guarded(management, work)


@post("/apps/{token:str}/model", status_code=200)
async def change_model(token: FromPath[str], request: Web, management: ManagementPage) -> Answer:
    """Review or apply one change."""
    needs = Permission.edit_definition
    return await review_part(request, management, token, change, needs=needs, part="model")


def change(document: Document, fields: Fields) -> None:
    """Change the manifest as the form says."""
    made = CHANGES.get(fields.get("change", ""))
    if made is None:
        raise refuse("The form does not say what to change.")
    made(document, fields)


def add_entity(document: Document, fields: Fields) -> None:
    entity: Document = {"Name": fields.get("name", ""), "Properties": []}
    if fields.get("description"):
        entity["Description"] = fields["description"]
    if fields.get("tracking"):
        entity["ChangeTracking"] = True
    document["Entities"].append(entity)


def edit_entity(document: Document, fields: Fields) -> None:
    entity = entity_of(document, fields)
    new = fields.get("name", "")
    if new and new != entity["Name"]:
        entity |= {"Name": new, "RenamedFrom": entity["Name"]}
        for rule in document.get("Security", []):
            if rule.get("Entity") == entity["RenamedFrom"]:
                rule["Entity"] = new
        for other in document["Entities"]:
            for constraint in other.get("Constraints", []):
                if constraint.get("Entity") == entity["RenamedFrom"]:
                    constraint["Entity"] = new
    entity["Description"] = fields.get("description") or None
    entity["ChangeTracking"] = bool(fields.get("tracking"))


def delete_entity(document: Document, fields: Fields) -> None:
    entity = entity_of(document, fields)
    document["Entities"].remove(entity)
    kept = [rule for rule in document.get("Security", []) if rule.get("Entity") != entity["Name"]]
    document["Security"] = kept


def add_property(document: Document, fields: Fields) -> None:
    made: Document = {"Name": fields.get("name", ""), "Type": fields.get("type", "String")}
    for key, field in (("Minimum", "minimum"), ("Maximum", "maximum"), ("DecimalPlaces", "decimals")):
        text = fields.get(field, "").strip()
        if text and not (key == "DecimalPlaces" and made["Type"] != "Number"):
            if not text.lstrip("-").isdecimal() or len(text) > 18:
                raise refuse(f"{key} is {text}; expected a whole number.")
            made[key] = int(text)
    if made["Type"] == "Number":
        made.setdefault("DecimalPlaces", 0)
    for key in ("Description", "ValidationRegex", "Default"):
        if fields.get(key.lower()):
            made[key] = fields[key.lower()]
    for key in ("Required", "Encrypted"):
        if fields.get(key.lower()):
            made[key] = True
    entity_of(document, fields).setdefault("Properties", []).append(made)
    if fields.get("target"):
        constraint = {"Type": "ForeignKey", "Property": made["Name"], "Entity": fields["target"]}
        entity_of(document, fields).setdefault("Constraints", []).append(constraint | {"OnDelete": "NoAction"})


def delete_property(document: Document, fields: Fields) -> None:
    entity, name = entity_of(document, fields), fields.get("property", "")
    entity["Properties"].remove(named(entity.get("Properties", []), name, "property"))
    entity["Constraints"] = [
        each
        for each in entity.get("Constraints", [])
        if each.get("Property") != name and name not in each.get("Properties", [])
    ]
    for rule in document.get("Security", []):
        if rule.get("Entity") == entity["Name"] and isinstance(rule.get("Properties"), list):
            rule["Properties"] = [each for each in rule["Properties"] if each != name]


def add_unique(document: Document, fields: Fields) -> None:
    names = [name for name in fields.get("properties", "").split(",") if name]
    if not names:
        raise refuse("Choose the properties whose values must be unique together.")
    entity_of(document, fields).setdefault("Constraints", []).append({"Type": "Unique", "Properties": names})


def delete_constraint(document: Document, fields: Fields) -> None:
    entity = entity_of(document, fields)
    constraints = entity.get("Constraints", [])
    place = fields.get("place", "")
    if not place.isdecimal() or int(place) >= len(constraints):
        raise refuse("This constraint does not exist any more.")
    del constraints[int(place)]


def entity_of(document: Document, fields: Fields) -> Document:
    """The entity that the form names; a system entity without own parts is added to the manifest."""
    name = fields.get("entity", "")
    if name in {"Users", "Files"} and all(each["Name"] != name for each in document["Entities"]):
        document["Entities"].append({"Name": name})
    return named(document["Entities"], name, "entity")


CHANGES: Mapping[str, Callable[[Document, Fields], None]] = {
    "add-entity": add_entity,
    "edit-entity": edit_entity,
    "delete-entity": delete_entity,
    "add-property": add_property,
    "delete-property": delete_property,
    "add-unique": add_unique,
    "delete-constraint": delete_constraint,
}


def model_pages() -> list[PortalPage]:
    """The pages."""
    return [PortalPage(model), PortalPage(change_model)]
