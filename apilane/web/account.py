"""The Account calls on the wire (wire-api.md section 3): from a call to a service and back to bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from apilane.errors import ApilaneError, Code, unauthorized
from apilane.instance import Instance
from apilane.runtime.application import ApplicationRuntime
from apilane.runtime.records import encode
from apilane.security.identity import Actor
from apilane.security.networks import network_of
from apilane.security.tokens import canonical_guid
from apilane.services import accounts, sessions
from apilane.services.attempts import Attempts
from apilane.services.audit_trail import audited, ids_text
from apilane.services.confirmation import confirm_email
from apilane.web.call import Call
from apilane.web.front import Route
from apilane.web.reply import NO_CONTENT, Reply

__all__ = ["account_routes"]

NO_STORE = (b"cache-control", b"no-store")


class _SignIn(Struct, gc=False):
    User: Struct
    AuthToken: str
    AuthTokenID: int

    def __repr__(self) -> str:
        return f"_SignIn({self.AuthTokenID})"


def _typed_body(body: object | None) -> dict[str, Any]:
    """A typed body with keys in lower case; EMPTY_BODY when there is none or it is no object."""
    if not isinstance(body, dict):
        raise ApilaneError(Code.EMPTY_BODY)
    return {key.lower(): value for key, value in body.items()}


def _texts(body: dict[str, Any], *names: str) -> list[str]:
    """String members of a typed body, absent ones empty; anything but text or null makes the body malformed."""
    values = [body.get(name) for name in names]
    if any(value is not None and not isinstance(value, str) for value in values):
        raise ApilaneError(Code.EMPTY_BODY)
    return [value or "" for value in values]


def _security(application: ApplicationRuntime, actor: Actor) -> list[dict[str, Any]]:
    return [
        {
            "Role": rule.role,
            "Name": rule.name,
            "Type": rule.kind.value,
            "Action": rule.action.value,
            "Properties": rule.properties,
        }
        for rule in accounts.rules_of(application, actor)
    ]


def _attempts(call: Call) -> Attempts:
    throttles = call.application.throttles if call.actor.owner is None and not call.is_counted else ()
    return Attempts(throttles, call.application.token, network_of(call.client_address))


async def user_data(call: Call) -> Reply:
    if call.actor.user_id is None:
        raise unauthorized()
    user = await accounts.user_record(call.application, call.actor.user_id)
    return Reply(encode({"User": user, "Security": _security(call.application, call.actor)}))


async def update(call: Call) -> Reply:
    body = await call.json()
    if not isinstance(body, dict):
        raise ApilaneError(Code.ERROR)
    return Reply(encode(await accounts.update_own(call.application, call.actor, body)))


async def renew(call: Call) -> Reply:
    token, token_id = await sessions.renew(call.application, call.actor)
    return Reply(encode(token), headers=(NO_STORE, (b"x-auth-token-id", b"%d" % token_id)))


async def log_out(call: Call) -> Reply:
    ended = await sessions.log_out(call.application, call.actor, everywhere=call.boolean("everywhere"))
    return Reply(b"%d" % ended, headers=(NO_STORE,))


def _redirect(location: str) -> Reply:
    return Reply(b"", 302, ((b"location", location.encode("utf-8")),), NO_CONTENT)


def account_routes(instance: Instance) -> Mapping[str, Route]:
    """The Account calls by path."""
    passwords = instance.passwords

    async def log_in(call: Call) -> Reply:
        body = _typed_body(await call.json())
        email, username, password = _texts(body, "email", "username", "password")
        credentials = sessions.Credentials(email=email, username=username, password=password)
        done = await audited(
            instance.audit_trail,
            call.application,
            call.actor,
            lambda: sessions.log_in(call.application, credentials, passwords, _attempts(call)),
            what=lambda: "Account/Login",
            outcome=lambda done: f"AuthTokens {ids_text([done.token_id])}",
        )
        return Reply(encode(_SignIn(done.user, done.token, done.token_id)))

    async def register(call: Call) -> Reply:
        body = await call.json()
        if body is None:
            raise ApilaneError(Code.EMPTY_BODY)
        if not isinstance(body, dict):
            raise ApilaneError(Code.ERROR)
        user_id = await audited(
            instance.audit_trail,
            call.application,
            call.actor,
            lambda: accounts.register(call.application, body, passwords, _attempts(call)),
            what=lambda: "Account/Register Users: 1 to create",
            outcome=lambda user_id: ids_text([user_id]),
        )
        return Reply(b"%d" % user_id)

    async def change_password(call: Call) -> Reply:
        body = _typed_body(await call.json())
        current, new = _texts(body, "password", "newpassword")
        await accounts.change_password(
            call.application, call.actor, current=current, new=new, passwords=passwords, attempts=_attempts(call)
        )
        return Reply(b"true")

    async def confirm(call: Call) -> Reply:
        application = call.application
        token = canonical_guid(call.query.get("token", ""))
        is_confirmed = await audited(
            instance.audit_trail,
            application,
            call.actor,
            lambda: confirm_email(application, token),
            what=lambda: "Account/Confirm",
            outcome=lambda is_confirmed: "confirmed" if is_confirmed else "unknown or expired token",
        )
        if not is_confirmed:
            return _redirect(f"{call.base_url()}/App/{application.token}/Account/Manage/Error")
        target = application.definition.email_confirmation_redirect_url
        return _redirect(target or f"{instance.settings.portal_url.rstrip('/')}/Account/AppEmailConfirmed")

    return {
        "/api/account/login": Route(takes_json=True, POST=log_in),
        "/api/account/register": Route(takes_json=True, entity="Users", POST=register),
        "/api/account/userdata": Route(GET=user_data),
        "/api/account/update": Route(takes_json=True, entity="Users", PUT=update),
        "/api/account/changepassword": Route(takes_json=True, PUT=change_password),
        "/api/account/renewauthtoken": Route(GET=renew),
        "/api/account/logout": Route(GET=log_out),
        "/api/account/confirm": Route(GET=confirm),
    }
