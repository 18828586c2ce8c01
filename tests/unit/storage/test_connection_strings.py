"""Connection strings of database servers: both forms, refusals, and no secret in messages."""

from __future__ import annotations

import pytest

from apilane.storage.connection_strings import ServerAddress, parse_address
from apilane.storage.errors import ConnectionRefused


def _parse(text: str) -> ServerAddress:
    return parse_address(text, provider="MySQL", schemes=("mysql", "mariadb"), default_port=3306, known=("sslmode",))


@pytest.mark.parametrize(
    "text",
    [
        "mysql://us%40er:p%3Ass%2Fw@db.example.com:3307/shop?ssl-mode=required",
        "MARIADB://us%40er:p%3Ass%2Fw@db.example.com:3307/shop?SSL_Mode=required",
        "Server=db.example.com;Port=3307;Database=shop;User ID=us@er;Password=p:ss/w;SslMode=required",
        "host = db.example.com ; port=3307; initial catalog=shop; uid='us@er'; pwd=\"p:ss/w\"; ssl mode=required;",
    ],
)
def test_forms_mean_the_same(text: str) -> None:
    """URL and Key=Value pairs give the same parts, in any letter case of keys and any quoting of values."""
    address = _parse(text)
    parts = (address.host, address.port, address.database, address.user, address.password, address.options)
    assert parts == ("db.example.com", 3307, "shop", "us@er", "p:ss/w", {"sslmode": "required"})


def test_defaults() -> None:
    """The default port is the provider's, and a password may be missing."""
    address = _parse("mysql://root@localhost/shop")
    assert (address.port, address.password, address.options) == (3306, "", {})


@pytest.mark.parametrize("quoted", ["'a;b''c'", '"a;b\'c"', "{a;b'c}"])
def test_quoted_values(quoted: str) -> None:
    """A quoted value may contain semicolons and, doubled, its quote character."""
    assert _parse(f"Server=h;Database=d;Uid=u;Pwd={quoted}").password == "a;b'c"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "neither a URL nor Key=Value|has no host"),
        ("nonsense", "neither a URL"),
        ("postgresql://u:s3cr3t@h/d", "postgresql://"),
        ("mysql://u:s3cr3t@h:99999/d", "port"),
        ("mysql://u:s3cr3t@h:port/d", "port"),
        ("mysql://u:s3cr3t@h", "no database"),
        ("mysql://:s3cr3t@h/d", "no user"),
        ("mysql://u:s3cr3t@/d", "no host"),
        ("mysql://u:s3cr3t@h/d?tls=1", "'tls' is unknown"),
        ("Server=h;Database=d;Uid=u;Pasword=s3cr3t", "'pasword' is unknown"),
        ("Server=h;Port=0;Database=d;Uid=u;Pwd=s3cr3t", "port"),
        ("mysql://u:s3cr3t@[h/d", "cannot be read"),
    ],
)
def test_refusals(text: str, named: str) -> None:
    """An unreadable string is refused; the message names the part and both forms, and never a secret."""
    with pytest.raises(ConnectionRefused, match=named) as caught:
        _parse(text)
    assert "s3cr3t" not in str(caught.value)
    assert "Server=host" in str(caught.value)


def test_secrets_do_not_show() -> None:
    """No printed form of the address shows the password."""
    address = _parse("mysql://u:s3cr3t@h/d")
    assert "s3cr3t" not in f"{address!r} {address} {address.place}"
    assert address.place == "u@h:3306/d"
