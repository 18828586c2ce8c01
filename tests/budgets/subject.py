"""The product in this process with every check enabled, called as ASGI; and the cost of a request in function calls.

The number of Python ``call`` events (``sys.setprofile``) is the same on any machine, for one minor version of Python.
``benchmarks/`` measures time.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple
from urllib.parse import quote

import uvloop

from apilane.app import create_app
from apilane.model.plan import plan, read_manifests
from apilane.security.signatures import canonical_text, sign
from apilane.services.capabilities import capabilities_of
from apilane.settings import Settings
from apilane.testing.server import CHEAP_PASSWORDS
from apilane_api_tokens.service import ApiTokens, Draft

ROUNDS, REPEATS = 5, 20
ROWS = 200
PROPERTIES = ["Title", "Author", "Pages", "Price", "InPrint", "Released", "Language", "Rating", "Shelf", "Summary"]
MANIFEST = {
    "Apilane": 1,
    "Application": {
        "Name": "Budget",
        "AuthTokenExpireMinutes": 100_000,
        "IPPolicy": {"Logic": "Block", "Addresses": ["192.0.2.0/24", "2001:db8::/32"]},
    },
    "Entities": [
        {
            "Name": "Books",
            "Properties": [
                {"Name": "Title", "Type": "String", "Required": True, "Maximum": 200},
                {"Name": "Author", "Type": "String", "Maximum": 100},
                {"Name": "Pages", "Type": "Number", "Minimum": 0},
                {"Name": "Price", "Type": "Number", "DecimalPlaces": 2},
                {"Name": "InPrint", "Type": "Boolean"},
                {"Name": "Released", "Type": "Date"},
                {"Name": "Language", "Type": "String", "Maximum": 20},
                {"Name": "Rating", "Type": "Number", "DecimalPlaces": 1},
                {"Name": "Shelf", "Type": "Number"},
                {"Name": "Summary", "Type": "String"},
            ],
            "Indexes": [{"Properties": ["Pages"]}],
        }
    ],
    "Security": [
        {
            "Entity": "Books",
            "Role": "AUTHENTICATED",
            "Action": action,
            "Properties": [*PROPERTIES, "Owner"],
            "RateLimit": {"MaxRequests": 1_000_000, "Per": "Hour"},
        }
        for action in ("get", "post", "put")
    ]
    + [{"Entity": "Users", "Role": "AUTHENTICATED", "Action": "get", "Properties": ["Username"]}]
    + [{"CustomEndpoint": "BookByID", "Role": "AUTHENTICATED", "RateLimit": {"MaxRequests": 1_000_000, "Per": "Hour"}}],
    "CustomEndpoints": [{"Name": "BookByID", "Query": "SELECT ID, Title, Price FROM Books WHERE ID = {BookID}"}],
}
FILTER = json.dumps({"Property": "Pages", "Operator": "greaterorequal", "Value": 100})
SORT = json.dumps([{"Property": "Pages", "Direction": "ASC"}])
PAGE = f"entity=Books&pageSize=20&filter={quote(FILTER)}&sort={quote(SORT)}"
SOME = quote(FILTER.replace("100", "250"))
"""Few records, so that the statement never takes too long for the event loop, however busy the machine is."""
AGGREGATE = f"entity=Books&properties=ID.Count,Price.Sum&groupBy=Shelf,Released.year&filter={SOME}"


def book(number: int) -> dict[str, object]:
    """A record as a client would send it."""
    return {
        "Title": f"Book number {number}",
        "Author": f"Author {number % 50}",
        "Pages": 100 + number,
        "Price": 9.75,
        "InPrint": number % 2 == 0,
        "Released": 1_600_000_000_000 + number * 1000,
        "Language": "Greek",
        "Rating": 4.5,
        "Shelf": number % 40,
        "Summary": "A short text about the book.",
    }


class Request(NamedTuple):
    """One request, with its values as on the wire."""

    method: str
    path: str
    query: str = ""
    body: bytes = b""
    signed: bool = False


REQUESTS = {
    "GetByID": Request("GET", "/api/Data/GetByID", "entity=Books&id=7"),
    "signed GetByID": Request("GET", "/api/Data/GetByID", "entity=Books&id=7", signed=True),
    "page": Request("GET", "/api/Data/Get", PAGE),
    "page, new query": Request("GET", "/api/Data/Get", PAGE.replace(quote(FILTER), quote(FILTER) + "%20" * 500)),
    "page with total": Request("GET", "/api/Data/Get", PAGE + "&getTotal=true"),
    "page with expand": Request("GET", "/api/Data/Get", PAGE + "&expand=Owner"),
    "aggregate": Request("GET", "/api/Stats/Aggregate", AGGREGATE),
    "distinct": Request("GET", "/api/Stats/Distinct", "entity=Books&property=Language"),
    "Post": Request("POST", "/api/Data/Post", "entity=Books", json.dumps(book(1)).encode()),
    "SQL endpoint": Request("GET", "/api/Custom/BookByID", "BookID=7"),
    "Put": Request("PUT", "/api/Data/Put", "entity=Books", json.dumps({"ID": 9, **book(2)}).encode()),
    "transaction": Request(
        "POST",
        "/api/Data/TransactionOperations",
        "",
        json.dumps({"Operations": [{"Action": "Post", "Entity": "Books", "Data": book(1)}] * 10}).encode(),
    ),
}
"""The requests that have a budget. "page, new query" has a query too long for the cache, so it costs as a new one."""


class Cost(NamedTuple):
    """Python function calls of one request, by function; fractions if not every request makes the call."""

    by_code: dict[CodeType, float]

    @property
    def calls(self) -> float:
        """The total number of calls."""
        return sum(self.by_code.values())

    def by_name(self) -> dict[str, float]:
        """The calls by readable function names without line numbers: ``front.Front._admit``."""
        counts: Counter[str] = Counter()
        for code, count in self.by_code.items():
            module = code.co_filename.rpartition("/")[2].removesuffix(".py")
            counts[f"{module}.{code.co_qualname}"] += count  # type: ignore[assignment]
        return {name: round(count, 2) for name, count in sorted(counts.items())}


class Subject:
    """The application, its data and a signed-in user; ``settings`` by name.

    Everything runs on an event loop of a worker's kind.
    """

    def __init__(self, data_dir: Path, **settings: Any) -> None:
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self._settings = Settings(data_dir=data_dir, definition_poll_s=3600, **{**CHEAP_PASSWORDS, **settings})
        self.app = create_app(self._settings)
        self._counts: Counter[CodeType] = Counter()
        self._is_counting = False
        self._application = self._token = ""
        self._key_id = 0
        threading.setprofile(self._on_event)  # for the writer's thread, which starts and ends repeatedly
        self._runner.run(self._prepare())

    def close(self) -> None:
        """Stop profiling and close the application."""
        threading.setprofile(None)  # type: ignore[arg-type]  # that is how it ends
        self._runner.run(self.app.close())
        self._runner.close()

    async def _prepare(self) -> None:
        await self.app._opened({"type": "http", "path": "/"}, self._ignore)
        instance = self.app._instance
        manifest = read_manifests(json.dumps(MANIFEST), filename="budget.json", environ={})[0]
        made = await instance.changes.apply(
            plan(manifest, None, capabilities=capabilities_of(instance.hooks)), actor="budget"
        )
        self._application = made.definition.token
        user = {"Email": "reader@example.com", "Username": "reader", "Password": "Passw0rd-of-tests"}
        await self._value(Request("POST", "/api/Account/Register", body=json.dumps(user).encode()))
        login = Request("POST", "/api/Account/Login", body=json.dumps(user).encode())
        self._token = (await self._value(login))["AuthToken"]
        application = await instance.applications.find(self._application)
        assert application is not None
        actor = await application.tokens.find(self._token)
        assert actor is not None
        assert actor.session_id is not None
        self._key_id = actor.session_id
        rows = json.dumps([book(number) for number in range(ROWS)]).encode()
        await self._value(Request("POST", "/api/Data/Post", "entity=Books", rows))

    @contextmanager
    def api_token(self, scope: str, user_id: int | None) -> Iterator[None]:
        """Use an API token instead of the session."""
        session = self._token
        self._token = self._runner.run(self._issue(Draft(name="budget", scopes=[scope], user_id=user_id)))
        yield
        self._token = session

    async def _issue(self, draft: Draft) -> str:
        application = await self.app._instance.applications.find(self._application)
        assert application is not None
        return (await ApiTokens(application).create(draft, "budget")).secret

    @staticmethod
    async def _ignore(message: Any) -> None:
        raise AssertionError(message)

    async def _value(self, request: Request) -> Any:
        status, body = await self._send(request)
        assert status == 200, body
        return json.loads(body)

    def answer(self, request: Request) -> Any:
        """The decoded body of a request's answer; the request must succeed."""
        return self._runner.run(self._value(request))

    def _scope(self, request: Request) -> dict[str, Any]:
        headers = [
            (b"host", b"127.0.0.1:5001"),
            (b"accept", b"application/json"),
            (b"user-agent", b"budget"),
            (b"x-application-token", self._application.encode()),
        ]
        if request.body:
            headers += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(request.body))]
        if request.signed:
            now_ms = time.time_ns() // 1_000_000
            target = f"{request.path}?{request.query}".encode()
            text = canonical_text(self._key_id, request.method, target, now_ms, request.body)
            headers += [
                (b"x-auth-keyid", b"%d" % self._key_id),
                (b"x-auth-timestamp", b"%d" % now_ms),
                (b"x-auth-signature", sign(self._token, text)),
            ]
        elif self._token:
            headers.append((b"authorization", b"Bearer " + self._token.encode()))
        return {
            "type": "http",
            "http_version": "1.1",
            "method": request.method,
            "scheme": "http",
            "path": request.path,
            "raw_path": request.path.encode(),
            "query_string": request.query.encode(),
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 5001),
        }

    async def _send(self, request: Request) -> tuple[int, bytes]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "http.request", "body": request.body, "more_body": False}

        await self.app(self._scope(request), receive, send)
        return sent[0]["status"], sent[1]["body"]

    def time_s(self, request: Request, repeats: int) -> float:
        """The seconds of processor time that a number of requests take, with all threads."""
        return self._runner.run(self._time(request, repeats))

    async def _time(self, request: Request, repeats: int) -> float:
        begun = time.process_time()
        for _ in range(repeats):
            await self._send(request)
        return time.process_time() - begun

    # --- Counting -------------------------------------------------------------------------------------------------

    def cost(self, request: Request) -> Cost:
        """The cost of a request after compiling and caching; the minimum of several rounds.

        An identity is read again once a second, which the minimum excludes.
        """
        for _ in range(3):
            self.answer(request)
        return min((self.cost_now(request, REPEATS) for _ in range(ROUNDS)), key=lambda cost: cost.calls)

    def cost_now(self, request: Request, repeats: int = 1) -> Cost:
        """The average cost of a request in the current state."""
        self._counts.clear()
        self._runner.run(self._count(request, repeats))
        return Cost({code: count / repeats for code, count in self._counts.items() if code.co_filename != __file__})

    async def _count(self, request: Request, repeats: int) -> None:
        self._is_counting = True
        sys.setprofile(self._on_event)
        for _ in range(repeats):
            await self._send(request)
        sys.setprofile(None)
        await asyncio.sleep(0.02)  # the writer's thread works on after its answer
        self._is_counting = False

    def _on_event(self, frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and self._is_counting:
            self._counts[frame.f_code] += 1
