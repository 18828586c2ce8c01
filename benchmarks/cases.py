"""The cases: the calls as scripts for wrk, and the servers that answer them.

wrk's Lua cannot sign, so signed requests are prepared right before each turn. Each has a separate target and time and
is sent once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from apilane.security.signatures import canonical_text, sign
from benchmarks.load import CONNECTIONS
from benchmarks.places import Place
from benchmarks.subject import (
    AGGREGATE_TARGET,
    BY_ID_TARGET,
    ENDPOINT_TARGET,
    EXPAND_TARGET,
    LIMITED_TARGET,
    LOANS_TARGET,
    LOGIN_TARGET,
    OPEN_TARGET,
    PAGE_TARGET,
    PASSWORD,
    POST_TARGET,
    PUT_TARGET,
    TOTAL_TARGET,
    USERS,
    book,
    user,
)

Script = Callable[[Place], str]

SIGNED = "signed GetByID"
TRANSACTION = "transaction of 10 Posts"
EXPAND, ALONE = "page with expand", "page alone"
LIMITED, OPEN = "page under a condition", "page without it"


def _who(place: Place) -> str:
    return (
        f'wrk.headers["x-application-token"] = "{place.application}"\n'
        f'wrk.headers["Authorization"] = "Bearer {place.bearer}"\n'
        "math.randomseed(os.time())\n"
    )


def _reads(target: str, *, numbered: bool = False) -> Script:
    """GETs of one target; ``numbered``: followed by the number of a random book."""

    def script(place: Place) -> str:
        number = f" .. math.random(1, {place.rows})" if numbered else ""
        return _who(place) + f'request = function() return wrk.format("GET", "{target}"{number}) end\n'

    return script


def _spread(applications: int) -> Script:
    """GetByID of random applications among the first ``applications`` others."""

    def script(place: Place) -> str:
        tokens = ",".join(f'"{token}"' for token in place.others[:applications])
        return _who(place) + (
            f"local tokens = {{{tokens}}}\n"
            "request = function()\n"
            '  wrk.headers["x-application-token"] = tokens[math.random(#tokens)]\n'
            f'  return wrk.format("GET", "{BY_ID_TARGET}" .. math.random(1, 100))\n'
            "end\n"
        )

    return script


def _sends(method: str, target: str, body: str) -> Script:
    """Requests with bodies from a Lua expression."""

    def script(place: Place) -> str:
        return _who(place) + (
            'wrk.headers["Content-Type"] = "application/json"\n'
            f'request = function() return wrk.format("{method}", "{target}", nil, {body}) end\n'
        )

    return script


SIGNED_COUNT = 60_000
"""More than a server can answer in a second."""


def write_signed(place: Place, script: Path) -> None:
    """Write a wrk script with signed GetByID for one second; the load fails when all are sent."""
    now_ms = int(time.time() * 1000)
    lines = []
    for number in range(SIGNED_COUNT):
        # Targets repeat after `rows`, times after a second: no two requests are the same.
        target, at_ms = f"{BY_ID_TARGET}{number % place.rows + 1}", now_ms + number // place.rows
        text = canonical_text(place.key_id, "GET", target.encode(), at_ms, b"")
        lines.append(f"{number % place.rows + 1} {at_ms} {sign(place.bearer, text).decode()}\n")
    prepared = script.with_suffix(".signed")
    prepared.write_text("".join(lines))
    head = f"Host: localhost\\r\\nx-application-token: {place.application}\\r\\nx-auth-keyid: {place.key_id}\\r\\n"
    script.write_text(
        f'local form = "GET {BY_ID_TARGET}%s HTTP/1.1\\r\\n{head}'
        'x-auth-timestamp: %s\\r\\nx-auth-signature: %s\\r\\n\\r\\n"\n'
        f'local lines = io.lines("{prepared}")\n'
        "request = function()\n"
        "  local line = lines()\n"
        f'  if line == nil then io.stderr:write("all {SIGNED_COUNT} signed requests are sent\\n") os.exit(1) end\n'
        '  return string.format(form, line:match("(%S+) (%S+) (%S+)"))\n'
        "end\n"
    )


class Case(NamedTuple):
    """``servers``: those that answer it and are compared with each other."""

    name: str
    servers: tuple[str, ...]
    script: Script
    connections: int = CONNECTIONS

    def is_signed(self, server: str) -> bool:
        """Whether the requests to this server are signed, and prepared for each turn."""
        return self.name == SIGNED and server == "product"


_PUT_BODY = (
    'string.format(\'{"ID":%d,"Title":"Book changed %d","Rating":%d.5}\', '
    "math.random(1, 1000), math.random(1, 100000), math.random(0, 4))"
)
_LOGIN_BODY = json.dumps({"Email": user(0)["Email"].replace("0", "%d"), "Password": PASSWORD})
_DRAFT = {"Action": "Post", "Entity": "Drafts", "Data": book(1)}
_SPREAD = _spread(100)
_ALONE = _reads(LOANS_TARGET)
_OPEN = _reads(OPEN_TARGET)

CASES = (
    Case(
        "GetByID",
        (
            "litestar",
            "fastapi",
            "tuned floor",
            "floor",
            "product",
            "2 workers",
            "one of 10,000",
            "100 of 10,000",
            "5,000,000 rows",
            "floor, 5,000,000 rows",
        ),
        _reads(BY_ID_TARGET, numbered=True),
    ),
    Case(SIGNED, ("product", "bearer token"), _reads(BY_ID_TARGET, numbered=True)),
    Case(
        "page of 20",
        ("litestar", "tuned floor", "floor", "product", "2 workers", "5,000,000 rows"),
        _reads(PAGE_TARGET),
    ),
    Case("page with total", ("litestar", "tuned floor", "floor", "product"), _reads(TOTAL_TARGET)),
    Case("aggregate", ("litestar", "tuned floor", "floor", "product"), _reads(AGGREGATE_TARGET)),
    Case(
        "Post",
        ("litestar", "tuned floor", "floor", "product", "2 workers"),
        _sends("POST", POST_TARGET, f"[[{json.dumps(book(1))}]]"),
    ),
    Case("Put", ("litestar", "tuned floor", "floor", "product"), _sends("PUT", PUT_TARGET, _PUT_BODY)),
    Case(
        TRANSACTION,
        ("floor", "product"),
        _sends("POST", "/api/Data/TransactionOperations", f"[[{json.dumps({'Operations': [_DRAFT] * 10})}]]"),
    ),
    Case("SQL endpoint", ("litestar", "floor", "product"), _reads(ENDPOINT_TARGET, numbered=True)),
    Case(
        "Login",
        ("floor", "product"),
        _sends("POST", LOGIN_TARGET, f"string.format('{_LOGIN_BODY}', math.random(0, {USERS - 1}))"),
        4,  # a password takes 25 ms: 32 callers would wait a second
    ),
    Case(EXPAND, ("product", ALONE), _reads(EXPAND_TARGET)),
    Case(LIMITED, ("product", OPEN), _reads(LIMITED_TARGET)),
    Case("GetByID, first calls", ("10,000 of 10,000",), _spread(10_000), 4),
)
"""In ``servers``, every name except the floors, litestar and fastapi is a variant of the product."""

DRIVER_CASES = ("GetByID", "page of 20", "aggregate", "Post", "SQL endpoint")
DRIVER_SERVERS = ("floor", "product", "floor, 2 workers", "2 workers")


def script_of(case: Case, server: str, place: Place) -> str:
    """The wrk script of a case for one server."""
    other = {"100 of 10,000": _SPREAD, ALONE: _ALONE, OPEN: _OPEN}.get(server)
    return (other or case.script)(place)
