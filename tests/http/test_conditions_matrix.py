"""Random rules with conditions on a real server, against an oracle in plain Python (``conditions_oracle``)."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from typing import Any

import pytest

from apilane.testing.client import Client
from apilane.testing.server import Server
from tests.http import conditions_oracle as oracle
from tests.http.database import Database

NewClient = Callable[..., Client]
AsOperator = Callable[..., Client]
Record = dict[str, Any]

SEEDS = range(int(os.environ.get("APILANE_TEST_RULE_SETS", "8")))
"""Each makes one rule set; more of them find rarer faults."""
PROPERTIES: list[Record] = [
    {"Name": "DoctorID", "Type": "Number"},
    {"Name": "Status", "Type": "Number"},
    {"Name": "Note"},
    {"Name": "Flag", "Type": "Boolean"},
    {"Name": "Price", "Type": "Number"},
]


class World:
    """An application with one rule set, its callers, and the records as the oracle knows them."""

    def __init__(
        self, client: Client, seeder: Client, database: Database, rules: list[Record], chance: random.Random
    ) -> None:
        self.rules, self.chance = rules, chance
        self.callers: list[tuple[Client, int | None, list[str] | None]] = [(client, None, None)]
        for number, roles in enumerate(([], ["doctor"], ["doctor", "nurse"], ["nurse", "clerk"])):
            name = f"user{number}"
            id = client.register(name)
            database.set_roles(id, ",".join(roles) or None)
            self.callers.append((client.as_user(client.login(name)), id, list(roles)))
        self.seeder = seeder
        self.users = [id for _, id, _ in self.callers if id is not None]
        self.records: list[Record] = []
        sent = [oracle.random_values(chance, self.users) for _ in range(25)]
        for id, values in zip(self.seeder.add("Visits", *sent), sent, strict=True):
            self.records.append({"ID": id, **values})

    def stored(self) -> list[Record]:
        """The records as they are stored."""
        names = ",".join(["ID", *oracle.PROPERTIES])
        return self.seeder.records(
            "Visits", pageSize=1000, properties=names, sort='[{"Property":"ID","Direction":"ASC"}]'
        )

    def assert_stored(self) -> None:
        """The database has what the oracle expects."""
        assert self.stored() == [{"ID": r["ID"], **{n: r[n] for n in oracle.PROPERTIES}} for r in self.records]


@pytest.fixture(params=SEEDS)
def world(request: pytest.FixtureRequest, server: Server, new_application: NewClient, as_operator: AsOperator) -> World:
    """One generated rule set."""
    chance = random.Random(request.param)
    rules = oracle.random_rules(chance)
    client = new_application(
        {
            "Apilane": 1,
            "Application": {"Name": "Clinic"},
            "Entities": [{"Name": "Visits", "ChangeTracking": True, "Properties": PROPERTIES}],
            "Security": rules,
        }
    )
    with Database(server.settings, client.token) as database:
        return World(client, as_operator(client), database, rules, chance)


def code(answer: Any) -> str:
    """The error code of an answer; empty for success."""
    return "" if answer.status_code == 200 else str(answer.json()["Code"])


@pytest.mark.better("B-X1")
def test_reads(world: World) -> None:
    """Get, GetByID, totals, statistics and history tell exactly what the rules grant."""
    for client, user_id, roles in world.callers:
        rules = oracle.effective(world.rules, "get", roles)
        if not rules:
            assert code(client.get("Data/Get", entity="Visits")) == "UNAUTHORIZED"
            continue
        expected = oracle.visible(rules, world.records, user_id)
        order = '[{"Property":"ID","Direction":"ASC"}]'
        answer = client.get("Data/Get", entity="Visits", pageSize=1000, sort=order, getTotal="true").json()
        assert (answer["Data"], answer["Total"]) == (
            [{name: each[name] for name in ["ID", *oracle.PROPERTIES] if name in each} for each in expected],
            len(expected),
        )
        by_id = {each["ID"]: each for each in expected}
        for record in world.records[:8]:
            answer = client.get("Data/GetByID", entity="Visits", id=record["ID"])
            history = client.get("Data/GetHistoryByID", entity="Visits", id=record["ID"])
            if record["ID"] in by_id:
                assert answer.json() == by_id[record["ID"]]
                assert history.status_code == 200
            else:
                assert [code(answer), code(history)] == ["NOT_FOUND"] * 2
        counted = client.get("Stats/Aggregate", entity="Visits", properties="ID.count").json()
        assert counted[0]["ID_count"] == len(expected)


@pytest.mark.better("B-X1")
def test_inference(world: World) -> None:
    """Filter, sort, aggregate, group and distinct accept exactly the properties that tell nothing hidden."""
    for client, user_id, roles in world.callers:
        rules = oracle.effective(world.rules, "get", roles)
        if not rules:
            continue
        usable = oracle.usable(rules)
        for name in oracle.PROPERTIES:
            condition = json.dumps({"Property": name, "Operator": "notequal", "Value": None})
            answers = [
                client.get("Data/Get", entity="Visits", filter=condition, pageSize=1000),
                client.get("Data/Get", entity="Visits", sort=json.dumps([{"Property": name, "Direction": "ASC"}])),
                client.get("Stats/Aggregate", entity="Visits", properties=f"{name}.count"),
                client.get("Stats/Aggregate", entity="Visits", properties="ID.count", groupBy=name),
                client.get("Stats/Distinct", entity="Visits", property=name),
            ]
            assert [answer.status_code == 200 for answer in answers] == [name in usable] * 5, name
            if name in usable:
                seen = oracle.visible(rules, world.records, user_id)
                wanted = [each["ID"] for each in seen if each[name] is not None]
                assert sorted(each["ID"] for each in answers[0].json()["Data"]) == wanted


def assert_history(client: Client, rules: list[Record], record: Record, user_id: int | None) -> None:
    """History shows the properties of the get rules that the live record meets, and others as null."""
    shown = oracle.met(rules, record, user_id)
    if shown:
        for item in client.get("Data/GetHistoryByID", entity="Visits", id=record["ID"]).json()["Data"]:
            hidden = oracle.granted(rules) - oracle.granted(shown)
            assert all(item[name] is None for name in hidden)
            assert oracle.granted(shown) <= item.keys()


@pytest.mark.better("B-X1")
def test_writes(world: World) -> None:
    """Put, Post and Delete change exactly what the rules grant, alone, in arrays and in transactions."""
    chance = world.chance
    for client, user_id, roles in world.callers * 2:
        rules = oracle.effective(world.rules, "put", roles)
        for record in chance.sample(world.records, min(6, len(world.records))) if rules else []:
            values = oracle.random_values(chance, world.users)
            names = [n for n in oracle.PROPERTIES if n in oracle.granted(rules)]
            change = {name: values[name] for name in chance.sample(names, chance.randint(1, len(names)))}
            after = oracle.put(rules, record, change, user_id)
            sent = {"ID": record["ID"], **change}
            if chance.random() < 0.3:
                answer = client.post("Data/Transaction", {"Put": [{"Entity": "Visits", "Data": [sent]}]})
            else:
                answer = client.put("Data/Put", [sent] if chance.random() < 0.5 else sent, entity="Visits")
            assert code(answer) == ("UNAUTHORIZED" if after is None else ""), (sent, record, rules, answer.text)
            if after is not None:
                world.records[world.records.index(record)] = after[0]
                assert_history(client, oracle.effective(world.rules, "get", roles), after[0], user_id)
        rules = oracle.effective(world.rules, "post", roles)
        for _ in range(4 if rules else 0):
            values = oracle.random_values(chance, world.users)
            sent = {name: values[name] for name in chance.sample(oracle.PROPERTIES, chance.randint(0, 5))}
            stored = oracle.post(rules, sent, user_id)
            answer = client.post("Data/Post", sent, entity="Visits")
            assert code(answer) == ("UNAUTHORIZED" if stored is None else ""), (sent, rules, answer.text)
            if stored is not None:
                world.records.append({"ID": answer.json()[0], **stored})
        rules = oracle.effective(world.rules, "delete", roles)
        if rules and world.records:
            wanted = chance.sample(world.records, min(4, len(world.records)))
            gone = [each["ID"] for each in wanted if oracle.met(rules, each, user_id)]
            ids = ",".join(str(each["ID"]) for each in wanted)
            assert client.delete("Data/Delete", entity="Visits", ids=ids).json() == sorted(gone)
            world.records = [each for each in world.records if each["ID"] not in gone]
        world.assert_stored()
