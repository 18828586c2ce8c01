"""Generated matrix: scopes x roles x actions x properties, on a real server, against an oracle without shared code."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from apilane.services.operator_sign_in import operator_token
from apilane.testing.server import Server
from apilane_api_tokens.service import ApiTokens, Draft
from tests.http.conftest import ADMIN, NewClient
from tests.http.pipeline import Pipeline, Request
from tests.http.programs import Programs
from tests.http.scopes_oracle import granted

ENTITIES = ("Alpha", "Beta")
PROPERTIES = ("First", "Second", "Third")
ACTIONS = ("get", "post", "put", "delete")
ROLES = ("reader", "writer")
ROLE_SETS = [frozenset(chosen) for size in range(3) for chosen in itertools.combinations(ROLES, size)]
SEED = 20261201
NO_ID = 10**9


def generated_rules() -> list[dict[str, Any]]:
    """Rules of every role with random lists of properties; some entities and actions have none."""
    chance = random.Random(SEED)
    rules: list[dict[str, Any]] = []
    for entity, role, action in itertools.product(ENTITIES, ("AUTHENTICATED", *ROLES), ACTIONS):
        if chance.random() < 0.55:
            rule: dict[str, Any] = {"Entity": entity, "Role": role, "Action": action}
            if action != "delete":
                rule["Properties"] = sorted(chance.sample(PROPERTIES, chance.randint(1, 3)))
            rules.append(rule)
    return rules


def generated_scopes() -> list[tuple[str, ...]]:
    """Sets of scopes of every form, in changing letter case."""
    chance = random.Random(SEED + 1)
    simple = [f"{entity}:{action}" for entity in (*ENTITIES, "*") for action in (*ACTIONS, "*")]
    listed = [
        f"{entity}:{action}({', '.join(chance.sample(PROPERTIES, chance.randint(1, 2)))})"
        for entity in ENTITIES
        for action in ("get", "post", "put")
        for _ in range(2)
    ]
    forms = [*simple, *listed, "read", "write", "files", "Schema", "Custom/*"]
    sets = [(form,) for form in forms]
    sets += [tuple(chance.sample(forms, chance.randint(2, 4))) for _ in range(25)]
    return [tuple(chance.choice((str, str.lower, str.upper))(each) for each in scopes) for scopes in sets]


RULES = generated_rules()
MANIFEST: dict[str, Any] = {
    "Apilane": 1,
    "Application": {"Name": "Matrix of scopes", "AllowUserRegister": True, "AllowLoginUnconfirmedEmail": True},
    "Entities": [
        {"Name": name, "Properties": [{"Name": each, "Type": "Number"} for each in PROPERTIES]} for name in ENTITIES
    ],
    "Security": RULES,
}


@pytest.fixture(scope="module")
def programs(server: Server, new_application: NewClient) -> Programs:
    return Programs(server, new_application(MANIFEST))


@pytest.fixture
def wire(programs: Programs) -> Iterator[Pipeline]:
    pipeline = Pipeline(programs.server.url, programs.client.token)
    yield pipeline
    pipeline.close()


@pytest.fixture(scope="module")
def operator(server: Server) -> str:
    return server.with_store(lambda store, _hooks: operator_token(store, ADMIN, None))


def issued(programs: Programs, user_id: int | None, roles: frozenset[str]) -> list[tuple[tuple[str, ...], str]]:
    """A token for each set of scopes."""

    async def create(tokens: ApiTokens) -> list[tuple[tuple[str, ...], str]]:
        made = []
        for scopes in generated_scopes():
            own = tuple(roles) if user_id is None else ()
            draft = Draft(name="matrix", scopes=scopes, user_id=user_id, roles=own)
            made.append((scopes, (await tokens.create(draft, "tests")).secret))
        return made

    return programs.manage(create)


@pytest.mark.parametrize("roles", ROLE_SETS, ids=lambda roles: "+".join(sorted(roles)) or "none")
@pytest.mark.parametrize("is_of_user", [True, False], ids=["user", "application"])
def test_scopes_and_rules(
    programs: Programs, wire: Pipeline, operator: str, roles: frozenset[str], *, is_of_user: bool
) -> None:
    """Every action on every property is granted exactly when both a rule of the roles and a scope grant it."""
    user_id: int | None = None
    if is_of_user:
        user_id = programs.client.register("user" + "".join(sorted(roles)))
        update = 'UPDATE "Users" SET "Roles" = ? WHERE "ID" = ?'
        programs.server.sql(programs.client.token, update, (",".join(sorted(roles)) or None, user_id))
    attempts = Attempts(wire, operator, roles)
    for scopes, secret in issued(programs, user_id, roles):
        for entity in ENTITIES:
            attempts.scopes, attempts.entity = scopes, entity
            attempts.run(secret)
    assert not attempts.wrong, "\n".join(attempts.wrong[:20])
    assert attempts.cells["refused"] > 100
    assert attempts.cells["granted"] > 100


class Attempts:
    """Every action on one entity with one token, and the differences to the oracle."""

    entity: str
    scopes: tuple[str, ...]

    def __init__(self, wire: Pipeline, operator: str, roles: frozenset[str]) -> None:
        self.wire = wire
        self.operator = operator
        self.roles = roles
        self.cells: Counter[str] = Counter()
        self.wrong: list[str] = []

    def check(self, what: str, expected: object, actual: object) -> None:
        """Compare one cell of the matrix."""
        self.cells["refused" if expected in {401, False} else "granted"] += 1
        if expected != actual:
            where = f"{self.entity} {what}, roles {sorted(self.roles)}, scopes {self.scopes}"
            self.wrong.append(f"{where}: expected {expected}, got {actual}")

    def oracle(self, action: str) -> set[str] | None:
        """The properties that are granted; None: the action is refused."""
        return granted(RULES, self.scopes, self.entity, action, self.roles, PROPERTIES)

    def operate(self, method: str, call: str, body: Any = None) -> Any:
        """A call of an operator, who may do everything."""
        ((status, answer),) = self.wire.ask(self.operator, [Request(method, f"Data/{call}", body)], portal=True)
        assert status == 200, answer
        return answer

    def run(self, secret: str) -> None:
        """Try every action."""
        entity, old = self.entity, dict.fromkeys(PROPERTIES, 5)
        (id,) = self.operate("POST", f"Post?entity={entity}", old)
        filters = [json.dumps({"Property": name, "Operator": "equal", "Value": 5}) for name in PROPERTIES]
        sorts = [json.dumps([{"Property": name, "Direction": "ASC"}]) for name in PROPERTIES]
        queries = [*(f"filter={quote(each)}" for each in filters), *(f"sort={quote(each)}" for each in sorts)]
        requests = [
            Request("GET", f"Data/GetByID?entity={entity}&id={id}"),
            *(Request("GET", f"Data/Get?entity={entity}&{each}") for each in queries),
            Request("POST", f"Data/Post?entity={entity}", old),
            Request("PUT", f"Data/Put?entity={entity}", {"ID": id, **dict.fromkeys(PROPERTIES, 6)}),
            Request("DELETE", f"Data/Delete?entity={entity}&ids={NO_ID}"),
        ]
        read, *queried, post, put, delete = self.wire.ask(secret, requests)
        may = self.oracle("get")
        self.check("get", 200 if may is not None else 401, read[0])
        for name in PROPERTIES if read[0] == 200 and may is not None else ():
            self.check(f"get {name}", name in may, name in read[1])
        for (status, _), name in zip(queried, PROPERTIES * 2, strict=True):
            self.check(f"filter or sort {name}", 401 if may is None else (200 if name in may else 400), status)
        self.written("post", post, post[1][0] if post[0] == 200 else 0, old, dict.fromkeys(PROPERTIES))
        self.written("put", put, id, dict.fromkeys(PROPERTIES, 6), old)
        self.check("delete", 401 if self.oracle("delete") is None else 200, delete[0])
        self.operate("DELETE", f"Delete?entity={entity}&ids={id}")

    def written(self, action: str, answer: tuple[int, Any], id: int, new: dict[str, Any], old: dict[str, Any]) -> None:
        """The status of a write, and what it stored of each property."""
        may = self.oracle(action)
        self.check(action, 401 if may is None else (200 if may else 400), answer[0])
        if answer[0] != 200 or not may:
            return
        stored = self.operate("GET", f"GetByID?entity={self.entity}&id={id}")
        for name in PROPERTIES:
            self.check(f"{action} {name}", new[name] if name in may else old[name], stored[name])
