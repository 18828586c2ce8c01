"""Dropping root privileges, for tests of missing permissions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

UNPRIVILEGED_USER_ID = 65534


@contextmanager
def unprivileged() -> Iterator[None]:
    """Run as an unprivileged user when the tests run as root, because permissions do not restrict root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(UNPRIVILEGED_USER_ID)
    try:
        yield
    finally:
        os.seteuid(0)
