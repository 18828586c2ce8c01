"""The settings of mail."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from apilane.plugin import ApplicationView, Secret, is_email

__all__ = ["EmailSection", "EmailSettings", "Route", "route_of", "sender_of"]

Port = Annotated[int, Meta(ge=1, le=65535)]
PORTS: Final = {"StartTls": 587, "Tls": 465, "None": 25}


class EmailSettings(Struct, frozen=True, kw_only=True):
    """The settings of the server. ``server`` to ``password`` are for applications without a mail server."""

    mailer: Annotated[str, Meta(description="Name of the mailer of applications that choose none.")] = "smtp"
    public_url: Annotated[
        str | None,
        Meta(description="Address under which users reach this server, for links in mails; unset: http://host:port."),
    ] = None
    server: Annotated[
        str | None, Meta(description="Host of the SMTP server of applications that name none; unset: they send none.")
    ] = None
    port: Annotated[Port | None, Meta(description="Its port; unset: 587, or 465 with Tls, or 25 with None.")] = None
    security: Annotated[
        Literal["StartTls", "Tls", "None"], Meta(description="How the connection to it is encrypted.")
    ] = "StartTls"
    user_name: Annotated[str | None, Meta(description="Account at it; unset: without a sign-in.")] = None
    password: Annotated[Secret | None, Meta(description="Password of the account.")] = None
    from_address: Annotated[str | None, Meta(description="Sender of applications that name none.")] = None
    from_display_name: Annotated[str | None, Meta(description="Name of that sender.")] = None
    ca_file: Annotated[
        Path | None, Meta(description="Certificates (PEM) that mail servers may have; unset: those of the system.")
    ] = None
    timeout_s: Annotated[float, Meta(gt=0, le=120, description="Seconds that sending one mail may take.")] = 30.0
    templates_dir: Annotated[
        Path | None, Meta(description="Folder with own templates of pages and style.css; missing files are shipped.")
    ] = None

    def __post_init__(self) -> None:
        if self.from_address is not None and not is_email(self.from_address):
            raise ValueError(f"from_address is {self.from_address!r}; expected an e-mail address")
        if (self.user_name is None) != (self.password is None):
            raise ValueError("user_name and password belong together; give both or neither")
        if self.public_url is not None and not self.public_url.startswith(("http://", "https://")):
            raise ValueError(f"public_url is {self.public_url!r}; expected http://... or https://...")
        if self.templates_dir is not None and not self.templates_dir.is_dir():
            raise ValueError(f"templates_dir is {str(self.templates_dir)!r}, which is not a folder")


class EmailSection(Struct, frozen=True, kw_only=True, rename="pascal"):
    """``Plugins.email`` of a manifest."""

    mailer: Annotated[str | None, Meta(description="Name of the application's mailer; unset: that of the server.")] = (
        None
    )


class Route(Struct, frozen=True, kw_only=True):
    """The mail server of an application."""

    server: str
    port: int
    security: str
    user_name: str | None
    password: Secret | None


def route_of(application: ApplicationView, options: EmailSettings) -> Route | None:
    """The application's own mail server, or that of the settings; None without one, or with half of an account.

    They are not mixed, so that the password of the settings is never sent to the server of an application.
    """
    mail = application.definition.mail
    if mail is not None and mail.server:
        password = application.mail_password
        if bool(mail.user_name) != (password is not None):
            return None
        return Route(
            server=mail.server,
            port=mail.port or PORTS[mail.security],
            security=mail.security,
            user_name=mail.user_name or None,
            password=password,
        )
    if options.server is None:
        return None
    return Route(
        server=options.server,
        port=options.port or PORTS[options.security],
        security=options.security,
        user_name=options.user_name,
        password=options.password,
    )


def sender_of(application: ApplicationView, options: EmailSettings) -> tuple[str, str] | None:
    """Address and name of the sender; None when there is no address."""
    mail = application.definition.mail
    if mail is not None and mail.from_address:
        return mail.from_address, mail.from_display_name or ""
    if options.from_address is None:
        return None
    name = (mail.from_display_name if mail is not None else None) or options.from_display_name
    return options.from_address, name or ""
