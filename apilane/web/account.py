"""The Account calls on the wire (docs/reference/protocol/wire-api.md section 3): translates an admitted call to a
service call, and its result to bytes.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from apilane.errors import ApilaneError, Code, continued
from apilane.model.hints import kind_of
from apilane.model.json import encode_json
from apilane.plugin.access import Account
from apilane.plugin.calls import WireCall, Write
from apilane.plugin.identity import Actor
from apilane.plugin.replies import PLAIN, Reply
from apilane.runtime.application import ApplicationRuntime
from apilane.security.networks import network_of
from apilane.security.passwords import Passwords
from apilane.security.tokens import canonical_guid
from apilane.services import accounts, sessions
from apilane.services.attempts import Attempts
from apilane.services.audit_trail import ids_text
from apilane.services.confirmation import confirm_email
from apilane.web import account_descriptions as descriptions
from apilane.web.call import Call

__all__ = ["account_calls"]

NO_STORE = (b"cache-control", b"no-store")


class _SignIn(Struct, gc=False):
    User: Struct
    AuthToken: str
    AuthTokenID: int

    def __repr__(self) -> str:
        return f"_SignIn({self.AuthTokenID})"


def _typed_body(body: object | None) -> dict[str, Any]:
    """A typed body with keys in lower case. Raises EMPTY_BODY when it is missing or not an object."""
    if not isinstance(body, dict):
        raise _not_an_object(Code.EMPTY_BODY, body)
    return {key.lower(): value for key, value in body.items()}


def _texts(body: dict[str, Any], *names: str) -> list[str]:
    """String members of a typed body; absent ones are empty. Raises EMPTY_BODY for a value other than text or null."""
    values = [body.get(name) for name in names]
    if any(value is not None and not isinstance(value, str) for value in values):
        wrong = next(name for name, value in zip(names, values, strict=True) if not isinstance(value, str | None))
        raise ApilaneError(Code.EMPTY_BODY, continued(Code.EMPTY_BODY, f"the value of {wrong} must be a text"))
    return [value or "" for value in values]


def _is_object(body: object | None) -> None:
    """Check the body of Update, before the user is checked."""
    if not isinstance(body, dict):
        raise _not_an_object(Code.ERROR, body)


def _not_an_object(code: Code, body: object | None) -> ApilaneError:
    found = "no body, or one that is not JSON" if body is None else kind_of(body)
    more = f"expected a JSON object, found {found}"
    return ApilaneError(code, continued(code, more)) if code is Code.EMPTY_BODY else ApilaneError(code, told=more)


def _passwords_of(body: object | None) -> list[str]:
    """The current and the new password. ChangePassword checks them before it checks the user."""
    return _texts(_typed_body(body), "password", "newpassword")


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
    throttles = call.application.throttles if call.actor.kind != "operator" and not call.is_second_try else ()
    return Attempts(throttles, call.application.token, network_of(call.client_address))


def _user_id(call: Call) -> int:
    """The user of a call whose route requires one."""
    assert call.actor.user_id is not None  # noqa: S101 - admission checked it
    return call.actor.user_id


async def user_data(call: Call) -> Reply:
    user = await accounts.user_record(call.application, _user_id(call))
    return Reply(encode_json({"User": user, "Security": _security(call.application, call.actor)}))


async def update(call: Call) -> Reply:
    body: Any = await call.json()
    return Reply(encode_json(await accounts.update_own(call.application, _user_id(call), body, call.actor)))


async def renew(call: Call) -> Reply:
    token, token_id = await sessions.renew(call.application, call.actor)
    return Reply(encode_json(token), headers=(NO_STORE, (b"x-auth-token-id", b"%d" % token_id)))


async def log_out(call: Call) -> Reply:
    ended = await sessions.log_out(call.application, call.actor, everywhere=call.boolean("everywhere"))
    return Reply(b"%d" % ended, headers=(NO_STORE,))


def _redirect(location: str) -> Reply:
    return Reply(b"", 302, ((b"location", location.encode("utf-8")),), PLAIN)


def account_calls(passwords: Passwords, portal_url: str) -> list[WireCall]:
    """The Account calls. ``portal_url``: the redirect target of a confirmed e-mail when the application sets none."""

    async def log_in(call: Call) -> Write[sessions.SignIn]:
        body = _typed_body(await call.json())
        email, username, password = _texts(body, "email", "username", "password")
        credentials = sessions.Credentials(email=email, username=username, password=password)
        return Write(
            run=lambda: sessions.log_in(call.application, credentials, passwords, _attempts(call)),
            what=lambda: "Account/Login",
            outcome=lambda done: f"AuthTokens {ids_text([done.token_id])}",
            reply=lambda done: Reply(encode_json(_SignIn(done.user, done.token, done.token_id))),
        )

    async def sign_in_step(call: Call) -> Write[sessions.SignIn]:
        body = _typed_body(await call.json())
        (challenge,) = _texts(body, "challenge")
        if not challenge:
            raise ApilaneError(Code.REQUIRED, property="Challenge")
        answer = body.get("answer")
        return Write(
            run=lambda: sessions.answer_step(call.application, challenge, answer, _attempts(call)),
            what=lambda: "Account/SignInStep",
            outcome=lambda done: f"AuthTokens {ids_text([done.token_id])}",
            reply=lambda done: Reply(encode_json(_SignIn(done.user, done.token, done.token_id))),
        )

    async def register(call: Call) -> Write[int]:
        body = await call.json()
        if body is None:
            raise ApilaneError(Code.EMPTY_BODY, continued(Code.EMPTY_BODY, "expected a JSON object"))
        if not isinstance(body, dict):
            raise _not_an_object(Code.ERROR, body)
        return Write(
            run=lambda: accounts.register(call.application, body, passwords, _attempts(call), call.actor),
            what=lambda: "Account/Register Users: 1 to create",
            outcome=lambda user_id: ids_text([user_id]),
        )

    async def change_password(call: Call) -> Reply:
        current, new = _passwords_of(await call.json())
        await accounts.change_password(
            call.application,
            call.actor,
            current=current,
            new=new,
            passwords=passwords,
            attempts=_attempts(call),
        )
        return Reply(b"true")

    async def confirm(call: Call) -> Write[bool]:
        application = call.application
        token = canonical_guid(call.query.get("token", ""))
        target = application.definition.email_confirmation_redirect_url
        confirmed = target or f"{portal_url.rstrip('/')}/Account/AppEmailConfirmed"
        refused = f"{call.base_url()}/App/{application.token}/Account/Manage/Error"
        return Write(
            run=lambda: confirm_email(application, token),
            what=lambda: "Account/Confirm",
            outcome=lambda is_confirmed: "confirmed" if is_confirmed else "unknown or expired token",
            reply=lambda is_confirmed: _redirect(confirmed if is_confirmed else refused),
        )

    anyone, user = Account(), Account(user=True)
    return [
        WireCall(
            path="/api/Account/Login",
            method="POST",
            action=log_in,
            access=anyone,
            body="json",
            audited=True,
            description=descriptions.LOGIN,
        ),
        WireCall(
            path="/api/Account/SignInStep",
            method="POST",
            action=sign_in_step,
            description=descriptions.SIGN_IN_STEP,
            access=anyone,
            body="json",
            audited=True,
        ),
        WireCall(
            path="/api/Account/Register",
            method="POST",
            action=register,
            description=descriptions.REGISTER,
            access=anyone,
            body="json",
            audited=True,
            entity="Users",
        ),
        WireCall(
            path="/api/Account/UserData",
            method="GET",
            action=user_data,
            access=Account(user=True, programs=True),
            description=descriptions.USER_DATA,
        ),
        WireCall(
            path="/api/Account/Update",
            method="PUT",
            action=update,
            description=descriptions.UPDATE,
            access=Account(user=True, body=_is_object),
            body="json",
            audited=False,  # operators cannot make this call
            entity="Users",
        ),
        WireCall(
            path="/api/Account/ChangePassword",
            method="PUT",
            action=change_password,
            description=descriptions.CHANGE_PASSWORD,
            access=Account(user=True, body=_passwords_of),
            body="json",
            audited=False,  # operators cannot make this call
        ),
        WireCall(
            path="/api/Account/RenewAuthToken",
            method="GET",
            action=renew,
            access=user,
            description=descriptions.RENEW,
        ),
        WireCall(
            path="/api/Account/Logout", method="GET", action=log_out, access=anyone, description=descriptions.LOGOUT
        ),
        WireCall(
            path="/api/Account/Confirm",
            method="GET",
            action=confirm,
            access=anyone,
            audited=True,
            description=descriptions.CONFIRM,
        ),
    ]
