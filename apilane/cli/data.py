"""``apilane data``: exports and imports the records of an entity, on this machine or with ``--server``."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, TypeVar

import rich_click as click

from apilane.cli.instance import command_instance, one_application
from apilane.cli.options import common_options, settings_from
from apilane.cli.remote import remote_options
from apilane.errors import ConfigurationError
from apilane.instance import Instance
from apilane.model.definition import Action
from apilane.model.json import decode_json
from apilane.plugin.calls import Write
from apilane.plugin.identity import Actor
from apilane.runtime.application import EntityRuntime
from apilane.services.bulk_export import exported_records
from apilane.services.bulk_import import BulkImport, Granted, ImportOptions, ImportReport
from apilane.services.record_reads import PageQuery

__all__ = ["data"]

T = TypeVar("T")
Format = Literal["csv", "jsonl"]

EACH_S: Final = 1.0
PART_BYTES: Final = 65_536
COMMAND: Final = Actor(kind="operator", credential="apilane data")
_SUFFIXES: Final[dict[str, Format]] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def data() -> None:
    """Export and import the records of an entity, as CSV or JSON lines.

    Commands read and write all records, as an operator. With --server they call a remote instance: APP is then the
    token of the application.
    """


_format_option = click.option(
    "--format", type=click.Choice(["csv", "jsonl"]), help="Default: by the name of FILE, else csv."
)
_remote_options = partial(remote_options, place="the API", example="https://api.example.com")


@data.command("export")
@click.argument("application", metavar="APP")
@click.argument("entity")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@_format_option
@click.option("--filter", "filter_", metavar="JSON", help="Only matching records; a filter as of Data/Get.")
@click.option("--sort", metavar="JSON", help="Order, as of Data/Get. Default: by ID.")
@click.option("--properties", metavar="NAMES", help="Properties, separated by commas. Default: all.")
@click.option("--safe", is_flag=True, help="Put ' before texts that a spreadsheet would run as formulas (CSV).")
@_remote_options
@common_options
def export(
    application: str,
    entity: str,
    file: Path,
    *,
    format: Format | None,
    filter_: str | None,
    sort: str | None,
    properties: str | None,
    safe: bool,
    server: str | None,
    token: str | None,
    config: Path | None,
    **overrides: Any,
) -> None:
    """Write the records of ENTITY to FILE, or to stdout for "-".

    FILE is replaced when the export is complete.
    """
    format = format or _SUFFIXES.get(file.suffix.lower(), "csv")
    progress = _Progress("written")
    with _target(file) as target:
        counting = _Counting(target, progress)
        if server is not None:
            with _client(server, token, application) as client:
                client.export_to(
                    counting,
                    entity,
                    format=format,
                    filter=None if filter_ is None else decode_json(filter_.encode()),
                    sort=None if sort is None else decode_json(sort.encode()),
                    properties=properties,
                    safe=safe,
                )
        else:
            query = PageQuery(filter=filter_, sort=sort, properties=properties, default_order=False)

            async def work(instance: Instance, found: EntityRuntime) -> None:
                access = found.application.access(found, Action.get, COMMAND)
                async for chunk in await exported_records(found, COMMAND, access, query, format, safe=safe):
                    counting.write(chunk)

            _run(work, application, entity, settings_from(config, **overrides))
    progress.end()


@data.command("import")
@click.argument("application", metavar="APP")
@click.argument("entity")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@_format_option
@click.option("--dry-run", is_flag=True, help="Check everything and store nothing.")
@click.option("--from-line", type=click.IntRange(min=1), default=1, show_default=True, help="Go on here after a stop.")
@click.option("--safe", is_flag=True, help="FILE was exported with --safe: remove the ' that it has put in front.")
@_remote_options
@common_options
def import_(
    application: str,
    entity: str,
    file: Path,
    *,
    format: Format | None,
    dry_run: bool,
    from_line: int,
    safe: bool,
    server: str | None,
    token: str | None,
    config: Path | None,
    **overrides: Any,
) -> None:
    """Store the records in FILE, or in stdin for "-", as new records of ENTITY.

    The first line of CSV names the properties. Batches of 1,000 lines are stored in one transaction each. Lines that
    do not fit are printed with their reason, and the exit code is 1.
    """
    format = format or _SUFFIXES.get(file.suffix.lower(), "csv")
    with _source(file) as source:
        progress = _Progress("read", _size(source))
        if server is not None:
            with _client(server, token, application) as client:
                done = client.import_from(
                    _read(source, progress),
                    entity,
                    format=format,
                    dry_run=dry_run,
                    from_line=from_line,
                    safe=safe,
                )
            refused = [(each.line, each.message, each.property) for each in done.refused]
            stopped = None if done.stopped is None else done.stopped.message
            stored, ignored, next_line = done.stored, done.ignored, done.next_line
        else:
            options = ImportOptions(format=format, dry_run=dry_run, start=from_line, safe=safe)

            async def work(instance: Instance, found: EntityRuntime) -> ImportReport:
                return await _import(instance, found, options, _read(source, progress))

            report = _run(work, application, entity, settings_from(config, **overrides))
            refused = [(each.line, each.message, each.property) for each in report.refused]
            stopped = None if report.stopped is None else report.stopped.message
            stored, ignored, next_line = report.stored, report.ignored, report.next
    progress.end()
    for line, message, property in refused:
        click.echo(f"line {line}: {message}{f' ({property})' if property else ''}", err=True)
    if ignored:
        click.echo(f"Left out, because they cannot be written: {', '.join(ignored)}", err=True)
    click.echo(f"{stored:,} {'would be stored' if dry_run else 'stored'}, {len(refused):,} refused")
    if stopped is not None:
        click.echo(f"Error: stopped: {stopped}. Go on with --from-line {next_line}.", err=True)
    if stopped is not None or refused:
        raise SystemExit(1)


async def _import(
    instance: Instance, entity: EntityRuntime, options: ImportOptions, parts: Iterator[bytes]
) -> ImportReport:
    application = entity.application
    access = application.access(entity, Action.post, COMMAND)

    async def body() -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    job = BulkImport(Granted(COMMAND, entity, access), options)
    await job.check()
    write = Write(
        run=lambda: job.run(body()),
        what=lambda: f"apilane data import {entity.name}{' (dry run)' if options.dry_run else ''}",
        outcome=lambda report: f"{report.stored} stored, {len(report.refused)} refused",
    )
    return await instance.audit_trail.record(application, COMMAND, write)


def _run(
    work: Callable[[Instance, EntityRuntime], Coroutine[Any, Any, T]], application: str, entity: str, settings: Any
) -> T:
    async def run() -> T:
        async with command_instance(settings, create=False) as instance:
            stored = await one_application(application, instance.store)
            found = await instance.applications.find(stored.definition.token)
            if found is None:
                raise ConfigurationError(f"Application {application} was removed in the meantime.")
            if entity.lower() == "files":
                raise ConfigurationError("Files have no rows to export or import; use Files/Download and Files/Post.")
            return await work(instance, found.entity(entity))

    return asyncio.run(run())


@contextmanager
def _client(server: str, token: str | None, application: str) -> Iterator[Any]:
    """A client of an operator. Raises ConfigurationError."""
    try:
        from apilane.client import ApilaneError as ClientError
        from apilane.client import Client
    except ImportError as error:
        raise ConfigurationError(f"--server needs httpx: {error}") from None
    if not token:
        raise ConfigurationError("--server needs an operator token: add --token, or set APILANE_OPERATOR_TOKEN.")
    try:
        with Client(server, application, user=token, portal=True, timeout_s=300) as client:
            yield client
    except (ClientError, ValueError) as error:
        raise ConfigurationError(str(error)) from None


@contextmanager
def _target(file: Path) -> Iterator[BinaryIO]:
    """An open file that takes the place of ``file`` at the end, if nothing fails."""
    if str(file) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    part = file.with_name(f"{file.name}.part")
    try:
        with part.open("wb") as opened:
            yield opened
        part.replace(file)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error.strerror or error}.") from None
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _source(file: Path) -> Iterator[BinaryIO]:
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    try:
        opened = file.open("rb")
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror or error}.") from None
    with opened:
        yield opened


def _size(file: BinaryIO) -> int | None:
    try:
        return os.fstat(file.fileno()).st_size or None
    except (OSError, ValueError):
        return None


def _read(source: BinaryIO, progress: _Progress) -> Iterator[bytes]:
    while part := source.read(PART_BYTES):
        progress.add(len(part))
        yield part


class _Progress:
    """One line on a terminal's stderr, at most once a second; nothing elsewhere."""

    def __init__(self, verb: str, total_bytes: int | None = None) -> None:
        self._verb = verb
        self._total_bytes = total_bytes
        self._bytes = 0
        self._shown = 0.0
        self._is_shown = sys.stderr.isatty()

    def add(self, size: int) -> None:
        self._bytes += size
        now = time.monotonic()
        if self._is_shown and now - self._shown >= EACH_S:
            self._shown = now
            share = f" ({self._bytes * 100 // self._total_bytes} %)" if self._total_bytes else ""
            click.echo(f"\r{self._bytes / 1e6:,.1f} MB {self._verb}{share}", err=True, nl=False)

    def end(self) -> None:
        if self._shown:
            click.echo(err=True)


class _Counting:
    """A file whose written bytes are shown as progress."""

    def __init__(self, target: BinaryIO, progress: _Progress) -> None:
        self._target = target
        self._progress = progress

    def write(self, part: bytes) -> None:
        self._target.write(part)
        self._progress.add(len(part))

    def writelines(self, parts: Any) -> None:
        for part in parts:
            self.write(part)
