"""One operation of the document for each wire call that the caller may use, made from the declared routes."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from apilane.model.definition import Action
from apilane.plugin.access import Account, CustomEndpoint, Data, Operator, PerOperation, Program, Schema
from apilane.plugin.calls import WireCall
from apilane.plugin.descriptions import CallDescription, DescribedKind, EndpointDescription, Parameter, list_of
from apilane.plugin.identity import Actor
from apilane.runtime.application import ApplicationRuntime
from apilane.web.openapi.common import APPLICATION, OPERATOR, USER
from apilane.web.openapi.parts import (
    about,
    entity_parameter,
    limit_note,
    limits,
    parameter,
    request_body,
    responses,
    with_record,
)
from apilane.web.openapi.records import component_name
from apilane.web.openapi.rights import EndpointRights, EntityRights, Rights
from apilane.web.openapi.types import Schemas, safe_name

__all__ = ["Operation", "Operations"]

GENERAL = {Action.get: "Record", Action.post: "NewRecord", Action.put: "ChangedRecord"}
"""The schemas of records of every entity, by action."""
UNDESCRIBED = CallDescription(summary="")
RESULT_SETS = list_of(list_of({"type": "object", "description": "A row by column."}))
log = logging.getLogger("apilane.web")


class Operation(NamedTuple):
    """An operation with its place in the document."""

    path: str
    method: str
    content: dict[str, Any]


class _Parts(NamedTuple):
    """What differs between operations."""

    parameters: list[dict[str, Any]]
    notes: list[str]
    body: Mapping[str, Any]
    answer: Mapping[str, Any]


class Operations:
    """Makes the operations of one document."""

    def __init__(self, application: ApplicationRuntime, actor: Actor, rights: Rights, schemas: Schemas) -> None:
        self._application = application
        self._actor = actor
        self._rights = rights
        self._schemas = schemas

    def of(self, call: WireCall) -> Iterator[Operation]:
        """The operations of a call: none, one, or one for each custom endpoint."""
        described = call.description or UNDESCRIBED
        if not described.listed:
            return
        match call.access:
            case CustomEndpoint(posted=True) if self._actor.kind == "operator":
                name = Parameter(name="name", text="Any name of letters.", example="Try")
                yield self._operation(call, described, call.path + "{name}", in_path=name)
            case CustomEndpoint():
                for granted in self._rights.endpoints:
                    if not call.access.posted or "POST" in granted.endpoint.methods:
                        yield self._endpoint(call, described, granted)
            case _:
                if self._is_usable(call):
                    yield self._operation(call, described, call.path)

    def _is_usable(self, call: WireCall) -> bool:
        actor = self._actor
        match call.access:
            case Data():
                return bool(self._named(call, call.access))
            case Schema():
                return self._rights.schema is not None
            case Account(user=True):
                kinds = ("user", "program") if call.access.programs else ("user",)
                return actor.kind in kinds and actor.user_id is not None
            case PerOperation():
                entities = [each for each in self._rights.entities if not _is_files(each)]
                actions = {action for each in entities for action in each.actions}
                return bool(actions - {Action.get} or self._rights.endpoints)
            case Operator():
                return actor.kind == "operator"
            case Program():
                return actor.kind == "program" and call.access.scope in (actor.scopes or ())
        registers = call.path.lower() == "/api/account/register"
        return not registers or self._application.definition.allow_user_register

    def _named(self, call: WireCall, access: Data) -> list[EntityRights]:
        """The entities on which the caller may do the action of a call."""
        only = access.entity.lower() if access.entity is not None else None
        return [
            each
            for each in self._rights.entities
            if access.action in each.actions
            and (each.entity.name.lower() == only if only else not (call.refuses_files and _is_files(each)))
        ]

    def _operation(
        self, call: WireCall, described: CallDescription, path: str, *, in_path: Parameter | None = None
    ) -> Operation:
        owner = f"Call.{safe_name(path.removeprefix('/api/').replace('/', '_'))}"
        parameters = [parameter(each, self._schemas, owner) for each in described.parameters]
        notes = [described.text] if described.text else []
        body, answer = (self._schemas.of(each, owner) for each in (described.body or {}, described.answer or {}))
        if isinstance(call.access, Data):
            named = self._named(call, call.access)
            notes += limits(named, call.access.action)
            if call.access.entity is None:
                parameters.insert(0, entity_parameter(named))
                record = GENERAL.get(call.access.action)
            else:
                record = component_name(named[0].entity.name, call.access.action)
            body, answer = (with_record(each, record) for each in (body, answer))
        elif isinstance(call.access, Schema):
            notes += limit_note(self._rights.schema[0] if self._rights.schema else None)
        if in_path is not None:
            parameters.insert(0, parameter(in_path, self._schemas, owner) | {"in": "path", "required": True})
        return self._built(call, described, path, _Parts(parameters, notes, body, answer))

    def _endpoint(self, call: WireCall, described: CallDescription, granted: EndpointRights) -> Operation:
        """An operation for a custom endpoint. POST has the parameters in its body."""
        endpoint = granted.endpoint
        found = self._endpoint_description(granted)
        owner = f"Custom.{endpoint.name}"
        notes = [text for text in (endpoint.description, found.text) if text] + limit_note(granted.limit)
        answer = self._schemas.of(RESULT_SETS if found.answer is None else found.answer, owner)
        parameters, body = [parameter(each, self._schemas, owner) for each in found.parameters], {}
        if call.body == "json":
            members = {each.name: self._schemas.of(each.type, owner) | about(each) for each in found.parameters}
            body = {"type": "object", "properties": members}
            body |= (
                {"required": needed} if (needed := [each.name for each in found.parameters if each.required]) else {}
            )
            parameters = []
        summary = CallDescription(summary=f"Run {endpoint.name}", codes=described.codes, statuses=described.statuses)
        return self._built(call, summary, call.path + endpoint.name, _Parts(parameters, notes, body, answer))

    def _endpoint_description(self, granted: EndpointRights) -> EndpointDescription:
        endpoint = granted.endpoint
        kind = self._application.endpoint_kinds.get(endpoint.kind.lower())
        if isinstance(kind, DescribedKind):
            try:
                return kind.describe(endpoint, self._application)
            except Exception:
                log.exception("the kind %r cannot describe the endpoint %s", endpoint.kind, endpoint.name)
        return EndpointDescription()

    def _built(self, call: WireCall, described: CallDescription, path: str, parts: _Parts) -> Operation:
        controller, _, name = path.removeprefix("/api/").partition("/")
        shown: dict[str, Any] = {
            "operationId": f"{call.method.lower()}_{safe_name(controller)}_{safe_name(name.strip('{}'))}",
            "tags": [controller],
            "summary": described.summary or f"{controller} {name}",
        }
        if parts.notes:
            shown["description"] = "\n\n".join(parts.notes)
        if parts.parameters:
            shown["parameters"] = parts.parameters
        if call.body != "none":
            shown["requestBody"] = request_body(call, described, parts.body)
        shown["responses"] = responses(call, described, parts.answer)
        shown["security"] = self._security(call)
        return Operation(path, call.method.lower(), shown)

    def _security(self, call: WireCall) -> list[dict[str, list[str]]]:
        if self._actor.kind == "operator" and not isinstance(call.access, Account):
            return [{APPLICATION: [], USER: [], OPERATOR: []}]
        needs_user = isinstance(call.access, Account) and call.access.user
        if needs_user or self._actor.kind in {"user", "program"}:
            return [{APPLICATION: [], USER: []}]
        return [{APPLICATION: []}]


def _is_files(rights: EntityRights) -> bool:
    return rights.entity.is_system and rights.entity.name == "Files"
