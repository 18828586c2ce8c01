"""Mails on their way: requests are stored in the outbox, and delivered with a token that is made at that time.

A request is stored without a look at the accounts, so its answer and its duration do not show whether an address has
one. The token is made at the delivery, so it is valid for an hour from then, also after a mail server was down.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from apilane.plugin import (
    ApilaneError,
    ApplicationView,
    Code,
    ConfigurationError,
    EmailTemplate,
    Entity,
    MailedAccount,
    Mailer,
    MailKind,
    MailMessage,
    OutboxHandler,
    OutboxMessage,
    PermanentFailure,
    RecordEvent,
    RecordEvents,
    Settings,
    is_email,
    trim,
)
from apilane_email.content import filled, one_line, plain_text
from apilane_email.options import EmailSection, EmailSettings, sender_of

__all__ = ["MISSING_SETTINGS", "Posting"]

CONFIRMATION: Final[MailKind] = "UserRegisterConfirmation"
RESET: Final[MailKind] = "UserForgotPassword"
REQUESTED: Final = "account-mail"
REGISTERED: Final = "account-registered"
CONFIRM: Final = "/api/Account/Confirm"
DELIVERY_MARGIN_S: Final = 30.0
MISSING_SETTINGS: Final = (
    "Missing application email settings. Please navigate to the portal to the application's Email section."
)

log = logging.getLogger("apilane.email")


class MailRequest(Struct, frozen=True):
    """The payload of a requested mail."""

    event: MailKind
    email: str

    def __repr__(self) -> str:
        return f"MailRequest({self.event})"


class Posting:
    """Requests and deliveries of one server."""

    def __init__(self, settings: Settings, options: EmailSettings, mailers: Mapping[str, Mailer]) -> None:
        if options.mailer.lower() not in mailers:
            raise ConfigurationError(f"the setting mailer is {options.mailer!r}; there are: {', '.join(mailers)}")
        self._options = options
        self._mailers = mailers
        self.public_url = (options.public_url or f"http://{settings.host}:{settings.port}").rstrip("/").lower()

    def handlers(self) -> list[OutboxHandler]:
        """The handlers of both kinds of messages."""
        timeout_s = self._options.timeout_s + DELIVERY_MARGIN_S
        new_accounts = RecordEvents(
            entities=frozenset({"Users"}), actions=frozenset({"create"}), used_by=confirms_registrations
        )
        return [
            OutboxHandler(kind=REQUESTED, deliver=self.deliver_requested, payload=MailRequest, timeout_s=timeout_s),
            OutboxHandler(
                kind=REGISTERED,
                deliver=self.deliver_registered,
                payload=RecordEvent,
                events=(new_accounts,),
                timeout_s=timeout_s,
            ),
        ]

    def mailer(self, application: ApplicationView) -> Mailer | None:
        """The mailer of an application, if its settings are complete."""
        name = application.options(EmailSection).mailer or self._options.mailer
        found = self._mailers.get(name.lower())
        if found is None:
            known = ", ".join(self._mailers)
            log.error("application %s: Plugins.email.Mailer is %r; there are: %s", application.token, name, known)
            return None
        ready = sender_of(application, self._options) is not None and found.is_ready(application)
        return found if ready else None

    async def request(self, application: ApplicationView, event: MailKind, email: str, address: str) -> None:
        """Check a request and store its mail. ``address``: of the client.

        Raises ERROR, VALIDATION and RATE_LIMIT_EXCEEDED (docs/reference/protocol/errors.md section 3.3).
        """
        if self.mailer(application) is None:
            raise ApilaneError(Code.ERROR, MISSING_SETTINGS)
        email = trim(email)
        if not email:
            raise ApilaneError(Code.ERROR, "No email provided")
        if not is_email(email):
            raise ApilaneError(Code.VALIDATION, "Invalid Email", property="Email")
        await application.accounts.admit_mail(event, email, address)
        if active_template(application, event) is not None:
            await application.outbox.send(REQUESTED, MailRequest(event, email))

    async def deliver_requested(self, message: OutboxMessage, application: ApplicationView) -> None:
        """Send a requested mail, if the address has an account and the mail still makes sense."""
        request: MailRequest = message.payload
        account = await application.accounts.find(email=request.email)
        await self._deliver(request.event, account, message, application)

    async def deliver_registered(self, message: OutboxMessage, application: ApplicationView) -> None:
        """Send the confirmation to a new account."""
        event: RecordEvent = message.payload
        account = await application.accounts.find(id=event.id)
        await self._deliver(CONFIRMATION, account, message, application)

    async def _deliver(
        self, event: MailKind, account: MailedAccount | None, message: OutboxMessage, application: ApplicationView
    ) -> None:
        template = active_template(application, event)
        if account is None or template is None or (event == CONFIRMATION and account.email_confirmed):
            return
        if not is_email(account.email):  # custom SQL can write any text
            raise PermanentFailure(f"the address of user {account.id} is not valid")
        mailer, sender = self.mailer(application), sender_of(application, self._options)
        if mailer is None or sender is None:
            raise PermanentFailure(
                "the mail settings are incomplete; correct Application.Mail, then replay the message"
            )
        values = {
            "Users.ID": str(account.id),
            "Users.Username": account.username,
            "Users.Email": account.email,
            **await self._link(event, account, application),
        }
        html = filled(template.content, values, html=True)
        mail = MailMessage(
            sender=sender[0],
            sender_name=one_line(sender[1]),
            to=account.email,
            subject=one_line(filled(template.subject, values, html=False)),
            html=html,
            text=plain_text(html),
            key=message.key,
        )
        await mailer.send(mail, application)

    async def _link(self, event: MailKind, account: MailedAccount, application: ApplicationView) -> dict[str, str]:
        """The placeholder of the link with a new token."""
        if event == CONFIRMATION:
            token = await application.accounts.confirmation_token(account.id)
            query = f"?appToken={application.token}&token={token}"
            return {"confirmation_url": f"{self.public_url}{CONFIRM}{query}"}
        token = await application.accounts.reset_token(account.id)
        path = f"/App/{application.token}/Account/Manage/ResetPassword?Token={token}"
        return {"reset_password_url": self.public_url + path}


def active_template(application: ApplicationView, event: MailKind) -> EmailTemplate | None:
    """The template of an event, if mails of it are sent."""
    templates = application.definition.email_templates
    return next((each for each in templates if each.event == event and each.active), None)


def confirms_registrations(application: ApplicationView, _entity: Entity) -> bool:
    """Whether new accounts of an application get a mail."""
    return active_template(application, CONFIRMATION) is not None
