"""Counters in a file that all workers of the machine map into memory: rate limits, throttles, used signatures.

``counter_file.py`` keeps a sliding log per key in the file of ``slot_file.py``. A plugin for several machines registers
another object with the same three methods (``apilane.plugin.Counters``).
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from apilane.plugin import PluginSettings, Settings, hookimpl
from apilane_counter_file.counter_file import CounterFile

__all__ = ["apilane_register_counters", "apilane_register_settings"]


class CounterFileSettings(Struct, frozen=True, kw_only=True):
    """The settings of the file."""

    size_mib: Annotated[
        int,
        Meta(
            ge=1,
            description="Size of the file `counters` in data_dir: a MiB has room for about 6,000 callers or "
            "remembered signatures.",
        ),
    ] = 64


@hookimpl
def apilane_register_settings() -> list[PluginSettings]:
    """How large the file is."""
    return [PluginSettings(instance=CounterFileSettings)]


@hookimpl
def apilane_register_counters(settings: Settings, options: CounterFileSettings) -> list[CounterFile]:
    """The file ``counters`` in the data folder, created on first use."""
    return [CounterFile(settings.data_dir / "counters", size_mib=options.size_mib)]
