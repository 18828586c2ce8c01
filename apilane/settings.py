"""Every setting of an instance: name, type, default, help. Settings are read from flags, environment and TOML.

A command line flag overrides the environment variable ``APILANE_<NAME>``, which overrides ``apilane.toml``, which
overrides the default. Settings of plugins are collected here unread; ``apilane.plugin_settings`` reads them once the
plugins are known. Settings of one application are in its manifest.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from apilane.errors import ConfigurationError

__all__ = [
    "DEFAULT_FILE",
    "ENVIRONMENT_PREFIX",
    "PluginSections",
    "Referenced",
    "SettingRow",
    "Settings",
    "describe_settings",
    "did_you_mean",
    "load_settings",
    "portal_port",
    "setting_rows",
]

DEFAULT_FILE = Path("apilane.toml")
"""Read from the working directory if it exists there and no other file is named."""

ENVIRONMENT_PREFIX = "APILANE_"

Port = Annotated[int, Meta(ge=0, le=65535)]
Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]


def _help(text: str, *, secret: bool = False) -> Meta:
    return Meta(description=text, extra={"secret": secret})


class Referenced(Struct, frozen=True):
    """A text that ``apilane.toml`` refers to by ``{env = "NAME"}`` or ``{file = "PATH"}``."""

    text: str

    def __repr__(self) -> str:
        return "Referenced(***)"


class PluginSections(Struct, frozen=True):
    """The unread settings of plugins. ``repr`` shows none, because only the plugins declare which are secret."""

    sections: Mapping[str, Mapping[str, Any]] = {}
    """By plugin, with ``Referenced`` texts where ``file`` has references."""
    variables: Mapping[str, str] = {}
    """Environment variables ``APILANE_...`` that are not settings of the core."""
    file: Path | None = None
    """The settings file that contains the sections."""

    def __repr__(self) -> str:
        return f"PluginSections({', '.join(self.sections)})"


class Settings(Struct, frozen=True, kw_only=True):
    """The settings of one instance. Immutable; ``repr`` never shows a secret."""

    data_dir: Annotated[Path, _help("Folder of all data that the instance stores on this machine.")] = Path(
        "apilane-data"
    )
    host: Annotated[str, _help("Address or name to listen on.")] = "127.0.0.1"
    port: Annotated[Port, _help("Port of the API; 0 selects a free port.")] = 5001
    portal_port: Annotated[
        Port | None,
        _help("Port of the Portal and the management API; unset: the one below the API's port; 0 selects a free port."),
    ] = None
    portal_url: Annotated[str, _help("Address of the Portal for users.")] = "http://127.0.0.1:5000"
    workers: Annotated[Count, _help("Server processes that share the port.")] = 1
    role: Annotated[
        Literal["all", "api", "portal"],
        _help("Servers to start: the API, the Portal with the management API, or both."),
    ] = "all"
    control_url: Annotated[
        str | None,
        _help("Database of the control store, may contain a password; unset: control.db in data_dir.", secret=True),
    ] = None
    control_provider: Annotated[str, _help("Storage provider of the control store.")] = "SQLite"
    master_key: Annotated[
        str | None,
        _help(
            "Base64 of 32 bytes that encrypt every stored secret; unset: the file master.key in data_dir.", secret=True
        ),
    ] = None
    admin_email: Annotated[str | None, _help("E-mail of the instance admin, used by the first command only.")] = None
    admin_password: Annotated[
        str | None,
        _help("Password of the instance admin, used by the first command only; unset: a random one.", secret=True),
    ] = None
    plugins_dir: Annotated[Path | None, _help("Folder of single-file plugins (*.py).")] = None
    plugins: Annotated[
        tuple[str, ...] | None,
        _help("Names of the plugins to load; unset: every installed one; empty: none. Drivers are always loaded."),
    ] = None
    plugins_order: Annotated[
        tuple[str, ...], _help("Names of plugins in the order in which their hooks are asked; the others follow.")
    ] = ()
    trusted_proxies: Annotated[
        tuple[str, ...],
        _help("Addresses or CIDR ranges of proxies whose X-Forwarded-For is trusted; empty: none."),
    ] = ()
    log_level: Annotated[
        Literal["critical", "error", "warning", "info", "debug"], _help("Lowest level of the lines logged to stderr.")
    ] = "info"
    log_format: Annotated[
        Literal["text", "json"], _help("Form of the lines: for people, or one JSON object a line.")
    ] = "text"
    access_log: Annotated[
        bool, _help("Log a line for each request, with its caller; it has no query, header, body or secret.")
    ] = False
    request_ids: Annotated[
        bool,
        _help(
            "Give each request an ID, that of its header X-Request-ID or a new one, in the answer and in the lines of "
            "the log. The access log includes it."
        ),
    ] = False
    backlog: Annotated[int, Meta(ge=128), _help("Largest number of connections that wait to be accepted.")] = 1024
    connections: Annotated[
        Count, _help("Largest number of open connections of a worker, idle ones included; further ones wait.")
    ] = 4096
    idle_timeout_s: Annotated[
        int, Meta(ge=1, le=60), _help("Seconds a connection may take to send its first or its next request head.")
    ] = 30
    head_max_bytes: Annotated[
        int,
        Meta(ge=16_384),
        _help("Largest request head, in bytes. Its target (path and query) has at most 65,534 bytes."),
    ] = 131_072
    shutdown_timeout_s: Annotated[Count, _help("Seconds a worker may take to finish its requests when it stops.")] = 5
    argon2_time_cost: Annotated[Count, _help("Number of passes of the password hash.")] = 2
    argon2_memory_kib: Annotated[int, Meta(ge=8), _help("Memory of one password hash, in KiB.")] = 19456
    argon2_parallelism: Annotated[Count, _help("Number of lanes of the password hash.")] = 1
    argon2_concurrency: Annotated[
        Count, _help("Number of password hashes that a worker computes at the same time.")
    ] = 2
    open_databases: Annotated[Count, _help("Largest number of application databases that a worker keeps open.")] = 200
    sqlite_mmap_mib: Annotated[
        int,
        Meta(ge=0),
        _help(
            "MiB of each large SQLite database that are mapped into memory, so that short reads copy nothing; 0: none. "
            "With a mapping, a disk error, or overwriting the file in place, crashes the worker; without one, only "
            "calls of the application fail. Replace a database file by renaming."
        ),
    ] = 1024
    database_connections: Annotated[
        Count, _help("Largest number of open connections to each kind of database server, all workers together.")
    ] = 40
    database_idle_s: Annotated[
        Seconds, _help("Seconds after which an unused connection to a database server is closed.")
    ] = 60.0
    definition_poll_s: Annotated[Seconds, _help("Seconds between two checks of the control store for changes.")] = 0.25
    housekeeping_s: Annotated[
        Seconds, _help("Seconds between two deletions of expired tokens and old history in the loaded applications.")
    ] = 300.0
    background_poll_s: Annotated[
        Seconds, _help("Seconds between two looks for due jobs, forgotten messages and a leader that has ended.")
    ] = 2.0
    body_timeout_s: Annotated[Seconds, _help("Seconds a request body may take to arrive.")] = 60.0
    json_body_max_bytes: Annotated[Count, _help("Largest request body that is read as JSON, in bytes.")] = 30_000_000
    bodies_max_bytes: Annotated[
        Count,
        _help("Memory of a worker for request bodies that arrive in parts, in bytes; further bodies are refused."),
    ] = 268_435_456
    statement_timeout_s: Annotated[Seconds, _help("Seconds a call to a database may take, with all attempts.")] = 20.0
    plugin_settings: Mapping[str, Mapping[str, Any]] | PluginSections = {}
    """By plugin, such as ``{"rate_limit": {"registrations_per_hour": 5}}``; this field is not a setting."""

    def __repr__(self) -> str:
        values = ((row, getattr(self, row.name)) for row in describe_settings())
        shown = (f"{row.name}={'<secret>' if row.secret and value else repr(value)}" for row, value in values)
        return f"Settings({', '.join(shown)})"


def portal_port(settings: Settings) -> int:
    """The port of the Portal: the setting, or the port below that of the API; 0 where any free port may be used."""
    if settings.portal_port is not None:
        return settings.portal_port
    return max(settings.port - 1, 0)


class SettingRow(NamedTuple):
    """The description of one setting: ``type`` and ``default`` as text, ``help`` as one sentence."""

    name: str
    environment: str
    type: str
    default: str
    help: str
    secret: bool


def describe_settings() -> tuple[SettingRow, ...]:
    """Rows of the settings table, in the order of declaration."""
    return tuple(_ROWS.values())


def load_settings(
    overrides: Mapping[str, Any] = MappingProxyType({}),
    *,
    file: Path | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """Settings from flags (``overrides``; None means not given), environment, file and defaults; the first source wins.

    ``file`` None: ``apilane.toml`` of the working directory, if it exists. Raises ``ConfigurationError`` that names the
    source, the setting and the expected value.
    """
    found: dict[str, Any] = {}
    sections: dict[str, Mapping[str, Any]] = {}
    path = file or DEFAULT_FILE
    if file is not None or path.exists():
        found, sections = _from_toml(path, environ)
    for name, row in _ROWS.items():
        if row.environment in environ:
            found[name] = _converted(name, _from_text(name, environ[row.environment]), row.environment)
    for name, value in overrides.items():
        if name not in _ROWS:
            raise ConfigurationError(f"Unknown setting {name!r}{did_you_mean(name, _ROWS)}.")
        if value is not None:
            found[name] = _converted(name, value, f"Setting {name}")
    core = {row.environment for row in _ROWS.values()}
    others = {name: text for name, text in environ.items() if name.startswith(ENVIRONMENT_PREFIX) and name not in core}
    if sections or others:
        found["plugin_settings"] = PluginSections(sections, others, path)
    return Settings(**found)


def did_you_mean(name: str, known: Iterable[str], *, cutoff: float = 0.7) -> str:
    """`` (did you mean 'x'?)`` if a known name is similar, else empty: the end of a message about an unknown name.

    ``cutoff``: how similar, from 0 to 1; less where few short names are possible.
    """
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _from_toml(path: Path, environ: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Mapping[str, Any]]]:
    """The settings of the core, and the sections of plugins."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"Cannot read the settings file {path}: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}.") from error
    found = {}
    sections = _plugin_sections(content, path, environ)
    for name, value in content.items():
        if name not in _ROWS:
            raise ConfigurationError(f"{path}: unknown setting {name!r}{did_you_mean(name, _ROWS)}.")
        source = f"{path}: {name}"
        if isinstance(value, dict):
            found[name] = _converted(name, _referenced(value, source, path.parent, environ), source)
            continue
        if _ROWS[name].secret:
            raise ConfigurationError(
                f'{source} is a secret and must not be in this file; write {{env = "NAME"}} or {{file = "PATH"}}.'
            )
        found[name] = _converted(name, value, source, strict=True)
    return found, sections


def _plugin_sections(content: dict[str, Any], path: Path, environ: Mapping[str, str]) -> dict[str, Mapping[str, Any]]:
    """The tables ``[plugins.NAME]``, removed from ``content``; the key ``load`` of ``[plugins]`` is the list of
    plugins.
    """
    table = content.get("plugins")
    if not isinstance(table, dict):
        return {}
    del content["plugins"]
    if "load" in table:
        content["plugins"] = table.pop("load")
    for name, section in table.items():
        if not isinstance(section, dict):
            raise ConfigurationError(
                f"{path}: plugins.{name}: expected a table [plugins.{name}] with the settings of that plugin; the list "
                "of plugins to load is plugins.load."
            )
    return {
        name: {
            key: _dereferenced(value, f"{path}: plugins.{name}.{key}", path.parent, environ)
            for key, value in section.items()
        }
        for name, section in table.items()
    }


def _dereferenced(value: Any, source: str, folder: Path, environ: Mapping[str, str]) -> Any:
    """``value`` with the texts of its references, at any depth."""
    if isinstance(value, dict):
        if len(value) == 1 and isinstance(value.get("env", value.get("file")), str):
            return Referenced(_referenced(value, source, folder, environ))
        return {key: _dereferenced(each, f"{source}.{key}", folder, environ) for key, each in value.items()}
    if isinstance(value, list):
        return [_dereferenced(each, f"{source}[{place}]", folder, environ) for place, each in enumerate(value)]
    return value


def _referenced(reference: dict[str, Any], source: str, folder: Path, environ: Mapping[str, str]) -> str:
    """The text of ``{env = "NAME"}`` or ``{file = "PATH"}``. The path is relative to the settings file; a final newline
    is removed.
    """
    match reference:
        case {"env": str(name)} if len(reference) == 1:
            if name not in environ:
                raise ConfigurationError(f"{source}: the environment variable {name} is not set.")
            return environ[name]
        case {"file": str(name)} if len(reference) == 1:
            try:
                return (folder / name).read_text(encoding="utf-8").removesuffix("\n")
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigurationError(f"{source}: cannot read the file {folder / name}: {error}.") from error
    raise ConfigurationError(f'{source}: expected a value, {{env = "NAME"}} or {{file = "PATH"}}.')


def _from_text(name: str, text: str) -> Any:
    """The text of an environment variable: commas separate the items of lists; an empty text means unset if the default
    is unset.
    """
    if get_origin(_HINTS[name]) is tuple or name == "plugins":
        return [item.strip() for item in text.split(",") if item.strip()]
    return None if text == "" and _ROWS[name].default == "" else text


def _converted(name: str, value: Any, source: str, *, strict: bool = False) -> Any:
    """``value`` converted to the setting's type; unless ``strict``, text is accepted for numbers and booleans."""
    try:
        return msgspec.convert(value, _ANNOTATED_HINTS[name], strict=strict, dec_hook=_path)
    except msgspec.ValidationError as error:
        shown = "this value" if _ROWS[name].secret else repr(value)
        raise ConfigurationError(f"{source}: {shown} is not accepted; expected {_ROWS[name].type}. {error}.") from error


def _path(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, (str, Path)) and value != "":
        return Path(value)
    raise ValueError("Expected a path")


def setting_rows(kind: type[Struct], prefix: str, secrets: Collection[str] = ()) -> dict[str, SettingRow]:
    """The fields of a Struct as rows of a settings table, by their names in files.

    ``prefix``: of the environment variables. ``secrets``: names of secret fields, in addition to those declared as
    secret.
    """
    annotated, plain = get_type_hints(kind, include_extras=True), get_type_hints(kind)
    rows = {}
    for field in msgspec.structs.fields(kind):
        metas = [meta for meta in getattr(annotated[field.name], "__metadata__", ()) if isinstance(meta, Meta)]
        about = next((meta for meta in metas if meta.description), Meta())
        rows[field.encode_name] = SettingRow(
            name=field.encode_name,
            environment=prefix + field.encode_name.upper().replace("-", "_"),
            type=_type_text(plain[field.name]),
            default=_default_text(field.default),
            help=about.description or "",
            secret=field.encode_name in secrets or bool((about.extra or {}).get("secret")),
        )
    return rows


def _default_text(default: Any) -> str:
    if default is None or default is msgspec.NODEFAULT:
        return ""
    return str(default) if isinstance(default, Path) else json.dumps(default, default=str)


def _type_text(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " | ".join(json.dumps(choice) for choice in get_args(kind))
    if get_origin(kind) in {Union, UnionType}:
        return " | ".join("unset" if part is NoneType else _type_text(part) for part in get_args(kind))
    if get_origin(kind) is tuple:
        return f"list of {_type_text(get_args(kind)[0])}"
    if get_origin(kind) is list:
        return f"list of {_type_text(get_args(kind)[0])}"
    if get_origin(kind) is dict or (isinstance(kind, type) and issubclass(kind, Struct)):
        return "table"
    return _TYPE_NAMES.get(kind, "text")


_TYPE_NAMES = {str: "text", int: "whole number", float: "number", bool: "true | false", Path: "path"}
_ANNOTATED_HINTS = get_type_hints(Settings, include_extras=True)
_HINTS = get_type_hints(Settings)
_ROWS: Mapping[str, SettingRow] = {
    name: row for name, row in setting_rows(Settings, ENVIRONMENT_PREFIX).items() if name != "plugin_settings"
}
