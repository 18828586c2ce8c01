"""The mailer ``smtp``: hands a mail to an SMTP server, over TLS unless the settings say otherwise."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, localtime
from typing import NoReturn

import aiosmtplib
from aiosmtplib.errors import (
    SMTPAuthenticationError,
    SMTPException,
    SMTPNotSupported,
    SMTPRecipientsRefused,
    SMTPResponseException,
)

from apilane.plugin import ApplicationView, MailMessage, PermanentFailure
from apilane_email.options import EmailSettings, Route, route_of

__all__ = ["SmtpMailer", "email_message"]

REFUSED_FOR_GOOD = 500
SHOWN_MAX = 200


class SmtpMailer:
    """Sends through the server of the application, or else through that of the settings."""

    name = "smtp"

    def __init__(self, options: EmailSettings) -> None:
        self._options = options
        self._host = socket.gethostname()
        self._tls: ssl.SSLContext | None = None

    def is_ready(self, application: ApplicationView) -> bool:
        """Whether there is a server."""
        return route_of(application, self._options) is not None

    async def send(self, message: MailMessage, application: ApplicationView) -> None:
        """See ``Mailer``. Answers 4xx and failures of the connection are tried again, answers 5xx are not."""
        route = route_of(application, self._options)
        if route is None:
            raise PermanentFailure("the application has no mail server")
        mail = email_message(message)
        limit = asyncio.timeout(self._options.timeout_s)
        try:
            async with limit:
                await self._hand_over(route, message, mail)
        except TimeoutError as error:
            where = f"{route.server}:{route.port}"
            raise TimeoutError(f"{where} did not take the mail within {self._options.timeout_s:g} s") from error
        except SMTPException as error:
            _judge(error, route)
        except OSError as error:
            raise ConnectionError(f"{route.server}:{route.port} cannot be used: {error}") from error

    async def _hand_over(self, route: Route, message: MailMessage, mail: EmailMessage) -> None:
        smtp = aiosmtplib.SMTP(
            hostname=route.server,
            port=route.port,
            use_tls=route.security == "Tls",
            start_tls=route.security == "StartTls",  # required: a server without it is refused
            tls_context=None if route.security == "None" else self._tls_context(),
            local_hostname=self._host,
            timeout=self._options.timeout_s,
        )
        try:
            await smtp.connect()
            if route.user_name is not None and route.password is not None:
                await smtp.login(route.user_name, await route.password.get())
            await smtp.send_message(mail, sender=message.sender, recipients=[message.to])
            with contextlib.suppress(SMTPException, OSError, TimeoutError):  # the server has the mail
                await smtp.quit()
        finally:
            smtp.close()

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            path = self._options.ca_file
            self._tls = ssl.create_default_context(cafile=None if path is None else str(path))
        return self._tls


def email_message(message: MailMessage) -> EmailMessage:
    """The mail with its headers. Raises PermanentFailure for texts that no mail can have."""
    mail = EmailMessage(policy=SMTP)
    try:
        mail["From"] = Address(display_name=message.sender_name, addr_spec=message.sender)
        mail["To"] = Address(addr_spec=message.to)
        mail["Subject"] = message.subject
        mail["Date"] = format_datetime(localtime())
        mail["Message-ID"] = f"<{message.key}@{message.sender.rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(message.text)
        mail.add_alternative(message.html, subtype="html")
    except (ValueError, IndexError) as error:
        raise PermanentFailure(f"the mail cannot be written: {error}") from error
    return mail


def _judge(error: SMTPException, route: Route) -> NoReturn:
    """Raise what the failure means for the next attempt."""
    where = f"{route.server}:{route.port}"
    if isinstance(error, SMTPAuthenticationError) and error.code >= REFUSED_FOR_GOOD:
        raise PermanentFailure(
            f"{where} refused the user name or the password ({_shown(error)}); correct them, then replay the message"
        ) from error
    answers = error.recipients if isinstance(error, SMTPRecipientsRefused) else [error]
    for answer in answers:
        if isinstance(answer, SMTPResponseException):
            if answer.code >= REFUSED_FOR_GOOD:
                raise PermanentFailure(f"{where} refused the mail: {_shown(answer)}") from error
            raise ConnectionError(f"{where} takes the mail later: {_shown(answer)}") from error
    if isinstance(error, SMTPNotSupported) and "SMTPUTF8" in str(error):
        raise PermanentFailure(f"{where} takes no address with such letters") from error
    raise ConnectionError(f"{where}: {str(error)[:SHOWN_MAX]}") from error


def _shown(answer: SMTPResponseException) -> str:
    """Code and text of an answer."""
    return f"{answer.code} {' '.join(answer.message.split())[:SHOWN_MAX]}"
