"""The plan of a run: cases by name, rounds, drivers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from benchmarks.cases import CASES, DRIVER_CASES, Case


class Plan(NamedTuple):
    """The work of a run: ``drivers`` are URLs of empty databases by driver; ``skipped`` servers are not installed."""

    cases: tuple[Case, ...]
    rounds: int
    seconds: int
    only: tuple[str, ...] = ()
    drivers: Mapping[str, str] = {}
    skipped: frozenset[str] = frozenset()

    @property
    def servers(self) -> list[str]:
        """The servers of all cases, in order."""
        named = dict.fromkeys(server for case in self.cases for server in case.servers)
        return [server for server in named if server not in self.skipped]

    def driver_cases(self, driver: str) -> list[Case]:
        """The cases for a database server: ``only`` may name the driver, a case, or both (``mysql: Post``)."""
        cases = [case for case in CASES if case.name in DRIVER_CASES]
        return [case for case in cases if not self.only or names(f"{driver}: {case.name}", self.only)]


def names(name: str, only: Sequence[str]) -> bool:
    """Whether one of the texts is part of the name, in any letter case."""
    return any(text.lower() in name.lower() for text in only)


def select_cases(only: Sequence[str]) -> tuple[Case, ...]:
    """The cases whose name, or one of whose servers' names, contains one of the texts; without texts, all.

    If only a server's name matches, the case is limited to that server and those it is compared with.
    """
    if not only:
        return CASES
    found = []
    for case in CASES:
        if names(case.name, only):
            found.append(case)
        elif any(names(server, only) for server in case.servers):
            beside = [name for name in case.servers if name in {"floor", "product"} or names(name, only)]
            found.append(case._replace(servers=tuple(beside)))
    return tuple(found)
