"""Addresses of SQLite databases: paths on this machine."""

from __future__ import annotations

import os

__all__ = ["read_address"]


def read_address(text: str) -> str:
    """The same path for all ways to write it, so that a file has one session; the file need not exist."""
    return os.path.realpath(text)
