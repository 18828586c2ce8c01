"""Commands on a remote instance: ``--server URL`` and ``--token`` call its management API."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

import msgspec
import rich_click as click

from apilane.errors import ConfigurationError

__all__ = ["Remote", "manifests_of", "remote_options"]

API: Final = "/api/manage/v1"
TIMEOUT_S: Final = 600
"""A change of a large table takes minutes."""

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_references = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)")


def remote_options(command: F, *, place: str = "the Portal", example: str = "https://portal.example.com") -> F:
    """``--server`` and ``--token``. ``place``: the part of an instance whose address ``--server`` is."""
    token = click.option(
        "--token",
        envvar="APILANE_OPERATOR_TOKEN",
        show_envvar=True,
        metavar="TOKEN",
        help="Operator token for --server. Create one in the Portal, or with apilane owner-token.",
    )
    server = click.option(
        "--server", metavar="URL", help=f"Address of {place} of a remote instance, such as {example}."
    )
    return server(token(command))


class _NoRedirects(HTTPRedirectHandler):
    """A redirect could carry the token to another server."""

    def redirect_request(self, *_arguments: Any, **_options: Any) -> None:
        return None


class Remote:
    """The management API of an instance. Calls raise ConfigurationError with the server's message."""

    def __init__(self, url: str, token: str | None) -> None:
        if urlsplit(url).scheme not in {"http", "https"}:
            raise ConfigurationError(f"--server {url}: expected an address such as https://portal.example.com.")
        if not token:
            raise ConfigurationError("--server needs an operator token: add --token, or set APILANE_OPERATOR_TOKEN.")
        self.url = url.rstrip("/")
        self._token = token
        self._open = build_opener(_NoRedirects).open

    def call(self, method: str, path: str, kind: type[T], body: Mapping[str, Any] | None = None) -> T:
        """The decoded answer of a call."""
        return msgspec.json.decode(self._send(method, path, "application/json", body), type=kind)

    def text(self, path: str, accept: str) -> str:
        """The answer of a GET, as text."""
        return self._send("GET", path, accept, None).decode()

    def _send(self, method: str, path: str, accept: str, body: Mapping[str, Any] | None) -> bytes:
        headers = {"authorization": f"Bearer {self._token}", "accept": accept, "content-type": "application/json"}
        data = None if body is None else msgspec.json.encode(body)
        request = Request(self.url + API + path, data, headers, method=method)  # noqa: S310 - checked above
        try:
            with self._open(request, timeout=TIMEOUT_S) as answer:
                found: bytes = answer.read()
                return found
        except HTTPError as error:
            with error:
                raise ConfigurationError(f"{self.url} answers: {_message(error.read(), error.code)}") from None
        except (URLError, OSError) as error:
            raise ConfigurationError(f"{self.url} cannot be reached: {getattr(error, 'reason', error)}.") from None


def _message(body: bytes, status: int) -> str:
    try:
        return str(msgspec.json.decode(body)["Message"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return f"HTTP status {status}"


def manifests_of(files: Sequence[tuple[str, bytes]]) -> dict[str, Any]:
    """The body with manifests, and with the values of the environment variables that they refer to."""
    texts = [(name, content.decode("utf-8", "replace")) for name, content in files]
    names = {name for _, text in texts for name in _references.findall(text)}
    return {
        "Files": [{"Name": name, "Content": text} for name, text in texts],
        "Variables": {name: os.environ[name] for name in sorted(names) if name in os.environ},
    }
