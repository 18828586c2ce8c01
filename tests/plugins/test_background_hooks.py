"""The hooks of handlers of messages, jobs and record handlers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from apilane.dispatch import Hooks, freeze
from apilane.plugins import PluginError, load_plugins
from apilane.settings import Settings

Write = Callable[..., Settings]

HANDLER = """
from apilane.plugin import OutboxHandler, RecordEvents

async def deliver(message, application):
    pass

def at_once(message, application):
    pass

@hookimpl
def apilane_register_outbox_handlers(settings, options):
    return [OutboxHandler({arguments})]
"""

JOB = """
from apilane.plugin import Job

async def run(applications):
    pass

def at_once(applications):
    pass

@hookimpl
def apilane_register_jobs(settings, options):
    return [Job({arguments})]
"""

RECORDS = """
from apilane.plugin import RecordHandler

async def work(change):
    pass

def at_once(change):
    pass

@hookimpl
def apilane_register_record_handlers(settings, options):
    return [RecordHandler({arguments})]
"""


def frozen(settings: Settings) -> Hooks:
    """The hooks of an application with these settings."""
    return freeze(load_plugins(settings), settings)


def test_hook_apilane_register_outbox_handlers(write_plugin: Write) -> None:
    """A plugin's handlers are kept with their kinds; two plugins cannot deliver one kind."""
    settings = write_plugin("post", HANDLER.format(arguments="kind='mail', deliver=deliver, timeout_s=5"))
    (handler,) = (each for each in frozen(settings).outbox_handlers if each.kind == "mail")
    assert (handler.kind, handler.timeout_s, handler.attempts_max) == ("mail", 5, 20)
    write_plugin("second", HANDLER.format(arguments="kind='MAIL', deliver=deliver"))
    with pytest.raises(PluginError, match=r"'second'.*registers a handler of messages 'MAIL', and so does .*'post'"):
        frozen(settings)


def test_hook_apilane_register_jobs(write_plugin: Write) -> None:
    """A plugin's jobs are kept with their intervals; two plugins cannot have jobs with one name."""
    settings = write_plugin("first", JOB.format(arguments="name='sweep', every_s=60, run=run"))
    (job,) = (each for each in frozen(settings).jobs if each.name == "sweep")
    assert (job.name, job.every_s) == ("sweep", 60)
    write_plugin("second", JOB.format(arguments="name='Sweep', every_s=60, run=run"))
    with pytest.raises(PluginError, match=r"'second'.*registers a job 'Sweep', and so does .*'first'"):
        frozen(settings)


def test_hook_apilane_register_record_handlers(write_plugin: Write) -> None:
    """The handlers of all plugins are kept in plugin order, with their entities and actions."""
    write_plugin("first", RECORDS.format(arguments="before=work, actions=frozenset({'create'})"))
    settings = write_plugin("second", RECORDS.format(arguments="after=work, entities=frozenset({'Items'})"))
    first, second = frozen(settings).record_handlers
    assert (first.actions, first.entities) == ({"create"}, None)
    assert (second.actions, second.entities) == ({"create", "update", "delete"}, {"Items"})


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (HANDLER.format(arguments="kind='mail', deliver=at_once"), "deliver that is not an asynchronous function"),
        (HANDLER.format(arguments="kind='', deliver=deliver"), "has the kind ''"),
        (HANDLER.format(arguments="kind='x' * 101, deliver=deliver"), "expected a text of 1 to 100 characters"),
        (HANDLER.format(arguments="kind='mail', deliver=deliver, attempts_max=0"), "has attempts_max 0"),
        (HANDLER.format(arguments="kind='mail', deliver=deliver, timeout_s='5'"), "has timeout_s '5'"),
        (
            HANDLER.format(arguments="kind='m', deliver=deliver, events=(RecordEvents(actions=frozenset({'get'})),)"),
            "has the actions frozenset({'get'})",
        ),
        (RECORDS.format(arguments="before=at_once"), "before that is not an asynchronous function"),
        (RECORDS.format(arguments=""), "has neither before nor after"),
        (RECORDS.format(arguments="after=work, entities='Items'"), "has the entities 'Items'"),
        (RECORDS.format(arguments="after=work, actions={'create'}"), "has the actions {'create'}"),
        (RECORDS.format(arguments="after=work, timeout_s=0"), "has timeout_s 0"),
        (JOB.format(arguments="name='j', every_s=1, run=at_once"), "run that is not an asynchronous function"),
        (JOB.format(arguments="name=5, every_s=1, run=run"), "has the name 5"),
        (JOB.format(arguments="name='j', every_s=float('nan'), run=run"), "has every_s nan"),
        (JOB.format(arguments="name='j', every_s=-1, run=run"), "expected a number above 0"),
    ],
)
def test_unfit_objects_stop_start_up(write_plugin: Write, body: str, told: str) -> None:
    """A wrong handler or job is reported with its plugin and the value before anything is opened."""
    with pytest.raises(PluginError, match="'odd', hook apilane_register_") as caught:
        frozen(write_plugin("odd", body))
    assert told in str(caught.value)
