"""``apilane outbox``: lists the messages of outboxes, and replays or drops those that could not be delivered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import rich_click as click

from apilane.cli.instance import command_instance, one_application
from apilane.cli.listing import print_table
from apilane.cli.options import common_options, settings_from
from apilane.errors import ConfigurationError
from apilane.events.outbox import ApplicationOutbox, ListedMessage
from apilane.instance import Instance
from apilane.settings import Settings
from apilane.storage.errors import MissingObject, StorageError

__all__ = ["outbox"]

T = TypeVar("T")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def outbox() -> None:
    """List, replay or drop messages that plugins deliver, such as mails.

    A message waits for its next attempt, or it is dead: its plugin gave it up. Payloads are never shown.
    """


@outbox.command("list")
@click.argument("application", metavar="[APP]", required=False)
@click.option("--dead", is_flag=True, help="Only the messages that were given up.")
@common_options
def list_messages(application: str | None, *, dead: bool, config: Path | None, **overrides: Any) -> None:
    """List the messages of APP, a name or token; without APP, those of all applications."""

    async def work(instance: Instance) -> list[tuple[str, ListedMessage]]:
        if application is not None:
            names = [((await one_application(application, instance.store)).definition.token, application)]
        else:
            names = [(each.token, each.name) for each in await instance.store.applications()]
        rows = []
        for token, name in names:
            try:
                rows += [(name, each) async for each in (await _outbox(instance, token)).messages(dead_only=dead)]
            except MissingObject:  # no plugin has stored messages yet
                continue
            except StorageError as error:
                if application is not None:
                    raise
                click.echo(f"{name} ({token}) cannot be used: {error}", err=True)
        return rows

    found = _run(work, settings_from(config, **overrides))
    rows = [
        (name, str(each.id), each.kind, _state(each), str(each.attempts), _time(each.created), each.error or "-")
        for name, each in found
    ]
    print_table(("APPLICATION", "ID", "KIND", "STATE", "ATTEMPTS", "CREATED", "LAST ERROR"), rows)


@outbox.command()
@click.argument("application", metavar="APP")
@click.argument("ids", metavar="[ID...]", nargs=-1, type=int)
@click.option("--all", "everything", is_flag=True, help="All dead messages of APP.")
@common_options
def replay(application: str, ids: tuple[int, ...], *, everything: bool, config: Path | None, **overrides: Any) -> None:
    """Let dead messages of APP be delivered again; a running server begins within seconds."""
    done = _change(ApplicationOutbox.replay, application, _chosen(ids, everything), settings_from(config, **overrides))
    click.echo(f"{_count(done)} will be delivered again.")


@outbox.command()
@click.argument("application", metavar="APP")
@click.argument("ids", metavar="[ID...]", nargs=-1, type=int)
@click.option("--all", "everything", is_flag=True, help="All dead messages of APP.")
@common_options
def drop(application: str, ids: tuple[int, ...], *, everything: bool, config: Path | None, **overrides: Any) -> None:
    """Delete dead messages of APP for good."""
    done = _change(ApplicationOutbox.drop, application, _chosen(ids, everything), settings_from(config, **overrides))
    click.echo(f"{_count(done)} deleted.")


def _chosen(ids: tuple[int, ...], everything: bool) -> tuple[int, ...] | None:
    """The given IDs; None: all dead messages."""
    if everything == bool(ids):
        raise ConfigurationError("Give the IDs of messages, or --all; `apilane outbox list` shows them.")
    return None if everything else ids


def _change(
    change: Callable[[ApplicationOutbox, Sequence[int]], Awaitable[list[int]]],
    application: str,
    ids: Sequence[int] | None,
    settings: Settings,
) -> list[int]:
    """Change the dead messages with these IDs, or all; nothing is changed when one of the IDs is not dead."""

    async def work(instance: Instance) -> list[int]:
        stored = await one_application(application, instance.store)
        found = await _outbox(instance, stored.definition.token)
        try:
            dead = [each.id async for each in found.messages(dead_only=True)]
        except MissingObject:
            dead = []
        wanted = dead if ids is None else ids
        alive = sorted(set(wanted) - set(dead))
        if alive:
            raise ConfigurationError(
                f"{application} has no dead message {alive[0]}; nothing was changed. "
                "`apilane outbox list --dead` shows the dead messages."
            )
        return await change(found, wanted) if wanted else []

    return _run(work, settings)


def _run(work: Callable[[Instance], Awaitable[T]], settings: Settings) -> T:
    async def run() -> T:
        async with command_instance(settings, create=False) as instance:
            return await work(instance)

    return asyncio.run(run())


async def _outbox(instance: Instance, token: str) -> ApplicationOutbox:
    application = await instance.applications.find(token)
    if application is None:
        raise ConfigurationError(f"Application {token} was removed in the meantime.")
    return application.outbox


def _state(message: ListedMessage) -> str:
    return "dead" if message.is_dead else f"due {_time(message.due)}"


def _time(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def _count(ids: Sequence[int]) -> str:
    return "1 message" if len(ids) == 1 else f"{len(ids)} messages"
