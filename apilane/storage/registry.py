"""The drivers of one instance, found by their ``StorageProvider`` names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from apilane.errors import ConfigurationError
from apilane.storage.protocol import Driver

__all__ = ["Drivers", "UnknownDriverError"]


class UnknownDriverError(ConfigurationError, KeyError):
    """No driver with that name is installed; the message lists the installed ones."""

    __str__ = Exception.__str__


class Drivers(Mapping[str, Driver]):
    """Drivers by name; look-ups ignore letter case, and keys have the drivers' spelling.

    Names must be unique, which ``dispatch`` checks. A look-up of an unknown name raises ``UnknownDriverError``.
    """

    __slots__ = ("_by_name",)

    def __init__(self, drivers: Iterable[Driver]) -> None:
        self._by_name = {driver.name.lower(): driver for driver in drivers}

    def __getitem__(self, name: str) -> Driver:
        try:
            return self._by_name[name.lower()]
        except KeyError:
            installed = ", ".join(self) or "none"
            raise UnknownDriverError(
                f"No driver for the storage provider {name!r} is installed (installed: {installed}). "
                "Install the package that provides it and restart; 'apilane drivers' lists the installed drivers."
            ) from None

    def __iter__(self) -> Iterator[str]:
        return (driver.name for driver in self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)
