"""The observer: recorder, exposition and listener of one process."""

from __future__ import annotations

import asyncio
from pathlib import Path

from apilane.plugin import ConfigurationError, Observer, ProcessView
from apilane_metrics.exposition import Exposition
from apilane_metrics.listener import Listener
from apilane_metrics.recorder import Recorder

__all__ = ["MetricsObserver", "make_observer"]


class MetricsObserver(Observer, frozen=True, kw_only=True):
    """An observer that the plugin's page finds."""

    exposition: Exposition


def make_observer(folder: Path, listen: str, series_max: int) -> MetricsObserver:
    """``folder``: of the numbers. ``listen``: host and port, or empty. Raises ConfigurationError for another text."""
    address = _address(listen) if listen else None
    recorder, exposition = Recorder(folder, series_max), Exposition(folder)
    listening: list[Listener] = []

    async def opened(process: ProcessView) -> None:
        await recorder.opened(process)
        exposition.process = process, asyncio.get_running_loop()
        if address is not None:
            listening.append(Listener(address, exposition))

    async def closed() -> None:
        while listening:
            await asyncio.to_thread(listening.pop().close)
        await recorder.closed()

    return MetricsObserver(opened=opened, closed=closed, request_ended=recorder.ended, exposition=exposition)


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ConfigurationError(
            f"[plugins.metrics] listen is {listen!r}; expected an address and a port, such as 127.0.0.1:9464."
        )
    return host.strip("[]"), int(port)
