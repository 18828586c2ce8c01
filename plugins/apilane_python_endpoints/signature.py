"""The parameters of an endpoint function: read from its signature once, and from the texts of every call."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from apilane.plugin import ApilaneError, Code, EndpointDescription, Parameter

__all__ = ["ParameterReader", "described", "signature_problem"]

MESSAGE_MAX: Final = 200
"""Characters of a message about a value: it may repeat a value of megabytes."""
_BOOLEANS: Final = (bool, bool | None)
_SWITCHES: Final = {"on", "off"}
"""Booleans that HTML forms send, beside ``true``, ``false``, ``1`` and ``0``; in any letter case."""


def signature_problem(function: Callable[..., Any]) -> str | None:
    """What is wrong with a function, as the end of a sentence; None: nothing."""
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters or parameters[0].kind not in {parameters[0].POSITIONAL_ONLY, parameters[0].POSITIONAL_OR_KEYWORD}:
        return "has no first parameter for the call"
    for each in parameters[1:]:
        if each.kind in {each.VAR_POSITIONAL, each.VAR_KEYWORD, each.POSITIONAL_ONLY}:
            return f"has the parameter {each}; expected parameters with a name"
    try:
        ParameterReader(function)
    except Exception as error:
        return f"has types that cannot be read: {error}"
    return None


class ParameterReader:
    """Reads the texts of a call as the arguments of a function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        hints = typing.get_type_hints(function)
        parameters = list(inspect.signature(function).parameters.values())[1:]
        self._types: dict[str, Any] = {each.name: hints.get(each.name, str) for each in parameters}
        self._required = [each.name for each in parameters if each.default is each.empty]
        self._decoders: dict[str, msgspec.json.Decoder[Any]] = {
            name: msgspec.json.Decoder(type) for name, type in self._types.items()
        }

    def read(self, sent: Mapping[str, str], endpoint: str) -> dict[str, Any]:
        """The arguments by name.

        Raises REQUIRED for a missing parameter and VALIDATION for a value that does not fit. Other parameters are
        ignored, as in SQL endpoints.
        """
        arguments = {name: self._value(name, text, endpoint) for name, text in sent.items() if name in self._types}
        for name in self._required:
            if name not in arguments:
                raise ApilaneError(Code.REQUIRED, property=name, entity=endpoint)
        return arguments

    def _value(self, name: str, text: str, endpoint: str) -> Any:
        """A text as a value of its type: as it is (text, numbers, booleans, dates), or as JSON."""
        type = self._types[name]
        if type in _BOOLEANS and text.lower() in _SWITCHES:
            return text.lower() == "on"
        try:
            return msgspec.convert(text, type, strict=False)
        except msgspec.ValidationError as plain:
            try:
                return self._decoders[name].decode(text)
            except msgspec.ValidationError as error:
                found = error
            except msgspec.DecodeError:
                found = plain
            raise ApilaneError(
                Code.VALIDATION, f"Validation error: {str(found)[:MESSAGE_MAX]}", property=name, entity=endpoint
            ) from found


def described(function: Callable[..., Any]) -> EndpointDescription:
    """The description of an endpoint: the types of the parameters and of the result, and the docstring."""
    hints = typing.get_type_hints(function, include_extras=True)
    parameters = [
        Parameter(name=each.name, type=hints.get(each.name, str), required=each.default is each.empty)
        for each in list(inspect.signature(function).parameters.values())[1:]
    ]
    return EndpointDescription(
        parameters=parameters,
        answer=_answer(hints["return"]) if "return" in hints else {},
        text=inspect.getdoc(function) or "",
    )


def _answer(type: Any) -> Any:
    """The type of an answer: a list of rows is sent as one result set, other values as they are."""
    return list[type] if _is_list_of_rows(type) else type


def _is_list_of_rows(type: Any) -> bool:
    origin, arguments = typing.get_origin(type), typing.get_args(type)
    if not (inspect.isclass(origin) and issubclass(origin, Sequence) and len(set(arguments) - {...}) == 1):
        return False
    row = typing.get_origin(arguments[0]) or arguments[0]
    return inspect.isclass(row) and issubclass(row, Mapping)
