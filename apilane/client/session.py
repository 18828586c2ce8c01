"""Makes requests from calls and results from responses, for both clients. It does no I/O."""

from __future__ import annotations

import threading
import time
from typing import Any, TypeVar

import httpx

from apilane.client.bulk import async_parts_of, parts_of
from apilane.client.call import Call, Credentials, target_of
from apilane.client.errors import (
    ApilaneError,
    ConnectionFailed,
    InvalidRequest,
    SignInStepRequired,
    UnexpectedAnswer,
    wire_error,
)
from apilane.security.signatures import canonical_text, sign

__all__ = ["Session"]

T = TypeVar("T")

FIRST_PAUSE_S = 0.1
_RETRIED = (httpx.NetworkError, httpx.RemoteProtocolError, httpx.ConnectTimeout)


class Clock:
    """Unix milliseconds for signatures. Each write gets a different time: a server accepts each signature once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_ms = 0

    def now_ms(self, *, unique: bool) -> int:
        now_ms = time.time_ns() // 1_000_000
        if not unique:
            return now_ms
        with self._lock:
            self._last_ms = max(now_ms, self._last_ms + 1)
            return self._last_ms


class Session:
    """Server, application and user of a client. ``user``: a token or credentials; None: anonymous.

    ``signed``: sign with the token instead of sending it. ``retries``: how often a call that changes nothing is sent
    again when the connection fails. ``portal``: the token is an owner token. Raises ValueError for invalid arguments.
    """

    def __init__(
        self,
        base_url: str,
        application: str,
        user: Credentials | str | None,
        *,
        signed: bool = False,
        retries: int = 0,
        portal: bool = False,
    ) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise ValueError("base_url must begin with http:// or https://, such as http://127.0.0.1:5001")
        self.base_url = base_url.rstrip("/")
        self.signed = signed
        self.retries = retries
        self.portal = portal
        self.credentials = Credentials(user) if isinstance(user, str) else user
        self.application = application
        self._clock = Clock()
        if signed and portal:
            raise ValueError("Requests cannot be signed with owner tokens: leave out signed or portal")
        if signed and self.credentials is not None and self.credentials.token_id is None:
            raise ValueError("Signing needs the ID of the token as well: pass Credentials(token, token_id)")

    def request(self, http: httpx.Client | httpx.AsyncClient, call: Call[Any]) -> httpx.Request:
        """The request of a call. ``http`` adds its own timeouts and headers. Raises InvalidRequest."""
        try:
            return self._build(http, call)
        except (httpx.InvalidURL, ValueError, TypeError) as error:
            raise InvalidRequest(f"{call.method} {self.base_url}{call.path}: {error}") from error

    def _build(self, http: httpx.Client | httpx.AsyncClient, call: Call[Any]) -> httpx.Request:
        headers = {"x-application-token": self.application}
        if self.portal:
            headers["x-client-id"] = "portal"
        content: Any = call.content()
        if content is not None:
            headers["Content-Type"] = "application/json"
        if call.source is not None:
            headers["Content-Type"] = "application/octet-stream"
            content = (async_parts_of if isinstance(http, httpx.AsyncClient) else parts_of)(call.source)
        files = None
        if call.file is not None:
            name, data = call.file
            files = {"FileUpload": (name, data, "application/octet-stream")}
        url = self.base_url + target_of(call)
        request = http.build_request(call.method, url, headers=headers, content=content, files=files)
        if self.credentials is not None:
            if self.signed:
                self._sign(request, self.credentials, call)
            else:
                request.headers["Authorization"] = f"Bearer {self.credentials.token}"
        return request

    def _sign(self, request: httpx.Request, credentials: Credentials, call: Call[Any]) -> None:
        """Sign the request as it is sent: the target as httpx encodes it, and the bytes of the body."""
        if credentials.token_id is None:
            raise ValueError(
                "The server did not send the ID of the new token, so requests cannot be signed: log in again"
            )
        if call.source is not None:
            raise ValueError("Imports cannot be signed: use client.as_user(client.credentials, signed=False)")
        if call.file is not None:
            raise ValueError("Uploads cannot be signed: use client.as_user(client.credentials, signed=False)")
        now_ms = self._clock.now_ms(unique=call.method != "GET")
        text = canonical_text(credentials.token_id, call.method, request.url.raw_path, now_ms, request.content)
        request.headers["x-auth-keyid"] = str(credentials.token_id)
        request.headers["x-auth-timestamp"] = str(now_ms)
        request.headers["x-auth-signature"] = sign(credentials.token, text).decode()

    def result(self, call: Call[T], response: httpx.Response) -> T:
        """The result of the call from a response. Raises the error of an error response."""
        if response.status_code != call.status:
            raise _error(call, response)
        try:
            result = call.read(response)
        except (ValueError, TypeError, LookupError) as error:
            message = f"{call.method} {call.path}: the answer is not what an Apilane server sends; is base_url right?"
            raise UnexpectedAnswer(message, response.status_code, response.content) from error
        if call.becomes is not None:
            self.credentials = call.becomes(result)
        return result

    def pause_s(self, call: Call[Any], error: httpx.RequestError, attempt: int) -> float:
        """Seconds until a call that failed ``attempt`` times is sent again. Raises ConnectionFailed when it is not, and
        UnexpectedAnswer when the encoding of the answer is broken.
        """
        if isinstance(error, httpx.DecodingError):
            message = f"{call.method} {call.path}: the answer is not what an Apilane server sends; is base_url right?"
            raise UnexpectedAnswer(message, 0) from error
        if call.repeatable and attempt <= self.retries and isinstance(error, _RETRIED):
            return FIRST_PAUSE_S * (1 << attempt - 1)
        what = str(error) or type(error).__name__
        raise ConnectionFailed(f"{call.method} {self.base_url}{call.path}: {what}") from error


def _error(call: Call[Any], response: httpx.Response) -> ApilaneError:
    """The error of a response with an unexpected status."""
    status = response.status_code
    try:
        body = response.json()
    except ValueError:
        body = None
    if isinstance(body, dict) and status >= 400:
        code, message = body.get("Code", body.get("Error")), body.get("Message")
        if isinstance(code, str) and isinstance(message, str):
            if isinstance(step := body.get("SignInStep"), dict):
                return SignInStepRequired(code, message, body.get("Property"), body.get("Entity"), status, step)
            retry_after_s = _seconds(response.headers.get("retry-after"))
            return wire_error(
                code, message, body.get("Property"), body.get("Entity"), status, retry_after_s=retry_after_s
            )
    if status in (414, 431):
        message = f"{call.method} {call.path}: the server or a proxy refuses the length of the URL or of the headers"
        return UnexpectedAnswer(message, status, response.content)
    what = "a redirect" if response.has_redirect_location else f"status {status} without an error of Apilane"
    message = f"{call.method} {call.path}: answered by {what}; is base_url right?"
    return UnexpectedAnswer(message, status, response.content)


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
