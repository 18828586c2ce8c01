"""Endpoints of the kind ``python``: finds functions, and runs them within their time limit."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import msgspec

from apilane.plugin import (
    Actor,
    ApilaneError,
    ApplicationDefinition,
    ApplicationView,
    Code,
    Dialect,
    Endpoint,
    EndpointDescription,
    EndpointFunction,
    JsonResult,
    Records,
    ResultSets,
    encode_json,
)
from apilane_python_endpoints.signature import ParameterReader, described, signature_problem

__all__ = ["PythonAction", "PythonCall", "PythonKind"]

T = TypeVar("T")

log = logging.getLogger("apilane.python_endpoints")


class PythonKind:
    """See ``apilane.plugin.endpoints.EndpointKind``. ``threads``: of functions without ``async``."""

    name = "python"

    def __init__(self, functions: Sequence[EndpointFunction], threads: int) -> None:
        self._functions = {each.name.lower(): each for each in functions}
        for each in functions:
            if problem := signature_problem(each.function):
                raise ValueError(f"the function {each.name} {problem}")
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="apilane-endpoints")

    def check(self, endpoint: Endpoint, definition: ApplicationDefinition, dialect: Dialect) -> list[str]:
        """Report an unknown function, and types that the function declares itself."""
        if self._function(endpoint) is None:
            known = ", ".join(sorted(each.name for each in self._functions.values())) or "none"
            return [f"no loaded plugin registers the function {endpoint.query.strip()!r}; registered: {known}"]
        if endpoint.parameters:
            return ["the function declares the types of its parameters; remove Parameters"]
        return []

    def describe(self, endpoint: Endpoint, application: ApplicationView) -> EndpointDescription:
        """The parameters and the answer, from the signature of the function."""
        function = self._function(endpoint)
        return EndpointDescription() if function is None else described(function.function)

    def compile(self, endpoint: Endpoint, application: ApplicationView) -> PythonAction:
        """The action of the function. Raises NOT_FOUND when its plugin is no longer loaded."""
        function = self._function(endpoint)
        if function is None:
            log.error(
                "endpoint %s of application %s needs the function %r, which no loaded plugin registers",
                endpoint.name,
                application.token,
                endpoint.query.strip(),
            )
            raise ApilaneError(Code.NOT_FOUND, status=404)
        return PythonAction(endpoint, application, function, self._threads)

    def _function(self, endpoint: Endpoint) -> EndpointFunction | None:
        return self._functions.get(endpoint.query.strip().lower())


class PythonAction:
    """See ``apilane.plugin.endpoints.EndpointAction``."""

    def __init__(
        self,
        endpoint: Endpoint,
        application: ApplicationView,
        function: EndpointFunction,
        threads: ThreadPoolExecutor,
    ) -> None:
        self._name = endpoint.name
        self._application = application
        self._function = function.function
        self._limit_s = function.time_limit_s
        self._reader = ParameterReader(function.function)
        self._is_async = inspect.iscoroutinefunction(function.function)
        self._threads = threads

    async def run(self, parameters: Mapping[str, str], actor: Actor, *, keep: bool = True) -> ResultSets | JsonResult:
        """Call the function. A list of rows is one result set; a list of lists of rows is several; other values are
        sent as they are.
        """
        if not keep:
            raise ApilaneError(Code.ERROR, f"Something went wrong: the endpoint {self._name} cannot be tried out")
        arguments = self._reader.read(parameters, self._name)
        call = PythonCall(self._application, actor)
        try:
            async with asyncio.timeout(self._limit_s):
                result = await self._called(call, arguments)
        except (SystemExit, KeyboardInterrupt, GeneratorExit) as error:
            raise RuntimeError(f"the function of endpoint {self._name} raised {type(error).__name__}") from error
        except asyncio.CancelledError as error:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise  # the caller is gone, or the server stops
            raise RuntimeError(f"the function of endpoint {self._name} was cancelled by itself") from error
        except TimeoutError as error:
            log.warning("the function of endpoint %s took longer than %g s", self._name, self._limit_s)
            text = f"Something went wrong: the endpoint took longer than {self._limit_s:g} seconds"
            raise ApilaneError(Code.ERROR, text) from error
        return self._shaped(result)

    def _shaped(self, value: Any) -> ResultSets | JsonResult:
        if _is_list(value) and all(isinstance(row, Mapping) for row in value):
            return [value]
        if _is_list(value) and all(_is_list(rows) and all(isinstance(row, Mapping) for row in rows) for rows in value):
            return value  # type: ignore[no-any-return]  # lists of rows
        try:
            return JsonResult(msgspec.Raw(encode_json(value)))
        except TypeError as error:
            text = f"the function of endpoint {self._name} returned {type(value).__name__}: {error}"
            raise TypeError(text) from error

    async def _called(self, call: PythonCall, arguments: Mapping[str, Any]) -> Any:
        if self._is_async:
            return await self._function(call, **arguments)
        running = asyncio.get_running_loop().run_in_executor(self._threads, partial(self._function, call, **arguments))
        return await running


class PythonCall:
    """See ``apilane.plugin.functions.EndpointCall``."""

    def __init__(self, application: ApplicationView, actor: Actor) -> None:
        self.actor = actor
        self.application = application
        self._loop = asyncio.get_running_loop()

    @property
    def records(self) -> Records:
        """The records that the caller may use."""
        return self.application.data.as_actor(self.actor)

    @property
    def all_records(self) -> Records:
        """All records, without the caller's rules."""
        return self.application.data.as_system()

    def wait(self, awaitable: Awaitable[T]) -> T:
        """The result of an awaitable, for functions in threads."""

        async def result() -> T:
            return await awaitable

        return asyncio.run_coroutine_threadsafe(result(), self._loop).result()


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray)
