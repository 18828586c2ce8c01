"""The two clients. They send the requests that ``Session`` makes and pass the answers to it.

Every call is described once, as a function that makes a ``Call``. Each client turns it into a method with the same
parameters, so that the clients cannot differ.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, BinaryIO, Concatenate, ParamSpec, Self, TypeVar

import httpx

from apilane.client import account, bulk, data, files, operations, service
from apilane.client.call import Call, Credentials, Record
from apilane.client.errors import InvalidSort
from apilane.client.filters import Sort
from apilane.client.session import Session

__all__ = ["AsyncClient", "Client"]

P = ParamSpec("P")
T = TypeVar("T")
Wrapped = TypeVar("Wrapped", bound=Callable[..., Any])

TIMEOUT_S = 30.0
"""Time limit for connecting, for sending, and for each wait for the server. The server stops after 20 s."""


def _describe(method: Wrapped, build: Callable[..., Any]) -> Wrapped:
    """Give a method the name, docstring and signature of the function that describes its call.

    The method returns the result of the call, so its return type is ``Page`` where the function has ``Call[Page]``.
    """
    functools.update_wrapper(method, build)
    signature = inspect.signature(build)
    this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    result = str(signature.return_annotation).removeprefix("Call[").removesuffix("]")
    method.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[this, *signature.parameters.values()], return_annotation=result
    )
    method.__annotations__ = {**build.__annotations__, "return": result}
    return method


def _blocking(build: Callable[P, Call[T]]) -> Callable[Concatenate[Client, P], T]:
    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.send(build(*args, **kwargs))

    return _describe(method, build)


def _awaited(build: Callable[P, Call[T]]) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]:
    async def method(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.send(build(*args, **kwargs))

    return _describe(method, build)


class Client:
    """A caller of one application: ``Client("http://127.0.0.1:5001", application_token)``, best used in ``with``.

    ``user``: a token, or the ``credentials`` of another client; None until ``login``. ``signed``: sign requests instead
    of sending the token. ``portal``: ``user`` is an owner token, as ``apilane owner-token`` prints it. ``timeout_s``:
    for connecting and for each wait. ``retries``: repetitions of a read whose connection failed; 0 by default.
    ``http``: a client of httpx to send with; the caller closes it. Connections are kept and reused. Several threads may
    use one client, as one user.
    """

    def __init__(
        self,
        base_url: str,
        application: str,
        *,
        user: Credentials | str | None = None,
        signed: bool = False,
        portal: bool = False,
        timeout_s: float = TIMEOUT_S,
        retries: int = 0,
        http: httpx.Client | None = None,
    ) -> None:
        self._session = Session(base_url, application, user, signed=signed, retries=retries, portal=portal)
        self._http = http or httpx.Client(timeout=timeout_s)
        self._owns_http = http is None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, unless ``http`` was given."""
        if self._owns_http:
            self._http.close()

    def __repr__(self) -> str:
        return _shown(self, self._session)

    @property
    def credentials(self) -> Credentials | None:
        """The credentials of this client's user; None for an anonymous client."""
        return self._session.credentials

    def as_user(self, user: Credentials | str | None, *, signed: bool | None = None) -> Self:
        """A client for another user over the same connections. It cannot be used after this client is closed."""
        session = self._session
        signed = session.signed if signed is None else signed
        return type(self)(
            session.base_url, session.application, user=user, signed=signed, retries=session.retries, http=self._http
        )

    def send(self, call: Call[T]) -> T:
        """Send a call and return its result. Raises ApilaneError for an error, an unexpected answer or no answer."""
        return self._session.result(call, self.respond(call))

    def respond(self, call: Call[Any]) -> httpx.Response:
        """Send a call and return the answer as received, also an error. Raises ConnectionFailed without an answer,
        InvalidRequest when the call cannot be sent."""
        request, attempt = self._session.request(self._http, call), 0
        while True:
            try:
                if call.into is None:
                    return self._http.send(request, follow_redirects=False)
                return self._stream(request, call, call.into)
            except httpx.RequestError as error:
                attempt += 1
                time.sleep(self._session.pause_s(call, error, attempt))

    def _stream(self, request: httpx.Request, call: Call[Any], target: BinaryIO) -> httpx.Response:
        """The answer, with its body in ``target`` if the call succeeded."""
        with contextlib.closing(self._http.send(request, stream=True, follow_redirects=False)) as response:
            if response.status_code != call.status:
                response.read()
            else:
                target.writelines(response.iter_bytes())
        return response

    get = _blocking(data.get)
    get_by_id = _blocking(data.get_by_id)
    history = _blocking(data.history)
    post = _blocking(data.post)
    put = _blocking(data.put)
    delete = _blocking(data.delete)
    schema = _blocking(data.schema)
    aggregate = _blocking(data.aggregate)
    distinct = _blocking(data.distinct)
    custom = _blocking(data.custom)
    export_to = _blocking(bulk.export_to)
    import_from = _blocking(bulk.import_from)
    transaction = _blocking(operations.transaction)
    transaction_operations = _blocking(operations.transaction_operations)
    register = _blocking(account.register)
    login = _blocking(account.login)
    answer_step = _blocking(account.answer_step)
    user_data = _blocking(account.user_data)
    update_user = _blocking(account.update_user)
    change_password = _blocking(account.change_password)
    renew = _blocking(account.renew)
    logout = _blocking(account.logout)
    confirm = _blocking(account.confirm)
    request_confirmation = _blocking(account.request_confirmation)
    forgot_password = _blocking(account.forgot_password)
    upload = _blocking(files.upload)
    download = _blocking(files.download)
    download_to = _blocking(files.download_to)
    link = _blocking(files.link)
    version = _blocking(service.version)
    health = _blocking(service.health)

    def pages(
        self,
        entity: str,
        *,
        filter: data.Condition | None = None,
        sort: Sort | None = None,
        properties: data.Names | None = None,
        page_size: int = data.PAGE_MAX,
    ) -> Iterator[list[Record]]:
        """All records that the caller may read, page by page; see ``Walk`` for the order."""
        walk = data.Walk(entity, filter, sort, properties, page_size)
        while (call := walk.next_call()) is not None:
            try:
                page = self.send(call)
            except InvalidSort:
                if not walk.stop_cursors():
                    raise
                continue
            if records := walk.take(page):
                yield records

    def iterate(
        self,
        entity: str,
        *,
        filter: data.Condition | None = None,
        sort: Sort | None = None,
        properties: data.Names | None = None,
        page_size: int = data.PAGE_MAX,
    ) -> Iterator[Record]:
        """All records that the caller may read, one by one."""
        for records in self.pages(entity, filter=filter, sort=sort, properties=properties, page_size=page_size):
            yield from records


class AsyncClient:
    """``Client`` for asyncio: the same parameters and methods, awaited; best used in ``async with``."""

    def __init__(
        self,
        base_url: str,
        application: str,
        *,
        user: Credentials | str | None = None,
        signed: bool = False,
        portal: bool = False,
        timeout_s: float = TIMEOUT_S,
        retries: int = 0,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._session = Session(base_url, application, user, signed=signed, retries=retries, portal=portal)
        self._http = http or httpx.AsyncClient(timeout=timeout_s)
        self._owns_http = http is None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections, unless ``http`` was given."""
        if self._owns_http:
            await self._http.aclose()

    def __repr__(self) -> str:
        return _shown(self, self._session)

    @property
    def credentials(self) -> Credentials | None:
        """The credentials of this client's user; None for an anonymous client."""
        return self._session.credentials

    def as_user(self, user: Credentials | str | None, *, signed: bool | None = None) -> Self:
        """A client for another user over the same connections. It cannot be used after this client is closed."""
        session = self._session
        signed = session.signed if signed is None else signed
        return type(self)(
            session.base_url, session.application, user=user, signed=signed, retries=session.retries, http=self._http
        )

    async def send(self, call: Call[T]) -> T:
        """Send a call and return its result. Raises ApilaneError for an error, an unexpected answer or no answer."""
        return self._session.result(call, await self.respond(call))

    async def respond(self, call: Call[Any]) -> httpx.Response:
        """Send a call and return the answer as received, also an error. Raises ConnectionFailed without an answer,
        InvalidRequest when the call cannot be sent."""
        request, attempt = self._session.request(self._http, call), 0
        while True:
            try:
                if call.into is None:
                    return await self._http.send(request, follow_redirects=False)
                return await self._stream(request, call, call.into)
            except httpx.RequestError as error:
                attempt += 1
                await asyncio.sleep(self._session.pause_s(call, error, attempt))

    async def _stream(self, request: httpx.Request, call: Call[Any], target: BinaryIO) -> httpx.Response:
        """The answer, with its body in ``target`` if the call succeeded."""
        response = await self._http.send(request, stream=True, follow_redirects=False)
        async with contextlib.aclosing(response):
            if response.status_code != call.status:
                await response.aread()
            else:
                async for chunk in response.aiter_bytes():
                    target.write(chunk)
        return response

    get = _awaited(data.get)
    get_by_id = _awaited(data.get_by_id)
    history = _awaited(data.history)
    post = _awaited(data.post)
    put = _awaited(data.put)
    delete = _awaited(data.delete)
    schema = _awaited(data.schema)
    aggregate = _awaited(data.aggregate)
    distinct = _awaited(data.distinct)
    custom = _awaited(data.custom)
    export_to = _awaited(bulk.export_to)
    import_from = _awaited(bulk.import_from)
    transaction = _awaited(operations.transaction)
    transaction_operations = _awaited(operations.transaction_operations)
    register = _awaited(account.register)
    login = _awaited(account.login)
    answer_step = _awaited(account.answer_step)
    user_data = _awaited(account.user_data)
    update_user = _awaited(account.update_user)
    change_password = _awaited(account.change_password)
    renew = _awaited(account.renew)
    logout = _awaited(account.logout)
    confirm = _awaited(account.confirm)
    request_confirmation = _awaited(account.request_confirmation)
    forgot_password = _awaited(account.forgot_password)
    upload = _awaited(files.upload)
    download = _awaited(files.download)
    download_to = _awaited(files.download_to)
    link = _awaited(files.link)
    version = _awaited(service.version)
    health = _awaited(service.health)

    async def pages(
        self,
        entity: str,
        *,
        filter: data.Condition | None = None,
        sort: Sort | None = None,
        properties: data.Names | None = None,
        page_size: int = data.PAGE_MAX,
    ) -> AsyncIterator[list[Record]]:
        """All records that the caller may read, page by page; see ``Walk`` for the order."""
        walk = data.Walk(entity, filter, sort, properties, page_size)
        while (call := walk.next_call()) is not None:
            try:
                page = await self.send(call)
            except InvalidSort:
                if not walk.stop_cursors():
                    raise
                continue
            if records := walk.take(page):
                yield records

    async def iterate(
        self,
        entity: str,
        *,
        filter: data.Condition | None = None,
        sort: Sort | None = None,
        properties: data.Names | None = None,
        page_size: int = data.PAGE_MAX,
    ) -> AsyncIterator[Record]:
        """All records that the caller may read, one by one."""
        async for records in self.pages(entity, filter=filter, sort=sort, properties=properties, page_size=page_size):
            for record in records:
                yield record


def _shown(client: object, session: Session) -> str:
    """The text of a client for logs, without secrets."""
    how = "anonymous" if session.credentials is None else "signed" if session.signed else "bearer"
    return f"{type(client).__name__}({session.base_url!r}, user={how})"
