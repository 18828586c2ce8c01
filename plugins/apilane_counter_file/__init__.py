"""Counters in a file that all workers of the machine map into memory: rate limits, throttles, used signatures.

``counter_file.py`` keeps a sliding log per key in the file of ``slot_file.py``. A plugin for several machines registers
another object with the same three methods (``apilane.plugin.Counters``).
"""

from __future__ import annotations

from apilane.plugin import Settings, hookimpl
from apilane_counter_file.counter_file import CounterFile

__all__ = ["apilane_register_counters"]


@hookimpl
def apilane_register_counters(settings: Settings) -> list[CounterFile]:
    """The file ``counters`` in the data folder, created on first use."""
    return [CounterFile(settings.data_dir / "counters", size_mib=settings.counters_size_mib)]
