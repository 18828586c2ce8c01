"""A real SMTP server in the process of the tests, with a certificate of its own, and applications that use it."""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from html import unescape
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

__all__ = ["USER", "PostOffice", "certificate", "links", "manifest", "post_office", "text_of"]

USER = ("shop", "mail-password")
CONTENT = "<p>Hello {Users.Username},</p><p><a href='{confirmation_url}'>confirm</a></p>"
RESET = "<p>{Users.Email}: <a href='{reset_password_url}'>choose a password</a></p>"


def certificate(folder: Path) -> Path:
    """A new certificate for 127.0.0.1, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "mail.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


class PostOffice:
    """What the SMTP server received. ``answer``: what it says to a receiver; None admits the mail."""

    def __init__(self) -> None:
        self.port = 0
        self.mails: list[EmailMessage] = []
        self.attempts: list[str] = []
        self.logins: list[tuple[str, bool]] = []
        """User name and whether the connection was encrypted."""
        self.answer: Callable[[str], str | None] = lambda receiver: None
        self.hangs = False

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        self.attempts.append(address)
        if self.hangs:
            await asyncio.sleep(3600)
        refusal = self.answer(address)
        if refusal is not None:
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        mail = message_from_bytes(content, policy=default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 OK"

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        given = data.login.decode(), data.password.decode()
        encrypted = server.transport is not None and server.transport.get_extra_info("ssl_object") is not None
        self.logins.append((given[0], encrypted))
        return AuthResult(success=given == USER, handled=False)

    def wait(self, count: int = 1, timeout_s: float = 20.0) -> list[EmailMessage]:
        """The mails, when there are this many."""
        deadline = time.monotonic() + timeout_s
        while len(self.mails) < count:
            assert time.monotonic() < deadline, f"{len(self.mails)} of {count} mails came"
            time.sleep(0.02)
        return self.mails


class _Closing(Controller):
    """A server that can close its connections. ``stop`` leaves those open that a client is about to end."""

    def factory(self) -> SMTP:
        self.servers = [*getattr(self, "servers", ()), super().factory()]
        return self.servers[-1]

    async def close_connections(self) -> None:
        """Return when no connection is open."""
        for server in getattr(self, "servers", ()):
            while server.transport is not None:
                server.transport.abort()
                await asyncio.sleep(0)


@contextmanager
def post_office(
    pem: Path | None = None, security: str = "None", *, port: int = 0, auth: bool = False
) -> Iterator[PostOffice]:
    """A running SMTP server. ``security``: as in manifests; ``auth``: only users may send."""
    office = PostOffice()
    context = None
    if pem is not None and security != "None":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(pem)
    options: dict[str, Any] = {"auth_required": auth, "auth_require_tls": auth and security != "None"}
    if auth:
        options["authenticator"] = office.authenticate
    if security == "Tls":
        options |= {"ssl_context": context, "auth_require_tls": False}
    elif security == "StartTls":
        options |= {"tls_context": context, "require_starttls": True}
    controller = _Closing(office, hostname="127.0.0.1", port=port or _free_port(), **options)
    controller.start()
    office.port = controller.port
    try:
        yield office
    finally:
        asyncio.run_coroutine_threadsafe(controller.close_connections(), controller.loop).result(10)
        controller.stop()


def _free_port() -> int:
    from apilane.testing.server import free_port

    return free_port()


def manifest(office_port: int, **mail: Any) -> dict[str, Any]:
    """An application whose templates are active; ``mail``: more keys of ``Mail``."""
    return {
        "Apilane": 1,
        "Application": {
            "Name": "Mail Shop",
            "Mail": {
                "Server": "127.0.0.1",
                "Port": office_port,
                "FromAddress": "shop@example.com",
                "FromDisplayName": "Shop",
                "Security": "None",
                **mail,
            },
        },
        "EmailTemplates": [
            {"Event": "UserRegisterConfirmation", "Active": True, "Subject": "Hi {Users.Username}", "Content": CONTENT},
            {"Event": "UserForgotPassword", "Active": True, "Subject": "Reset", "Content": RESET},
        ],
    }


def text_of(mail: EmailMessage, kind: str = "html") -> str:
    """One of the two bodies."""
    body = mail.get_body((kind,))
    assert isinstance(body, EmailMessage)
    return str(body.get_content())


def links(mail: EmailMessage) -> list[str]:
    """The addresses in a mail."""
    return [unescape(each) for each in re.findall(r"href='([^']+)'", text_of(mail))]
