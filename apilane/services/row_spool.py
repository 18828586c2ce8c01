"""Rows that wait to be stored: in memory, beyond some megabytes in a temporary file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from tempfile import SpooledTemporaryFile
from typing import Any, Final

import msgspec

from apilane.sql.statement import Value

__all__ = ["RowSpool"]

MEMORY_BYTES: Final = 4_194_304
_LENGTH_BYTES: Final = 4
_DECIMAL: Final = 1
"""The type of MessagePack's extension for decimals, which would otherwise come back as text."""


def _read_extension(_code: int, data: memoryview) -> Decimal:
    return Decimal(bytes(data).decode())


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ext_hook=_read_extension).decode


class RowSpool:
    """Rows of stored values. They can be read several times, by one reader at a time, after the last ``add``.

    The file has no name, and it ends with this object: the unit that reads it may outlive the call that made it.
    """

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(max_size=MEMORY_BYTES)  # noqa: SIM115  # closed by __del__
        self.count = 0

    def __del__(self) -> None:
        self._file.close()

    def add(self, row: Sequence[Value]) -> None:
        """Add a row at the end."""
        packed = _encode([_packed(value) if type(value) is Decimal else value for value in row])
        self._file.write(len(packed).to_bytes(_LENGTH_BYTES))
        self._file.write(packed)
        self.count += 1

    def rows(self) -> Iterator[list[Any]]:
        """All rows in order, from the first one."""
        self._file.seek(0)
        for _ in range(self.count):
            length = int.from_bytes(self._file.read(_LENGTH_BYTES))
            yield _decode(self._file.read(length))


def _packed(value: Decimal) -> msgspec.msgpack.Ext:
    return msgspec.msgpack.Ext(_DECIMAL, str(value).encode())
