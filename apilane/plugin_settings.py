"""The settings of plugins for the instance: checks the registered Structs, and reads the configured values.

``apilane.toml`` has a section ``[plugins.NAME]``; the variable ``APILANE_<NAME>_<FIELD>`` overrides it. Invalid
settings stop start-up.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

import msgspec
from msgspec import Struct
from msgspec.inspect import AnyType, DictType, StructType, Type

from apilane.errors import ConfigurationError
from apilane.model.sections import (
    fields_of,
    holds_secret,
    is_list,
    is_secret,
    is_table,
    misplaced_secret,
    plain_type,
    unreadable_type,
    without_value,
)
from apilane.plugin.settings import PluginSettings, Secret
from apilane.settings import (
    ENVIRONMENT_PREFIX,
    PluginSections,
    Referenced,
    SettingRow,
    Settings,
    describe_settings,
    did_you_mean,
    setting_rows,
)

__all__ = ["option_rows", "read_options", "same_settings_problem", "settings_problem"]


def option_rows(plugin: str, kind: type[Struct]) -> dict[str, SettingRow]:
    """The settings of a plugin as rows of a table, by name."""
    secrets = [name for name, field in fields_of(kind).items() if is_secret(plain_type(field.type))]
    return setting_rows(kind, _prefix(plugin), secrets)


def _prefix(plugin: str) -> str:
    return f"{ENVIRONMENT_PREFIX}{plugin.upper().replace('-', '_')}_"


# The registered Structs


def settings_problem(registered: PluginSettings) -> str | None:
    """The problem of the settings of one plugin; None when there is none."""
    if registered.enforced and registered.application is None:
        return "enforced=True refers to a section of manifests; give the Struct of that section as application."
    kinds: dict[str, Any] = {"instance": registered.instance, "application": registered.application}
    for place, kind in kinds.items():
        if kind is None:
            continue
        if not (inspect.isclass(kind) and issubclass(kind, Struct)):
            return f"{place} is {kind!r}; expected a subclass of msgspec.Struct."
        try:
            msgspec.json.Decoder(kind, dec_hook=_custom)
            fields = fields_of(kind)
        except (TypeError, NameError) as error:
            return f"the Struct {kind.__name__} cannot be used: {error}"
        unreadable = unreadable_type(kind, {Secret, Path} if place == "instance" else {Secret})
        if unreadable is not None:
            return (
                f"{kind.__name__}.{unreadable} is no type of a setting; use text, numbers, dates, Secret, Structs, "
                f"lists or mappings{', or Path' if place == 'instance' else ''}."
            )
        misplaced = misplaced_secret(kind)
        if misplaced is not None:
            return (
                f"{kind.__name__}.{misplaced} holds a Secret that cannot be found again; put secrets into fields, "
                "nested Structs, mappings, or lists of Structs that have a Name."
            )
        needed = [name for name, field in fields.items() if field.required]
        if place == "application" and needed:
            return f"{kind.__name__}.{needed[0]} needs a default, for applications without the section."
    return None


def same_settings_problem(plugin: str, registered: PluginSettings, others: Mapping[str, PluginSettings]) -> str | None:
    """A conflict of a plugin's settings with the core or with another plugin; None when there is none."""
    for name, other in others.items():
        if registered.application is not None and other.application is registered.application:
            return f"the plugin {name!r} uses the Struct {registered.application.__name__} too; declare another."
    if registered.instance is None:
        return None
    taken = {row.environment: f"the setting {row.name} of the core" for row in describe_settings()}
    for name, other in others.items():
        rows = option_rows(name, other.instance).values() if other.instance is not None else ()
        taken |= {row.environment: f"the setting {row.name} of the plugin {name!r}" for row in rows}
    for row in option_rows(plugin, registered.instance).values():
        if row.environment in taken:
            owner = taken[row.environment]
            return f"the setting {row.name} has the variable {row.environment}, and so has {owner}; rename the setting."
    return None


# The configured values


def read_options(
    registered: Mapping[str, PluginSettings], plugins: Sequence[str], settings: Settings
) -> dict[str, Struct]:
    """The settings of each plugin with settings. ``plugins``: the names of all loaded plugins.

    Raises ``ConfigurationError`` that names the source, the setting and the expected value.
    """
    given = settings.plugin_settings
    if not isinstance(given, PluginSections):
        given = PluginSections(given)
    kinds = {name: each.instance for name, each in registered.items() if each.instance is not None}
    _refuse_unknown_sections(given, kinds, plugins)
    rows = {name: option_rows(name, kind) for name, kind in kinds.items()}
    _refuse_unknown_variables(given.variables, rows)
    return {name: _Options(name, kind, rows[name], given).read() for name, kind in kinds.items()}


def _refuse_unknown_sections(given: PluginSections, kinds: Iterable[str], plugins: Sequence[str]) -> None:
    for name in given.sections:
        place = _source(given, name)
        if name not in plugins:
            raise ConfigurationError(
                f"{place}: no plugin {name!r} is loaded{did_you_mean(name, plugins)}. Load it, or remove the section."
            )
        if name not in kinds:
            raise ConfigurationError(f"{place}: the plugin {name!r} has no settings. Remove the section.")


def _refuse_unknown_variables(variables: Mapping[str, str], rows: Mapping[str, Mapping[str, SettingRow]]) -> None:
    known = {row.environment for each in rows.values() for row in each.values()}
    for variable in variables:
        plugin = max((name for name in rows if variable.startswith(_prefix(name))), key=len, default=None)
        if variable not in known and plugin is not None:
            own = [row.environment for row in rows[plugin].values()]
            raise ConfigurationError(
                f"{variable}: the plugin {plugin!r} has no such setting{did_you_mean(variable, own)}. It has: "
                f"{', '.join(rows[plugin])}."
            )


def _source(given: PluginSections, plugin: str) -> str:
    return f"{given.file}: plugins.{plugin}" if given.file is not None else f"plugin_settings: {plugin}"


def _custom(kind: type, value: Any) -> Any:
    """Converts values of types that msgspec does not support."""
    if isinstance(value, kind):
        return value
    if kind is Path and isinstance(value, str) and value:
        return Path(value)
    raise ValueError("Expected a secret" if kind is Secret else f"Expected a {kind.__name__}")


class _Value(NamedTuple):
    value: Any
    source: str
    strict: bool


class _Options:
    """Reads the settings of one plugin."""

    def __init__(self, plugin: str, kind: type[Struct], rows: Mapping[str, SettingRow], given: PluginSections) -> None:
        self._plugin = plugin
        self._kind = kind
        self._rows = rows
        self._given = given
        self._fields = fields_of(kind)
        self._hints = get_type_hints(kind, include_extras=True)

    def read(self) -> Struct:
        """The Struct."""
        section = self._given.sections.get(self._plugin, {})
        place = _source(self._given, self._plugin)
        self._refuse_unknown(section, self._fields, place)
        values: dict[str, Any] = {}
        for name, row in self._rows.items():
            given = self._value(name, row, section, place)
            if given is not None:
                values[self._fields[name].name] = self._converted(name, given)
            elif self._fields[name].required:
                other = "" if is_table(plain_type(self._fields[name].type)) else f", or set {row.environment}"
                raise ConfigurationError(f"{place}.{name} is missing: expected {row.type}. Write it there{other}.")
        try:
            return self._kind(**values)
        except (ValueError, TypeError) as error:  # from ``__post_init__`` of the Struct
            raise ConfigurationError(f"{place}: {error}.") from error

    def _value(self, name: str, row: SettingRow, section: Mapping[str, Any], place: str) -> _Value | None:
        """The configured value of a setting; None if there is none."""
        info = self._fields[name].type
        text = self._given.variables.get(row.environment)
        if text is not None:
            return _Value(self._from_text(info, row, text), row.environment, False)
        if name not in section:
            return None
        source = f"{place}.{name}"
        return _Value(self._prepared(section[name], info, source), source, not isinstance(section[name], Referenced))

    def _from_text(self, info: Type, row: SettingRow, text: str) -> Any:
        kind = plain_type(info)
        if text == "" and row.default == "" and kind is not info:
            return None
        if is_secret(kind):
            return self._secret(text, row.environment)
        if is_table(kind):
            raise ConfigurationError(
                f"{row.environment}: a variable cannot hold a table or a list of tables. Remove the variable and "
                f"write {row.name} in the section [plugins.{self._plugin}] of apilane.toml."
            )
        return [item.strip() for item in text.split(",") if item.strip()] if is_list(kind) else text

    def _converted(self, name: str, given: _Value) -> Any:
        try:
            hint = self._hints[self._fields[name].name]
            return msgspec.convert(given.value, hint, strict=given.strict, dec_hook=_custom)
        except msgspec.ValidationError as error:
            hides = holds_secret(self._fields[name].type)
            shown, problem = ("this value", without_value(error)) if hides else (repr(given.value), str(error))
            raise ConfigurationError(
                f"{given.source}: {shown} is not accepted; expected {self._rows[name].type}. {problem}."
            ) from error

    def _prepared(self, value: Any, info: Type, source: str) -> Any:
        """``value`` with the texts of its references, and with each secret as a ``Secret``. Refuses unknown keys."""
        kind = plain_type(info)
        if is_secret(kind):
            return None if value is None else self._secret(value, source)
        if isinstance(value, Referenced):
            return value.text
        if isinstance(value, Mapping):
            fields = fields_of(kind) if isinstance(kind, StructType) else None
            if fields is not None:
                self._refuse_unknown(value, fields, source)
            inner = {key: fields[key].type if fields is not None else _item(kind) for key in value}
            return {key: self._prepared(each, inner[key], f"{source}.{key}") for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self._prepared(each, _item(kind), f"{source}[{place}]") for place, each in enumerate(value)]
        return value

    def _secret(self, value: Any, source: str) -> Secret:
        if isinstance(value, Secret):
            return value
        text = value.text if isinstance(value, Referenced) else value
        if isinstance(text, Mapping) and self._given.file is not None:
            raise ConfigurationError(f"{source}: {_reference_problem(text)}")
        if not isinstance(text, str) or not text:
            raise ConfigurationError(f"{source}: a secret is text that is not empty.")
        if self._given.file is not None and text is value and source.startswith(f"{self._given.file}: "):
            raise ConfigurationError(
                f'{source} is a secret and must not be in this file; write {{env = "NAME"}} or {{file = "PATH"}}.'
            )
        return Secret(text)

    def _refuse_unknown(self, value: Mapping[str, Any], known: Iterable[str], source: str) -> None:
        names = list(known)
        for key in value:
            if key not in names:
                raise ConfigurationError(
                    f"{source}: unknown setting {key!r}{did_you_mean(key, names)}. There are: {', '.join(names)}."
                )


def _reference_problem(table: Mapping[str, Any]) -> str:
    """The problem of a table in the place of a secret; its values are not shown."""
    known = ("env", "file")
    wrong = next((key for key in table if key not in known), None)
    what = f"unknown key {wrong!r}{did_you_mean(wrong, known, cutoff=0.5)}. " if wrong is not None else ""
    return f'{what}A secret is written as {{env = "NAME"}} or {{file = "PATH"}}.'


def _item(kind: Type) -> Type:
    """The type of the items of a list or mapping."""
    if isinstance(kind, DictType):
        return kind.value_type
    return kind.item_type if is_list(kind) else AnyType()  # type: ignore[attr-defined]
