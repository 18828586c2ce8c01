"""Runs one of the compared servers under granian, with the product's server settings, until it is stopped.

``python -m benchmarks.serve NAME PORT WORKERS``. The product itself is ``apilane serve``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from granian.constants import HTTPModes, Interfaces, Loops
from granian.server import Server

from benchmarks import database_floor, floor, frameworks

MAKERS: dict[str, Callable[[], Any]] = {
    "floor": floor.make_app,
    "tuned floor": partial(floor.make_app, tuned=True),
    "database floor": database_floor.make_app,
    "litestar": frameworks.make_litestar_app,
    "fastapi": frameworks.make_fastapi_app,
}


def main() -> None:
    """Serve."""
    name, port, workers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    server = Server(
        name,
        address="127.0.0.1",
        port=port,
        interface=Interfaces.ASGI,
        workers=workers,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
    )
    server.serve(target_loader=MAKERS[name], wrap_loader=False)


if __name__ == "__main__":
    main()
