"""``apilane doctor``: checks everything that an instance needs and prints advice for each problem."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import rich_click as click

from apilane.cli.options import common_options, settings_from
from apilane.errors import ConfigurationError
from apilane.instance import Instance
from apilane.instance.diagnosis import Look, examine, look_at_database
from apilane.model.plan import read_manifests
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
    instance = Instance(settings)
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


async def _named(files: Sequence[Path], instance: Instance) -> AsyncIterator[Look]:
    """Check the databases of manifests."""
    for file in files:
        try:
            content = file.read_bytes()
        except OSError as error:
            raise ConfigurationError(f"{file} cannot be read: {error.strerror or error}.") from None
        for manifest in read_manifests(content, filename=str(file), environ=os.environ):
            application = manifest.document.get("Application")
            node = application.get("ConnectionString") if application is not None else None
            if application is None or node is None or not node.value:
                continue
            place = f"{file}: {manifest.name or manifest.token}"
            address = node.value
            if not isinstance(address, str):
                text = f"the environment variable {node.reference} is not set"
                yield Look(place, Finding(text, "Set it for this command.", serious=True))
                continue
            async for look in look_at_database(place, application.read("StorageProvider"), address, instance.drivers):
                yield look
