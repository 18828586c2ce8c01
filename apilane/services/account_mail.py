"""Accounts for plugins that send mail: implements ``apilane.plugin.accounts``.

A reset token is stored as a hash, is valid for an hour and works once; the reset ends the sessions of the user (B-A6).
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from apilane.errors import ApilaneError, Code
from apilane.model.text import fold, trim, utf16_length
from apilane.plugin.accounts import MailedAccount, MailKind
from apilane.plugin.identity import ANONYMOUS
from apilane.runtime.application import ApplicationRuntime
from apilane.runtime.identities import now_ms
from apilane.security.networks import network_of
from apilane.security.passwords import Passwords
from apilane.security.tokens import canonical_guid, token_hash
from apilane.services.accounts import PASSWORD_MAX, PASSWORD_MIN
from apilane.services.attempts import Attempts
from apilane.services.confirmation import CONFIRMATIONS, TOKEN_LIFE_MS, create_mail_token
from apilane.services.record_handling import Handling, plan_of
from apilane.services.unit_writes import UnitWrite
from apilane.services.users import FOLDS, revoke_mail_tokens, revoke_tokens, update_user
from apilane.sql.write import delete_where, select_where
from apilane.storage.protocol import Result, Step

__all__ = ["AccountMail"]

RESETS: Final = "H_Auth_Password_Reset_Tokens"


class AccountMail:
    """The accounts of one application (``Accounts``)."""

    def __init__(self, application: ApplicationRuntime, passwords: Passwords) -> None:
        self._application = application
        self._passwords = passwords

    async def find(self, *, id: int | None = None, email: str | None = None) -> MailedAccount | None:
        """See ``Accounts``."""
        users = self._application.users
        column, wanted = ("ID", id) if email is None else (FOLDS["Email"], _folded(email))
        select = users.statement(
            select_where, ("ID", "Email", "Username", "EmailConfirmed"), ((str(column), "wanted"),)
        )
        rows = await self._application.session.fetch(select, (wanted,))
        if not rows:
            return None
        found_id, address, username, confirmed = rows[0]
        return MailedAccount(
            id=int(found_id), email=str(address), username=str(username), email_confirmed=bool(confirmed)
        )

    def _attempts(self, address: str) -> Attempts:
        return Attempts(self._application.throttles, self._application.token, network_of(address))

    async def admit_mail(self, kind: MailKind, email: str, address: str) -> None:
        """See ``Accounts``."""
        await self._attempts(address).begin("mail", f"{kind} {fold(email)}")

    async def confirmation_token(self, user_id: int) -> str:
        """See ``Accounts``."""
        return await create_mail_token(self._application, CONFIRMATIONS, user_id)

    async def reset_token(self, user_id: int) -> str:
        """See ``Accounts``."""
        return await create_mail_token(self._application, RESETS, user_id)

    async def knows_reset(self, token: str) -> bool:
        """See ``Accounts``."""
        return await self._owner(token) is not None

    async def _owner(self, token: str) -> int | None:
        """The user of a valid reset token."""
        guid = canonical_guid(token)
        if guid is None:
            return None
        select = self._application.helpers[RESETS].statement(select_where, ("Owner", "Created"), (("Token", "hash"),))
        rows = await self._application.session.fetch(select, (token_hash(self._application.token_key, guid),))
        if not rows or now_ms() - rows[0][1] >= TOKEN_LIFE_MS:
            return None
        return int(rows[0][0])

    async def reset_password(self, token: str, email: str, password: str, address: str) -> bool:
        """See ``Accounts``."""
        password = trim(password)
        if not PASSWORD_MIN <= utf16_length(password) <= PASSWORD_MAX:
            raise ApilaneError(Code.VALIDATION, f"{PASSWORD_MIN} to {PASSWORD_MAX} characters", property="Password")
        user_id = await self._owner(token)
        if user_id is None:
            return False
        attempts, account_name = self._attempts(address), f"user {user_id}"
        await attempts.begin("login", account_name)
        account = await self.find(id=user_id)
        if account is None or _folded(email) != fold(account.email):
            return True
        await attempts.succeeded("login", account_name)
        return await self._store(token, user_id, password)

    async def _store(self, token: str, user_id: int, password: str) -> bool:
        """Use up the token and set the password in one unit. False: another request has used the token meanwhile."""
        application, handling = self._application, None
        if application.record_handlers is not None and (plan := plan_of(application.users, "update")) is not None:
            records = [{"ID": user_id, "Password": password}]
            handling = Handling(plan, application.users, ANONYMOUS, "update", records, names=("Password",))
            await handling.before(may_change=False)
        hashed = await self._passwords.hash(password)
        use_up = application.helpers[RESETS].statement(delete_where, (("Token", "hash"),))
        stored_token = token_hash(application.token_key, str(canonical_guid(token)))

        def unit() -> Generator[Step, Result, bool]:
            if not (yield Step(use_up, (stored_token,))).matched:
                return False
            yield from update_user(application, user_id, {"Password": hashed}, tracked=False)
            yield from revoke_tokens(application, user_id)
            yield from revoke_mail_tokens(application, user_id)
            return True

        if handling is None:
            done = await application.session.run(unit)
        else:
            write = UnitWrite.of(application.session, unit, what=str, outcome=str)
            done = await handling.around(write, lambda stored: [(0, user_id)] if stored else []).run()
        application.tokens.forget()
        return done


def _folded(email: str) -> str:
    """A typed address as it is compared; no account has the empty one."""
    return fold(email) if email.isprintable() else ""
