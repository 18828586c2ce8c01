"""Statements by shape: each is built on first use and kept. Bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from apilane.sql.statement import Statement

__all__ = ["SHAPES_KEPT", "Shapes"]

SHAPES_KEPT = 512
"""Statement shapes cached per entity and kind; most take a kilobyte, a filter of 500 conditions takes 17 KB."""


class Shapes:
    """Statements by shape, built on first use; at most ``SHAPES_KEPT``, the oldest is dropped first."""

    __slots__ = ("_build", "_kept")

    def __init__(self, build: Callable[..., Statement]) -> None:
        self._build = build
        self._kept: dict[tuple[object, ...], Statement] = {}

    def __call__(self, *shape: Any) -> Statement:
        """The statement of a shape."""
        return self._kept.get(shape) or self._keep(shape, self._build(*shape))

    async def beside(self, *shape: Any) -> Statement:
        """The statement of a shape that takes long to compile: it is compiled in a thread, not on the event loop."""
        return self._kept.get(shape) or self._keep(shape, await asyncio.to_thread(self._build, *shape))

    def _keep(self, shape: tuple[object, ...], statement: Statement) -> Statement:
        if len(self._kept) >= SHAPES_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[shape] = statement
        return statement
