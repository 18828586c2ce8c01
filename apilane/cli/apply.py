"""``apilane apply``: create or change applications from manifests.

The plan and all messages go to stderr. Stdout has only ``NAME TOKEN`` lines, for scripts.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import rich_click as click
from rich.console import Console
from rich.text import Text

from apilane.cli.instance import show_first_admin
from apilane.cli.options import common_options, settings_from
from apilane.cli.remote import Remote, manifests_of, remote_options
from apilane.control.store import ControlStore
from apilane.errors import ConfigurationError
from apilane.instance import Instance
from apilane.instance.diagnosis import look_at_control_store, look_at_plans, refuse_unfit
from apilane.model.plan import ManifestErrors, Plan, PlanLine
from apilane.plugin.manage import PlanView
from apilane.services.capabilities import capabilities_of
from apilane.services.manifest_plans import plan_files
from apilane.services.record_survey import Survey
from apilane.settings import Settings

__all__ = ["apply"]

FAILED = 1
NOT_CONFIRMED = 3
STEP_WIDTH = 110
"""The most characters shown of a step, because statements can be long."""

_STYLES = {"added": "green", "changed": "yellow", "removed": "red", "warning": "bold yellow"}


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option(
    "--dry-run", is_flag=True, help="Print the plan, with the number of affected records, and change nothing."
)
@click.option("--yes", is_flag=True, help="Do not ask before changes that lose data.")
@click.option("--strict", is_flag=True, help="Refuse manifests with warnings.")
@click.option(
    "--adopt-tables",
    "adopt",
    is_flag=True,
    help="Take over tables that are from another moment than the control store, if they are exactly those of the "
    "manifest. They are not changed.",
)
@remote_options
@common_options
def apply(
    files: tuple[Path, ...],
    *,
    dry_run: bool,
    yes: bool,
    strict: bool,
    adopt: bool,
    server: str | None,
    token: str | None,
    config: Path | None,
    **overrides: str | None,
) -> None:
    """Create or change applications so that they equal their manifests (YAML, JSON or TOML).

    All files are checked before anything is changed, also whether the stored records fit the changes. Prints the plan
    with the number of affected records, and at the end NAME TOKEN of each application. Exit codes: 0 done, 1 error
    (nothing changed unless the message says so), 3 the loss of data was not confirmed.
    """
    options = _Options(dry_run, yes, strict, adopt)
    if server is not None:
        sys.exit(_apply_remotely(files, Remote(server, token), options))
    settings = settings_from(config, **overrides)
    sys.exit(asyncio.run(_apply(files, settings, options)))


class _Options(NamedTuple):
    dry_run: bool
    yes: bool
    strict: bool
    adopt: bool


async def _apply(files: Sequence[Path], settings: Settings, options: _Options) -> int:
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    contents = [(str(path), _content(path)) for path in files]
    instance = Instance(settings)
    try:
        await refuse_unfit(look_at_control_store(instance))
        return await _apply_to(instance, contents, console, options)
    except ManifestErrors as errors:
        for error in errors.errors:
            console.print(Text(str(error), style="red"))
        count = len(errors.errors)
        console.print(Text(f"{count} error{'s' if count > 1 else ''}; nothing was changed."))
        return FAILED
    finally:
        await instance.close()


def _apply_remotely(files: Sequence[Path], remote: Remote, options: _Options) -> int:
    """As ``_apply``, on the instance behind a management API."""
    if options.adopt:
        raise ConfigurationError("--adopt-tables works on the machine of the instance only, without --server.")
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    manifests = manifests_of([(str(path), _content(path)) for path in files])
    plans = remote.call("POST", "/manifests/plan", list[PlanView], manifests)
    _show_views(plans, console)
    misfits = [f"{plan.name}: {text}" for plan in plans for text in plan.misfits]
    for text in misfits:
        console.print(Text(text, style="red"))
    if misfits:
        console.print(Text("Records do not fit; nothing was changed. Correct them and apply again."))
        return FAILED
    if options.strict and any(plan.has_warnings for plan in plans):
        return _strictly_refused(console)
    if options.dry_run:
        return 0
    if any(plan.loses_data for plan in plans) and not options.yes and not _agreed(console):
        return NOT_CONFIRMED
    manifests |= {"Versions": {plan.token: plan.version for plan in plans if not plan.is_new}, "AcceptsLoss": True}
    for plan in remote.call("POST", "/manifests", list[PlanView], manifests):
        click.echo(f"{plan.name} {plan.token}")
    return 0


def _show_views(plans: Sequence[PlanView], console: Console) -> None:
    for plan in plans:
        title = f"{plan.name} ({'apply makes its token' if plan.is_new else plan.token})"
        state = "nothing to change" if plan.is_empty else "new" if plan.is_new else "changes"
        console.print(Text(f"{title}: {state}", style="" if plan.is_empty else "bold"))
        for each in plan.lines:
            line = PlanLine(each.kind, each.path, each.detail, each.loses_data)
            console.print(_line_text(line, each.misfits, each.records, loses=each.loses_data))


async def _apply_to(
    instance: Instance, contents: Sequence[tuple[str, bytes]], console: Console, options: _Options
) -> int:
    """Plan, show the plan, and apply it. Returns the exit code. The instance is created only for a valid plan."""
    capabilities = capabilities_of(instance.hooks)
    if not await ControlStore.exists(instance.settings, instance.drivers):
        plans = await plan_files(contents, store=None, capabilities=capabilities)
        await refuse_unfit(look_at_plans(plans, instance))
        refused = options.strict and any(plan.has_warnings for plan in plans)
        if options.dry_run or refused:
            _show(plans, [Survey({}, ()) for _ in plans], console, is_final=False)
            return _strictly_refused(console) if refused else 0
    await instance.open(create=not options.dry_run, serve=False)
    show_first_admin(instance)
    plans = await plan_files(contents, store=instance.store, capabilities=capabilities)
    await refuse_unfit(look_at_plans(plans, instance))
    surveys = [await instance.changes.survey(plan, adopt=options.adopt) for plan in plans]
    _show(plans, surveys, console, is_final=not options.dry_run)
    if any(survey.misfits for survey in surveys):
        return _refused(plans, surveys, console)
    if options.strict and any(plan.has_warnings for plan in plans):
        return _strictly_refused(console)
    if options.dry_run:
        return 0
    loses_data = any(plan.loses_data and not survey.adopts for plan, survey in zip(plans, surveys, strict=True))
    if not options.yes and loses_data and not _agreed(console):
        return NOT_CONFIRMED
    await _carry_out(plans, instance, console, adopt=options.adopt)
    return 0


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror or error}.") from None


def _show(plans: Sequence[Plan], surveys: Sequence[Survey], console: Console, *, is_final: bool) -> None:
    """Print the plans. ``is_final``: they are applied as they are, with the tokens that were made for them."""
    for plan, survey in zip(plans, surveys, strict=True):
        token = "apply makes its token" if plan.makes_token and not is_final else plan.after.token
        title = f"{plan.after.name} ({token})"
        if plan.is_empty:
            console.print(Text(f"{title}: nothing to change"))
        else:
            console.print(Text(f"{title}: {'new' if plan.before is None else 'changes'}", style="bold"))
        if survey.adopts:
            console.print(Text("  the tables are adopted as they are; no record is changed or lost", style="bold"))
        for line in plan.lines:
            records = survey.concerned.get(line.path)
            misfits = sum(misfit.records for misfit in survey.misfits if misfit.path == line.path)
            console.print(_line_text(line, misfits, records, loses=line.loses_data and not survey.adopts))


def _line_text(line: PlanLine, misfits: int, records: int | None, *, loses: bool) -> Text:
    text = Text(f"  {line}", style=_STYLES[line.kind])
    if misfits:
        text.append(f"  ({_records(misfits)} {'does' if misfits == 1 else 'do'} not fit)")
    elif records is not None:
        text.append(f"  ({_records(records)})")
    if loses:
        text.append("  LOSES DATA", style="bold red")
    return text


def _records(count: int) -> str:
    return f"{count:,} record{'' if count == 1 else 's'}"


def _strictly_refused(console: Console) -> int:
    console.print(Text("There are warnings, and --strict refuses them; nothing was changed."))
    return FAILED


def _refused(plans: Sequence[Plan], surveys: Sequence[Survey], console: Console) -> int:
    """Print the records that do not fit."""
    for plan, survey in zip(plans, surveys, strict=True):
        for misfit in survey.misfits:
            console.print(Text(f"{plan.after.name}: {misfit}", style="red"))
    console.print(Text("Records do not fit; nothing was changed. Correct them and apply again."))
    return FAILED


def _agreed(console: Console) -> bool:
    """Whether a user at a terminal confirms the loss of data."""
    if not sys.stdin.isatty():
        console.print(
            Text("This loses data, and there is no terminal to ask; nothing was changed. Add --yes to do it.")
        )
        return False
    if click.confirm("This loses data. Continue?", default=False, err=True):
        return True
    console.print(Text("Nothing was changed."))
    return False


async def _carry_out(plans: Sequence[Plan], instance: Instance, console: Console, *, adopt: bool) -> None:
    """Apply one plan after the other, and print the line of each application once it is done."""
    began = time.monotonic()

    def report(text: str, step: int, steps: int) -> None:
        """Print a step. Called from the thread that works on the database; rich's console is thread-safe."""
        place = f"{step}/{steps} " if steps else ""
        line = Text(f"  {time.monotonic() - began:6.1f} s  {place}{text}")
        line.truncate(STEP_WIDTH, overflow="ellipsis")
        console.print(line, style="dim")

    for plan in plans:
        if not plan.is_empty or plan.before is not None:  # an unchanged application must still have its database
            with console.status(f"Changing {plan.after.name} ..."):
                await instance.changes.apply(plan, actor="command line", report=report, adopt=adopt)
        click.echo(f"{plan.after.name} {plan.after.token}")
