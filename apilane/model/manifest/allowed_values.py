"""The keys ``Default``, ``Values`` and ``Format`` of a property: what fits its type and its other rules."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from apilane.errors import ApilaneError
from apilane.model.defaults import NOW, default_maker
from apilane.model.definition import Property, PropertyType
from apilane.model.formats import JSON, literal
from apilane.model.json import MalformedJson, json_text
from apilane.model.manifest.keys import VALUES_MAX
from apilane.model.manifest.merging import report, setting
from apilane.model.manifest.nodes import Node
from apilane.model.manifest.problems import Problems
from apilane.model.values import value_reader

__all__ = ["check_values", "default_of"]


def default_of(item: Node, existing: Property | None, made: Property) -> Any:
    """The default of a property; of a Json property as JSON text."""
    default = setting(item, "Default", existing, "default", None)
    return json_text(_literals(default)) if made.format == JSON and not isinstance(default, str | None) else default


def _literals(value: Any) -> Any:
    """A value of a manifest with its fractions as the JSON decoder gives them."""
    if isinstance(value, dict):
        return {key: _literals(each) for key, each in value.items()}
    return [_literals(each) for each in value] if isinstance(value, list) else literal(value)


def check_values(item: Node, made: Property, problems: Problems) -> None:
    """Report values, a format and a default that do not fit ``made``."""
    name = made.type.name
    if made.format is not None and made.type is not PropertyType.String:
        report(problems, item, "Format", f"Format has no meaning for the type {name}", "it is for String; remove it")
        return
    if made.values and not _values_fit(item, made, problems):
        return
    if made.default is not None and not _has_type(made):
        hint = {"Boolean": "give true or false", "Date": "give a date, unix ms or Now"}.get(name, f"give a {name}")
        report(problems, item, "Default", f"the default does not fit the type {name}", hint)
    elif made.default is not None:
        try:
            default_maker(made, value_reader("", made, exact_decimals=True))
        except (ApilaneError, MalformedJson) as error:
            why = error.message if isinstance(error, ApilaneError) else "it is no JSON text"
            report(problems, item, "Default", f"the property refuses its default: {why}", "give a value that fits")


def _has_type(made: Property) -> bool:
    default = made.default
    match made.type:
        case PropertyType.Boolean:
            return isinstance(default, bool)
        case PropertyType.Number:
            return isinstance(default, int | float) and not isinstance(default, bool)
        case PropertyType.Date:
            return default == NOW or (isinstance(default, str | int) and not isinstance(default, bool))
        case PropertyType.String:
            return isinstance(default, str)


def _values_fit(item: Node, made: Property, problems: Problems) -> bool:
    name = made.type.name
    if made.type not in (PropertyType.String, PropertyType.Number):
        report(problems, item, "Values", f"Values has no meaning for the type {name}", "it is for String and Number")
        return False
    if made.format == JSON:
        report(problems, item, "Values", "Values has no meaning for the format Json", "remove Values or Format")
        return False
    if len(made.values) > VALUES_MAX:
        message = f"Values lists {len(made.values)} values"
        report(problems, item, "Values", message, f"at most {VALUES_MAX} are allowed; use an entity and a foreign key")
        return False
    kind = str if made.type is PropertyType.String else int | float
    read = value_reader("", replace(made, values=()), exact_decimals=True)
    seen: set[Any] = set()
    for value in made.values:
        if not isinstance(value, kind):
            report(problems, item, "Values", f"the value {value!r} is not a {name}", "put texts in quotes")
            return False
        try:
            stored = read(literal(value))
        except ApilaneError as error:
            report(problems, item, "Values", f"the property refuses the value {value!r}: {error.message}", "correct it")
            return False
        if stored in seen:
            report(problems, item, "Values", f"the value {value!r} is listed twice", "remove one")
            return False
        seen.add(stored)
    return True
