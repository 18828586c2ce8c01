"""``apilane types``: record types and a thin client of an application, in Python or TypeScript."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import rich_click as click
from msgspec import DecodeError
from msgspec.json import decode

from apilane.app import routes_of
from apilane.cli.instance import command_instance, one_application
from apilane.cli.options import common_options, print_or_write, settings_from
from apilane.cli.typed.model import DocumentModel, read_document
from apilane.cli.typed.python import write_python
from apilane.cli.typed.typescript import write_typescript
from apilane.errors import ConfigurationError
from apilane.plugin.identity import ANONYMOUS, Actor
from apilane.runtime.access import ANONYMOUS_ROLE, AUTHENTICATED_ROLE
from apilane.settings import Settings
from apilane.web.openapi import application_document

__all__ = ["types"]

WRITERS: Mapping[str, Callable[[DocumentModel], str]] = {"python": write_python, "typescript": write_typescript}


@click.command("types")
@click.argument("application", metavar="[APP]", required=False)
@click.option("--language", type=click.Choice([*WRITERS]), required=True, help="Language of the client.")
@click.option(
    "--role",
    "roles",
    multiple=True,
    help="Role of the caller: ANONYMOUS, AUTHENTICATED or one of the application. Repeat it for several. "
    "Default: an operator, who may do everything.",
)
@click.option(
    "--document",
    type=click.Path(path_type=Path, allow_dash=True),
    help="OpenAPI document of a running server, in the place of APP; - is the standard input.",
)
@click.option("--output", type=click.Path(path_type=Path), help="File to write. Default: the client is printed.")
@common_options
def types(
    application: str | None,
    *,
    language: Literal["python", "typescript"],
    roles: tuple[str, ...],
    document: Path | None,
    output: Path | None,
    config: Path | None,
    **overrides: str | None,
) -> None:
    """Write record types and a thin typed client of APP, a name or token."""
    if (application is None) == (document is None):
        raise click.UsageError("Give either APP or --document.")
    if document is not None:
        found = _read(document)
    else:
        found = asyncio.run(_document(application or "", settings_from(config, **overrides), roles))
    text = WRITERS[language](read_document(found))
    print_or_write(text, output)


def _read(path: Path) -> Any:
    try:
        return decode(sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror or error}.") from None
    except DecodeError as error:
        raise ConfigurationError(f"{path} is not JSON: {error}.") from None


def _actor(roles: Sequence[str]) -> Actor:
    if not roles:
        return Actor(kind="operator")
    if set(roles) == {ANONYMOUS_ROLE}:
        return ANONYMOUS
    return Actor(kind="user", user_id=1, roles=frozenset(roles) - {ANONYMOUS_ROLE, AUTHENTICATED_ROLE})


async def _document(name: str, settings: Settings, roles: Sequence[str]) -> dict[str, Any]:
    """The document of a stored application, for a caller with these roles. Its database is not opened."""
    async with command_instance(settings, create=False) as instance:
        stored = await one_application(name, instance.store)
        known = {rule.role for rule in stored.definition.rules} | {ANONYMOUS_ROLE, AUTHENTICATED_ROLE}
        if unknown := sorted({*roles} - known):
            raise ConfigurationError(
                f"No rule has the role {unknown[0]}. Roles with rules: {', '.join(sorted(known))}."
            )
        application: Any = SimpleNamespace(
            token=stored.definition.token,
            definition=stored.definition,
            stored=stored,
            dialect=instance.drivers[stored.definition.storage_provider].dialect,
            endpoint_kinds={kind.name.lower(): kind for kind in instance.hooks.endpoint_kinds},
        )
        calls = [each.call for each in routes_of(instance)]
        return application_document(application, calls, _actor(roles), most=sys.maxsize)
