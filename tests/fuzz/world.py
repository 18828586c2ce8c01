"""The targets of the fuzz calls: two applications in this process, with marked values in every important place.

The mark of a value shows its origin, so that an answer with one can be judged by its caller. Fuzz calls never contain
these marks; the mark that they do contain (``requests.MARK``) must stay out of statement texts.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import apsw

from apilane.app import create_app
from apilane.instance import open_instance
from apilane.services.capabilities import capabilities_of
from apilane.services.manifest_plans import plan_files
from apilane.services.operator_sign_in import operator_token
from apilane.settings import Settings
from apilane.testing.server import CHEAP_PASSWORDS, PATIENT

__all__ = ["HIDDEN", "PASSWORD", "A", "Answer", "B", "World", "manifests", "visible_marks"]

A = "aaaaaaaa-1111-4111-8111-aaaaaaaaaaaa"
B = "bbbbbbbb-2222-4222-8222-bbbbbbbbbbbb"
PASSWORD = "MkPassword-of-everybody"
TENANTS = {"ann": 1, "bob": 1, "cid": 2, "eve": 2, "dot": None}
"""Users of application A and their companies; bob is an editor; the calls change eve's account."""
MARKS = {1: "MkTenantOne", 2: "MkTenantTwo", None: "MkTenantNone"}
PLACES = (*MARKS, *MARKS)
"""Companies of the marked orders."""
HIDDEN, EDITORIAL, SECRET, LOCKED, OTHER = "MkHidden", "MkEditorial", "MkSecretPlain", "MkLocked", "MkOther"
ALL_MARKS = (*MARKS.values(), HIDDEN, EDITORIAL, SECRET, LOCKED, OTHER, *(f"MkDiary-{name}" for name in TENANTS))
TRACED = ("apilane", "asyncio")
"""Loggers whose errors are failures of the run."""


def _rules(entity: str, role: str, actions: str, properties: Any = "*", record: str = "All") -> list[dict[str, Any]]:
    return [
        {"Entity": entity, "Role": role, "Action": action, "Record": record}
        | ({} if action == "delete" else {"Properties": properties})
        for action in actions.split()
    ]


ORDER_PROPERTIES = ["Text", "Amount", "Price", "Done", "Moment", "Code"]
ENDPOINTS = {
    "Echo": "SELECT {A} a, {S} s, {N} n, {D} d, {F} f",
    "Mine": "SELECT Mark, Text FROM Diary WHERE Owner = {Owner}",
    "Ours": "SELECT ID, Mark, Text FROM Orders WHERE Company_ID IS {Owner_Differentiation} AND Text <> {S}; SELECT 1",
    "Insert": "INSERT INTO Public (Created, Text) VALUES ({A}, {S})",
    "Failing": "UPDATE Public SET Text = {S}; INSERT INTO Orders (ID, Created) VALUES (1, 1)",
    "Raising": "CREATE TEMP TRIGGER t BEFORE UPDATE ON Public BEGIN SELECT RAISE(ABORT, 'Sold out'); END;"
    "UPDATE Public SET Text = {S}",
    "Closed": f"SELECT '{LOCKED}' a",
    "Passwords": "SELECT * FROM Users; SELECT * FROM AuthTokens",
}


def manifests(first: str = A, second: str = B) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tested application and the other one, with these tokens."""
    columns = [
        {"Name": "Text", "Maximum": 200},
        {"Name": "Amount", "Type": "Number", "Maximum": 1000000000},
        {"Name": "Price", "Type": "Number", "DecimalPlaces": 2},
        {"Name": "Done", "Type": "Boolean"},
        {"Name": "Moment", "Type": "Date"},
        {"Name": "Code", "ValidationRegex": "^[A-Z]{3}$"},
    ]
    orders = [
        *columns,
        {"Name": "Mark"},
        {"Name": "Hidden"},
        {"Name": "Editorial"},
        {"Name": "Secret", "Encrypted": True},
    ]
    types = {"S": "String", "N": "Number", "D": "Date", "F": "Boolean"}
    one = {
        "Apilane": 1,
        "Application": {"Name": "Under fire", "Token": first, "DifferentiationEntity": "Company"},
        "Entities": [
            {"Name": "Company", "Properties": [{"Name": "Title"}]},
            {
                "Name": "Orders",
                "Differentiation": True,
                "ChangeTracking": True,
                "DefaultOrder": [{"Property": "Hidden", "Direction": "DESC"}],
                "Properties": orders,
                "Constraints": [{"Type": "Unique", "Properties": ["Code", "Amount"]}],
            },
            {
                "Name": "Lines",
                "Properties": [{"Name": "OrderID", "Type": "Number"}, {"Name": "Text"}],
                "Constraints": [{"Type": "ForeignKey", "Property": "OrderID", "Entity": "Orders"}],
            },
            {"Name": "Diary", "Properties": [{"Name": "Text"}, {"Name": "Mark"}]},
            {"Name": "Locked", "Properties": [{"Name": "Text"}]},
            {"Name": "Public", "Properties": columns},
            {"Name": "Users", "Properties": [{"Name": "Firstname", "Maximum": 50}]},
        ],
        "Security": [
            *_rules("Orders", "ANONYMOUS", "get", ["Text", "Mark"]),
            *_rules("Orders", "AUTHENTICATED", "get", [*ORDER_PROPERTIES, "Mark"]),
            *_rules("Orders", "AUTHENTICATED", "post put delete", ORDER_PROPERTIES),
            *_rules("Orders", "editor", "get", ["Editorial", "Secret"]),
            *_rules("Lines", "AUTHENTICATED", "get post put"),
            *_rules("Diary", "AUTHENTICATED", "get", ["Text", "Mark"], "Owned"),
            *_rules("Diary", "AUTHENTICATED", "post put delete", ["Text"], "Owned"),
            *_rules("Public", "ANONYMOUS", "get post put delete"),
            *_rules("Users", "AUTHENTICATED", "get", ["Username", "Email", "Roles"]),
            *_rules("Users", "AUTHENTICATED", "put", ["Firstname"], "Owned"),
            *_rules("AuthTokens", "AUTHENTICATED", "get", "*", "Owned"),
            {"Schema": True, "Role": "AUTHENTICATED"},
            *({"CustomEndpoint": name, "Role": "ANONYMOUS"} for name in ENDPOINTS if name != "Closed"),
        ],
        "CustomEndpoints": [
            {"Name": name, "Query": text}
            | ({"Parameters": {key: types[key] for key in types if f"{{{key}}}" in text}} if "{S}" in text else {})
            for name, text in ENDPOINTS.items()
        ],
    }
    other = {
        "Apilane": 1,
        "Application": {"Name": "The other", "Token": second},
        "Entities": [{"Name": "Public", "Properties": [{"Name": "Text"}]}],
        "Security": _rules("Public", "ANONYMOUS", "get") + _rules("Users", "AUTHENTICATED", "get", ["Username"]),
        "Collaborators": ["outsider@example.com"],
    }
    return one, other


def visible_marks(caller: str, *, certain: bool) -> frozenset[str]:
    """Marks of application A that an answer to ``caller`` may contain.

    ``certain``: the call carries the caller's credential in valid form; otherwise it may count as anonymous.
    """
    if caller == "owner":
        return frozenset(ALL_MARKS) - {OTHER}
    marks = set()
    if caller in TENANTS:
        marks |= {MARKS[TENANTS[caller]], f"MkDiary-{caller}"}
        if caller == "bob":
            marks |= {EDITORIAL + "-1", SECRET + "-1"}
    if caller not in TENANTS or not certain:
        marks.add(MARKS[None])
    return frozenset(marks)


class Answer(NamedTuple):
    """The answer; ``headers`` by lower-case name."""

    status: int
    headers: dict[str, str]
    body: bytes


class _Errors(logging.Handler):
    """All messages that were logged as errors."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(logging.Formatter("%(name)s %(message)s").format(record))


class World:
    """The applications, running inside ``with``. ``texts``: every distinct statement sent to any connection."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(
            data_dir=folder,
            admin_email="admin@example.com",
            admin_password="Adm1n-password",
            plugin_settings={
                "counter_file": {"size_mib": 8},
                "rate_limit": {name.removeprefix("rate_limit_"): value for name, value in PATIENT.items()},
            },
            **CHEAP_PASSWORDS,  # type: ignore[arg-type]
        )
        self.texts: set[str] = set()
        self.credentials: dict[str, tuple[str, int]] = {}
        self._errors = _Errors()
        self._new_users = 0
        self._users: dict[str, int] = {}
        self._orders: list[int] = []

    def __enter__(self) -> Self:
        apsw.connection_hooks.append(self._watch)
        for name in TRACED:
            logging.getLogger(name).addHandler(self._errors)
        self.runner = asyncio.Runner()
        self.runner.run(self._prepare())
        self._app = create_app(self.settings)
        self._seed()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.runner.run(self._app.close())
        self.runner.close()
        for name in TRACED:
            logging.getLogger(name).removeHandler(self._errors)
        apsw.connection_hooks.remove(self._watch)

    def _watch(self, connection: apsw.Connection) -> None:
        def seen(_cursor: apsw.Cursor, text: str, _bindings: object) -> bool:
            self.texts.add(text)
            return True

        connection.exec_trace = seen

    async def _prepare(self) -> None:
        async with open_instance(self.settings) as instance:
            for manifest in manifests():
                (plan,) = await plan_files(
                    [("manifest.json", json.dumps(manifest).encode())],
                    store=instance.store,
                    capabilities=capabilities_of(instance.hooks),
                )
                await instance.changes.apply(plan, actor="tests")
            for caller, email in (("owner", "admin@example.com"), ("outsider", "outsider@example.com")):
                self.credentials[caller] = (await operator_token(instance.store, email, None), 0)

    def database(self, token: str = A) -> Path:
        """The file of an application's database."""
        return self.settings.data_dir / "apps" / token / "data.db"

    def sql(self, text: str, *parameters: Any, token: str = A) -> list[tuple[Any, ...]]:
        """Run SQL beside the server, on a connection that is not recorded."""
        with_hooks, apsw.connection_hooks[:] = list(apsw.connection_hooks), []
        try:
            connection = apsw.Connection(str(self.database(token)))
        finally:
            apsw.connection_hooks[:] = with_hooks
        try:
            connection.set_busy_timeout(5000)
            return list(connection.execute(text, parameters))
        finally:
            connection.close()

    def call(
        self,
        method: str,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        body: tuple[bytes, ...] = (),
        *,
        breaks_off: bool = False,
    ) -> Answer:
        """One call as an HTTP server passes it on; ``breaks_off``: the client disconnects within its body."""
        return self.runner.run(self._call(method, target, headers, body, breaks_off=breaks_off))

    async def _call(
        self,
        method: str,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        body: tuple[bytes, ...] = (),
        *,
        breaks_off: bool = False,
    ) -> Answer:
        from urllib.parse import unquote

        path, _, query = target.partition(b"?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path.decode("latin-1"), errors="replace"),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": headers if any(name == b"host" for name, _ in headers) else [(b"host", b"x"), *headers],
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 5001),
        }
        waiting = [{"type": "http.request", "body": part, "more_body": True} for part in body]
        if breaks_off:
            waiting.append({"type": "http.disconnect"})
        else:
            waiting.append({"type": "http.request", "body": b"", "more_body": False})
        waiting.reverse()
        sent: list[Mapping[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return waiting.pop() if waiting else {"type": "http.disconnect"}

        async def send(message: Mapping[str, Any]) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        start, *parts = sent
        answered = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in start["headers"]}
        return Answer(start["status"], answered, b"".join(part.get("body", b"") for part in parts))

    def errors(self) -> list[str]:
        """The errors logged since the last call of this method."""
        lines, self._errors.lines = self._errors.lines, []
        return lines

    def post(self, path: str, document: Any, token: str = A) -> Any:
        """A call that must succeed."""
        headers = [(b"x-application-token", token.encode())]
        answer = self._send(f"/api/{path}", headers, document)
        assert answer.status == 200, answer
        return json.loads(answer.body)

    def _send(self, target: str, headers: list[tuple[bytes, bytes]], document: Any) -> Answer:
        body = json.dumps(document).encode()
        sent = [*headers, (b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        return self.call("POST", target.encode(), sent, (body,))

    def sign_up(self, caller: str, token: str = A) -> None:
        """A new user behind a caller's name, with its company and its diary."""
        self._new_users += 1
        name = f"user{self._new_users}"
        id = self.post(
            "Account/Register", {"Username": name, "Email": f"{name}@example.com", "Password": PASSWORD}, token
        )
        if token == A:
            roles = "editor" if caller == "bob" else None
            self.sql('UPDATE "Users" SET "Company_ID" = ?, "Roles" = ? WHERE "ID" = ?', TENANTS[caller], roles, id)
            diary = 'INSERT INTO "Diary" ("Owner", "Created", "Text", "Mark") VALUES (?, 1, ?, ?)'
            self.sql(diary, id, "kept", f"MkDiary-{caller}")
            self._users[caller] = id
        answer = self.post("Account/Login", {"Username": name, "Password": PASSWORD}, token)
        self.credentials[caller] = (answer["AuthToken"], answer["AuthTokenID"])

    def _seed(self) -> None:
        for id in (1, 2):
            self.sql('INSERT INTO "Company" ("ID", "Created", "Title") VALUES (?, 1, ?)', id, MARKS[id])
        for caller in TENANTS:
            self.sign_up(caller)
        self.sign_up("foreign", B)
        self.credentials["unknown"] = ("3f2504e0-4f89-41d3-9a0c-0305e82c3301", 999_999)
        self._orders = [self._add_order(company) for company in PLACES]
        self._mark_orders()
        self.sql('INSERT INTO "Locked" ("Created", "Text") VALUES (1, ?)', LOCKED)
        self.sql('INSERT INTO "Public" ("Created", "Text") VALUES (1, ?)', OTHER, token=B)
        self.errors()

    def _add_order(self, company: int | None) -> int:
        """An order that callers cannot delete (a line refers to it) and whose marks they cannot change (no rule)."""
        headers = [
            (b"x-application-token", A.encode()),
            (b"x-client-id", b"portal"),
            (b"authorization", b"Bearer " + self.credentials["owner"][0].encode()),
        ]
        answer = self._send("/api/Data/Post?entity=Orders", headers, {"Text": "any", "Secret": f"{SECRET}-{company}"})
        (id,) = json.loads(answer.body)
        self.sql('INSERT INTO "Lines" ("Created", "OrderID", "Text") VALUES (1, ?, ?)', id, "kept")
        return int(id)

    def _mark_orders(self) -> None:
        for id, company in zip(self._orders, PLACES, strict=True):
            self.sql(
                'UPDATE "Orders" SET "Company_ID" = ?, "Mark" = ?, "Hidden" = ?, "Editorial" = ? WHERE "ID" = ?',
                *(company, MARKS[company], HIDDEN, f"{EDITORIAL}-{company}", id),
            )

    def settle(self) -> None:
        """Undo changes that owners may make and marks cannot show: move records and users, delete them."""
        present = {id for (id,) in self.sql('SELECT "ID" FROM "Orders"')}
        self._orders = [
            id if id in present else self._add_order(company) for id, company in zip(self._orders, PLACES, strict=True)
        ]
        self._mark_orders()
        users = {
            (id, company, roles) for id, company, roles in self.sql('SELECT "ID", "Company_ID", "Roles" FROM "Users"')
        }
        tokens = {id for (id,) in self.sql('SELECT "ID" FROM "AuthTokens"')}
        for caller, id in list(self._users.items()):
            expected = (id, TENANTS[caller], "editor" if caller == "bob" else None)
            if expected not in users or self.credentials[caller][1] not in tokens:
                self.sign_up(caller)
