"""Mailers: objects that hand one mail to a mail system (``apilane_register_mailers``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from msgspec import Struct

if TYPE_CHECKING:
    from apilane.plugin.identity import ApplicationView

__all__ = ["MailMessage", "Mailer"]


class MailMessage(Struct, frozen=True, kw_only=True):
    """One mail to one address. No text has line breaks or control characters, except ``html`` and ``text``."""

    sender: str
    """Address of the sender."""
    sender_name: str = ""
    to: str
    """Address of the receiver."""
    subject: str
    html: str
    text: str
    """The same content without markup."""
    key: str
    """The same in every attempt to send this mail, so that the other side can detect repetitions."""

    def __repr__(self) -> str:
        return f"MailMessage(key={self.key!r})"


@runtime_checkable
class Mailer(Protocol):
    """Sends mails. ``name``: unique among all plugins; letter case is ignored."""

    name: str

    def is_ready(self, application: ApplicationView) -> bool:
        """Whether the settings of this application, or of the server, are complete enough to send. No I/O."""
        ...

    async def send(self, message: MailMessage, application: ApplicationView) -> None:
        """Hand over one mail; the outbox tries again after a failure.

        Raises ``PermanentFailure`` when another attempt would fail too, ``RetryLater`` when the other side said when to
        try again, and any other error when it may work later.
        """
        ...
