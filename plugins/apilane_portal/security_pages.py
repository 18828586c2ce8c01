"""The rules as a matrix of items and roles, the form of one cell, and "see as"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from litestar import get, post
from litestar.params import FromPath
from msgspec import Struct

from apilane.plugin import ApplicationDefinition, Entity
from apilane.plugin.manage import ApplicationManagement, ManagementPage, Permission, PortalPage, Subject
from apilane_portal.review import refuse, review_part
from apilane_portal.site import Answer, Web, guarded, render

__all__ = ["security_pages"]

EVERYBODY: Final = ("ANONYMOUS", "AUTHENTICATED")
LETTERS: Final = {"get": "R", "post": "C", "put": "U", "delete": "D"}
ACTIONS: Final = {"Users": ("get", "put", "delete"), "Files": ("get", "post", "delete"), "AuthTokens": ("get",)}
ROWS_SHOWN: Final = 5


class Item(Struct, frozen=True):
    """A row of the matrix. ``kind``: Entity, CustomEndpoint or Schema."""

    kind: str
    name: str
    actions: tuple[str, ...]
    properties: tuple[str, ...] = ()


def items_of(definition: ApplicationDefinition) -> list[Item]:
    """Everything that rules grant access to."""
    ordered = sorted(definition.entities, key=lambda entity: entity.is_system)
    return [
        *(Item("Entity", each.name, _actions(each), tuple(p.name for p in each.properties)) for each in ordered),
        *(Item("CustomEndpoint", each.name, ("get",)) for each in definition.custom_endpoints),
        Item("Schema", "Schema", ("get",)),
    ]


def _actions(entity: Entity) -> tuple[str, ...]:
    return ACTIONS.get(entity.name, tuple(LETTERS)) if entity.is_system else tuple(LETTERS)


def roles_of(definition: ApplicationDefinition, extra: str = "") -> list[str]:
    """The roles of the rules, and one that the reader typed."""
    own = {rule.role for rule in definition.rules} - set(EVERYBODY)
    return [*EVERYBODY, *sorted(own | ({extra} if extra and extra not in EVERYBODY else set()))]


@get("/apps/{token:str}/security")
async def security(token: FromPath[str], request: Web, management: ManagementPage) -> Answer:
    """The matrix; with ``item`` and ``role`` in the address one cell beside it, with ``as`` the rights of a caller."""

    async def work() -> Answer:
        application = await management.application(token)
        definition, query = application.definition, request.query_params
        role, item = query.get("role", "")[:100], query.get("item", "")
        items, roles = items_of(definition), roles_of(definition, role)
        chosen = next((each for each in items if f"{each.kind}:{each.name}" == item), None)
        rules = {(rule.kind.value, rule.name, rule.role, rule.action.value): rule for rule in definition.rules}
        return await render(
            "security.html",
            management,
            title="Security",
            application=application,
            here="security",
            items=items,
            roles=roles,
            rules=rules,
            letters=LETTERS,
            chosen=chosen if role else None,
            role=role,
            seen=await _seen(application, query.get("as", "")),
            can_edit=application.may(Permission.manage_access),
        )

    return await guarded(management, work)


async def _seen(application: ApplicationManagement, text: str) -> dict[str, Any] | None:
    """The rights of a role (``editor``), or of a user (``user 3``), with some of the records that it gets."""
    if not text:
        return None
    id = text.removeprefix("user ").strip()
    is_user = text.startswith("user ") and id.isdecimal() and len(id) < 18
    subject = Subject(user_id=int(id)) if is_user else Subject(role=text[:100])
    rights = await application.rights(subject)
    rights = sorted(rights, key=lambda right: not any(grant.granted for grant in right.grants))
    samples: dict[str, Any] = {}
    if application.may(Permission.view_data):
        records = await application.records_of(subject)
        for right in rights:
            grant = next((each for each in right.grants if each.action == "get"), None)
            if right.kind == "Entity" and grant is not None and grant.granted:
                samples[right.name] = (await records.list(right.name, page_size=ROWS_SHOWN)).records
    return {"name": text, "rights": rights, "samples": samples}


@post("/apps/{token:str}/security", status_code=200)
async def change_security(token: FromPath[str], request: Web, management: ManagementPage) -> Answer:
    """Review or apply the rules of one cell."""
    needs = Permission.manage_access
    return await review_part(request, management, token, change, needs=needs, part="security")


def change(document: dict[str, Any], fields: Mapping[str, str]) -> None:
    """Replace the rules of one item and role. Conditions of rules that stay are kept."""
    kind, _, name = fields.get("item", "").partition(":")
    role = fields.get("role", "").strip()
    if kind not in {"Entity", "CustomEndpoint", "Schema"} or not role:
        raise refuse("Choose an item and a role.")
    rules: list[dict[str, Any]] = document.setdefault("Security", [])
    subject = True if kind == "Schema" else name
    for action in LETTERS if kind == "Entity" else ("get",):
        old = next((each for each in rules if _is(each, kind, subject, role, action)), None)
        if not fields.get(f"on.{action}"):
            if old is not None:
                rules.remove(old)
            continue
        if old is None:
            old = {kind: subject, "Role": role, **({"Action": action} if kind == "Entity" else {})}
            rules.append(old)
        if kind == "Entity":
            old["Record"] = "Owned" if fields.get(f"record.{action}") == "Owned" else "All"
            if action != "delete":
                old["Properties"] = [each for each in fields.get(f"properties.{action}", "").split(",") if each]
        _set_limit(old, fields.get(f"limit.{action}", "").strip(), fields.get(f"per.{action}", "Minute"))


def _set_limit(rule: dict[str, Any], text: str, unit: str) -> None:
    rule.pop("RateLimit", None)
    if not text:
        return
    if not text.isdecimal() or len(text) > 9:
        raise refuse(f"The limit is {text}; expected a whole number of requests, or nothing.")
    rule["RateLimit"] = {"MaxRequests": int(text), "Per": unit}


def _is(rule: Mapping[str, Any], kind: str, subject: object, role: str, action: str) -> bool:
    is_action = kind != "Entity" or rule.get("Action") == action
    return rule.get(kind) == subject and rule.get("Role") == role and is_action


def security_pages() -> list[PortalPage]:
    """The pages."""
    return [PortalPage(security), PortalPage(change_security)]
