"""``apilane token``: creates and manages API tokens of applications, and finds tokens in files."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from apilane.plugin import ApplicationView, CommandContext, ConfigurationError
from apilane_api_tokens.scan import scan_history, scan_paths
from apilane_api_tokens.service import ApiTokens, Changes, Draft, Issued
from apilane_api_tokens.tokens import DAY_MS, TokenRow, names_in

__all__ = ["token"]

T = TypeVar("T")
BY = "command line"
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class Duration(click.ParamType):  # type: ignore[type-arg]
    """A time such as 90s, 30m, 12h or 7d, as seconds."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        number, unit = str(value)[:-1], str(value)[-1:]
        if not number.isdecimal() or not number.isascii() or len(number) > 9 or unit not in _UNITS_S:
            self.fail(f"expected a time such as 90s, 30m, 12h or 7d; got {value!r}", param, ctx)
        return float(int(number) * _UNITS_S[unit])


def limits(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that ``create`` and ``change`` share."""
    for option in reversed(
        (
            click.option("--description", help="A longer text about the use of the token."),
            click.option(
                *("--scope", "scopes"),
                multiple=True,
                help="Such as Orders:get, Orders:put(Status), Custom/Report, Schema, files, read, write; repeatable. "
                "Tokens of the application can also have introspect.",
            ),
            click.option(
                *("--network", "networks"),
                multiple=True,
                help="Address or CIDR range from which the token may be used; repeatable. Default: all.",
            ),
            click.option("--rate-limit", metavar="N/UNIT", help="Such as 10/second, 100/minute or 500/hour."),
            click.option("--day-quota", type=int, metavar="N", help="Largest number of uses per day (UTC)."),
            click.option("--month-quota", type=int, metavar="N", help="Largest number of uses per month (UTC)."),
        )
    ):
        command = option(command)
    return command


def of_token(command: Callable[..., Any]) -> Callable[..., Any]:
    """The arguments of a command about one token."""
    for argument in (
        click.argument("token_id", metavar="ID", type=int),
        click.argument("application", metavar="APP"),
    ):
        command = argument(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def token() -> None:
    """Create and manage API tokens, the credentials of programs.

    APP is the name or the token of an application, ID the number of an API token in it. A running server sees every
    change within one second. Options about files and settings come before the subcommand.
    """


@token.command()
@click.argument("application", metavar="APP")
@click.option("--name", required=True, help="What the token is for.")
@click.option("--user", metavar="USER", help="ID, e-mail or name of its user. Default: the token is of APP itself.")
@click.option("--role", "roles", multiple=True, help="Role of a token without a user; repeatable.")
@click.option("--tenant", type=int, metavar="ID", help="Tenant of a token without a user, where there are tenants.")
@click.option("--expires", type=Duration(), help="Time until it expires. Default: 90d, or the longest time allowed.")
@limits
@click.pass_obj
def create(
    context: CommandContext, /, application: str, name: str, user: str | None, expires: float | None, **given: Any
) -> None:
    """Create a token of APP and print it. It is shown only this once; the database has a hash of it."""

    async def work(found: ApplicationView) -> Issued:
        user_id = None if user is None else await _user_id(found, user)
        draft = Draft(name=name, user_id=user_id, expires_days=_days(expires), **given)
        return await ApiTokens(found).create(draft, BY)

    _show_issued(_run(context, application, work))


@token.command("list")
@click.argument("application", metavar="APP")
@click.option("--user", metavar="USER", help="Only the tokens of this user: ID, e-mail or name.")
@click.option("--all", "everything", is_flag=True, help="Revoked and expired tokens too.")
@click.pass_obj
def list_tokens(context: CommandContext, application: str, user: str | None, *, everything: bool) -> None:
    """List the tokens of APP with their state and last use. Secrets are never shown."""

    async def work(found: ApplicationView) -> list[TokenRow]:
        user_id = None if user is None else await _user_id(found, user)
        return await ApiTokens(found).every(user_id=user_id)

    now_ms = _now_ms()
    rows = [
        row for row in _run(context, application, work) if everything or row.status(now_ms) in {"active", "suspended"}
    ]
    _print_table(
        ("ID", "NAME", "TOKEN", "OF", "STATE", "EXPIRES", "LAST USED", "FROM"),
        [
            (
                *(str(row.id), row.name, row.shown, _of(row), row.status(now_ms), _time(row.expires)),
                *(_time(row.last_used), row.last_address or "-"),
            )
            for row in rows
        ],
    )


@token.command()
@of_token
@click.option("--log", "log_rows", type=click.IntRange(0, 1000), default=0, help="Also print the last N uses.")
@click.pass_obj
def show(context: CommandContext, application: str, token_id: int, log_rows: int) -> None:
    """Show one token of APP: scopes, limits and state."""

    async def work(found: ApplicationView) -> tuple[TokenRow, Sequence[Any]]:
        tokens = ApiTokens(found)
        return await tokens.known(token_id), await tokens.log(token_id, limit=log_rows) if log_rows else ()

    row, uses = _run(context, application, work)
    for name, text in _facts(row):
        click.echo(f"{name + ':':<14}{text}")
    if log_rows:
        click.echo()
        _print_table(
            ("TIME", "ADDRESS", "STATUS", "USES", "CALL"),
            [(_time(each.time), each.address, str(each.status), str(each.uses), each.call) for each in uses],
        )


@token.command()
@of_token
@click.option("--name", help="Another name.")
@click.option("--expires", type=Duration(), help="Time from now until it expires.")
@limits
@click.pass_obj
def change(context: CommandContext, /, application: str, token_id: int, expires: float | None, **given: Any) -> None:
    """Change a token of APP without a new secret. Options that are not given keep their values.

    The scopes and networks that are given replace the ones before.
    """
    changed = {name: value for name, value in given.items() if value not in (None, ())}
    if expires is not None:
        changed["expires_days"] = _days(expires)
    changes = Changes(**changed)
    _show_state(context, application, lambda tokens: tokens.change(token_id, changes))


@token.command()
@of_token
@click.pass_obj
def suspend(context: CommandContext, application: str, token_id: int) -> None:
    """Refuse a token of APP until it is resumed."""
    _show_state(context, application, lambda tokens: tokens.suspend(token_id))


@token.command()
@of_token
@click.pass_obj
def resume(context: CommandContext, application: str, token_id: int) -> None:
    """Accept a suspended token of APP again."""
    _show_state(context, application, lambda tokens: tokens.resume(token_id))


@token.command()
@of_token
@click.pass_obj
def revoke(context: CommandContext, application: str, token_id: int) -> None:
    """Refuse a token of APP for ever."""
    _show_state(context, application, lambda tokens: tokens.revoke(token_id))


@token.command()
@of_token
@click.option("--overlap", type=Duration(), default="0s", show_default=True, help="How long the old secret works.")
@click.option("--expires", type=Duration(), help="Time from now until the token expires. Default: as before.")
@click.pass_obj
def rotate(context: CommandContext, application: str, token_id: int, overlap: float, expires: float | None) -> None:
    """Give a token of APP a new secret and print it. Scopes and limits stay."""

    async def work(found: ApplicationView) -> Issued:
        return await ApiTokens(found).rotate(token_id, overlap_s=overlap, expires_days=_days(expires))

    _show_issued(_run(context, application, work))


@token.command()
@of_token
@click.option("--days", type=click.IntRange(1, 3650), default=30, show_default=True, help="How many days, with today.")
@click.pass_obj
def usage(context: CommandContext, application: str, token_id: int, days: int) -> None:
    """Count the uses of a token of APP by day and call. FAILED are those with a status of 400 or more."""

    async def work(found: ApplicationView) -> Sequence[Any]:
        return await ApiTokens(found).usage(token_id, days=days)

    rows = _run(context, application, work)
    _print_table(
        ("DAY", "USES", "FAILED", "CALL"),
        [(_time(each.day * DAY_MS)[:10], str(each.uses), str(each.failed), each.call) for each in rows],
    )


@token.command()
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--history/--no-history", default=True, help="Whether to search the history of Git repositories too.")
def scan(paths: tuple[Path, ...], *, history: bool) -> None:
    """Find API tokens in files, in folders, and in the history of Git repositories at PATH. Default: this folder.

    Tokens are known by their checksum, so no server is asked. The exit status is 1 when there are any. Found tokens are
    not printed whole.
    """
    chosen = paths or (Path(),)
    found = scan_paths(chosen)
    if history:
        found += [each for path in chosen if path.is_dir() for each in scan_history(path)]
    for each in found:
        click.echo(f"{each.place}: {each.shown}")
    if found:
        click.echo("These are API tokens. Revoke them with `apilane token revoke`.", err=True)
        raise SystemExit(1)


def _run(context: CommandContext, name: str, work: Callable[[ApplicationView], Awaitable[T]]) -> T:
    async def run() -> T:
        async with context.application(name) as application:
            return await work(application)

    return asyncio.run(run())


async def _user_id(application: ApplicationView, text: str) -> int:
    find = application.tokens.find_user
    user = await (find(id=int(text)) if text.isdecimal() and len(text) < 19 else find(name=text))
    if user is None and "@" in text:
        user = await find(email=text)
    if user is None or user.user_id is None:
        raise ConfigurationError(f"There is no user {text!r}; give an ID, a confirmed e-mail or a name.")
    return user.user_id


def _days(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000 / DAY_MS


def _show_issued(issued: Issued) -> None:
    row = issued.row
    click.echo(issued.secret)
    click.echo(f"Token {row.id} {row.name!r} expires {_time(row.expires)} UTC. It is shown only this once.", err=True)


def _show_state(context: CommandContext, application: str, act: Callable[[ApiTokens], Awaitable[TokenRow]]) -> None:
    async def work(found: ApplicationView) -> TokenRow:
        return await act(ApiTokens(found))

    row = _run(context, application, work)
    click.echo(f"Token {row.id} {row.name!r} is {row.status(_now_ms())}.")


def _facts(row: TokenRow) -> list[tuple[str, str]]:
    return [
        ("ID", str(row.id)),
        ("Name", row.name),
        ("Description", row.description or "-"),
        ("Token", row.shown),
        ("Of", _of(row)),
        ("State", row.status(_now_ms())),
        ("Scopes", ", ".join(names_in(row.scopes))),
        ("Networks", ", ".join(names_in(row.networks)) or "all"),
        ("Rate limit", row.rate_limit or "-"),
        ("Day quota", str(row.day_quota or "-")),
        ("Month quota", str(row.month_quota or "-")),
        ("Created", f"{_time(row.created)} by {row.created_by}"),
        ("Expires", _time(row.expires)),
        ("Last used", f"{_time(row.last_used)} from {row.last_address or '-'}"),
    ]


def _of(row: TokenRow) -> str:
    if row.user_id is not None:
        return f"user {row.user_id}"
    roles = ",".join(names_in(row.roles)) or "no roles"
    return f"application ({roles}" + (")" if row.tenant is None else f"; tenant {row.tenant})")


def _time(ms: int | None) -> str:
    return "-" if ms is None else f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def _now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)


def _print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
