"""Mail: confirmation of addresses, reset of forgotten passwords (docs/reference/protocol/wire-api.md sections 6 and 7).

``calls.py`` has the calls, ``pages.py`` the pages and ``forms.py`` their protection, ``posting.py`` stores and delivers
messages of the outbox, ``content.py`` fills templates, and ``smtp.py`` sends. Another way to send is a plugin too
(``apilane_register_mailers``).
"""

from __future__ import annotations

from collections.abc import Mapping

from apilane.plugin import Mailer, OutboxHandler, Page, PluginSettings, Settings, WireCall, hookimpl
from apilane_email.calls import mail_calls
from apilane_email.options import EmailSection, EmailSettings
from apilane_email.pages import account_pages
from apilane_email.posting import Posting
from apilane_email.smtp import SmtpMailer

__all__ = [
    "apilane_register_calls",
    "apilane_register_mailers",
    "apilane_register_outbox_handlers",
    "apilane_register_routes",
    "apilane_register_settings",
]


@hookimpl
def apilane_register_settings() -> list[PluginSettings]:
    """The mailer, a server for all applications, and the templates of pages."""
    return [PluginSettings(instance=EmailSettings, application=EmailSection)]


@hookimpl
def apilane_register_mailers(options: EmailSettings) -> list[SmtpMailer]:
    """The mailer ``smtp``."""
    return [SmtpMailer(options)]


@hookimpl
def apilane_register_outbox_handlers(
    settings: Settings, options: EmailSettings, mailers: Mapping[str, Mailer]
) -> list[OutboxHandler]:
    """The mails that were asked for, and those about new accounts."""
    return Posting(settings, options, mailers).handlers()


@hookimpl
def apilane_register_calls(settings: Settings, options: EmailSettings, mailers: Mapping[str, Mailer]) -> list[WireCall]:
    """``Email/RequestConfirmation`` and ``Email/ForgotPassword``."""
    return mail_calls(Posting(settings, options, mailers))


@hookimpl
def apilane_register_routes(settings: Settings, options: EmailSettings, mailers: Mapping[str, Mailer]) -> list[Page]:
    """The pages below ``/App/{appToken}/Account/Manage/``."""
    return account_pages(Posting(settings, options, mailers), options)
