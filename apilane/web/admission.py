"""Admission: all checks between the request line and the action, for every wire call, in the same order.

The order is: shape, application, signature headers, operator, online, gates, identity, access, rate limit. A call for
operators only refuses other callers at the check of the operator, and when the application is unknown. See
docs/reference/protocol/errors.md B-E7 and ``docs/explanation/request-path.md``. A route declares its requirements
(``apilane.plugin.access``).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import get_args

from apilane.control.operator_tokens import SignedIn
from apilane.errors import ApilaneError, Code, OperatorsOnlyError, unauthorized
from apilane.instance import Instance
from apilane.model.definition import Action, Endpoint, RuleKind
from apilane.model.hints import choice, near
from apilane.plugin.access import (
    Access,
    Account,
    CustomEndpoint,
    Data,
    Open,
    Operator,
    PerOperation,
    Program,
    Schema,
    permission_for,
)
from apilane.plugin.calls import WireCall
from apilane.plugin.identity import Actor, ActorKind
from apilane.runtime.access import AccessPlan
from apilane.runtime.application import EntityRuntime
from apilane.runtime.operators import NOTHING, permissions_in
from apilane.security.signatures import SIGNATURE_HEADER, check_signature_headers
from apilane.security.tokens import bearer_token
from apilane.services.endpoints import action_of, find_endpoint
from apilane.storage.errors import StorageError
from apilane.web.bodies import Bodies, announces_body
from apilane.web.call import Call
from apilane.web.client_addresses import client_addresses
from apilane.web.limits import Count, count

__all__ = ["USE_FILES", "Admission", "grant_entity", "grant_name"]

NO_TOKEN = "Query parameter 'appToken' or Header 'x-application-token' is required!"  # noqa: S105 -- a message
USE_FILES = "Use 'Files' controller to access files. Refer to API Documentation for more info."
NOT_SIGNABLE = "Request signing is not supported for file uploads."
ACTOR_KINDS = frozenset(get_args(ActorKind))
STATS = "/api/stats"
"""Calls that name no entity get the message of an unknown one there (docs/reference/protocol/errors.md section 3.1)."""
JSON_TYPES = ("application/json", "text/json")

log = logging.getLogger("apilane.web")


class Admission:
    """Admits calls of one instance."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self.bodies = Bodies(instance.settings)
        self.client_address = client_addresses(instance.settings.trusted_proxies)
        authenticators = instance.hooks.authenticators
        self._signed = tuple(a for a in authenticators if a.scheme == "signature")
        self._unsigned = tuple(a for a in authenticators if a.scheme not in {"signature", "query"})
        self._bare = tuple(a for a in authenticators if a.scheme not in {"signature", "bearer"})

    async def admit(self, call: Call, route: WireCall) -> None:
        """Return when the call is admitted; raise ``ApilaneError`` or ``StorageError`` otherwise.

        One long function, because separate functions would add a Python call per step to every request.
        """
        headers, query = call.headers, call.query
        is_signed = SIGNATURE_HEADER in headers
        if is_signed and b"content-type" in headers and _is_multipart(headers):
            raise ApilaneError(Code.UNAUTHORIZED, NOT_SIGNABLE)
        if route.refuses_files and query.get("entity", "").lower() == "files":
            raise ApilaneError(Code.ERROR, USE_FILES)
        if route.body == "json":
            check_content_type(headers)
        elif route.body == "multipart" and not _is_multipart(headers):
            raise ApilaneError(Code.ERROR, "Unsupported Media Type: send multipart/form-data", status=415)
        header = headers.get(b"x-application-token")
        token = header.decode("latin-1") if header else query.get("apptoken")
        access = route.access
        if not token:
            raise OperatorsOnlyError if type(access) is Operator else ApilaneError(Code.ERROR, NO_TOKEN)
        applications = self._instance.applications
        application = applications.find_live(token) or await applications.find(token)
        if application is None:
            raise OperatorsOnlyError if type(access) is Operator else ApilaneError(Code.ERROR)
        call.application = application
        application.is_used = True
        if is_signed:
            call.signature = check_signature_headers(headers)
        if b"x-client-id" in headers:
            call.actor = await self._operator(call, route)
        if call.actor.kind != "operator":
            if type(access) is Operator:
                raise OperatorsOnlyError
            if not application.online:
                raise ApilaneError(Code.SERVICE_UNAVAILABLE, "Application offline.")
            if application.needs:  # B-S13: an application with a part that no plugin enforces refuses calls
                raise ApilaneError(Code.SERVICE_UNAVAILABLE)
            if application.checks:
                call.client_address = self.client_address(call.scope)
                for check, source in application.checks:
                    try:
                        refusal = check(call)
                    except (Exception, SystemExit):
                        call.at_work = source
                        raise
                    if refusal is not None:
                        told = refusal if type(refusal) is str else None
                        raise ApilaneError(Code.SERVICE_UNAVAILABLE, told)
            for authenticator in (
                self._signed if is_signed else self._unsigned if b"authorization" in headers else self._bare
            ):
                try:
                    actor = await authenticator.authenticate(call, application)
                except (ApilaneError, StorageError):
                    raise
                except (Exception, SystemExit):
                    plugin = self._instance.hooks.plugin_of(authenticator)
                    log.exception("an authenticator of plugin %r failed; the request is refused", plugin)
                    raise unauthorized() from None
                if actor is not None:
                    kind: object = getattr(actor, "kind", None)
                    if kind not in ACTOR_KINDS:
                        plugin = self._instance.hooks.plugin_of(authenticator)
                        log.error("plugin %r, an authenticator gave %r; expected an Actor", plugin, actor)
                        raise unauthorized()
                    call.actor = actor
                    break
            else:
                if is_signed:
                    raise unauthorized()
        if type(access) is Data:
            name = query.get("entity", "") if access.entity is None else access.entity
            call.entity, call.access = await grant_entity(call, name, access.action)
        else:
            await _grant(call, access)

    async def admit_admin(self, call: Call) -> None:
        """Admit an operator who is an admin of the instance. No application is involved."""
        user = await self._signed_in(call)
        if user is None or not user.is_admin or user.is_limited:
            raise unauthorized()
        call.actor = Actor(kind="operator", credential=user.email)

    async def _operator(self, call: Call, route: WireCall) -> Actor:
        """The operator that the owner channel identifies, or the actor unchanged, so that other credentials are
        tried. Raises UNAUTHORIZED for an operator whose role or token does not permit the call.
        """
        user = await self._signed_in(call)
        held = NOTHING if user is None else permissions_in(call.application.definition, user)
        if user is None or not held:
            return call.actor
        needed = permission_for(route.access, changes=route.method != "GET" or bool(route.audited))
        if needed is not None and needed not in held:
            raise OperatorsOnlyError if type(route.access) is Operator else unauthorized()
        return Actor(kind="operator", credential=user.email)

    async def _signed_in(self, call: Call) -> SignedIn | None:
        """The portal user of a call on the owner channel."""
        header = call.headers.get(b"authorization")
        if header is None or call.headers.get(b"x-client-id", b"").lower() != b"portal":
            return None
        token = bearer_token(header)
        return await self._instance.operators.find(token) if token else None


async def grant_entity(call: Call, name: str, action: Action, count: Count = count) -> tuple[EntityRuntime, AccessPlan]:
    """Find an entity by its name in the request and the caller's access plan for it, and count one use with ``count``.

    Raises ERROR for an unknown entity, UNAUTHORIZED without a rule, and RATE_LIMIT_EXCEEDED.
    """
    application = call.application
    try:
        entity = application.entity(name)
    except ApilaneError as error:
        possible = application.granted(action, call.actor)
        if not name and call.scope["path"].lower().startswith(STATS):
            error.message, error.entity = "Entity  does not exist: the parameter entity is missing", None
        error.message += near(name, possible) if name else choice(name, possible)
        raise
    call.entity_name = entity.name
    access = application.access(entity, action, call.actor)
    if access.limit is not None:
        await count(call, entity.name, action, access.limit)
    return entity, access


async def _grant(call: Call, access: Access) -> None:
    """Check the declared access of a call (other than ``Data``), and count one use."""
    actor, application = call.actor, call.application
    match access:
        case Account():
            if access.body is not None:
                access.body(await call.json())
            kinds = ("user", "program") if access.programs else ("user",)
            if access.user and (actor.kind not in kinds or actor.user_id is None):
                raise unauthorized()
            if actor.kind == "program" and not access.programs:
                raise unauthorized()
        case Program():
            if actor.kind != "program" or access.scope not in (actor.scopes or ()):
                raise unauthorized()
        case CustomEndpoint(posted=True) if actor.kind == "operator":
            pass
        case CustomEndpoint():
            endpoint = _endpoint(call, posted=access.posted)
            call.endpoint = endpoint, action_of(application, endpoint)
            await grant_name(call, RuleKind.CustomEndpoint, endpoint.name)
        case Schema():
            await grant_name(call, RuleKind.Schema, "Schema")
        case Operator() | Open() | PerOperation():  # checked before the gates; none; by the action for each operation
            pass
        case _:
            raise TypeError(f"{access!r} is no declaration of access")


def _endpoint(call: Call, *, posted: bool) -> Endpoint:
    """The endpoint of a call. The error for another name suggests only one that the caller may use."""
    application = call.application
    try:
        return find_endpoint(application, call.last_part, posted=posted)
    except ApilaneError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        usable = []
        for endpoint in application.endpoints.values():
            with suppress(ApilaneError):
                application.permit(RuleKind.CustomEndpoint, endpoint.name, call.actor)
                usable.append(endpoint.name)
        hint = near(call.last_part, usable)
        error.message += f": there is no endpoint of this name{hint}" if hint else ""
        raise


async def grant_name(call: Call, kind: RuleKind, name: str) -> None:
    """Check the rule for an endpoint or the schema, and count one use. Raises UNAUTHORIZED and RATE_LIMIT_EXCEEDED."""
    limit = call.application.permit(kind, name, call.actor)
    if limit is not None:
        await count(call, name, kind.value, limit)


def _is_multipart(headers: Mapping[bytes, bytes]) -> bool:
    return headers.get(b"content-type", b"").lower().startswith(b"multipart/")


def check_content_type(headers: Mapping[bytes, bytes]) -> None:
    """Raise ERROR with HTTP 415 when the content type is not JSON. The action decides whether a body is required."""
    header = headers.get(b"content-type", b"")
    if header == b"application/json":
        return
    sent = header.decode("latin-1").partition(";")[0].strip().lower()
    if sent in JSON_TYPES or (sent.startswith("application/") and sent.endswith("+json")):
        return
    if sent or announces_body(headers):
        raise ApilaneError(Code.ERROR, "Unsupported Media Type: send application/json", status=415)
