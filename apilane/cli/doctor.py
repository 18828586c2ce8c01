"""``apilane doctor``: checks everything that an instance needs and prints advice for each problem."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import rich_click as click

from apilane.cli.options import common_options, settings_from
from apilane.errors import ConfigurationError
from apilane.instance import Instance
from apilane.instance.diagnosis import Look, examine, look_at_database
from apilane.model.plan import ManifestError, ManifestErrors, read_manifests
from apilane.settings import Settings
from apilane.storage.protocol import Finding

__all__ = ["doctor"]


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE...]", type=click.Path(path_type=Path))
@common_options
def doctor(files: tuple[Path, ...], *, config: Path | None, **overrides: Any) -> None:
    """Check the data folder, the control store and every application's database; nothing is changed.

    With FILEs: check the databases that these manifests name, before they are applied. Each line begins with ok, look
    (works, but read the advice) or FAIL. The exit code is 1 when any line begins with FAIL.
    """
    sys.exit(asyncio.run(_doctor(files, settings_from(config, **overrides))))


async def _doctor(files: Sequence[Path], settings: Settings) -> int:
    from apilane.app import check_routes

    instance = Instance(settings)
    check_routes(instance)
    serious = 0
    try:
        async for look in _named(files, instance) if files else examine(instance):
            serious += look.finding.serious
            _show(look)
    finally:
        await instance.close()
    return 1 if serious else 0


def _show(look: Look) -> None:
    text, advice, serious, _ = look.finding
    level = "FAIL" if serious else "look" if advice else "ok  "
    sentence = f"{text.rstrip('.')}. {advice}" if advice else text
    click.echo(f"{level}  {look.place}: {sentence}")


def _mistakes(errors: Sequence[ManifestError]) -> Iterator[Look]:
    """Mistakes of a manifest's form. ``apilane apply --dry-run`` finds the others too."""
    for error in errors:
        place = error.file if error.line is None else f"{error.file}:{error.line}"
        key = f"{error.key}: " if error.key else ""
        hint = error.hint or "correct it"
        advice = f"{hint[0].upper()}{hint[1:]}" + ("" if hint.endswith("?") else ".")
        yield Look(place, Finding(f"{key}{error.message}", advice, serious=True))


async def _named(files: Sequence[Path], instance: Instance) -> AsyncIterator[Look]:
    """Check the databases of manifests."""
    for file in files:
        try:
            content = file.read_bytes()
        except OSError as error:
            raise ConfigurationError(f"{file} cannot be read: {error.strerror or error}.") from None
        try:
            manifests = read_manifests(content, filename=str(file), environ=os.environ)
        except ManifestErrors as errors:
            for look in _mistakes(errors.errors):
                yield look
            continue
        for manifest in manifests:
            for look in _mistakes(manifest.problems):
                yield look
            application = manifest.document.get("Application")
            node = application.get("ConnectionString") if application is not None else None
            provider = application.read("StorageProvider") if application is not None else None
            if provider is None or node is None or not node.value:
                continue
            place = f"{file}: {manifest.name or manifest.token}"
            address = node.value
            if not isinstance(address, str):
                text = f"the environment variable {node.reference} is not set"
                yield Look(place, Finding(text, "Set it for this command.", serious=True))
                continue
            async for look in look_at_database(place, provider, address, instance.drivers):
                yield look
