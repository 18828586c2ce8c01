"""Counts the uses of tokens in memory, and stores them together every ``flush_s`` seconds.

Requests wait for none of it. A process that is killed loses the uses of its last ``flush_s`` seconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator, Mapping
from time import time_ns
from typing import Final, NamedTuple

from apilane.plugin import Answered, ApplicationView, RequestView, StorageError
from apilane.plugin.storage import ForeignKeyViolation, Result, Step, UniqueViolation
from apilane_api_tokens.statements import Statements, statements_of, step
from apilane_api_tokens.tokens import DAY_MS

__all__ = ["Usage"]

KEYS_MAX: Final = 2000
"""Different uses of a token in memory; more are counted without address and call."""
CALL_LENGTH_MAX: Final = 150

log = logging.getLogger("apilane.api_tokens")

Seen = tuple[str, str, str, str | None, int]
"""Address, method, path, entity and status of a use."""


class _Use(NamedTuple):
    token_id: int
    address: str
    call: str
    status: int


class _Counted(NamedTuple):
    application: ApplicationView
    token_id: int
    uses: dict[Seen, int]


class Usage:
    """The uses that this process has counted and not stored yet."""

    def __init__(self, flush_s: float) -> None:
        self._flush_s = flush_s
        self._pending: list[_Counted] = []
        self._flushing: asyncio.Task[None] | None = None

    def counter(self, application: ApplicationView, token_id: int) -> Answered:
        """The function that counts the uses of a token, with one look-up for a use that was seen before."""
        uses: dict[Seen, int] = {}

        def answered(request: RequestView, path: str, status: int) -> None:
            seen = request.client_address, request.method, path, request.entity_name, status
            if seen in uses:
                uses[seen] += 1
                return
            if not uses:
                self._pending.append(_Counted(application, token_id, uses))
                self._start()
            if len(uses) >= KEYS_MAX:
                seen = "", request.method, "other", None, status
            uses[seen] = uses.get(seen, 0) + 1

        return answered

    def waiting(self, application: ApplicationView, token_id: int) -> int:
        """The uses of a token that are counted and not stored yet."""
        return sum(
            sum(each.uses.values())
            for each in self._pending
            if each.token_id == token_id and each.application.token == application.token
        )

    def _start(self) -> None:
        running = self._flushing
        if running is None or running.done() or running.get_loop() is not asyncio.get_running_loop():
            self._flushing = asyncio.create_task(self._flush(), name="apilane-api-token-uses")

    async def _flush(self) -> None:
        """Store the uses until there are none."""
        while self._pending:
            await asyncio.sleep(self._flush_s)
            for application, uses in self._take().values():
                try:
                    await _store(application, uses)
                except StorageError as error:
                    lost = application.token, sum(uses.values()), error
                    log.warning("application %s: %d uses of tokens were not stored: %s", *lost)

    def _take(self) -> dict[str, tuple[ApplicationView, dict[_Use, int]]]:
        """The uses by application, which are no longer pending."""
        pending, self._pending = self._pending, []
        found: dict[str, tuple[ApplicationView, dict[_Use, int]]] = {}
        for application, token_id, seen in pending:
            uses = found.setdefault(application.token, (application, {}))[1]
            for (address, method, path, entity, status), count in seen.items():
                call = f"{method} {path} {entity}" if entity else f"{method} {path}"
                use = _Use(token_id, address, call[:CALL_LENGTH_MAX], status)
                uses[use] = uses.get(use, 0) + count
            seen.clear()
        return found


async def _store(application: ApplicationView, uses: Mapping[_Use, int]) -> None:
    """Store the uses in one unit; if a token was deleted in the meantime, in one unit for each token."""
    try:
        await _store_together(application, uses)
    except ForeignKeyViolation:
        for token_id in {use.token_id for use in uses}:
            mine = {use: count for use, count in uses.items() if use.token_id == token_id}
            try:
                await _store_together(application, mine)
            except ForeignKeyViolation:
                continue


async def _store_together(application: ApplicationView, uses: Mapping[_Use, int]) -> None:
    statements, now_ms = statements_of(application), time_ns() // 1_000_000
    try:
        await application.session.run(lambda: _unit(statements, uses, now_ms))
    except UniqueViolation:  # another process has inserted the row of this day
        await application.session.run(lambda: _unit(statements, uses, now_ms))


def _unit(statements: Statements, uses: Mapping[_Use, int], now_ms: int) -> Generator[Step, Result, None]:
    by_call: dict[tuple[int, str], list[int]] = {}
    last: dict[int, str] = {}
    for use, count in uses.items():
        counts = by_call.setdefault((use.token_id, use.call), [0, 0])
        counts[0] += count
        counts[1] += count if use.status >= 400 else 0
        last[use.token_id] = use.address
    for token_id, address in sorted(last.items()):
        yield step(statements.used, {"id": token_id, "time": now_ms, "address": address})
    for (token_id, call), (total, failed) in sorted(by_call.items()):
        values = {"Token": token_id, "Day": now_ms // DAY_MS, "Call": call, "Uses": total, "Failed": failed}
        if not (yield step(statements.add_day, values)).matched:
            yield step(statements.insert_day, values)
    for use, count in uses.items():
        row = {"Token": use.token_id, "Time": now_ms, "Address": use.address, "Call": use.call}
        yield step(statements.insert_call, {**row, "Status": use.status, "Uses": count})
