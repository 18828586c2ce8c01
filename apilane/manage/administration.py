"""The instance, for its admins: portal users, audit, plugins, findings of the doctor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from apilane.control.operator_tokens import NewCredential
from apilane.control.records import PortalUser
from apilane.errors import ApilaneError, Code, unauthorized
from apilane.instance.diagnosis import examine_open
from apilane.manage.accounts import LINK_LIFE_MS, AccountDesk, check_email
from apilane.manage.callers import Caller
from apilane.manage.records import AUDIT_PAGE_MAX, audit_entry, on_record
from apilane.model.text import trim
from apilane.plugin.manage import AuditEntry, FindingView, PluginView, PortalUserView

__all__ = ["AdministrationDesk"]


class AdministrationDesk(AccountDesk):
    """See ``apilane.plugin.manage.Management``."""

    def admin(self) -> Caller:
        """The caller, who must be an instance admin without a limit on the token."""
        caller = self.caller()
        if not caller.user.is_admin or caller.user.is_limited:
            raise unauthorized()
        return caller

    async def users(self) -> Sequence[PortalUserView]:
        self.admin()
        seen = await self._store.portal_users.last_seen()
        return [
            PortalUserView(
                id=user.id,
                email=user.email,
                is_admin=user.is_admin,
                created=user.created,
                has_password=bool(user.password_hash),
                last_seen=seen.get(user.id),
            )
            for user in await self._store.portal_users.all()
        ]

    async def invite(self, email: str, *, is_admin: bool = False) -> str:
        caller, email = self.admin(), trim(email)
        role = " as an instance admin" if is_admin else ""
        async with on_record(self._store, caller.user.email, f"invite {email[:100]}{role}"):
            check_email(email)
            user = await self._store.portal_user(email)
            if user is None:
                user = await self._store.portal_users.create(email, is_admin=is_admin)
            new = NewCredential(kind="link", life_ms=LINK_LIFE_MS, name="one-time link")
            return await self._store.operator_tokens.create(user.id, like=new)

    async def set_admin(self, id: int, *, is_admin: bool) -> None:
        caller = self.admin()
        what = f"{'make' if is_admin else 'no longer make'} the portal user {id} an instance admin"
        async with on_record(self._store, caller.user.email, what):
            user = await self._other(caller, id)
            await self._store.portal_users.update(
                PortalUser(id=user.id, email=user.email, password_hash=user.password_hash, is_admin=is_admin)
            )

    async def delete_user(self, id: int) -> None:
        caller = self.admin()
        async with on_record(self._store, caller.user.email, f"delete the portal user {id}"):
            await self._store.portal_users.delete((await self._other(caller, id)).id)

    async def _other(self, caller: Caller, id: int) -> PortalUser:
        user = await self._store.portal_users.get(id)
        if user is None:
            raise ApilaneError(Code.NOT_FOUND, "There is no such portal user.", status=404)
        if user.id == caller.user.user_id:
            raise ApilaneError(Code.VALIDATION, "You cannot do this to your own account; ask another instance admin.")
        return user

    async def audit(self, before: int | None = None, limit: int = 50) -> Sequence[AuditEntry]:
        self.admin()
        limit = max(1, min(limit, AUDIT_PAGE_MAX))
        return [audit_entry(each) for each in await self._store.audit_page(None, before=before, limit=limit)]

    def plugins(self) -> Sequence[PluginView]:
        self.admin()
        counts = Counter((each.plugin, each.hook) for each in self._instance.hooks.registered)
        return [
            PluginView(
                name=each.name,
                version=each.version,
                hooks={hook: counts[each.name, hook] for hook in each.hooks},
            )
            for each in self._instance.plugins.describe()
        ]

    async def findings(self) -> Sequence[FindingView]:
        self.admin()
        return [
            FindingView(place=place, text=found.text, advice=found.advice, serious=found.serious)
            async for place, found in examine_open(self._instance)
        ]
