"""The caller's own account: sign-in, one-time links, password, sessions and tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from apilane.control.operator_tokens import NewCredential
from apilane.control.records import PortalUser
from apilane.errors import ApilaneError, Code, unauthorized
from apilane.instance import Instance
from apilane.manage.callers import Caller
from apilane.manage.lockout import Lockout
from apilane.manage.records import on_record
from apilane.model.email_addresses import is_email
from apilane.model.portal_roles import Permission
from apilane.model.text import trim
from apilane.plugin.manage import CredentialView, OperatorView
from apilane.security.tokens import canonical_guid
from apilane.storage.errors import UniqueViolation

__all__ = ["DAY_MS", "LINK_LIFE_MS", "PASSWORD_MIN", "AccountDesk"]

PASSWORD_MIN: Final = 12
PASSWORD_MAX: Final = 100
EMAIL_MAX: Final = 100
DAY_MS: Final = 86_400_000
LINK_LIFE_MS: Final = DAY_MS
TOKEN_DAYS_MAX: Final = 366
WRONG: Final = "Invalid login attempt."


class AccountDesk:
    """See ``apilane.plugin.manage.Management``."""

    def __init__(self, instance: Instance, lockout: Lockout, caller: Caller | None) -> None:
        self._instance = instance
        self._store = instance.store
        self._lockout = lockout
        self._caller = caller

    @property
    def operator(self) -> OperatorView | None:
        if self._caller is None:
            return None
        user = self._caller.user
        return OperatorView(email=user.email, is_admin=user.is_admin, csrf=self._caller.csrf)

    def caller(self, *, in_session: bool = False) -> Caller:
        """The signed-in caller. ``in_session``: a token is refused, so that a token cannot make or end credentials."""
        if self._caller is None or (in_session and not self._caller.in_session):
            raise unauthorized()
        return self._caller

    async def sign_in(self, email: str, password: str, client: str, address: str) -> str:
        email = trim(email)
        async with on_record(self._store, email, f"sign in from {address}"):
            self._lockout.check(email, address)
            user = await self._store.portal_user(email)
            verdict = await self._instance.passwords.verify(user.password_hash or None if user else None, password)
            if user is None or not verdict.ok:
                self._lockout.failed(email, address)
                raise ApilaneError(Code.UNAUTHORIZED, WRONG)
            self._lockout.succeeded(email, address)
            if verdict.rehash:
                await self._store.portal_users.update(await self._with_password(user, password))
            return await self._session(user, client, address)

    async def sign_out(self) -> None:
        caller = self.caller(in_session=True)
        async with on_record(self._store, caller.user.email, "sign out"):
            await self._store.operator_tokens.revoke(caller.secret)

    async def _session(self, user: PortalUser, client: str, address: str) -> str:
        new = NewCredential(kind="session", name=client or "unknown browser", address=address[:100])
        return await self._store.operator_tokens.create(user.id, like=new)

    async def link_user(self, link: str) -> str | None:
        token = canonical_guid(link)
        found = await self._store.operator_tokens.find_link(token) if token else None
        return None if found is None else found.email

    async def use_link(self, link: str, email: str, password: str, client: str, address: str) -> str:
        token, email = canonical_guid(link), trim(email)
        self._lockout.check("link", address)
        async with on_record(self._store, email, f"set a password with a one-time link from {address}"):
            found = await self._store.operator_tokens.find_link(token) if token else None
            user = await self._store.portal_users.get(found.user_id) if found else None
            if user is None or token is None:
                self._lockout.failed("link", address)
                raise ApilaneError(Code.UNAUTHORIZED, "This link was used before, or is older than 24 hours.")
            check_email(email)
            check_password(password)
            user = replace(await self._with_password(user, password), email=email)
            if not await self._store.operator_tokens.revoke(token):  # the link works once, also for two at a time
                raise ApilaneError(Code.UNAUTHORIZED, "This link was used before.")
            try:
                await self._store.portal_users.update(user)
            except UniqueViolation as error:
                text = "Another portal user has this address."
                raise ApilaneError(Code.UNIQUE_CONSTRAINT_VIOLATION, text, property="Email") from error
            await self._store.operator_tokens.revoke_others(user.id)
            return await self._session(user, client, address)

    async def change_password(self, current: str, new: str) -> None:
        caller = self.caller(in_session=True)
        async with on_record(self._store, caller.user.email, "change the own password"):
            user = await self.confirmed(current, "CurrentPassword")
            check_password(new)
            await self._store.portal_users.update(await self._with_password(user, new))
            await self._store.operator_tokens.revoke_others(user.id, caller.user.token_id)

    async def confirmed(self, password: str, property: str = "Password") -> PortalUser:
        """The caller as a stored user. Raises VALIDATION for a wrong password; failures count as at sign-in."""
        caller = self.caller()
        self._lockout.check(caller.user.email, "confirm")
        user = await self._store.portal_user(caller.user.email)
        if user is None or not (await self._instance.passwords.verify(user.password_hash or None, password)).ok:
            self._lockout.failed(caller.user.email, "confirm")
            raise ApilaneError(Code.VALIDATION, "The password is wrong.", property=property)
        return user

    async def _with_password(self, user: PortalUser, password: str) -> PortalUser:
        return replace(user, password_hash=await self._instance.passwords.hash(password))

    async def credentials(self) -> Sequence[CredentialView]:
        caller = self.caller()
        return [
            CredentialView(
                id=each.id,
                kind=each.kind,
                name=each.name or "apilane owner-token",
                address=each.address,
                created=each.created,
                last_used=each.last_used,
                expires=each.expires,
                is_current=each.id == caller.user.token_id,
                application=each.application,
                permissions=None if each.permissions is None else tuple(sorted(each.permissions)),
            )
            for each in await self._store.operator_tokens.of(caller.user.user_id)
        ]

    async def revoke(self, id: int) -> None:
        caller = self.caller(in_session=True)
        async with on_record(self._store, caller.user.email, f"end the session or token {id}"):
            if not await self._store.operator_tokens.revoke_one(caller.user.user_id, id):
                raise ApilaneError(Code.NOT_FOUND, "There is no such session or token.", status=404)

    async def create_token(
        self, name: str, days: int, application: str | None = None, permissions: Sequence[Permission] | None = None
    ) -> str:
        caller, name = self.caller(in_session=True), trim(name)
        limits = f", application {application or 'any'}, permissions {', '.join(permissions or ()) or 'all'}"
        async with on_record(self._store, caller.user.email, f"create the token {name[:100]}{limits}"):
            if not name:
                raise ApilaneError(Code.REQUIRED, property="Name")
            if not 1 <= days <= TOKEN_DAYS_MAX:
                text = f"Validation error: expected 1 to {TOKEN_DAYS_MAX} days"
                raise ApilaneError(Code.VALIDATION, text, property="Days")
            token = canonical_guid(application) if application else None
            if application and (token is None or await self._store.application(token) is None):
                raise ApilaneError(Code.NOT_FOUND, "There is no such application.", property="Application", status=404)
            limited = None if permissions is None else frozenset(permissions)
            new = NewCredential(life_ms=days * DAY_MS, name=name, application=token, permissions=limited)
            return await self._store.operator_tokens.create(caller.user.user_id, like=new)


def check_email(email: str) -> None:
    """Raise VALIDATION for a text that is no e-mail address of at most 100 characters."""
    if len(email) > EMAIL_MAX or not (is_email(email) or email.endswith("@localhost")):
        raise ApilaneError(Code.VALIDATION, "This is not an e-mail address.", property="Email")


def check_password(password: str) -> None:
    """Raise VALIDATION for a password outside of 12 to 100 characters."""
    if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        text = f"The password must have {PASSWORD_MIN} to {PASSWORD_MAX} characters."
        raise ApilaneError(Code.VALIDATION, text, property="Password")
