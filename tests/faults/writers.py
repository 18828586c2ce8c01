"""Callers that write without pause, each in a thread, and record the answers in a ledger."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from threading import Event, Thread
from typing import Any

import httpx

from apilane.client import ConnectionFailed
from apilane.testing.client import PASSWORD, Client, error_of
from tests.faults.ledger import Item, Ledger

__all__ = ["Writer"]

TIMEOUT_S = 20.0
NO_GROUP = 999_999_999
PAUSE_S = 0.01
AGAIN_MAX = 50


class _Unanswered(Exception):
    """The connection broke: the call may have been executed or not."""


class Writer:
    """One caller of the application of ``client``; its records have its name."""

    def __init__(self, client: Client, name: str, seed: object) -> None:
        self.ledger = Ledger(name)
        self._http = httpx.Client(trust_env=False, timeout=TIMEOUT_S)
        self._client = Client(self._http, client.url, client.token, client.user)
        self._chance = random.Random(f"{seed} {name}")
        self._number = 0
        self._stop = Event()
        self._thread: Thread | None = None
        kinds = {
            self._post: 6,
            self._post_unit: 4,
            self._post_broken_unit: 2,
            self._transact: 4,
            self._put: 5,
            self._delete: 2,
            self._group: 2,
            self._break_references: 2,
            self._win: 4,
            self._sign_in: 1,
        }
        self._kinds, self._weights = list(kinds), list(kinds.values())

    def start(self) -> None:
        """Write until ``stop``."""
        self._stop.clear()
        self._thread = Thread(target=self._work, name=self.ledger.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the current call and end."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(2 * TIMEOUT_S)
            assert not self._thread.is_alive(), f"{self.ledger.name} got neither an answer nor a broken connection"

    def close(self) -> None:
        self._stop.set()
        self._http.close()

    def live_tokens(self) -> list[bool]:
        """Whether the newest acknowledged sign-ins are still valid."""
        return [not self._client.as_user(token).is_anonymous() for token in self.ledger.tokens[-3:]]

    def _work(self) -> None:
        while not self._stop.is_set():
            (kind,) = self._chance.choices(self._kinds, self._weights)
            try:
                kind()
                self.ledger.done[kind.__name__.lstrip("_")] += 1
            except _Unanswered:
                self.ledger.done["unanswered"] += 1
                self._stop.wait(PAUSE_S)
            except Exception as error:  # raised in the test's thread later
                self.ledger.surprises.append(f"{kind.__name__}: {type(error).__name__} {error}")
                return

    def _ask(self, call: Callable[..., httpx.Response], path: str, *body: Any, **query: Any) -> httpx.Response:
        try:
            return call(path, *body, **query)
        except ConnectionFailed as error:
            if isinstance(error.__cause__, httpx.TimeoutException):
                raise
            raise _Unanswered from error

    def _refused(self, response: httpx.Response, code: str) -> None:
        assert response.status_code != 200, f"accepted, expected {code}: {response.text}"
        assert error_of(response).code == code, response.text

    def _value(self, response: httpx.Response) -> Any:
        assert response.status_code == 200, f"{response.status_code} {response.text}"
        return response.json()

    def _new(self, prefix: str) -> str:
        self._number += 1
        return f"{prefix} {self.ledger.name} {self._number}"

    def _some_group(self) -> int | None:
        known = [id for states in self.ledger.groups.values() if len(states) == 1 for id in states if id]
        return self._chance.choice(known) if known and self._chance.random() < 0.5 else None

    def _made(self, count: int) -> dict[str, Item]:
        unit = self._new("unit")
        return {
            self._new("item"): Item(unit, self._chance.randrange(1_000_000), self._some_group()) for _ in range(count)
        }

    def _add(self, items: dict[str, Item], body: Any) -> None:
        """Post ``body``, which makes all of ``items`` or none."""
        for name, item in items.items():
            self.ledger.items[name] = {None, item}
        self.ledger.running_unit += items
        ids = self._value(self._ask(self._client.post, "Data/Post", body, entity="Items"))
        del self.ledger.running_unit[-len(items) :]
        assert len(ids) == len(items), ids
        for (name, item), id in zip(items.items(), ids, strict=True):
            self.ledger.items[name] = {item}
            self.ledger.ids[name] = id

    def _post(self) -> None:
        items = self._made(1)
        ((name, item),) = items.items()
        self._add(items, _body(name, item))

    def _post_unit(self) -> None:
        items = self._made(self._chance.randrange(2, 6))
        self._add(items, [_body(name, item) for name, item in items.items()])

    def _post_broken_unit(self) -> None:
        """The last record is refused, so none of the unit is stored."""
        items = self._made(3)
        for name in items:
            self.ledger.items[name] = {None}
        bodies = [_body(name, item) for name, item in items.items()]
        taken = self.ledger.certain()
        if taken and self._chance.random() < 0.5:
            bodies[-1]["Name"], code = self._chance.choice(taken), "UNIQUE_CONSTRAINT_VIOLATION"
        else:
            bodies[-1]["GroupID"], code = NO_GROUP, "FOREIGN_KEY_CONSTRAINT_VIOLATION"
        self._refused(self._ask(self._client.post, "Data/Post", bodies, entity="Items"), code)

    def _transact(self) -> None:
        """A transaction with an idempotency key, sent again when its connection breaks: it is carried out once."""
        items = self._made(3)
        for name, item in items.items():
            self.ledger.items[name] = {None, item}
        self.ledger.running_unit += items
        operations = [{"Action": "Post", "Entity": "Items", "Data": _body(name, item)} for name, item in items.items()]
        results = self._value(self._again("transact " + "-".join(items), {"Operations": operations}))["Results"]
        del self.ledger.running_unit[-len(items) :]
        for (name, item), result in zip(items.items(), results, strict=True):
            self.ledger.items[name] = {item}
            (self.ledger.ids[name],) = result["Created"]

    def _again(self, key: str, body: Any) -> httpx.Response:
        """The answer to a transaction, which is sent with the same key until the server answers or the round ends."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": key.replace(" ", "-")}
        target = "/api/Data/TransactionOperations"
        for _ in range(AGAIN_MAX):
            try:
                return self._client.send("POST", target, json.dumps(body).encode(), headers)
            except httpx.TimeoutException:
                raise
            except httpx.TransportError:
                if self._stop.wait(PAUSE_S):
                    break
        raise _Unanswered

    def _put(self) -> None:
        known = self.ledger.certain()
        if not known:
            return
        name = self._chance.choice(known)
        (old,) = self.ledger.items[name]
        assert old is not None
        new = Item(old.unit, self._chance.randrange(1_000_000), self._some_group(), old.puts + 1)
        self.ledger.items[name] = {old, new}
        body = {"ID": self.ledger.ids[name], "Amount": new.amount, "GroupID": new.group}
        assert self._value(self._ask(self._client.put, "Data/Put", body, entity="Items")) == 1
        self.ledger.items[name] = {new}

    def _delete(self) -> None:
        known = self.ledger.certain()
        if not known:
            return
        name = self._chance.choice(known)
        self.ledger.items[name].add(None)
        id = self.ledger.ids[name]
        assert self._value(self._ask(self._client.delete, "Data/Delete", entity="Items", ids=id)) == [id]
        self.ledger.items[name] = {None}

    def _group(self) -> None:
        name = self._new("group")
        self.ledger.groups[name] = {None, 0}
        (id,) = self._value(self._ask(self._client.post, "Data/Post", {"Name": name}, entity="Groups"))
        self.ledger.groups[name] = {id}

    def _break_references(self) -> None:
        """Delete a group that one of this writer's items refers to, or refer to a missing group: both are refused."""
        used = [item.group for name in self.ledger.certain() for item in self.ledger.items[name] if item and item.group]
        if used and self._chance.random() < 0.5:
            response = self._ask(self._client.delete, "Data/Delete", entity="Groups", ids=self._chance.choice(used))
        else:
            ((name, item),) = self._made(1).items()
            self.ledger.items[name] = {None}
            body = {**_body(name, item), "GroupID": NO_GROUP}
            response = self._ask(self._client.post, "Data/Post", body, entity="Items")
        self._refused(response, "FOREIGN_KEY_CONSTRAINT_VIOLATION")

    def _win(self) -> None:
        """Use the same prize numbers as all other writers, so that they conflict."""
        name = f"prize {len(self.ledger.prizes)}"
        self.ledger.prizes[name] = {True, False}
        body = {"Name": name, "Winner": self.ledger.name}
        response = self._ask(self._client.post, "Data/Post", body, entity="Prizes")
        if response.status_code != 200:
            self._refused(response, "UNIQUE_CONSTRAINT_VIOLATION")
        self.ledger.prizes[name] = {response.status_code == 200}

    def _sign_in(self) -> None:
        name = self._new("user").replace(" ", "-")
        user = {"Email": f"{name}@example.com", "Username": name, "Password": PASSWORD}
        self.ledger.users[name] = {True, False}
        self._value(self._ask(self._client.post, "Account/Register", user))
        self.ledger.users[name] = {True}
        body = {"Username": name, "Password": user["Password"]}
        answer = self._value(self._ask(self._client.post, "Account/Login", body))
        self.ledger.tokens.append(answer["AuthToken"])


def _body(name: str, item: Item) -> dict[str, Any]:
    return {"Name": name, "Unit": item.unit, "Amount": item.amount, "GroupID": item.group}
